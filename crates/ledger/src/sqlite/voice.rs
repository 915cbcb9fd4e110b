//! The spoken answer: its bytes, and the way back to text.

use parlante_domain::{Millis, Seq};
use rusqlite::{Connection, OptionalExtension, params};

use super::sql::{Sql, cached, unreadable};
use super::step::{open_from, record};
use crate::contract::{Recorded, Reply};
use crate::stored;

pub(super) fn audio(db: &Connection, seq: Seq) -> Sql<Option<Vec<u8>>> {
    cached(db, "SELECT bytes FROM audio WHERE seq = ?1")?
        .query_row(params![seq.0], |row| row.get(0))
        .optional()
}

pub(super) fn drop_audio(db: &Connection, seq: Seq) -> Sql<()> {
    cached(db, "DELETE FROM audio WHERE seq = ?1")?.execute(params![seq.0]).map(|_| ())
}

/// Drops what was spoken and uploaded.
pub(super) fn forget_speech(db: &Connection, seq: Seq) -> Sql<()> {
    drop_audio(db, seq)?;
    cached(db, "UPDATE step SET media_id = NULL WHERE seq = ?1 AND step = 'upload'")?
        .execute(params![seq.0])
        .map(|_| ())
}

pub(super) fn fall_back(db: &Connection, seq: Seq, now: Millis) -> Sql<Recorded> {
    if open_from(db, seq)?.is_none() {
        return Ok(Recorded::No);
    }
    if let Some(spoken) = spoken(db, seq)? {
        turn_to_text(db, seq, spoken)?;
        cached(db, "UPDATE message SET due = min(due, ?2), waits_for = NULL WHERE seq = ?1")?
            .execute(params![seq.0, now.0])?;
    }
    Ok(Recorded::Yes)
}

/// The reply of a row, if it is a spoken one.
pub(super) fn spoken(db: &Connection, seq: Seq) -> Sql<Option<Reply>> {
    let reply: Option<String> = cached(db, "SELECT reply FROM message WHERE seq = ?1")?
        .query_row(params![seq.0], |row| row.get(0))
        .optional()?
        .flatten();
    let reply = reply.map(|reply| stored::read_reply(&reply)).transpose().map_err(unreadable)?;
    Ok(reply.filter(|reply| reply.is_voice))
}

/// The parts get numbers of their own: a status of the voice note must not settle the text, nor may a part that a
/// conversation is still about to send, which knows nothing of this.
pub(super) fn turn_to_text(db: &Connection, seq: Seq, spoken: Reply) -> Sql<()> {
    let text = Reply { is_voice: false, ..spoken };
    let parts = u32::try_from(text.reply.parts().len()).unwrap_or(u32::MAX);
    record(db, seq, Some(&text))?;
    forget_speech(db, seq)?;
    cached(db, "UPDATE message SET first_part = first_part + ?2 WHERE seq = ?1")?
        .execute(params![seq.0, parts])
        .map(|_| ())
}
