//! Begin, advance, finish, hold, release: the journal of a row. A command that finds its row ended, moved to another
//! person or gone changes nothing.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Content, Millis, PersonId, Seq, Service};
use rusqlite::{Connection, OptionalExtension, params};

use super::person::{backlog, canonical, disclose_again};
use super::sql::{Sql, cached, unreadable};
use super::step::{attempts, failed_part, goes_again, intend, is_settled, open_from, record, settle};
use super::voice;
use crate::contract::{
    Advance, Begin, DeadLetter, Ending, Finish, Finished, Held, Hold, Intent, Purpose, Recorded, Settle,
    Step, StepOutcome, Wake,
};
use crate::operator::RowState;
use crate::stored::{self, purpose_number};

pub(super) fn begin(db: &Connection, begin: &Begin) -> Sql<Recorded> {
    let taken = cached(
        db,
        "UPDATE message SET begun = 1, running = 1, waits_for = NULL, started_at = coalesce(started_at, ?3)
         WHERE seq = ?1 AND person = ?2 AND state = 'open' AND first_part <= ?4",
    )?
    .execute(params![begin.seq.0, begin.person.0, begin.now.0, least_part(begin.intent)])?;
    if taken == 0 {
        return Ok(Recorded::No);
    }
    record(db, begin.seq, begin.reply.as_ref())?;
    intend(db, begin.seq, begin.intent, begin.now)
}

pub(super) fn advance(db: &Connection, advance: &Advance) -> Sql<Recorded> {
    let Some(first_part) = open_from(db, advance.seq)? else { return Ok(Recorded::No) };
    settle(db, advance.seq, &advance.settle, advance.now)?;
    if least_part(advance.intent) < first_part {
        return Ok(Recorded::No);
    }
    record(db, advance.seq, advance.reply.as_ref())?;
    intend(db, advance.seq, advance.intent, advance.now)
}

pub(super) fn finish(db: &Connection, finish: &Finish) -> Sql<Finished> {
    if open_from(db, finish.seq)?.is_none() {
        return ended(db, finish.seq);
    }
    if let Some(last) = &finish.settle {
        settle(db, finish.seq, last, finish.now)?;
    }
    let told = is_reopened(db, finish.seq)?;
    let ending = match (failed_part(db, finish.seq)?, &finish.ending) {
        (Some(code), _) => Some(Ending::Dead(code)),
        (None, Ending::Done { .. }) if goes_again(db, finish.seq)? => None,
        (None, ending) => Some(ending.clone()),
    };
    let remaining = match &ending {
        Some(ending) => end(db, finish.seq, ending, finish.now)?,
        None => stay_open(db, finish.seq, finish.now)?,
    };
    Ok(Finished { ending, repeated: false, told, remaining, attempts: attempts(db, finish.seq)? })
}

/// A late status has opened it again after it was done.
fn is_reopened(db: &Connection, seq: Seq) -> Sql<bool> {
    cached(db, "SELECT 1 FROM message WHERE seq = ?1 AND reopened = 1")?.exists(params![seq.0])
}

/// A part of it has failed for the channel's sake while those behind it went out, or it goes as text after all.
fn stay_open(db: &Connection, seq: Seq, now: Millis) -> Sql<u32> {
    let person = cached(
        db,
        "UPDATE message SET running = 0, due = ?2, waits_for = NULL WHERE seq = ?1 RETURNING person",
    )?
    .query_row(params![seq.0, now.0], |row| row.get(0).map(PersonId))?;
    backlog(db, canonical(db, person)?)
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
    let (told, attempts) = (is_reopened(db, seq)?, attempts(db, seq)?);
    Ok(Finished { ending: Some(ending), repeated: true, told, remaining, attempts })
}

/// The reply must not begin behind this part: of what it was before, nothing may be sent any more.
fn least_part(intent: Option<Intent>) -> u32 {
    match intent {
        Some(Intent { step: Step::Send(part), .. }) => part,
        _ => u32::MAX,
    }
}

/// Closes a row, with all that hangs on it; answers how many messages of the person are still open.
pub(super) fn end(db: &Connection, seq: Seq, ending: &Ending, now: Millis) -> Sql<u32> {
    let (state, reason) = match ending {
        Ending::Done { failed } => ("done", failed.as_ref()),
        Ending::Dead(code) => ("dead", Some(code)),
    };
    let (person, purpose): (i64, i64) = cached(
        db,
        "UPDATE message SET state = ?2, reason = ?3, ended_at = ?4, running = 0, waits_for = NULL WHERE seq = ?1
         RETURNING person, purpose",
    )?
    .query_row(params![seq.0, state, reason.map(ErrorCode::as_str), now.0], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let person = canonical(db, PersonId(person))?;
    if purpose == purpose_number(Purpose::Answer) {
        if matches!(ending, Ending::Done { .. }) {
            keep_history(db, person, seq, now)?;
            voice::drop_audio(db, seq)?;
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
    if open_from(db, hold.seq)?.is_none() {
        return Ok(Held::Closed);
    }
    if let Some(last) = &hold.settle {
        settle(db, hold.seq, last, hold.now)?;
        if is_settled(db, hold.seq, last.step)? {
            return Ok(Held::Settled);
        }
    }
    let postponed = matches!(
        hold.settle,
        Some(Settle { step: Step::Send(_) | Step::Upload, outcome: StepOutcome::Postponed(_), .. })
    );
    let (counts, waits_for) = (postponed && hold.waits_for.is_none(), hold.waits_for);
    cached(
        db,
        "UPDATE message SET due = ?2, running = 0, holds = holds + ?3, waits_for = ?4 WHERE seq = ?1",
    )?
    .execute(params![hold.seq.0, hold.until.0, counts, waits_for.map(|service| service.to_string())])?;
    Ok(Held::Waiting)
}

/// What is behind another row of its person's is due with the rest, but nobody can take it up yet.
pub(super) fn release(db: &Connection, service: Service, now: Millis, most: usize) -> Sql<Vec<Wake>> {
    let mut waiting = cached(
        db,
        "SELECT m.person, m.seq, EXISTS (SELECT 1 FROM message h WHERE h.person = m.person AND h.state = 'open'
                    AND (-h.begun, h.purpose = 2, h.seq) < (-m.begun, m.purpose = 2, m.seq))
             OR EXISTS (SELECT 1 FROM person p JOIN message j ON j.person = p.id
                        WHERE p.merged_into = m.person AND j.state = 'open')
         FROM message m INDEXED BY message_waits
         WHERE m.state = 'open' AND m.waits_for = ?1 ORDER BY m.seq",
    )?;
    let mut waiting = waiting.query(params![service.to_string()])?;
    let (mut released, mut wakes) = (Vec::new(), Vec::new());
    while wakes.len() < most {
        let Some(row) = waiting.next()? else { break };
        let wake = Wake { person: PersonId(row.get(0)?), seq: Seq(row.get(1)?) };
        released.push(wake.seq);
        let is_behind: bool = row.get(2)?;
        wakes.extend((!is_behind).then_some(wake));
    }
    for seq in released {
        cached(db, "UPDATE message SET due = ?2, waits_for = NULL WHERE seq = ?1")?
            .execute(params![seq.0, now.0])?;
    }
    Ok(wakes)
}

pub(super) fn panicked(db: &Connection, seq: Seq) -> Sql<u32> {
    let panics = cached(db, "UPDATE message SET panics = panics + 1 WHERE seq = ?1 RETURNING panics")?
        .query_row(params![seq.0], |row| row.get(0))
        .optional()?;
    Ok(panics.unwrap_or(0))
}

/// What was said goes into the history. A message that was answered before (a late failure, a replay) is said anew.
fn keep_history(db: &Connection, person: PersonId, seq: Seq, now: Millis) -> Sql<()> {
    let (content, reply, heard): (String, Option<String>, Option<String>) =
        cached(db, "SELECT content, reply, heard FROM message WHERE seq = ?1")?
            .query_row(params![seq.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let asked = match stored::read_content(&content).map_err(unreadable)? {
        Content::Words(words) => Some(words),
        Content::Sound(_) => heard.filter(|words| !words.is_empty()),
        Content::Unclear => None,
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
