//! The writer when SQLite itself says no: a full disk costs what did not fit, an I/O error ends the engine; what is told
//! of commits that fail and commits that hang. And the WAL, which stays short whoever reads.
//!
//! SQLite's page limit stands in for the disk: it raises the same `SQLITE_FULL`, from the same place in the pager.

use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use parlante_domain::ports::NoFaults;
use rusqlite::{Connection, params};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;

use super::commits::{Commits, CommitsWatch, progress};
use super::place::{lock, wal_of};
use super::schema;
use super::sql::Sql;
use super::wal::Wal;
use super::writer::{Observed, Told, Writer};
use crate::contract::Answer;
use crate::error::LedgerError;

/// Above this the WAL is cut, here: less than what makes SQLite itself checkpoint it.
const WAL_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// As the engine's own, but nobody waits for seconds.
const HANGS_AFTER: Duration = Duration::from_millis(50);
const PROBE_EVERY: Duration = Duration::from_millis(20);
/// What takes longer never comes.
const PATIENCE: Duration = Duration::from_secs(30);

struct Bench {
    writer: Writer,
    failed: watch::Receiver<bool>,
    commits: CommitsWatch,
    observer: Observed,
    path: PathBuf,
    _place: TempDir,
}

fn bench(prepare: impl FnOnce(&Connection)) -> Bench {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ledger.db");
    let db = schema::open(&path).unwrap();
    prepare(&db);
    let (failing, failed) = watch::channel(false);
    let (progress, commits) = progress(HANGS_AFTER);
    let (lock, observer) = (lock(&path).unwrap(), Observed::default());
    let writer = Writer::start(
        db,
        lock,
        Wal::of(&path, WAL_BYTES_MAX),
        Arc::new(NoFaults),
        Told { failing, progress, observer: observer.clone() },
        PROBE_EVERY,
    )
    .unwrap();
    Bench { writer, failed, commits, observer, path, _place: place }
}

/// What comes of it, in time.
fn within<T>(event: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, event).await }).expect("it never came")
}

fn wait<T>(answer: Answer<T>) -> Result<T, LedgerError> {
    within(answer)
}

/// How commits go, once they go otherwise.
fn turned(commits: &mut CommitsWatch) -> Commits {
    within(commits.turned()).expect("the writer has ended")
}

/// As many more pages than there are as the disk has room for.
fn room(db: &Connection, pages: i64) -> Sql<()> {
    let used: i64 = db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    db.query_row(&format!("PRAGMA max_page_count = {}", used + pages), [], |_| Ok(()))
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

    /// Writes nothing.
    fn make_room(&self) -> Answer<()> {
        self.writer.write(1, |db| room(db, 1_000_000))
    }

    /// Holds the writer until the sender is used or dropped.
    fn hold(&self) -> (mpsc::SyncSender<()>, Answer<()>) {
        let (go, gate) = mpsc::sync_channel(1);
        let held = self.writer.write(1, move |db| {
            let _ = gate.recv();
            insert(db, "held", 10).map(|_| ())
        });
        (go, held)
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
    let bench = bench(|db| room(db, 4).unwrap());
    assert!(wait(bench.insert("before", 10)).is_ok());
    let refused = wait(bench.insert("large", 100_000));
    let Err(LedgerError::Unavailable { reason }) = &refused else { unreachable!("{refused:?}") };
    assert!(reason.contains("full"), "{reason}");
    assert!(wait(bench.insert("after", 10)).is_ok(), "the writer goes on");
    assert_eq!(bench.keys(), ["after", "before"]);
    assert!(!*bench.failed.borrow());

    wait(bench.make_room()).unwrap();
    assert!(wait(bench.insert("large", 100_000)).is_ok(), "there is room again");
}

#[test]
fn a_commit_that_wrote_nothing_says_nothing_of_a_full_disk() {
    let mut bench = bench(|db| room(db, 4).unwrap());
    assert!(wait(bench.insert("large", 100_000)).is_err());
    assert_eq!(turned(&mut bench.commits), Commits::Failed);
    assert_eq!(wait(bench.writer.write(1, |_| Ok(()))), Ok(()));
    assert_eq!(bench.commits.now(), Commits::Failed, "nothing was written");
    let taken_back = bench.writer.write(1, |db| {
        insert(db, "half", 10)?;
        db.execute("INSERT INTO no_such_table VALUES (1)", [])
    });
    assert!(wait(taken_back).is_err());
    assert_eq!(bench.commits.now(), Commits::Failed, "what was written was taken back");
    assert!(wait(bench.insert("small", 10)).is_ok());
    assert_eq!(bench.commits.now(), Commits::Well);
}

#[test]
fn room_on_the_disk_is_found_by_the_writer_itself() {
    let mut bench = bench(|db| room(db, 4).unwrap());
    assert!(wait(bench.insert("large", 100_000)).is_err());
    assert_eq!(turned(&mut bench.commits), Commits::Failed);
    let (tell, tries) = mpsc::sync_channel(1000);
    let _ = bench.observer.set(Box::new(move |_, commands| tell.send(commands).unwrap()));
    for _ in 0..3 {
        assert_eq!(tries.recv_timeout(PATIENCE), Ok(1), "it tries again and again");
        assert_eq!(bench.commits.now(), Commits::Failed, "there is no room yet");
    }
    let before = bench.wal_bytes();
    wait(bench.make_room()).unwrap();
    assert_eq!(turned(&mut bench.commits), Commits::Well);
    assert!(bench.wal_bytes() > before + 64 * 1024, "it has written enough to know");
    assert_eq!(bench.keys(), Vec::<String>::new(), "and leaves nothing");
    while tries.try_recv().is_ok() {}
    assert!(tries.recv_timeout(5 * PROBE_EVERY).is_err(), "while all is well it tries nothing");
}

/// Each writes nothing, and sees to it that another waits behind it.
fn write_nothing_on_and_on(writer: Writer, done: Arc<AtomicBool>) {
    drop(writer.clone().write(1, move |_| {
        if !done.load(Ordering::Relaxed) {
            write_nothing_on_and_on(writer, done);
        }
        Ok(())
    }));
}

#[test]
fn many_commands_that_write_nothing_do_not_hide_that_there_is_room() {
    let (mut bench, done) = (bench(|db| room(db, 4).unwrap()), Arc::new(AtomicBool::new(false)));
    assert!(wait(bench.insert("large", 100_000)).is_err());
    assert_eq!(turned(&mut bench.commits), Commits::Failed);
    write_nothing_on_and_on(bench.writer.clone(), done.clone());
    wait(bench.make_room()).unwrap();
    assert_eq!(turned(&mut bench.commits), Commits::Well);
    done.store(true, Ordering::Relaxed);
}

#[test]
fn a_commit_that_hangs_is_told_and_so_is_its_end() {
    let mut bench = bench(|_| {});
    assert_eq!(bench.commits.now(), Commits::Well);
    let (go, held) = bench.hold();
    let Commits::Hang(first) = turned(&mut bench.commits) else { unreachable!("it does not hang") };
    assert!(first >= HANGS_AFTER);
    let Commits::Hang(later) = bench.commits.now() else { unreachable!("it hangs no more") };
    assert!(later >= first, "and it says for how long");
    let end = within(async {
        let mut end = pin!(bench.commits.turned());
        assert!(poll_fn(|context| Poll::Ready(end.as_mut().poll(context).is_pending())).await);
        drop(go);
        end.await
    });
    assert_eq!(end, Some(Commits::Well), "whoever waits is told");
    assert_eq!((wait(held), bench.commits.now()), (Ok(()), Commits::Well));
}

#[test]
fn a_commit_that_hangs_and_then_fails_has_failed() {
    let mut bench = bench(|db| room(db, 4).unwrap());
    let (go, gate) = mpsc::sync_channel::<()>(1);
    let held = bench.writer.write(1, move |db| {
        let _ = gate.recv();
        insert(db, "large", 100_000)
    });
    assert!(matches!(turned(&mut bench.commits), Commits::Hang(_)));
    drop(go);
    assert!(wait(held).is_err());
    assert_eq!(turned(&mut bench.commits), Commits::Failed);
}

#[test]
fn upkeep_that_hangs_is_told_too() {
    let mut bench = bench(|_| {});
    let (go, gate) = mpsc::sync_channel::<()>(1);
    let held = bench.writer.upkeep(move |_| {
        let _ = gate.recv();
        Ok(())
    });
    assert!(matches!(turned(&mut bench.commits), Commits::Hang(_)));
    drop(go);
    wait(held).unwrap();
    assert_eq!(turned(&mut bench.commits), Commits::Well);
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
