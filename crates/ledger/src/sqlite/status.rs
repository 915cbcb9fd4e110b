//! Statuses settle sends: the rank only rises, and a failure never undoes a delivery.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Millis, PersonId, Seq, Status, StatusUpdate};
use rusqlite::{Connection, OptionalExtension, params};

use super::accept::purpose_number;
use super::person::{address, canonical, disclose_again};
use super::{Sql, cached, turn};
use crate::contract::{Purpose, Undone, Verdict, Wake};

/// The send that a tag speaks of.
struct Send {
    seq: Seq,
    part: u32,
    state: String,
    rank: i64,
}

pub(super) fn settle(
    db: &Connection,
    ledger: &str,
    update: &StatusUpdate,
    now: Millis,
    wakes: &mut Vec<Wake>,
) -> Sql<Verdict> {
    if update.tag.ledger != ledger {
        return Ok(Verdict::Unmatched);
    }
    let (seq, part) = (update.tag.seq, update.tag.part);
    let found = cached(db, "SELECT state, rank FROM step WHERE seq = ?1 AND step = 'send' AND part = ?2")?
        .query_row(params![seq.0, part], |row| Ok(Send { seq, part, state: row.get(0)?, rank: row.get(1)? }))
        .optional()?;
    let Some(send) = found else { return Ok(Verdict::Unmatched) };
    match &update.outcome {
        Ok(status) => rise(db, &send, update, *status, now, wakes),
        Err(code) => fail(db, &send, code, now, wakes),
    }
}

fn rise(
    db: &Connection,
    send: &Send,
    update: &StatusUpdate,
    status: Status,
    now: Millis,
    wakes: &mut Vec<Wake>,
) -> Sql<Verdict> {
    if status.rank() <= send.rank {
        return Ok(Verdict::Unmatched);
    }
    // A delivery proves the send, whatever was believed of it before; a bare `sent` does not outlive a failure.
    let proves = send.state != "failed" || status >= Status::Delivered;
    cached(
        db,
        "UPDATE step SET rank = ?3, message_id = coalesce(message_id, ?4),
                state = CASE WHEN ?5 THEN 'done' ELSE state END, settled_at = coalesce(settled_at, ?6)
         WHERE seq = ?1 AND step = 'send' AND part = ?2",
    )?
    .execute(params![
        send.seq.0,
        send.part,
        status.rank(),
        update.message_id.as_ref(),
        proves,
        now.0
    ])?;
    if proves {
        cached(db, "UPDATE message SET holds = 0 WHERE seq = ?1 AND holds > 0")?
            .execute(params![send.seq.0])?;
    }
    wakes.extend(go_on(db, send, now)?);
    Ok(Verdict::Settled)
}

fn fail(db: &Connection, send: &Send, code: &str, now: Millis, wakes: &mut Vec<Wake>) -> Sql<Verdict> {
    if send.rank >= Status::Delivered.rank() || send.state == "failed" {
        return Ok(Verdict::Unmatched);
    }
    cached(
        db,
        "UPDATE step SET state = 'failed', code = ?3, settled_at = ?4 WHERE seq = ?1 AND step = 'send' AND part = ?2",
    )?
    .execute(params![send.seq.0, send.part, code, now.0])?;
    wakes.extend(go_on(db, send, now)?);
    Ok(undo(db, send.seq, code)?.map_or(Verdict::Settled, Verdict::Undone))
}

/// Lets a row go on that is held because of this send.
fn go_on(db: &Connection, send: &Send, now: Millis) -> Sql<Option<Wake>> {
    if send.state != "unknown" && send.state != "postponed" {
        return Ok(None);
    }
    let seq = send.seq;
    cached(db, "UPDATE message SET due = ?2 WHERE seq = ?1 AND state = 'open' RETURNING person")?
        .query_row(params![seq.0, now.0], |row| Ok(Wake { person: PersonId(row.get(0)?), seq }))
        .optional()
}

/// An answered message turns from done to dead; a disclosure that did not arrive has to be made again.
fn undo(db: &Connection, seq: Seq, code: &str) -> Sql<Option<Undone>> {
    let undone = cached(
        db,
        "UPDATE message SET state = 'dead', reason = ?2 WHERE seq = ?1 AND state = 'done'
         RETURNING message_id, person, purpose",
    )?
    .query_row(params![seq.0, code], |row| {
        Ok((row.get::<_, String>(0)?, PersonId(row.get(1)?), row.get::<_, i64>(2)?))
    })
    .optional()?;
    let Some((message_id, person, purpose)) = undone else { return Ok(None) };
    let person = canonical(db, person)?;
    if purpose == purpose_number(Purpose::Disclosure) {
        disclose_again(db, person)?;
    }
    if purpose != purpose_number(Purpose::Answer) {
        return Ok(None);
    }
    let user = cached(db, "SELECT phone, bsuid FROM person WHERE id = ?1")?
        .query_row(params![person.0], |row| Ok(address(row.get(0)?, row.get(1)?)))?;
    Ok(Some(Undone {
        message_id: message_id.into(),
        user,
        code: ErrorCode::recorded(code),
        attempts: turn::attempts(db, seq)?,
    }))
}
