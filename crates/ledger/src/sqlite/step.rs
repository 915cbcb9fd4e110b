//! The steps of a row: an intent before each, its result after it.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Millis, Seq};
use rusqlite::{Connection, OptionalExtension, params};

use super::sql::{Sql, cached, unreadable};
use crate::audio::AUDIO_BYTES_MAX;
use crate::contract::{Intent, Recorded, Reply, Settle, Step, StepOutcome};
use crate::stored::{self, step_key};

/// So that [`AUDIO_BYTES_MAX`] fill a transaction, as 2,048 items of webhooks do.
const AUDIO_BYTES_PER_ITEM: usize = AUDIO_BYTES_MAX / 2048;

/// The number of the first part of an open row's reply; `None` for a row that is not open.
pub(super) fn open_from(db: &Connection, seq: Seq) -> Sql<Option<u32>> {
    cached(db, "SELECT first_part FROM message WHERE seq = ?1 AND state = 'open'")?
        .query_row(params![seq.0], |row| row.get(0))
        .optional()
}

/// Keeps the reply that a row will send.
pub(super) fn record(db: &Connection, seq: Seq, reply: Option<&Reply>) -> Sql<()> {
    if let Some(reply) = reply {
        let reply = stored::write_reply(reply).map_err(unreadable)?;
        cached(db, "UPDATE message SET reply = ?2 WHERE seq = ?1")?.execute(params![seq.0, reply])?;
    }
    Ok(())
}

/// `No` for a part that a status has settled meanwhile: it must not be sent.
pub(super) fn intend(db: &Connection, seq: Seq, intent: Option<Intent>, now: Millis) -> Sql<Recorded> {
    let Some(intent) = intent else { return Ok(Recorded::Yes) };
    let (step, part) = step_key(intent.step);
    // A step that a status has settled meanwhile stays settled.
    let intended = cached(
        db,
        "INSERT INTO step (seq, step, part, state, intended_at, deadline) VALUES (?1, ?2, ?3, 'intended', ?4, ?5)
         ON CONFLICT (seq, step, part) DO UPDATE SET state = 'intended', intended_at = ?4, deadline = ?5
         WHERE state NOT IN ('done', 'failed')",
    )?
    .execute(params![seq.0, step, part, now.0, intent.deadline.0])?;
    let is_send = matches!(intent.step, Step::Send(_));
    Ok(if intended == 0 && is_send { Recorded::No } else { Recorded::Yes })
}

/// What a result counts for among what one transaction takes: a long voice note as much as a full one of webhooks.
pub(super) fn weight(settle: Option<&Settle>) -> usize {
    match settle.map(|settle| &settle.outcome) {
        Some(StepOutcome::Spoken(audio)) => 1 + audio.bytes().len() / AUDIO_BYTES_PER_ITEM,
        _ => 1,
    }
}

pub(super) fn settle(db: &Connection, seq: Seq, settle: &Settle, now: Millis) -> Sql<()> {
    let (step, part) = step_key(settle.step);
    let (state, code) = match &settle.outcome {
        StepOutcome::Failed(code) => ("failed", Some(code)),
        StepOutcome::Postponed(code) => ("postponed", Some(code)),
        StepOutcome::Unknown(code) => ("unknown", Some(code)),
        _ => ("done", None),
    };
    let message_id = match &settle.outcome {
        StepOutcome::Accepted(id) => Some(id.as_ref()),
        _ => None::<&str>,
    };
    let usage = match settle.outcome {
        StepOutcome::Answered(usage) => Some(usage),
        StepOutcome::Heard { usage, .. } => usage,
        _ => None,
    };
    let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let is_late = was_settled_by_status(db, seq, settle)?;
    cached(
        db,
        "UPDATE step SET attempts = attempts + ?4,
           state = CASE WHEN ?11 THEN state ELSE ?5 END,
           unknowns = unknowns + (NOT ?11 AND ?5 = 'unknown'),
           code = CASE WHEN ?11 THEN code ELSE coalesce(?6, code) END,
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
        is_late,
    ])?;
    if !is_late {
        keep(db, seq, &settle.outcome)?;
    }
    if matches!(settle.outcome, StepOutcome::Accepted(_) | StepOutcome::Uploaded(_)) {
        cached(db, "UPDATE message SET holds = 0 WHERE seq = ?1 AND holds > 0")?.execute(params![seq.0])?;
    }
    Ok(())
}

/// Keeps what a step of the voice has brought.
fn keep(db: &Connection, seq: Seq, outcome: &StepOutcome) -> Sql<()> {
    let kept = match outcome {
        StepOutcome::Heard { words, .. } => {
            cached(db, "UPDATE message SET heard = ?2 WHERE seq = ?1")?.execute(params![seq.0, words])
        }
        StepOutcome::Spoken(audio) => {
            cached(db, "INSERT OR REPLACE INTO audio (seq, bytes) VALUES (?1, ?2)")?
                .execute(params![seq.0, audio.bytes()])
        }
        StepOutcome::Uploaded(media) => {
            cached(db, "UPDATE step SET media_id = ?2 WHERE seq = ?1 AND step = 'upload'")?
                .execute(params![seq.0, media.as_ref()])
        }
        _ => return Ok(()),
    };
    kept.map(|_| ())
}

/// A status may have been faster than the answer to our own call: what it settled stays. So does what it postponed,
/// unless our answer speaks of another send under the same tag, or is a refusal.
fn was_settled_by_status(db: &Connection, seq: Seq, settle: &Settle) -> Sql<bool> {
    let (step, part) = step_key(settle.step);
    let (accepted, is_refusal) = match &settle.outcome {
        StepOutcome::Accepted(id) => (Some(id.as_ref()), false),
        outcome => (None::<&str>, matches!(outcome, StepOutcome::Failed(_))),
    };
    cached(
        db,
        "SELECT 1 FROM step WHERE seq = ?1 AND step = ?2 AND part = ?3
           AND (state IN ('done', 'failed')
             OR (state = 'postponed' AND message_id = coalesce(?4, message_id) AND NOT ?5))",
    )?
    .exists(params![seq.0, step, part, accepted, is_refusal])
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

/// Whether something of the reply goes once more, though its caller has sent all that it knows of: a part that failed
/// for the channel's sake, or all of it, since it was turned to text meanwhile.
pub(super) fn goes_again(db: &Connection, seq: Seq) -> Sql<bool> {
    cached(
        db,
        "SELECT 1 FROM message m WHERE m.seq = ?1 AND m.reply IS NOT NULL
           AND (EXISTS (SELECT 1 FROM step WHERE seq = m.seq AND step = 'send' AND part >= m.first_part
                          AND state = 'postponed')
             OR NOT EXISTS (SELECT 1 FROM step WHERE seq = m.seq AND step = 'send' AND part >= m.first_part))",
    )?
    .exists(params![seq.0])
}

/// Attempts made for a row, all steps together.
pub(super) fn attempts(db: &Connection, seq: Seq) -> Sql<u32> {
    cached(db, "SELECT coalesce(sum(attempts), 0) FROM step WHERE seq = ?1")?
        .query_row(params![seq.0], |row| row.get(0))
}
