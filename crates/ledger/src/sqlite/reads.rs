//! What is asked without changing anything.

use parlante_domain::policy::{Line, Speaker};
use parlante_domain::{MediaId, MessageId, Millis, PersonId, Seq, Tag};
use rusqlite::{Connection, OptionalExtension, params};

use super::person::address;
use super::sql::{Sql, cached, limit as bound, unreadable};
use crate::contract::{Counts, PartState, Queue, Row, Told, Wake};
use crate::stored;

/// A person's next row: what was begun first, then what we owe them to say, then their messages in order.
///
/// Nothing while it is not due, nor while a person that was joined with this one has a row in progress: the two
/// are one person, and one person is answered by one conversation at a time.
const HEAD: &str = "
SELECT m.seq, m.person, p.phone, p.bsuid, m.number, m.message_id, m.purpose, m.kind, m.content, m.accepted_at,
       p.newest_at, m.begun, m.reply, m.holds, m.panics, m.first_part, m.due, m.heard, p.wish,
       EXISTS (SELECT 1 FROM audio WHERE seq = m.seq), coalesce(m.replayed_at, m.accepted_at)
FROM message m
JOIN person own ON own.id = m.person
JOIN person p ON p.id = coalesce(own.merged_into, own.id)
WHERE m.person = ?1 AND m.state = 'open'
ORDER BY m.begun DESC, m.purpose = 2, m.seq LIMIT 1";

const JOINED_IN_PROGRESS: &str = "
SELECT 1 FROM message m JOIN person p ON p.id = m.person
WHERE p.merged_into = ?1 AND m.state = 'open' LIMIT 1";

pub(super) fn head(db: &Connection, person: PersonId, now: Millis) -> Sql<Option<Row>> {
    let found = cached(db, HEAD)?
        .query_row(params![person.0], |row| {
            let due: i64 = row.get(16)?;
            Ok((read_row(row)?, due))
        })
        .optional()?;
    let Some((row, _)) = found.filter(|(_, due)| *due <= now.0) else { return Ok(None) };
    if cached(db, JOINED_IN_PROGRESS)?.exists(params![person.0])? {
        return Ok(None);
    }
    with_speech(db, with_parts(db, row)?).map(Some)
}

fn read_row(row: &rusqlite::Row<'_>) -> Sql<Row> {
    let content: String = row.get(8)?;
    let reply: Option<String> = row.get(12)?;
    Ok(Row {
        seq: Seq(row.get(0)?),
        person: PersonId(row.get(1)?),
        user: address(row.get(2)?, row.get(3)?),
        number: row.get::<_, String>(4)?.into(),
        message_id: row.get::<_, String>(5)?.into(),
        purpose: stored::read_purpose(row.get(6)?),
        kind: stored::read_kind(&row.get::<_, String>(7)?),
        content: stored::read_content(&content).map_err(unreadable)?,
        accepted_at: Millis(row.get(9)?),
        awaited_since: Millis(row.get(20)?),
        newest_at: Millis(row.get(10)?),
        begun: row.get(11)?,
        heard: row.get(17)?,
        wish: stored::read_medium(row.get::<_, Option<String>>(18)?.as_deref()),
        has_audio: row.get(19)?,
        media: None,
        speak_failed: None,
        reply: reply.map(|reply| stored::read_reply(&reply)).transpose().map_err(unreadable)?,
        first_part: row.get(15)?,
        parts_sent: 0,
        parts_ahead: Vec::new(),
        next_part: PartState::Fresh,
        unknowns: 0,
        holds: row.get(13)?,
        panics: row.get(14)?,
    })
}

fn with_parts(db: &Connection, mut row: Row) -> Sql<Row> {
    let mut sends = cached(
        db,
        "SELECT state, unknowns, code, part - ?2 FROM step WHERE seq = ?1 AND step = 'send' AND part >= ?2 ORDER BY part",
    )?;
    let mut sends = sends.query(params![row.seq.0, row.first_part])?;
    let mut next = None;
    while let Some(send) = sends.next()? {
        let state = match send.get::<_, String>(0)?.as_str() {
            "done" if next.is_none() => {
                row.parts_sent += 1;
                continue;
            }
            "done" => {
                row.parts_ahead.push(send.get(3)?);
                continue;
            }
            "intended" => PartState::Intended,
            "unknown" => PartState::Unknown,
            "failed" => PartState::Failed(stored::read_code(send.get(2)?)),
            _ => PartState::Fresh,
        };
        if next.as_ref().is_none_or(|shown| weight(&state) > weight(shown)) {
            row.unknowns = send.get(1)?;
            next = Some(state);
        }
    }
    row.next_part = next.unwrap_or(PartState::Fresh);
    Ok(row)
}

fn with_speech(db: &Connection, mut row: Row) -> Sql<Row> {
    let mut steps = cached(
        db,
        "SELECT state = 'failed', code, media_id FROM step WHERE seq = ?1 AND step IN ('speak', 'upload') ORDER BY step",
    )?;
    let mut steps = steps.query(params![row.seq.0])?;
    while let Some(step) = steps.next()? {
        if step.get(0)? {
            row.speak_failed = row.speak_failed.or(Some(stored::read_code(step.get(1)?)));
        }
        row.media = step.get::<_, Option<String>>(2)?.map(MediaId::from).or(row.media);
    }
    Ok(row)
}

/// A part that has failed ends the row, one that is unknown may: nothing goes before that is decided.
fn weight(state: &PartState) -> u8 {
    match state {
        PartState::Fresh | PartState::Intended => 0,
        PartState::Unknown => 1,
        PartState::Failed(_) => 2,
    }
}

/// One wake per person who has a head now, by the same rules as [`head`]: whoever it lists can go on.
///
/// A person whose head is held is left out whole, since the others wait behind it; so is one who was joined with a
/// person whose row is in progress. Rows in progress are listed too: their conversation may have been lost. But they
/// take turns with the others, lest a thousand slow ones use up every list, or a lost one never get into it.
pub(super) fn due(db: &Connection, now: Millis, limit: usize) -> Sql<Vec<Wake>> {
    // The index is named because the planner would rather walk the whole table in order of `seq`, answered
    // messages included.
    cached(
        db,
        "SELECT m.person, m.seq FROM message m INDEXED BY message_due WHERE m.state = 'open' AND m.due <= ?1
           AND NOT EXISTS (SELECT 1 FROM message h WHERE h.person = m.person AND h.state = 'open'
                             AND (-h.begun, h.purpose = 2, h.seq) < (-m.begun, m.purpose = 2, m.seq))
           AND NOT EXISTS (SELECT 1 FROM person p JOIN message j ON j.person = p.id
                           WHERE p.merged_into = m.person AND j.state = 'open')
         ORDER BY row_number() OVER (PARTITION BY m.running ORDER BY m.seq), m.running LIMIT ?2",
    )?
    .query_map(params![now.0, bound(limit)], |row| {
        Ok(Wake { person: PersonId(row.get(0)?), seq: Seq(row.get(1)?) })
    })?
    .collect()
}

pub(super) fn history(db: &Connection, person: PersonId, limit: usize) -> Sql<Vec<Line>> {
    let mut lines: Vec<Line> = cached(
        db,
        "SELECT persona, words FROM history
         WHERE person = (SELECT coalesce(merged_into, id) FROM person WHERE id = ?1) ORDER BY id DESC LIMIT ?2",
    )?
    .query_map(params![person.0, bound(limit)], |row| {
        let speaker = if row.get(0)? { Speaker::Persona } else { Speaker::Person };
        Ok(Line { speaker, words: row.get(1)? })
    })?
    .collect::<Sql<_>>()?;
    lines.reverse();
    Ok(lines)
}

/// A refusal of our own call has no id of Meta's, so it is not mistaken for a status.
pub(super) fn told_of(db: &Connection, tag: &Tag) -> Sql<Told> {
    let told = cached(
        db,
        "SELECT state = 'failed', message_id, code FROM step
         WHERE seq = ?1 AND step = 'send' AND part = ?2 AND message_id IS NOT NULL AND (state = 'failed' OR rank > 0)",
    )?
    .query_row(params![tag.seq.0, tag.part], |row| {
        Ok(if row.get(0)? {
            Told::Failed(stored::read_code(row.get(2)?))
        } else {
            Told::Sent(MessageId::from(row.get::<_, String>(1)?))
        })
    })
    .optional()?;
    Ok(told.unwrap_or(Told::Nothing))
}

/// Whoever watches asks every second, and the more is open the more it matters: all that is open is walked through
/// once, and once more for the queues.
pub(super) fn counts(db: &Connection, queues: usize) -> Sql<Counts> {
    let one =
        |sql: &str| -> Sql<u64> { cached(db, sql)?.query_row([], |row| row.get(0).map(i64::unsigned_abs)) };
    // The index is named because the planner would rather walk all of the past.
    let (people, oldest_waiting) = cached(
        db,
        "SELECT count(DISTINCT coalesce(p.merged_into, p.id)),
                min(iif(m.begun = 0, coalesce(m.replayed_at, m.accepted_at), NULL))
         FROM message m INDEXED BY message_due JOIN person p ON p.id = m.person
         WHERE m.state = 'open' AND m.purpose = 2",
    )?
    .query_row([], |row| {
        Ok((row.get(0).map(i64::unsigned_abs)?, row.get::<_, Option<i64>>(1)?.map(Millis)))
    })?;
    Ok(Counts {
        ids: one("SELECT ids FROM tally")?,
        people,
        oldest_waiting,
        queues: if queues == 0 { Vec::new() } else { longest(db, queues)? },
        dead: one("SELECT count(*) FROM message INDEXED BY message_unanswered
             WHERE state IN ('dead', 'refused') AND state = 'dead' AND purpose = 2")?,
        refused: one("SELECT count(*) FROM message INDEXED BY message_unanswered
                WHERE state IN ('dead', 'refused') AND state = 'refused'")?,
    })
}

fn longest(db: &Connection, most: usize) -> Sql<Vec<Queue>> {
    cached(
        db,
        "SELECT p.phone, p.bsuid, count(*) - sum(m.running), max(m.running) FROM message m
         JOIN person own ON own.id = m.person
         JOIN person p ON p.id = coalesce(own.merged_into, own.id)
         WHERE m.state = 'open' AND m.purpose = 2 GROUP BY p.id ORDER BY count(*) DESC, min(m.seq) LIMIT ?1",
    )?
    .query_map(params![bound(most)], |row| {
        Ok(Queue { user: address(row.get(0)?, row.get(1)?), waiting: row.get(2)?, processing: row.get(3)? })
    })?
    .collect()
}
