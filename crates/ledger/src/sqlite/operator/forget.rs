//! Erasing a person: first whatever leads to them, in one commit; then what they wrote, in small steps; at last every
//! byte that is left in the file and its WAL.
//!
//! If the process dies in between, [`super::retain`] goes on: the mark on the person and the mark that a scrub is due
//! are in the ledger.

use std::time::Duration;

use parlante_domain::PersonId;
use rusqlite::{Connection, OptionalExtension, params};

use super::erase;
use crate::error::LedgerError;
use crate::operator::Forgotten;
use crate::sqlite::sql::{Sql, cached, truncate_wal};
use crate::sqlite::writer::Writer;

/// Rows of a sort that one command erases: some 10 ms of the writer's time.
const BATCH: usize = 500;
/// Our own readers are done within milliseconds; a backup that takes longer is not waited for.
const TRIES: u32 = 40;
const TRY_AGAIN: Duration = Duration::from_millis(50);

pub(in crate::sqlite) async fn forget(writer: Writer, person: String) -> Result<Forgotten, LedgerError> {
    let Some(alias) = alias(&person) else { return Ok(Forgotten { scrubbed: true, ..Forgotten::default() }) };
    let mut forgotten = writer.write(1, move |db| let_go(db, &alias)).await?;
    if forgotten.found {
        while writer.write(1, |db| erase::forgotten(db, BATCH)).await? > 0 {}
        forgotten.scrubbed = scrub(&writer).await;
    }
    Ok(forgotten)
}

/// A number as people write it, or a BSUID.
fn alias(person: &str) -> Option<String> {
    let person = person.trim();
    let number: String = person.chars().filter(|c| !matches!(c, '+' | '-' | '(' | ')' | ' ')).collect();
    match (number.is_empty(), number.bytes().all(|byte| byte.is_ascii_digit())) {
        (true, _) => None,
        (false, true) => Some(format!("p:{number}")),
        (false, false) => Some(format!("b:{person}")),
    }
}

/// From here on the ledger does not know the person: their next message is a stranger's.
fn let_go(db: &Connection, alias: &str) -> Sql<Forgotten> {
    let Some(person) = cached(db, "SELECT person FROM alias WHERE alias = ?1")?
        .query_row(params![alias], |row| row.get::<_, i64>(0))
        .optional()?
    else {
        return Ok(Forgotten { scrubbed: true, ..Forgotten::default() });
    };
    let people: Vec<PersonId> = cached(db, "SELECT id FROM person WHERE id = ?1 OR merged_into = ?1")?
        .query_map(params![person], |row| row.get(0).map(PersonId))?
        .collect::<Sql<_>>()?;
    let mut messages = 0;
    for person in &people {
        let id = params![person.0];
        messages += cached(
            db,
            "SELECT (SELECT count(*) FROM message WHERE person = ?1 AND purpose = 2 AND state = 'open')
                  + (SELECT count(*) FROM message WHERE person = ?1 AND purpose = 2 AND ended_at IS NOT NULL)",
        )?
        .query_row(id, |row| row.get::<_, u32>(0))?;
        erase::messages(db, "SELECT seq FROM message WHERE person = ?1 AND state = 'open'", id)?;
        cached(db, "DELETE FROM alias WHERE person = ?1")?.execute(id)?;
        cached(
            db,
            "UPDATE person SET forgotten = 1, phone = NULL, bsuid = NULL, name = NULL, wish = NULL, wished = 0,
               merged_into = NULL WHERE id = ?1",
        )?
        .execute(id)?;
    }
    cached(db, "INSERT INTO meta VALUES ('unscrubbed', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1")?
        .execute(params![person.to_string()])?;
    Ok(Forgotten { found: true, messages, people, scrubbed: false })
}

/// For whom a scrub is due.
pub(super) fn unscrubbed(db: &Connection) -> Sql<Option<String>> {
    cached(db, "SELECT value FROM meta WHERE key = 'unscrubbed'")?.query_row([], |row| row.get(0)).optional()
}

/// Leaves nothing of what was deleted. `secure_delete` empties what is freed, but where a page was split a copy of a
/// row may stay behind in the slack of another: only a rewrite of the file takes that away, and only a WAL of no
/// length is a WAL without old pages. True when both are done.
///
/// Commits wait for the rewrite: seconds for every 100 MiB of the file, by the disk. It is the one thing that holds
/// the writer up, an operator has asked for it, and webhooks meanwhile queue or are told to come again.
pub(super) async fn scrub(writer: &Writer) -> bool {
    let rewritten = writer.upkeep(|db| {
        let due = unscrubbed(db)?;
        // The rewrite goes through a file: in memory it would take as much of it as the ledger is large.
        db.execute_batch("PRAGMA temp_store = FILE")?;
        let rewritten = db.execute_batch("VACUUM");
        db.execute_batch("PRAGMA temp_store = MEMORY")?;
        rewritten?;
        Ok(due)
    });
    let Ok(due) = rewritten.await else { return false };
    for _ in 0..TRIES {
        let due = due.clone();
        if let Ok(true) = writer.upkeep(move |db| seal(db, due.as_deref())).await {
            return true;
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    false
}

/// Takes the mark away again, unless someone else was forgotten meanwhile.
fn seal(db: &Connection, due: Option<&str>) -> Sql<bool> {
    if !truncate_wal(db)? {
        return Ok(false);
    }
    cached(db, "DELETE FROM meta WHERE key = 'unscrubbed' AND value = ?1")?.execute(params![due])?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::alias;

    #[test]
    fn a_number_is_known_however_it_is_written() {
        for text in ["393247722154", "+393247722154", " +39 324 772-2154 ", "(+39) 3247722154"] {
            assert_eq!(alias(text).as_deref(), Some("p:393247722154"), "{text}");
        }
        assert_eq!(alias(" IT.4410097722110033 ").as_deref(), Some("b:IT.4410097722110033"));
        assert_eq!((alias(""), alias(" + ")), (None, None));
    }
}
