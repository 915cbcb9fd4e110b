//! Why was this message (not) answered; which were not.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{MessageId, Millis, Seq};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::contract::{Purpose, Step, Usage};
use crate::operator::{RowState, Trace, Traced, TracedRow, TracedStep, UNANSWERED_MAX, Unanswered, Which};
use crate::sqlite::ids::IdKey;
use crate::sqlite::person::address;
use crate::sqlite::sql::{Sql, cached, limit as bound, unreadable};
use crate::sqlite::step::attempts;
use crate::stored;

const ROWS: &str = "
SELECT m.seq, m.purpose, p.phone, p.bsuid, m.kind, m.state, m.reason, m.sent_at, m.accepted_at, m.started_at,
       m.ended_at, m.due, m.panics, m.deaths, m.holds, m.replays, m.reply, m.waits_for
FROM message m
JOIN person own ON own.id = m.person
JOIN person p ON p.id = coalesce(own.merged_into, own.id)
WHERE m.message_id = ?1 ORDER BY m.seq";

pub(in crate::sqlite) fn trace(db: &Connection, key: &IdKey, id: &MessageId) -> Sql<Traced> {
    let mut rows: Vec<TracedRow> =
        cached(db, ROWS)?.query_map(params![id.as_ref()], read)?.collect::<Sql<_>>()?;
    for row in &mut rows {
        row.steps = steps(db, row.seq)?;
    }
    // An id that was forgotten may have come a second time: the newer message is meant.
    let Some(at) = rows.iter().rposition(|row| row.purpose == Purpose::Answer) else {
        return Ok(
            known_since(db, key, id)?.map_or(Traced::Unknown, |known_since| Traced::NotKept { known_since })
        );
    };
    let message = rows.remove(at);
    rows.retain(|row| row.purpose != Purpose::Answer);
    Ok(Traced::Kept(Box::new(Trace { message, beside: rows })))
}

/// When an id came that is remembered, whatever it was.
pub(super) fn known_since(db: &Connection, key: &IdKey, id: &MessageId) -> Sql<Option<Millis>> {
    cached(db, "SELECT at FROM seen WHERE id = ?1")?
        .query_row(params![key.hash(id)], |row| row.get(0).map(Millis))
        .optional()
}

fn read(row: &Row<'_>) -> Sql<TracedRow> {
    let state = stored::read_row_state(&row.get::<_, String>(5)?);
    let reply: Option<String> = row.get(16)?;
    let reply = reply.map(|reply| stored::read_reply(&reply)).transpose().map_err(unreadable)?;
    Ok(TracedRow {
        seq: Seq(row.get(0)?),
        purpose: stored::read_purpose(row.get(1)?),
        user: address(row.get(2)?, row.get(3)?),
        kind: stored::read_kind(&row.get::<_, String>(4)?),
        state,
        reason: row.get::<_, Option<String>>(6)?.map(ErrorCode::recorded),
        sent_at: Millis(row.get(7)?),
        accepted_at: Millis(row.get(8)?),
        started_at: row.get::<_, Option<i64>>(9)?.map(Millis),
        ended_at: row.get::<_, Option<i64>>(10)?.map(Millis),
        due: (state == RowState::Open).then_some(Millis(row.get(11)?)),
        waits_for: stored::read_service(row.get::<_, Option<String>>(17)?.as_deref()),
        panics: row.get(12)?,
        deaths: row.get(13)?,
        holds: row.get(14)?,
        replays: row.get(15)?,
        parts: u32::try_from(reply.map_or(0, |reply| reply.reply.parts().len())).unwrap_or(u32::MAX),
        steps: Vec::new(),
    })
}

fn steps(db: &Connection, seq: Seq) -> Sql<Vec<TracedStep>> {
    let mut steps: Vec<TracedStep> = cached(
        db,
        "SELECT step, part, state, attempts, unknowns, intended_at, settled_at, code, message_id, rank,
                prompt_tokens, completion_tokens
         FROM step WHERE seq = ?1",
    )?
    .query_map(params![seq.0], |row| {
        let tokens = |at| -> Sql<Option<u64>> { Ok(row.get::<_, Option<i64>>(at)?.map(i64::unsigned_abs)) };
        let usage = tokens(10)?.zip(tokens(11)?);
        Ok(TracedStep {
            step: stored::read_step(&row.get::<_, String>(0)?, row.get(1)?),
            state: stored::read_step_state(&row.get::<_, String>(2)?),
            attempts: row.get(3)?,
            unknowns: row.get(4)?,
            intended_at: Millis(row.get(5)?),
            settled_at: row.get::<_, Option<i64>>(6)?.map(Millis),
            code: row.get::<_, Option<String>>(7)?.map(ErrorCode::recorded),
            outbound: row.get::<_, Option<String>>(8)?.map(MessageId::from),
            status: stored::read_status(row.get(9)?),
            usage: usage.map(|(prompt_tokens, completion_tokens)| Usage { prompt_tokens, completion_tokens }),
        })
    })?
    .collect::<Sql<_>>()?;
    steps.sort_by_key(|traced| traced.step);
    Ok(steps)
}

pub(in crate::sqlite) fn unanswered(
    db: &Connection,
    which: Which,
    limit: usize,
    after: Option<Seq>,
) -> Sql<Vec<Unanswered>> {
    let state = match which {
        Which::Dead => "dead",
        Which::Refused => "refused",
    };
    let mut listed: Vec<Unanswered> = cached(
        db,
        "SELECT m.seq, m.message_id, p.phone, p.bsuid, m.kind, m.accepted_at, m.ended_at, m.reason
         FROM message m INDEXED BY message_unanswered
         JOIN person own ON own.id = m.person
         JOIN person p ON p.id = coalesce(own.merged_into, own.id)
         WHERE m.state IN ('dead', 'refused') AND m.state = ?1 AND m.purpose = 2 AND m.seq > ?2
         ORDER BY m.seq LIMIT ?3",
    )?
    .query_map(params![state, after.map_or(0, |seq| seq.0), bound(limit.min(UNANSWERED_MAX))], |row| {
        Ok(Unanswered {
            seq: Seq(row.get(0)?),
            message_id: row.get::<_, String>(1)?.into(),
            user: address(row.get(2)?, row.get(3)?),
            kind: stored::read_kind(&row.get::<_, String>(4)?),
            accepted_at: Millis(row.get(5)?),
            ended_at: Millis(row.get(6)?),
            reason: stored::read_code(row.get(7)?),
            attempts: 0,
            errors: Vec::new(),
        })
    })?
    .collect::<Sql<_>>()?;
    for message in &mut listed {
        message.attempts = attempts(db, message.seq)?;
        message.errors = errors(db, message.seq)?;
    }
    Ok(listed)
}

fn errors(db: &Connection, seq: Seq) -> Sql<Vec<(Step, ErrorCode)>> {
    let mut errors: Vec<(Step, ErrorCode)> =
        cached(db, "SELECT step, part, code FROM step WHERE seq = ?1 AND code IS NOT NULL")?
            .query_map(params![seq.0], |row| {
                let step = stored::read_step(&row.get::<_, String>(0)?, row.get(1)?);
                Ok((step, stored::read_code(row.get(2)?)))
            })?
            .collect::<Sql<_>>()?;
    errors.sort_by_key(|(step, _)| *step);
    Ok(errors)
}
