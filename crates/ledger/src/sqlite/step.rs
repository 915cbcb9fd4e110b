//! The steps of a row: an intent before each, its result after it.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Millis, Seq};
use rusqlite::{Connection, OptionalExtension, params};

use super::sql::{Sql, cached, unreadable};
use crate::contract::{Intent, Reply, Settle, Step, StepOutcome};
use crate::stored::{self, step_key};

/// Keeps the reply that a row will send.
pub(super) fn record(db: &Connection, seq: Seq, reply: Option<&Reply>) -> Sql<()> {
    if let Some(reply) = reply {
        let reply = stored::write_reply(reply).map_err(unreadable)?;
        cached(db, "UPDATE message SET reply = ?2 WHERE seq = ?1")?.execute(params![seq.0, reply])?;
    }
    Ok(())
}

pub(super) fn intend(db: &Connection, seq: Seq, intent: Option<Intent>, now: Millis) -> Sql<()> {
    let Some(intent) = intent else { return Ok(()) };
    let (step, part) = step_key(intent.step);
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

pub(super) fn settle(db: &Connection, seq: Seq, settle: &Settle, now: Millis) -> Sql<()> {
    let (step, part) = step_key(settle.step);
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
           code = CASE WHEN state IN ('done', 'failed') THEN code ELSE coalesce(?6, code) END,
           message_id = coalesce(?7, message_id), settled_at = ?8,
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

pub(super) fn is_settled(db: &Connection, seq: Seq, step: Step) -> Sql<bool> {
    let (step, part) = step_key(step);
    cached(
        db,
        "SELECT 1 FROM step WHERE seq = ?1 AND step = ?2 AND part = ?3 AND state IN ('done', 'failed')",
    )?
    .exists(params![seq.0, step, part])
}

/// The failure of the reply's first part that failed for good. What became of an apology before a replay is past.
pub(super) fn failed_part(db: &Connection, seq: Seq) -> Sql<Option<ErrorCode>> {
    cached(
        db,
        "SELECT s.code FROM step s JOIN message m ON m.seq = s.seq
         WHERE s.seq = ?1 AND s.step = 'send' AND s.part >= m.first_part AND s.state = 'failed'
         ORDER BY s.part LIMIT 1",
    )?
    .query_row(params![seq.0], |row| row.get(0).map(stored::read_code))
    .optional()
}

/// Attempts made for a row, all steps together.
pub(super) fn attempts(db: &Connection, seq: Seq) -> Sql<u32> {
    cached(db, "SELECT coalesce(sum(attempts), 0) FROM step WHERE seq = ?1")?
        .query_row(params![seq.0], |row| row.get(0))
}
