//! Statuses settle sends: the rank only rises, and a failure never undoes a delivery. One that is the channel's fault
//! lets the part go once more.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{MessageId, Millis, PersonId, Seq, Status, StatusUpdate};
use rusqlite::{Connection, OptionalExtension, params};

use super::person::{address, canonical, disclose_again};
use super::sql::{Sql, cached};
use super::turn::dead_letter;
use super::voice;
use crate::contract::{AcceptRules, DeadLetter, Purpose, Reply, Verdict, Wake};
use crate::operator::RowState;
use crate::stored::{self, purpose_number};

/// The send that a tag speaks of.
struct Send {
    seq: Seq,
    part: u32,
    state: String,
    rank: i64,
    /// Meta's id of it, where it is known.
    message_id: Option<String>,
    /// It belongs to the reply that the row has now, not to an apology before a replay.
    current: bool,
    /// It is the first part of that reply.
    is_first: bool,
    /// How its row stands.
    row: RowState,
    /// Its person was forgotten, and is being erased.
    forgotten: bool,
}

impl Send {
    /// It can be made once more: its row is open, or was answered with it.
    fn may_go_again(&self) -> bool {
        self.current && (self.row == RowState::Open || (self.row == RowState::Done && !self.forgotten))
    }

    fn is_settled(&self) -> bool {
        self.state == "done" || self.state == "failed"
    }

    /// The status is that of a send that failed before a replay, and will be made again under the same tag.
    fn is_replayed(&self, told: &MessageId) -> bool {
        !self.is_settled() && self.message_id.as_deref() == Some(told.as_ref())
    }

    /// The status is that of another send under the same tag than the one that WhatsApp took last.
    fn is_outlived(&self, told: &MessageId) -> bool {
        self.is_settled() && self.message_id.as_deref().is_some_and(|known| known != told.as_ref())
    }
}

pub(super) fn settle(
    db: &Connection,
    ledger: &str,
    update: &StatusUpdate,
    now: Millis,
    rules: &AcceptRules,
    wakes: &mut Vec<Wake>,
) -> Sql<Verdict> {
    if update.tag.ledger != ledger {
        return Ok(Verdict::Unmatched);
    }
    let (seq, part) = (update.tag.seq, update.tag.part);
    let found = cached(
        db,
        "SELECT s.state, s.rank, s.message_id, s.part >= m.first_part, m.state, p.forgotten, s.part = m.first_part
         FROM step s JOIN message m ON m.seq = s.seq JOIN person p ON p.id = m.person
         WHERE s.seq = ?1 AND s.step = 'send' AND s.part = ?2",
    )?
    .query_row(params![seq.0, part], |row| {
        let (state, rank, message_id) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (current, forgotten, is_first) = (row.get(3)?, row.get(5)?, row.get(6)?);
        let row = stored::read_row_state(&row.get::<_, String>(4)?);
        Ok(Send { seq, part, state, rank, message_id, current, is_first, row, forgotten })
    })
    .optional()?;
    let Some(send) = found else { return Ok(Verdict::Unmatched) };
    match &update.outcome {
        Ok(status) => rise(db, &send, update, *status, now, wakes),
        Err(code) => fail(db, &send, update, code, now, rules, wakes),
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
    let late = status < Status::Delivered && send.is_replayed(&update.message_id);
    if status.rank() <= send.rank || late {
        return Ok(Verdict::Unmatched);
    }
    // A delivery proves the send, whatever was believed of it before; a bare `sent` does not outlive a failure.
    let proves = send.state != "failed" || status >= Status::Delivered;
    cached(
        db,
        "UPDATE step SET rank = ?3, message_id = CASE WHEN ?7 THEN coalesce(message_id, ?4) ELSE ?4 END,
                state = CASE WHEN ?5 THEN 'done' ELSE state END, settled_at = coalesce(settled_at, ?6)
         WHERE seq = ?1 AND step = 'send' AND part = ?2",
    )?
    .execute(params![
        send.seq.0,
        send.part,
        status.rank(),
        update.message_id.as_ref(),
        proves,
        now.0,
        send.is_settled(),
    ])?;
    if proves && send.current {
        cached(db, "UPDATE message SET holds = 0 WHERE seq = ?1 AND holds > 0")?
            .execute(params![send.seq.0])?;
    }
    wakes.extend(go_on(db, send, now)?);
    Ok(Verdict::Settled)
}

fn fail(
    db: &Connection,
    send: &Send,
    update: &StatusUpdate,
    code: &str,
    now: Millis,
    rules: &AcceptRules,
    wakes: &mut Vec<Wake>,
) -> Sql<Verdict> {
    let is_past = send.rank >= Status::Delivered.rank() || send.state == "failed";
    if is_past || send.is_outlived(&update.message_id) || send.is_replayed(&update.message_id) {
        return Ok(Verdict::Unmatched);
    }
    let spoken = match send.may_go_again() && (rules.is_media_fault)(code) {
        true => voice::spoken(db, send.seq)?.filter(|_| send.is_first),
        false => None,
    };
    let goes_again = spoken.is_none() && send.may_go_again() && (rules.is_channel_fault)(code);
    // The id stays with a part that goes again, so that what is told of this send later is known to be past.
    cached(
        db,
        "UPDATE step SET state = CASE WHEN ?6 THEN 'postponed' ELSE 'failed' END, code = ?3, settled_at = ?4,
           message_id = ?5, rank = CASE WHEN ?6 THEN 0 ELSE rank END, unknowns = CASE WHEN ?6 THEN 0 ELSE unknowns END
         WHERE seq = ?1 AND step = 'send' AND part = ?2",
    )?
    .execute(params![send.seq.0, send.part, code, now.0, update.message_id.as_ref(), goes_again])?;
    if let Some(spoken) = spoken {
        return say_in_words(db, send.seq, spoken, code, now, wakes);
    }
    wakes.extend(go_on(db, send, now)?);
    if goes_again {
        wakes.extend(open_again(db, send.seq, now)?);
        return Ok(Verdict::ChannelFault { code: ErrorCode::recorded(code) });
    }
    if !send.current {
        return Ok(Verdict::Settled);
    }
    Ok(undo(db, send.seq, code)?.map_or(Verdict::Settled, Verdict::Undone))
}

/// The voice note will not arrive as one: the same answer goes as text. Whoever has the row in progress finds out by
/// its next command; a row that waits for anything of the voice note waits no longer.
fn say_in_words(
    db: &Connection,
    seq: Seq,
    spoken: Reply,
    code: &str,
    now: Millis,
    wakes: &mut Vec<Wake>,
) -> Sql<Verdict> {
    voice::turn_to_text(db, seq, spoken)?;
    let held = cached(
        db,
        "UPDATE message SET due = ?2, waits_for = NULL WHERE seq = ?1 AND state = 'open' AND running = 0 RETURNING person",
    )?
    .query_row(params![seq.0, now.0], |row| Ok(Wake { person: PersonId(row.get(0)?), seq }))
    .optional()?;
    wakes.extend(held);
    wakes.extend(open_again(db, seq, now)?);
    let (message_id, user) = cached(
        db,
        "SELECT m.message_id, p.phone, p.bsuid FROM message m JOIN person own ON own.id = m.person
         JOIN person p ON p.id = coalesce(own.merged_into, own.id) WHERE m.seq = ?1",
    )?
    .query_row(params![seq.0], |row| {
        Ok((row.get::<_, String>(0)?.into(), address(row.get(1)?, row.get(2)?)))
    })?;
    Ok(Verdict::VoiceFailed { message_id, user, code: ErrorCode::recorded(code) })
}

/// An answered row goes on where it was, as something begun. Its person may have been joined with another since.
fn open_again(db: &Connection, seq: Seq, now: Millis) -> Sql<Option<Wake>> {
    cached(
        db,
        "UPDATE message SET state = 'open', reason = NULL, ended_at = NULL, running = 0, due = ?2, holds = 0, reopened = 1,
           person = (SELECT coalesce(merged_into, id) FROM person WHERE id = message.person)
         WHERE seq = ?1 AND state = 'done' RETURNING person",
    )?
    .query_row(params![seq.0, now.0], |row| Ok(Wake { person: PersonId(row.get(0)?), seq }))
    .optional()
}

/// Lets a row go on that is held because of this send.
fn go_on(db: &Connection, send: &Send, now: Millis) -> Sql<Option<Wake>> {
    if !send.current || (send.state != "unknown" && send.state != "postponed") {
        return Ok(None);
    }
    let seq = send.seq;
    cached(
        db,
        "UPDATE message SET due = ?2, waits_for = NULL WHERE seq = ?1 AND state = 'open' RETURNING person",
    )?
    .query_row(params![seq.0, now.0], |row| Ok(Wake { person: PersonId(row.get(0)?), seq }))
    .optional()
}

/// An answered message turns from done to dead; a disclosure that did not arrive has to be made again.
fn undo(db: &Connection, seq: Seq, code: &str) -> Sql<Option<DeadLetter>> {
    let undone = cached(
        db,
        "UPDATE message SET state = 'dead', reason = ?2 WHERE seq = ?1 AND state = 'done' RETURNING person, purpose",
    )?
    .query_row(params![seq.0, code], |row| Ok((PersonId(row.get(0)?), row.get::<_, i64>(1)?)))
    .optional()?;
    let Some((person, purpose)) = undone else { return Ok(None) };
    if purpose == purpose_number(Purpose::Disclosure) {
        disclose_again(db, canonical(db, person)?)?;
    }
    dead_letter(db, seq)
}
