//! Who wrote: a person is a row with aliases, so that the same person under two ids stays one conversation.

use parlante_domain::{Address, Bsuid, Medium, Millis, PersonId, Phone, Sender, Seq};
use rusqlite::{Connection, OptionalExtension, params};

use super::sql::{Sql, cached};
use crate::contract::{Purpose, Wake};
use crate::stored::purpose_number;

/// A person as the accept transaction sees them.
pub(super) struct Person {
    pub(super) id: PersonId,
    pub(super) user: Address,
    pub(super) disclosed: bool,
    pub(super) overflow_told: bool,
}

/// Finds the person behind `sender`, or makes one; joins two that turn out to be the same.
///
/// A BSUID is one person's for good, a phone is not: Meta gives a new BSUID to whoever takes over a number. So a phone
/// never joins two BSUIDs; it moves to the newer. The wire refuses an item with neither.
pub(super) fn resolve(
    db: &Connection,
    sender: &Sender,
    sent_at: Millis,
    now: Millis,
    wakes: &mut Vec<Wake>,
) -> Sql<Person> {
    let phone = sender.phone.as_ref().map(AsRef::<str>::as_ref);
    let bsuid = sender.bsuid.as_ref().map(AsRef::<str>::as_ref);
    let mut by_phone = phone.map(|phone| find(db, &format!("p:{phone}"))).transpose()?.flatten();
    let by_bsuid = bsuid.map(|bsuid| find(db, &format!("b:{bsuid}"))).transpose()?.flatten();
    if let (Some(holder), Some(phone), Some(bsuid)) = (by_phone, phone, bsuid)
        && is_anothers(db, holder, bsuid)?
    {
        take_number(db, holder, phone)?;
        by_phone = None;
    }
    let id = match (by_phone, by_bsuid) {
        (Some(one), Some(other)) if one != other => join(db, one.min(other), one.max(other), now, wakes)?,
        (Some(one), _) | (None, Some(one)) => one,
        (None, None) => {
            cached(db, "INSERT INTO person (newest_at) VALUES (?1)")?.insert(params![sent_at.0])?
        }
    };
    for alias in [phone.map(|p| format!("p:{p}")), bsuid.map(|b| format!("b:{b}"))].into_iter().flatten() {
        cached(db, "INSERT INTO alias (alias, person) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![alias, id])?;
    }
    cached(
        db,
        "UPDATE person SET phone = coalesce(?2, phone), bsuid = coalesce(?3, bsuid), name = coalesce(?4, name),
                newest_at = max(newest_at, ?5) WHERE id = ?1",
    )?
    .execute(params![id, phone, bsuid, sender.name, sent_at.0])?;
    cached(db, "SELECT id, phone, bsuid, disclosed, overflow_told FROM person WHERE id = ?1")?
        .query_row(params![id], read)
}

/// Whether the person already has a BSUID, and another one.
fn is_anothers(db: &Connection, person: i64, bsuid: &str) -> Sql<bool> {
    cached(db, "SELECT 1 FROM person WHERE id = ?1 AND bsuid IS NOT NULL AND bsuid <> ?2")?
        .exists(params![person, bsuid])
}

/// The number belongs to someone else now: what is owed to its former holder goes to their BSUID.
fn take_number(db: &Connection, holder: i64, phone: &str) -> Sql<()> {
    cached(db, "DELETE FROM alias WHERE alias = ?1")?.execute(params![format!("p:{phone}")])?;
    cached(db, "UPDATE person SET phone = NULL WHERE id = ?1 AND phone = ?2")?
        .execute(params![holder, phone])?;
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> Sql<Person> {
    Ok(Person {
        id: PersonId(row.get(0)?),
        user: address(row.get(1)?, row.get(2)?),
        disclosed: row.get(3)?,
        overflow_told: row.get(4)?,
    })
}

/// The address of a person's row: one of the two is always there.
pub(super) fn address(phone: Option<String>, bsuid: Option<String>) -> Address {
    Address::choose(phone.map(Phone::from), bsuid.map(Bsuid::from)).unwrap_or(Address::Bsuid(Bsuid::from("")))
}

fn find(db: &Connection, alias: &str) -> Sql<Option<i64>> {
    cached(db, "SELECT person FROM alias WHERE alias = ?1")?
        .query_row(params![alias], |row| row.get(0))
        .optional()
}

/// `other` turns out to be `one`. What waits moves over; what a conversation has begun ends where it is, and the
/// joined person's next row waits for it (see the head of `reads.rs`).
fn join(db: &Connection, one: i64, other: i64, now: Millis, wakes: &mut Vec<Wake>) -> Sql<i64> {
    let both = params![one, other];
    cached(db, "UPDATE alias SET person = ?1 WHERE person = ?2")?.execute(both)?;
    let moved =
        cached(db, "UPDATE message SET person = ?1 WHERE person = ?2 AND state = 'open' AND begun = 0")?
            .execute(both)?;
    drop_told_twice(db, one, other)?;
    cached(db, "UPDATE history SET person = ?1 WHERE person = ?2")?.execute(both)?;
    cached(db, "UPDATE person SET merged_into = ?1 WHERE id = ?2 OR merged_into = ?2")?.execute(both)?;
    // The elder's own bsuid or phone, where they have none, comes with the message that joined the two.
    cached(
        db,
        "UPDATE person SET
           newest_at     = max(newest_at, (SELECT newest_at FROM person WHERE id = ?2)),
           disclosed     = max(disclosed, (SELECT disclosed FROM person WHERE id = ?2)),
           overflow_told = max(overflow_told, (SELECT overflow_told FROM person WHERE id = ?2)),
           wish          = (SELECT wish FROM person WHERE id IN (?1, ?2) ORDER BY wished DESC LIMIT 1),
           wished        = max(wished, (SELECT wished FROM person WHERE id = ?2))
         WHERE id = ?1",
    )?
    .execute(both)?;
    if moved > 0 {
        wakes.extend(first_due(db, PersonId(one), now)?);
    }
    Ok(one)
}

/// The conversation of the younger may have been told of the rows that moved; that of the elder was not.
fn first_due(db: &Connection, person: PersonId, now: Millis) -> Sql<Option<Wake>> {
    cached(db, "SELECT min(seq) FROM message WHERE person = ?1 AND state = 'open' AND due <= ?2")?
        .query_row(params![person.0, now.0], |row| row.get::<_, Option<i64>>(0))
        .map(|seq| seq.map(|seq| Wake { person, seq: Seq(seq) }))
}

/// What both were to be told, or one has been told already, the one that they are is told once: of the disclosures
/// and notices that nobody has begun, the newest goes.
fn drop_told_twice(db: &Connection, one: i64, other: i64) -> Sql<()> {
    let (disclosed, overflow_told): (bool, bool) =
        cached(db, "SELECT min(disclosed), min(overflow_told) FROM person WHERE id IN (?1, ?2)")?
            .query_row(params![one, other], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (purpose, twice) in [(Purpose::Disclosure, disclosed), (Purpose::Overflow, overflow_told)] {
        if twice {
            cached(
                db,
                "DELETE FROM message WHERE seq = (SELECT max(seq) FROM message WHERE person = ?1
                   AND state = 'open' AND begun = 0 AND purpose = ?2)",
            )?
            .execute(params![one, purpose_number(purpose)])?;
        }
    }
    Ok(())
}

/// Open messages that want an answer, the one in progress included, over all that this person is.
pub(super) fn backlog(db: &Connection, person: PersonId) -> Sql<u32> {
    cached(
        db,
        "SELECT count(*) FROM message WHERE state = 'open' AND purpose = 2
           AND person IN (SELECT id FROM person WHERE id = ?1 OR merged_into = ?1)",
    )?
    .query_row(params![person.0], |row| row.get(0))
}

/// The disclosure did not arrive: it goes before the next message that is accepted.
pub(super) fn disclose_again(db: &Connection, person: PersonId) -> Sql<()> {
    cached(db, "UPDATE person SET disclosed = 0 WHERE id = ?1")?.execute(params![person.0]).map(|_| ())
}

/// Someone who is being erased wishes for nothing.
pub(super) fn prefer(db: &Connection, person: PersonId, wish: Medium) -> Sql<()> {
    cached(
        db,
        "UPDATE person SET wish = ?2, wished = (SELECT coalesce(max(wished), 0) + 1 FROM person WHERE wished > 0)
         WHERE id = (SELECT coalesce(merged_into, id) FROM person WHERE id = ?1) AND forgotten = 0",
    )?
    .execute(params![person.0, wish.to_string()])
    .map(|_| ())
}

/// The row that stands for a person after all joins.
pub(super) fn canonical(db: &Connection, person: PersonId) -> Sql<PersonId> {
    cached(db, "SELECT coalesce(merged_into, id) FROM person WHERE id = ?1")?
        .query_row(params![person.0], |row| row.get(0).map(PersonId))
}
