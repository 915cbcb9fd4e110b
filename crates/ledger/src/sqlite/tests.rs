//! The writer when SQLite itself says no: a full disk costs what did not fit, an I/O error ends the engine.
//!
//! SQLite's page limit stands in for the disk: it raises the same `SQLITE_FULL`, from the same place in the pager.

use std::path::Path;
use std::sync::Arc;

use parlante_domain::ports::NoFaults;
use rusqlite::{Connection, params};
use tempfile::TempDir;
use tokio::sync::watch;

use super::place::{lock, wal_of};
use super::schema;
use super::sql::Sql;
use super::writer::{Observed, Writer};
use crate::contract::Answer;
use crate::error::LedgerError;

struct Bench {
    writer: Writer,
    failed: watch::Receiver<bool>,
    _place: TempDir,
}

fn bench(prepare: impl FnOnce(&Connection)) -> Bench {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ledger.db");
    let db = schema::open(&path).unwrap();
    prepare(&db);
    let (failing, failed) = watch::channel(false);
    let lock = lock(Path::new(&path)).unwrap();
    let writer = Writer::start(
        db,
        lock,
        wal_of(&path),
        Arc::new(NoFaults),
        failing,
        watch::Sender::new(true),
        Observed::default(),
    )
    .unwrap();
    Bench { writer, failed, _place: place }
}

fn wait<T>(answer: Answer<T>) -> Result<T, LedgerError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer)
}

fn insert(db: &Connection, key: &str, bytes: usize) -> Sql<usize> {
    db.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", params![key, "x".repeat(bytes)])
}

impl Bench {
    fn insert(&self, key: &'static str, bytes: usize) -> Answer<usize> {
        self.writer.write(1, move |db| insert(db, key, bytes))
    }

    fn keys(&self) -> Vec<String> {
        let keys = self.writer.write(1, |db| {
            db.prepare("SELECT key FROM meta WHERE key NOT IN ('ledger_id', 'id_key') ORDER BY key")?
                .query_map([], |row| row.get(0))?
                .collect::<Sql<Vec<String>>>()
        });
        wait(keys).unwrap()
    }
}

#[test]
fn a_full_disk_costs_what_did_not_fit_and_no_more() {
    let bench = bench(|db| {
        let pages: i64 = db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        db.pragma_update(None, "max_page_count", pages + 4).unwrap();
    });
    assert!(wait(bench.insert("before", 10)).is_ok());
    let refused = wait(bench.insert("large", 100_000));
    let Err(LedgerError::Unavailable { reason }) = &refused else { unreachable!("{refused:?}") };
    assert!(reason.contains("full"), "{reason}");
    assert!(wait(bench.insert("after", 10)).is_ok(), "the writer goes on");
    assert_eq!(bench.keys(), ["after", "before"]);
    assert!(!*bench.failed.borrow());

    let room = bench.writer.write(1, |db| db.query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(())));
    wait(room).unwrap();
    assert!(wait(bench.insert("large", 100_000)).is_ok(), "there is room again");
}

#[test]
fn a_refused_command_leaves_no_trace_of_itself() {
    let bench = bench(|_| {});
    let halfway = bench.writer.write(1, |db| {
        insert(db, "half", 10)?;
        db.execute("INSERT INTO no_such_table VALUES (1)", [])
    });
    assert!(matches!(wait(halfway), Err(LedgerError::Unavailable { .. })));
    assert_eq!(bench.keys(), Vec::<String>::new());
}

#[test]
fn an_io_error_ends_the_engine() {
    let bench = bench(|_| {});
    let broken = bench.writer.write(1, |db| {
        insert(db, "half", 10)?;
        Err::<(), _>(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC),
            None,
        ))
    });
    assert!(matches!(wait(broken), Err(LedgerError::Failed { .. })));
    assert!(*bench.failed.borrow(), "the process is told");
    assert_eq!(wait(bench.insert("later", 10)), Err(LedgerError::Closed));
}

#[test]
fn a_panicking_command_does_not_end_the_writer() {
    let bench = bench(|_| {});
    let panicking = bench.writer.write(1, |db| {
        insert(db, "half", 10)?;
        assert!(db.is_autocommit(), "a test wants this command to panic");
        Ok(())
    });
    assert!(matches!(wait(panicking), Err(LedgerError::Unavailable { .. })));
    assert!(wait(bench.insert("after", 10)).is_ok());
    assert_eq!(bench.keys(), ["after"]);
}
