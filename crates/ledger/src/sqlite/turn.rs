//! Begin, advance, finish, hold: the journal of a row. A command that finds its row ended, moved to another person
//! or gone changes nothing.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Content, Millis, PersonId, Seq};
use rusqlite::{Connection, OptionalExtension, params};

use super::person::{backlog, canonical, disclose_again};
use super::sql::{Sql, cached, unreadable};
use super::step::{attempts, failed_part, intend, is_settled, record, settle};
use crate::contract::{
    Advance, Begin, DeadLetter, Ending, Finish, Finished, Held, Hold, Purpose, Recorded, Settle, Step,
    StepOutcome,
};
use crate::operator::RowState;
use crate::stored::{self, purpose_number};

pub(super) fn begin(db: &Connection, begin: &Begin) -> Sql<Recorded> {
    let taken = cached(
        db,
        "UPDATE message SET begun = 1, running = 1, started_at = coalesce(started_at, ?3)
         WHERE seq = ?1 AND person = ?2 AND state = 'open'",
    )?
    .execute(params![begin.seq.0, begin.person.0, begin.now.0])?;
    if taken == 0 {
        return Ok(Recorded::No);
    }
    record(db, begin.seq, begin.reply.as_ref())?;
    intend(db, begin.seq, begin.intent, begin.now)?;
    Ok(Recorded::Yes)
}

pub(super) fn advance(db: &Connection, advance: &Advance) -> Sql<Recorded> {
    if !is_open(db, advance.seq)? {
        return Ok(Recorded::No);
    }
    settle(db, advance.seq, &advance.settle, advance.now)?;
    record(db, advance.seq, advance.reply.as_ref())?;
    intend(db, advance.seq, advance.intent, advance.now)?;
    Ok(Recorded::Yes)
}

pub(super) fn finish(db: &Connection, finish: &Finish) -> Sql<Finished> {
    if !is_open(db, finish.seq)? {
        return ended(db, finish.seq);
    }
    if let Some(last) = &finish.settle {
        settle(db, finish.seq, last, finish.now)?;
    }
    let ending = match failed_part(db, finish.seq)? {
        Some(code) => Ending::Dead(code),
        None => finish.ending.clone(),
    };
    let remaining = end(db, finish.seq, &ending, finish.now)?;
    Ok(Finished { ending, repeated: false, remaining, attempts: attempts(db, finish.seq)? })
}

/// What a row that is not open already is.
fn ended(db: &Connection, seq: Seq) -> Sql<Finished> {
    let found = cached(db, "SELECT state, reason, person FROM message WHERE seq = ?1")?
        .query_row(params![seq.0], |row| {
            let (state, reason): (String, Option<String>) = (row.get(0)?, row.get(1)?);
            Ok((stored::read_row_state(&state), reason, PersonId(row.get(2)?)))
        })
        .optional()?;
    let (ending, remaining) = match found {
        Some((RowState::Done, reason, person)) => {
            (Ending::Done { failed: reason.map(ErrorCode::recorded) }, backlog(db, canonical(db, person)?)?)
        }
        Some((_, reason, person)) => {
            (Ending::Dead(stored::read_code(reason)), backlog(db, canonical(db, person)?)?)
        }
        None => (Ending::Dead(ErrorCode::recorded("forgotten")), 0),
    };
    Ok(Finished { ending, repeated: true, remaining, attempts: attempts(db, seq)? })
}

fn is_open(db: &Connection, seq: Seq) -> Sql<bool> {
    cached(db, "SELECT 1 FROM message WHERE seq = ?1 AND state = 'open'")?.exists(params![seq.0])
}

/// Closes a row, with all that hangs on it; answers how many messages of the person are still open.
pub(super) fn end(db: &Connection, seq: Seq, ending: &Ending, now: Millis) -> Sql<u32> {
    let (state, reason) = match ending {
        Ending::Done { failed } => ("done", failed.as_ref()),
        Ending::Dead(code) => ("dead", Some(code)),
    };
    let (person, purpose): (i64, i64) = cached(
        db,
        "UPDATE message SET state = ?2, reason = ?3, ended_at = ?4, running = 0 WHERE seq = ?1 RETURNING person, purpose",
    )?
    .query_row(params![seq.0, state, reason.map(ErrorCode::as_str), now.0], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let person = canonical(db, PersonId(person))?;
    if purpose == purpose_number(Purpose::Answer) {
        if matches!(ending, Ending::Done { .. }) {
            keep_history(db, person, seq, now)?;
        }
    } else if purpose == purpose_number(Purpose::Disclosure) && is_refusal(ending) {
        disclose_again(db, person)?;
    }
    let remaining = backlog(db, person)?;
    if remaining == 0 {
        cached(db, "UPDATE person SET overflow_told = 0 WHERE id = ?1 AND overflow_told = 1")?
            .execute(params![person.0])?;
    }
    Ok(remaining)
}

/// A disclosure that surely did not arrive has to be made again; an uncertain one has perhaps been read.
fn is_refusal(ending: &Ending) -> bool {
    matches!(ending, Ending::Dead(code) if *code != ErrorCode::UNCERTAIN)
}

pub(super) fn hold(db: &Connection, hold: &Hold) -> Sql<Held> {
    if !is_open(db, hold.seq)? {
        return Ok(Held::Closed);
    }
    if let Some(last) = &hold.settle {
        settle(db, hold.seq, last, hold.now)?;
        if is_settled(db, hold.seq, last.step)? {
            return Ok(Held::Settled);
        }
    }
    let postponed =
        matches!(hold.settle, Some(Settle { step: Step::Send(_), outcome: StepOutcome::Postponed(_), .. }));
    cached(db, "UPDATE message SET due = ?2, running = 0, holds = holds + ?3 WHERE seq = ?1")?
        .execute(params![hold.seq.0, hold.until.0, postponed])?;
    Ok(Held::Waiting)
}

pub(super) fn panicked(db: &Connection, seq: Seq) -> Sql<u32> {
    let panics = cached(db, "UPDATE message SET panics = panics + 1 WHERE seq = ?1 RETURNING panics")?
        .query_row(params![seq.0], |row| row.get(0))
        .optional()?;
    Ok(panics.unwrap_or(0))
}

/// What was said goes into the history. A message that was answered before (a late failure, a replay) is said anew.
fn keep_history(db: &Connection, person: PersonId, seq: Seq, now: Millis) -> Sql<()> {
    let (content, reply): (String, Option<String>) =
        cached(db, "SELECT content, reply FROM message WHERE seq = ?1")?
            .query_row(params![seq.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let asked = match stored::read_content(&content).map_err(unreadable)? {
        Content::Words(words) => Some(words),
        Content::Sound | Content::Unclear => None,
    };
    let answered =
        reply.map(|reply| stored::read_reply(&reply)).transpose().map_err(unreadable)?.and_then(|r| r.words);
    cached(db, "DELETE FROM history WHERE seq = ?1")?.execute(params![seq.0])?;
    for (persona, words) in [(false, asked), (true, answered)] {
        if let Some(words) = words {
            cached(db, "INSERT INTO history (person, seq, persona, words, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![person.0, seq.0, persona, words, now.0])?;
        }
    }
    Ok(())
}

/// What is told of a message that is dead other than by its own turn; `None` for a disclosure or notice.
pub(super) fn dead_letter(db: &Connection, seq: Seq) -> Sql<Option<DeadLetter>> {
    cached(
        db,
        "SELECT m.message_id, p.phone, p.bsuid, m.reason FROM message m
         JOIN person own ON own.id = m.person
         JOIN person p ON p.id = coalesce(own.merged_into, own.id)
         WHERE m.seq = ?1 AND m.purpose = 2",
    )?
    .query_row(params![seq.0], |row| {
        Ok(DeadLetter {
            message_id: row.get::<_, String>(0)?.into(),
            user: super::person::address(row.get(1)?, row.get(2)?),
            code: stored::read_code(row.get(3)?),
            attempts: attempts(db, seq)?,
        })
    })
    .optional()
}
