//! The writer when SQLite itself says no: a full disk costs what did not fit, an I/O error ends the engine. And the WAL,
//! which stays short whoever reads.
//!
//! SQLite's page limit stands in for the disk: it raises the same `SQLITE_FULL`, from the same place in the pager.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parlante_domain::ports::NoFaults;
use rusqlite::{Connection, params};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;

use super::place::{lock, wal_of};
use super::schema;
use super::sql::Sql;
use super::wal::Wal;
use super::writer::{Observed, Writer};
use crate::contract::Answer;
use crate::error::LedgerError;

/// Above this the WAL is cut, here: less than what makes SQLite itself checkpoint it.
const WAL_BYTES_MAX: u64 = 2 * 1024 * 1024;

struct Bench {
    writer: Writer,
    failed: watch::Receiver<bool>,
    path: PathBuf,
    _place: TempDir,
}

fn bench(prepare: impl FnOnce(&Connection)) -> Bench {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ledger.db");
    let db = schema::open(&path).unwrap();
    prepare(&db);
    let (failing, failed) = watch::channel(false);
    let lock = lock(&path).unwrap();
    let writer = Writer::start(
        db,
        lock,
        Wal::of(&path, WAL_BYTES_MAX),
        Arc::new(NoFaults),
        failing,
        watch::Sender::new(true),
        Observed::default(),
    )
    .unwrap();
    Bench { writer, failed, path, _place: place }
}

fn wait<T>(answer: Answer<T>) -> Result<T, LedgerError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer)
}

fn insert(db: &Connection, key: &str, bytes: usize) -> Sql<usize> {
    db.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", params![key, "x".repeat(bytes)])
}

impl Bench {
    fn insert(&self, key: impl Into<String>, bytes: usize) -> Answer<usize> {
        let key = key.into();
        self.writer.write(1, move |db| insert(db, &key, bytes))
    }

    fn wal_bytes(&self) -> u64 {
        std::fs::metadata(wal_of(&self.path)).unwrap().len()
    }

    fn reader(&self) -> Connection {
        Connection::open(&self.path).unwrap()
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

fn look(reader: &Connection) {
    reader.execute_batch("BEGIN; SELECT count(*) FROM meta;").unwrap();
}

/// Reads without a pause, and each time for longer than a commit: one reader begins before the other ends.
fn read_on(bench: &Bench, done: &AtomicBool) {
    let mut readers = [bench.reader(), bench.reader()];
    look(&readers[0]);
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(3) {
            std::thread::yield_now();
        }
        look(&readers[1]);
        readers[0].execute_batch("COMMIT").unwrap();
        readers.swap(0, 1);
    }
}

#[test]
fn the_wal_stays_bounded_under_steady_load() {
    let (bench, done) = (bench(|_| {}), AtomicBool::new(false));
    let mut largest = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| read_on(&bench, &done));
        for nth in 0..160 {
            wait(bench.insert(format!("{nth:03}"), 100_000)).unwrap();
            largest = largest.max(bench.wal_bytes());
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(largest > WAL_BYTES_MAX, "it never came to its bound: {largest} bytes");
    assert!(largest < WAL_BYTES_MAX * 2, "{largest} bytes of 16,000,000 that were written");
}

#[test]
fn a_wal_that_a_long_reader_kept_is_cut_after_it() {
    let (bench, mut nth) = (bench(|_| {}), 0);
    let mut write_until = |enough: &dyn Fn(u64) -> bool| {
        for _ in 0..200 {
            if enough(bench.wal_bytes()) {
                return;
            }
            nth += 1;
            wait(bench.insert(format!("{nth:03}"), 100_000)).unwrap();
        }
        unreachable!("the WAL has {} bytes", bench.wal_bytes());
    };
    let reader = bench.reader();
    look(&reader);
    write_until(&|bytes| bytes > 2 * WAL_BYTES_MAX);
    drop(reader);
    write_until(&|bytes| bytes < WAL_BYTES_MAX / 2);
}
