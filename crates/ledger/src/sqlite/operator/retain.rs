//! Nothing is kept for longer than the settings say, and the file shrinks with it.

use std::time::Duration;

use parlante_domain::Millis;
use rusqlite::{Connection, params};

use super::{erase, forget};
use crate::error::LedgerError;
use crate::operator::{Retained, Retention};
use crate::sqlite::sql::{Sql, cached, limit, truncate_wal};
use crate::sqlite::writer::Writer;

/// Free pages that one command gives back to the file system (1 MiB): some milliseconds.
const PAGES: u32 = 256;

pub(in crate::sqlite) async fn retain(
    writer: Writer,
    now: Millis,
    keep: Retention,
    batch: u32,
) -> Result<Retained, LedgerError> {
    let batch = usize::try_from(batch).unwrap_or(usize::MAX).max(1);
    let retained = writer.write(1, move |db| clean(db, now, keep, batch)).await?;
    if !retained.more {
        if writer.upkeep(forget::unscrubbed).await?.is_some() {
            // Not done this time: the next one tries again.
            forget::scrub(&writer).await;
        } else {
            // The file shrinks when what was freed has left the WAL.
            writer.upkeep(truncate_wal).await?;
        }
    }
    Ok(retained)
}

fn clean(db: &Connection, now: Millis, keep: Retention, batch: usize) -> Sql<Retained> {
    let ended = |state: &str, after: Duration| {
        let select = "SELECT seq FROM message WHERE state = ?1 AND ended_at < ?2 ORDER BY ended_at LIMIT ?3";
        erase::messages(db, select, params![state, (now - after).0, limit(batch)])
    };
    let gone = [
        erase::forgotten(db, batch)?,
        ended("done", keep.done)?,
        ended("dead", keep.dead)?,
        ended("refused", keep.dead)?,
        old(
            db,
            "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE at < ?1 LIMIT ?2)",
            now - keep.history,
            batch,
        )?,
        old(
            db,
            "DELETE FROM seen WHERE id IN (SELECT id FROM seen WHERE at < ?1 LIMIT ?2)",
            now - keep.remember,
            batch,
        )?,
    ];
    let strangers = strangers(db, now - keep.history, batch)?;
    let pages = free_pages(db)?;
    give_pages_back(db)?;
    let left = free_pages(db)?;
    Ok(Retained {
        deleted: u32::try_from(gone.iter().sum::<usize>() + strangers).unwrap_or(u32::MAX),
        // Someone with whom a stranger was joined may be one as well now.
        more: gone.iter().any(|gone| *gone >= batch) || strangers > 0 || (0 < left && left < pages),
    })
}

fn old(db: &Connection, delete: &str, before: Millis, batch: usize) -> Sql<usize> {
    cached(db, delete)?.execute(params![before.0, limit(batch)])
}

/// People of whom nothing else is left. What was told them once is forgotten with them, hence not before they have
/// been silent for as long as a conversation is remembered.
fn strangers(db: &Connection, silent_since: Millis, batch: usize) -> Sql<usize> {
    let gone: Vec<i64> = cached(
        db,
        "SELECT id FROM person p WHERE newest_at < ?1
           AND NOT EXISTS (SELECT 1 FROM message WHERE person = p.id AND state = 'open')
           AND NOT EXISTS (SELECT 1 FROM message WHERE person = p.id AND ended_at IS NOT NULL)
           AND NOT EXISTS (SELECT 1 FROM history WHERE person = p.id)
           AND NOT EXISTS (SELECT 1 FROM person WHERE merged_into = p.id) LIMIT ?2",
    )?
    .query_map(params![silent_since.0, limit(batch)], |row| row.get(0))?
    .collect::<Sql<_>>()?;
    for person in &gone {
        cached(db, "DELETE FROM alias WHERE person = ?1")?.execute(params![person])?;
        cached(db, "DELETE FROM person WHERE id = ?1")?.execute(params![person])?;
    }
    Ok(gone.len())
}

fn free_pages(db: &Connection) -> Sql<i64> {
    db.query_row("PRAGMA freelist_count", [], |row| row.get(0))
}

/// The pragma frees one page a step.
fn give_pages_back(db: &Connection) -> Sql<()> {
    let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    Ok(())
}
