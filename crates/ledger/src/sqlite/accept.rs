//! The accept transaction: a verdict for every item of a webhook, in their order.

use std::sync::Arc;

use parlante_domain::{Inbound, Item, MessageId, Millis, Noted, Seq, policy};
use rusqlite::{Connection, OptionalExtension, params};

use super::ids::IdKey;
use super::person::{self, Person};
use super::sql::{Sql, cached, unreadable};
use super::{schema, status};
use crate::contract::{Accept, AcceptRules, Accepted, Purpose, Verdict, Wake};
use crate::stored::{self, purpose_number};

/// What tells this ledger's own tags and ids from others'.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) ledger: Arc<str>,
    pub(super) key: IdKey,
}

impl Identity {
    pub(super) fn load(db: &Connection) -> Sql<Self> {
        Ok(Self { ledger: schema::ledger_id(db)?.into(), key: IdKey::load(db)? })
    }
}

pub(super) fn accept(db: &Connection, own: &Identity, accept: &Accept) -> Sql<Accepted> {
    let mut wakes = Vec::new();
    let mut verdicts = Vec::with_capacity(accept.items.len());
    for item in &accept.items {
        verdicts.push(match item {
            Item::Message(message) => take(db, &own.key, message, accept.now, &accept.rules, &mut wakes)?,
            Item::Noted { id, reason } => {
                note(db, &own.key, id.as_ref(), *reason, accept.now, &accept.rules)?
            }
            Item::Status(update) => {
                status::settle(db, &own.ledger, update, accept.now, &accept.rules, &mut wakes)?
            }
        });
    }
    Ok(Accepted { verdicts, wakes })
}

fn take(
    db: &Connection,
    key: &IdKey,
    message: &Inbound,
    now: Millis,
    rules: &AcceptRules,
    wakes: &mut Vec<Wake>,
) -> Sql<Verdict> {
    if !remember(db, key, &message.id, now, rules)? {
        return Ok(Verdict::Duplicate);
    }
    let person = person::resolve(db, &message.sender, message.sent_at, now, wakes)?;
    if policy::is_stale(message.sent_at, now, rules.stale_after) {
        insert(db, &person, message, Row::refused("stale"), now)?;
        return Ok(Verdict::Stale { user: person.user });
    }
    let backlog = person::backlog(db, person.id)?;
    let mut wake = |seq| wakes.push(Wake { person: person.id, seq });
    if backlog >= rules.backlog {
        insert(db, &person, message, Row::refused("overflow"), now)?;
        if !person.overflow_told {
            cached(db, "UPDATE person SET overflow_told = 1 WHERE id = ?1")?.execute(params![person.id.0])?;
            wake(insert(db, &person, message, Row::open(Purpose::Overflow), now)?);
        }
        return Ok(Verdict::Overflow { user: person.user, backlog });
    }
    if !person.disclosed {
        cached(db, "UPDATE person SET disclosed = 1 WHERE id = ?1")?.execute(params![person.id.0])?;
        wake(insert(db, &person, message, Row::open(Purpose::Disclosure), now)?);
    }
    let seq = insert(db, &person, message, Row::open(Purpose::Answer), now)?;
    wake(seq);
    Ok(Verdict::Accepted { seq, user: person.user })
}

fn note(
    db: &Connection,
    key: &IdKey,
    id: Option<&MessageId>,
    reason: Noted,
    now: Millis,
    rules: &AcceptRules,
) -> Sql<Verdict> {
    let new = id.map_or(Ok(true), |id| remember(db, key, id, now, rules))?;
    Ok(if new { Verdict::Noted(reason) } else { Verdict::Duplicate })
}

/// False if the id is known and not yet forgotten.
fn remember(db: &Connection, key: &IdKey, id: &MessageId, now: Millis, rules: &AcceptRules) -> Sql<bool> {
    let id = key.hash(id);
    let known: Option<i64> = cached(db, "SELECT at FROM seen WHERE id = ?1")?
        .query_row(params![id], |row| row.get(0))
        .optional()?;
    if known.is_some_and(|at| now.since(Millis(at)) <= rules.remember) {
        return Ok(false);
    }
    cached(db, "INSERT INTO seen (id, at) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET at = ?2")?
        .execute(params![id, now.0])?;
    Ok(true)
}

/// What is particular to a new row.
struct Row {
    purpose: Purpose,
    state: &'static str,
    reason: Option<&'static str>,
}

impl Row {
    fn open(purpose: Purpose) -> Self {
        Self { purpose, state: "open", reason: None }
    }

    fn refused(reason: &'static str) -> Self {
        Self { purpose: Purpose::Answer, state: "refused", reason: Some(reason) }
    }
}

fn insert(db: &Connection, person: &Person, message: &Inbound, row: Row, now: Millis) -> Sql<Seq> {
    let content = stored::write_content(&message.content).map_err(unreadable)?;
    cached(
        db,
        "INSERT INTO message
           (message_id, person, number, purpose, kind, content, state, reason, sent_at, accepted_at, ended_at, due)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, CASE WHEN ?7 = 'refused' THEN ?10 END, ?10)",
    )?
    .insert(params![
        message.id.as_ref(),
        person.id.0,
        message.number.as_ref(),
        purpose_number(row.purpose),
        message.kind.to_string(),
        content,
        row.state,
        row.reason,
        message.sent_at.0,
        now.0,
    ])
    .map(Seq)
}
