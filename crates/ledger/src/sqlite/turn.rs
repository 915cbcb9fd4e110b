//! Begin, advance, finish, hold, recover: the journal of a row.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Millis, PersonId, Seq};
use rusqlite::{Connection, OptionalExtension, params};

use super::accept::purpose_number;
use super::person::{backlog, canonical, disclose_again};
use super::{Sql, cached, unreadable};
use crate::contract::{
    Advance, Begin, Ending, Finish, Finished, Held, Hold, Intent, Purpose, Recover, Recovered, Reply, Settle,
    Step, StepOutcome,
};
use crate::stored;

/// A row over which the process died this often is given up. Deaths are mostly not the row's fault (a deploy, an
/// out-of-memory kill), hence far more of them than panics.
const DEATHS_MAX: i64 = 20;

pub(super) fn begin(db: &Connection, begin: &Begin) -> Sql<()> {
    cached(
        db,
        "UPDATE message SET begun = 1, running = 1, started_at = coalesce(started_at, ?2)
         WHERE seq = ?1 AND state = 'open'",
    )?
    .execute(params![begin.seq.0, begin.now.0])?;
    record(db, begin.seq, begin.reply.as_ref())?;
    intend(db, begin.seq, begin.intent, begin.now)
}

pub(super) fn advance(db: &Connection, advance: &Advance) -> Sql<()> {
    settle(db, advance.seq, &advance.settle, advance.now)?;
    record(db, advance.seq, advance.reply.as_ref())?;
    intend(db, advance.seq, advance.intent, advance.now)
}

pub(super) fn finish(db: &Connection, finish: &Finish) -> Sql<Finished> {
    if let Some(last) = &finish.settle {
        settle(db, finish.seq, last, finish.now)?;
    }
    let ending = match failed_part(db, finish.seq)? {
        Some(code) => Ending::Dead(code),
        None => finish.ending.clone(),
    };
    let remaining = end(db, finish.seq, &ending, finish.now)?;
    Ok(Finished { ending, remaining, attempts: attempts(db, finish.seq)? })
}

/// Closes a row, with all that hangs on it; answers how many messages of the person are still open.
fn end(db: &Connection, seq: Seq, ending: &Ending, now: Millis) -> Sql<u32> {
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
    if let Some(last) = &hold.settle {
        settle(db, hold.seq, last, hold.now)?;
        if matches!(part_state(db, hold.seq, last.step)?.as_deref(), Some("done" | "failed")) {
            return Ok(Held::Settled);
        }
    }
    let postponed =
        matches!(hold.settle, Some(Settle { step: Step::Send(_), outcome: StepOutcome::Postponed(_), .. }));
    cached(
        db,
        "UPDATE message SET due = ?2, running = 0, holds = holds + ?3 WHERE seq = ?1 AND state = 'open'",
    )?
    .execute(params![hold.seq.0, hold.until.0, postponed])?;
    Ok(Held::Waiting)
}

pub(super) fn panicked(db: &Connection, seq: Seq) -> Sql<u32> {
    cached(db, "UPDATE message SET panics = panics + 1 WHERE seq = ?1 RETURNING panics")?
        .query_row(params![seq.0], |row| row.get(0))
}

pub(super) fn recover(db: &Connection, recover: Recover) -> Sql<Recovered> {
    db.execute("UPDATE message SET deaths = deaths + 1 WHERE state = 'open' AND running = 1", [])?;
    db.execute("UPDATE message SET running = 0 WHERE running = 1", [])?;
    let reconciled = reconcile(db, recover)?;
    let given_up: Vec<i64> = db
        .prepare("SELECT seq FROM message WHERE state = 'open' AND deaths >= ?1")?
        .query_map(params![DEATHS_MAX], |row| row.get(0))?
        .collect::<Sql<_>>()?;
    for seq in &given_up {
        end(db, Seq(*seq), &Ending::Dead(ErrorCode::recorded("crash")), recover.now)?;
    }
    let resumed =
        db.query_row("SELECT count(*) FROM message WHERE state = 'open' AND purpose = 2", [], |row| {
            row.get(0).map(i64::unsigned_abs)
        })?;
    Ok(Recovered { resumed, reconciled: count(reconciled), dead: count(given_up.len()) })
}

/// What the model was asked is asked again; what was sent is looked for among the statuses first. So is a send
/// that was unknown before: nobody has listened for its status since the last process ended.
fn reconcile(db: &Connection, recover: Recover) -> Sql<usize> {
    let asked = db.execute(
        "UPDATE step SET state = 'postponed', settled_at = ?1 WHERE state = 'intended' AND step = 'complete'
           AND seq IN (SELECT seq FROM message WHERE state = 'open')",
        params![recover.now.0],
    )?;
    let sent = db.execute(
        "UPDATE step SET state = 'unknown', unknowns = unknowns + 1, settled_at = ?1
         WHERE state = 'intended' AND step = 'send' AND seq IN (SELECT seq FROM message WHERE state = 'open')",
        params![recover.now.0],
    )?;
    db.execute(
        "UPDATE message SET due = max(due, ?1) WHERE state = 'open'
           AND EXISTS (SELECT 1 FROM step s WHERE s.seq = message.seq AND s.step = 'send' AND s.state = 'unknown')",
        params![recover.reconcile_until.0],
    )?;
    Ok(asked + sent)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// Attempts made for a row, all steps together.
pub(super) fn attempts(db: &Connection, seq: Seq) -> Sql<u32> {
    cached(db, "SELECT coalesce(sum(attempts), 0) FROM step WHERE seq = ?1")?
        .query_row(params![seq.0], |row| row.get(0))
}

fn record(db: &Connection, seq: Seq, reply: Option<&Reply>) -> Sql<()> {
    if let Some(reply) = reply {
        let reply = stored::write_reply(reply).map_err(unreadable)?;
        cached(db, "UPDATE message SET reply = ?2 WHERE seq = ?1")?.execute(params![seq.0, reply])?;
    }
    Ok(())
}

fn key(step: Step) -> (&'static str, u32) {
    match step {
        Step::Complete => ("complete", 0),
        Step::Send(part) => ("send", part),
    }
}

fn intend(db: &Connection, seq: Seq, intent: Option<Intent>, now: Millis) -> Sql<()> {
    let Some(intent) = intent else { return Ok(()) };
    let (step, part) = key(intent.step);
    // A step that a status has settled meanwhile stays settled.
    cached(
        db,
        "INSERT INTO step (seq, step, part, state, intended_at, deadline) VALUES (?1, ?2, ?3, 'intended', ?4, ?5)
         ON CONFLICT (seq, step, part) DO UPDATE SET state = 'intended', intended_at = ?4, deadline = ?5
         WHERE state NOT IN ('done', 'failed')",
    )?
    .execute(params![seq.0, step, part, now.0, intent.deadline.0])?;
    Ok(())
}

fn settle(db: &Connection, seq: Seq, settle: &Settle, now: Millis) -> Sql<()> {
    let (step, part) = key(settle.step);
    let (state, code, message_id) = match &settle.outcome {
        StepOutcome::Answered(_) => ("done", None, None),
        StepOutcome::Accepted(id) => ("done", None, Some(id.as_ref())),
        StepOutcome::Failed(code) => ("failed", Some(code), None),
        StepOutcome::Postponed(code) => ("postponed", Some(code), None),
        StepOutcome::Unknown(code) => ("unknown", Some(code), None),
    };
    let usage = match settle.outcome {
        StepOutcome::Answered(usage) => Some(usage),
        _ => None,
    };
    let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    // A status may have been faster than the answer to our own call: what it settled stays.
    cached(
        db,
        "UPDATE step SET attempts = attempts + ?4,
           state = CASE WHEN state IN ('done', 'failed') THEN state ELSE ?5 END,
           unknowns = unknowns + (state NOT IN ('done', 'failed') AND ?5 = 'unknown'),
           code = CASE WHEN state IN ('done', 'failed') THEN code ELSE coalesce(?6, code) END, message_id = coalesce(?7, message_id), settled_at = ?8,
           prompt_tokens = ?9, completion_tokens = ?10
         WHERE seq = ?1 AND step = ?2 AND part = ?3",
    )?
    .execute(params![
        seq.0,
        step,
        part,
        settle.attempts,
        state,
        code.map(ErrorCode::as_str),
        message_id,
        now.0,
        usage.map(|usage| tokens(usage.prompt_tokens)),
        usage.map(|usage| tokens(usage.completion_tokens)),
    ])?;
    if matches!(settle.outcome, StepOutcome::Accepted(_)) {
        cached(db, "UPDATE message SET holds = 0 WHERE seq = ?1 AND holds > 0")?.execute(params![seq.0])?;
    }
    Ok(())
}

fn part_state(db: &Connection, seq: Seq, step: Step) -> Sql<Option<String>> {
    let (step, part) = key(step);
    cached(db, "SELECT state FROM step WHERE seq = ?1 AND step = ?2 AND part = ?3")?
        .query_row(params![seq.0, step, part], |row| row.get(0))
        .optional()
}

fn failed_part(db: &Connection, seq: Seq) -> Sql<Option<ErrorCode>> {
    cached(
        db,
        "SELECT code FROM step WHERE seq = ?1 AND step = 'send' AND state = 'failed' ORDER BY part LIMIT 1",
    )?
    .query_row(params![seq.0], |row| row.get::<_, Option<String>>(0))
    .optional()
    .map(|code| code.map(|code| ErrorCode::recorded(code.unwrap_or_else(|| "failed".to_owned()))))
}

fn keep_history(db: &Connection, person: PersonId, seq: Seq, now: Millis) -> Sql<()> {
    let (content, reply): (String, Option<String>) =
        cached(db, "SELECT content, reply FROM message WHERE seq = ?1")?
            .query_row(params![seq.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let asked = match stored::read_content(&content).map_err(unreadable)? {
        parlante_domain::Content::Words(words) => Some(words),
        parlante_domain::Content::Sound | parlante_domain::Content::Unclear => None,
    };
    let answered =
        reply.map(|reply| stored::read_reply(&reply)).transpose().map_err(unreadable)?.and_then(|r| r.words);
    for (persona, words) in [(false, asked), (true, answered)] {
        if let Some(words) = words {
            cached(db, "INSERT INTO history (person, persona, words, at) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![person.0, persona, words, now.0])?;
        }
    }
    Ok(())
}
