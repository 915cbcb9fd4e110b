//! Another try for what was not answered. What was paid for is kept; whatever was not accepted may be sent again.

use parlante_domain::{MessageId, Millis, PersonId, Seq};
use rusqlite::{Connection, OptionalExtension, params};

use super::trace::known_since;
use crate::contract::Wake;
use crate::error::LedgerError;
use crate::operator::{REPLAY_WAKES_MAX, Replayed, RowState};
use crate::sqlite::ids::IdKey;
use crate::sqlite::person::canonical;
use crate::sqlite::sql::{Sql, cached, limit, unreadable};
use crate::sqlite::voice;
use crate::sqlite::writer::Writer;
use crate::stored;

/// Messages that one command opens again: some 10 ms of the writer's time.
const BATCH: usize = 200;

pub(in crate::sqlite) fn one(db: &Connection, key: &IdKey, id: &MessageId, now: Millis) -> Sql<Replayed> {
    let found = cached(
        db,
        "SELECT seq, state FROM message WHERE message_id = ?1 AND purpose = 2 ORDER BY seq DESC LIMIT 1",
    )?
    .query_row(params![id.as_ref()], |row| Ok((Seq(row.get(0)?), row.get::<_, String>(1)?)))
    .optional()?;
    match found.map(|(seq, state)| (seq, stored::read_row_state(&state))) {
        Some((seq, RowState::Dead | RowState::Refused)) => {
            Ok(Replayed::Reopened { replayed: 1, wakes: reopen(db, seq, now)? })
        }
        Some((_, state)) => Ok(Replayed::Wrong(state)),
        None if known_since(db, key, id)?.is_some() => Ok(Replayed::NotKept),
        None => Ok(Replayed::Unknown),
    }
}

/// In the order of acceptance, each once: one that dies again meanwhile is left for the next order.
pub(in crate::sqlite) async fn all_dead(writer: Writer, now: Millis) -> Result<Replayed, LedgerError> {
    let (mut replayed, mut wakes, mut after) = (0, Vec::new(), Seq(0));
    loop {
        let batch = writer.write(1, move |db| some_dead(db, after, now)).await?;
        let Some(last) = batch.last else { return Ok(Replayed::Reopened { replayed, wakes }) };
        after = last;
        replayed += batch.replayed;
        wakes.extend(batch.wakes);
        wakes.truncate(REPLAY_WAKES_MAX);
    }
}

#[derive(Default)]
struct Batch {
    replayed: u32,
    last: Option<Seq>,
    wakes: Vec<Wake>,
}

fn some_dead(db: &Connection, after: Seq, now: Millis) -> Sql<Batch> {
    let dead: Vec<Seq> = cached(
        db,
        "SELECT seq FROM message INDEXED BY message_unanswered
         WHERE state IN ('dead', 'refused') AND state = 'dead' AND purpose = 2 AND seq > ?1 ORDER BY seq LIMIT ?2",
    )?
    .query_map(params![after.0, limit(BATCH)], |row| row.get(0).map(Seq))?
    .collect::<Sql<_>>()?;
    let mut batch = Batch::default();
    for seq in dead {
        batch.wakes.extend(reopen(db, seq, now)?);
        batch.last = Some(seq);
        batch.replayed += 1;
    }
    Ok(batch)
}

/// It takes its place again among what its person has not begun.
fn reopen(db: &Connection, seq: Seq, now: Millis) -> Sql<Vec<Wake>> {
    let (person, reply): (i64, Option<String>) =
        cached(db, "SELECT person, reply FROM message WHERE seq = ?1")?
            .query_row(params![seq.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let reply = reply.map(|reply| stored::read_reply(&reply)).transpose().map_err(unreadable)?;
    if reply.is_some_and(|reply| reply.failed.is_some()) {
        drop_apology(db, seq)?;
    }
    try_again(db, seq)?;
    let person = canonical(db, PersonId(person))?;
    let disclosure = owe_disclosure(db, person, seq, now)?;
    cached(
        db,
        "UPDATE message SET person = ?2, state = 'open', reason = NULL, started_at = NULL, ended_at = NULL, due = ?3,
           begun = 0, running = 0, waits_for = NULL, reopened = 0, holds = 0, panics = 0, deaths = 0, replays = replays + 1,
           replayed_at = ?3
         WHERE seq = ?1",
    )?
    .execute(params![seq.0, person.0, now.0])?;
    Ok(disclosure.into_iter().chain([seq]).map(|seq| Wake { person, seq }).collect())
}

/// The parts of the answer get numbers of their own: a status of the apology must not settle them. What was spoken
/// before the apology was another answer.
fn drop_apology(db: &Connection, seq: Seq) -> Sql<()> {
    cached(
        db,
        "UPDATE message SET reply = NULL, first_part =
           (SELECT coalesce(max(part) + 1, first_part) FROM step WHERE seq = ?1 AND step = 'send')
         WHERE seq = ?1",
    )?
    .execute(params![seq.0])?;
    voice::forget_speech(db, seq)
}

/// What did not go well may be done again; without a reply, so may what the model was asked, and its answer be spoken.
/// What was heard is heard.
fn try_again(db: &Connection, seq: Seq) -> Sql<()> {
    let row = params![seq.0];
    cached(
        db,
        "UPDATE step SET state = 'postponed' WHERE seq = ?1 AND step <> 'send'
           AND (state <> 'done' OR (step <> 'transcribe' AND (SELECT reply IS NULL FROM message WHERE seq = ?1)))",
    )?
    .execute(row)?;
    cached(
        db,
        "UPDATE step SET state = 'postponed', unknowns = 0, rank = 0 WHERE seq = ?1 AND step = 'send'
           AND state <> 'done' AND part >= (SELECT first_part FROM message WHERE seq = ?1)",
    )?
    .execute(row)?;
    Ok(())
}

/// A person of whom nothing was taken until now, or whose disclosure did not arrive, is told first.
fn owe_disclosure(db: &Connection, person: PersonId, seq: Seq, now: Millis) -> Sql<Option<Seq>> {
    let owed = cached(db, "UPDATE person SET disclosed = 1 WHERE id = ?1 AND disclosed = 0")?
        .execute(params![person.0])?;
    if owed == 0 {
        return Ok(None);
    }
    cached(
        db,
        "INSERT INTO message (message_id, person, number, purpose, kind, content, state, sent_at, accepted_at, due)
         SELECT message_id, ?2, number, 0, kind, content, 'open', sent_at, ?3, ?3 FROM message WHERE seq = ?1",
    )?
    .insert(params![seq.0, person.0, now.0])
    .map(|seq| Some(Seq(seq)))
}
