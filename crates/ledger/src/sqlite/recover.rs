//! What a new process finds, and what an old one gives back.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Millis, PersonId, Seq};
use rusqlite::{Connection, params};

use super::sql::Sql;
use super::turn::{dead_letter, end};
use crate::contract::{Ending, Recover, Recovered, Wake};

/// A row over which the process died this often is given up. Deaths are mostly not the row's fault (a deploy, an
/// out-of-memory kill), hence far more of them than panics.
const DEATHS_MAX: i64 = 20;
/// From this many deaths on a row is suspected: one may be chance, two are a pattern.
const SUSPECT_DEATHS: i64 = 2;

pub(super) fn recover(db: &Connection, recover: Recover) -> Sql<Recovered> {
    db.execute("UPDATE message SET deaths = deaths + 1 WHERE state = 'open' AND running = 1", [])?;
    give_back(db)?;
    open_channels(db, recover.now)?;
    let reconciled = reconcile(db, recover)?;
    // The index is named because the planner would rather walk all of the past in order of `seq`.
    let poisoned = db
        .prepare(
            "SELECT seq FROM message INDEXED BY message_due WHERE state = 'open' AND deaths >= ?1 ORDER BY seq",
        )?
        .query_map(params![DEATHS_MAX], |row| row.get(0).map(Seq))?
        .collect::<Sql<Vec<Seq>>>()?;
    let mut given_up = Vec::new();
    for seq in poisoned {
        end(db, seq, &Ending::Dead(ErrorCode::recorded("crash")), recover.now)?;
        given_up.extend(dead_letter(db, seq)?);
    }
    let suspects = db
        .prepare(
            "SELECT person, seq FROM message INDEXED BY message_due
             WHERE state = 'open' AND deaths >= ?1 ORDER BY seq",
        )?
        .query_map(params![SUSPECT_DEATHS], |row| {
            Ok(Wake { person: PersonId(row.get(0)?), seq: Seq(row.get(1)?) })
        })?
        .collect::<Sql<_>>()?;
    let resumed =
        db.query_row("SELECT count(*) FROM message WHERE state = 'open' AND purpose = 2", [], |row| {
            row.get(0).map(i64::unsigned_abs)
        })?;
    Ok(Recovered { resumed, reconciled, given_up, suspects })
}

/// No conversation holds a row any more. Before a process ends in order, this keeps its rows from being counted as
/// its victims.
pub(super) fn give_back(db: &Connection) -> Sql<()> {
    db.execute("UPDATE message SET running = 0 WHERE state = 'open' AND running = 1", []).map(|_| ())
}

/// In a new process every channel is open until it is found out otherwise.
fn open_channels(db: &Connection, now: Millis) -> Sql<()> {
    db.execute(
        "UPDATE message INDEXED BY message_waits SET due = ?1, waits_for = NULL
         WHERE state = 'open' AND waits_for IS NOT NULL",
        params![now.0],
    )
    .map(|_| ())
}

/// What was heard, asked, spoken or uploaded may be done again; what was sent is looked for among the statuses first. So is a send
/// that was unknown before: nobody has listened for its status since the last process ended.
///
/// However often the process dies over a send, and nothing else, that counts as one unknown: deaths have a limit of
/// their own, and a message is not given up because the server was killed twice. A death over the resend of a send
/// that became unknown by itself is the second unknown, and the last.
fn reconcile(db: &Connection, recover: Recover) -> Sql<u64> {
    let asked = db.execute(
        "UPDATE step SET state = 'postponed', settled_at = ?1 WHERE state = 'intended' AND step <> 'send'
           AND seq IN (SELECT seq FROM message WHERE state = 'open')",
        params![recover.now.0],
    )?;
    let sent = db.execute(
        "UPDATE step SET state = 'unknown', code = 'crash', settled_at = ?1,
           unknowns = CASE WHEN unknowns = 1 AND code = 'crash' THEN 1 ELSE unknowns + 1 END
         WHERE state = 'intended' AND step = 'send' AND seq IN (SELECT seq FROM message WHERE state = 'open')",
        params![recover.now.0],
    )?;
    db.execute(
        "UPDATE message SET due = max(due, ?1) WHERE state = 'open'
           AND EXISTS (SELECT 1 FROM step s WHERE s.seq = message.seq AND s.step = 'send' AND s.state = 'unknown'
             AND s.part >= message.first_part)",
        params![recover.reconcile_until.0],
    )?;
    Ok(u64::try_from(asked + sent).unwrap_or(u64::MAX))
}

/// A wait that is shorter already stays so: a status has come meanwhile.
pub(super) fn shorten_wait(db: &Connection, until: Millis) -> Sql<()> {
    db.execute(
        "UPDATE message SET due = ?1 WHERE state = 'open' AND due > ?1
           AND EXISTS (SELECT 1 FROM step s WHERE s.seq = message.seq AND s.step = 'send' AND s.state = 'unknown'
             AND s.part >= message.first_part)",
        params![until.0],
    )
    .map(|_| ())
}
