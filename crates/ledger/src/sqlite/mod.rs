//! The embedded engine: SQLite in WAL mode, `synchronous=FULL`.
//!
//! - [`schema`]: tables, pragmas, versions; [`place`], [`sql`], [`ids`]: what the others need.
//! - [`writer`]: the one thread that writes; drains its queue into one transaction and answers after the commit.
//! - [`commits`]: how commits go, and whether one hangs.
//! - [`wal`]: the write-ahead log, which it keeps short.
//! - [`reader`]: two threads with read-only connections.
//! - [`accept`], [`person`], [`status`]: what the accept transaction decides.
//! - [`turn`], [`step`], [`voice`], [`recover`]: the journal of a row.
//! - [`reads`]: what is asked without changing anything.
//! - [`inspect`]: a look at a file that is not opened.
//! - [`operator`]: trace, dead letters, replay, forget, retention, backup.
//!
//! A second process is kept out by a lock on `<file>.lock`; `locking_mode=EXCLUSIVE` would lock out our own
//! readers.

mod accept;
mod commits;
mod ids;
mod inspect;
mod operator;
mod person;
mod place;
mod reader;
mod reads;
mod recover;
mod schema;
mod sql;
mod status;
mod step;
mod turn;
mod voice;
mod wal;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parlante_domain::policy::Line;
use parlante_domain::{Faults, Medium, MessageId, Millis, PersonId, Seq, Service, Tag};
use tokio::sync::watch;

use crate::contract::{
    Accept, Accepted, Advance, Answer, Begin, Counts, Finish, Finished, Held, Hold, Ledger, Recorded,
    Recover, Recovered, Row, Told, Wake,
};
use crate::error::{LedgerError, OpenError};
use crate::operator::{Forgotten, Replay, Replayed, Retained, Retention, Traced, Unanswered, Which};
use accept::Identity;
pub use commits::{Commits, CommitsWatch};
pub use inspect::Inspected;
use operator::backup::Backups;

/// The SQLite engine. Clones share the same threads.
#[derive(Clone)]
pub struct Sqlite {
    own: Identity,
    /// Whether this process has taken up rows, and so gives them back when it closes. One that only looks (the
    /// commands on a bare file) must not wipe out the traces of a death.
    serving: Arc<AtomicBool>,
    backups: Backups,
    writer: writer::Writer,
    readers: reader::Readers,
    failed: watch::Receiver<bool>,
    commits: CommitsWatch,
    observer: writer::Observed,
    wal: Arc<Path>,
}

impl Sqlite {
    /// Opens or creates the ledger at `path` and starts its threads.
    ///
    /// # Errors
    /// [`OpenError`] if the place does not exist, another process holds the lock, the file is damaged, or it
    /// was written by a newer version. The file is never replaced.
    pub fn open(path: &Path, faults: Arc<dyn Faults>) -> Result<Self, OpenError> {
        let refuse = |reason: String| OpenError { path: path.to_owned(), reason };
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir)
                .map_err(|error| refuse(format!("cannot create {}: {error}", dir.display())))?;
        }
        let lock = place::lock(path).map_err(refuse)?;
        let connection = schema::open(path).map_err(|error| refuse(schema::explain(&error)))?;
        let own = Identity::load(&connection).map_err(|error| refuse(schema::explain(&error.into())))?;
        let readers = reader::Readers::start(path).map_err(|error| refuse(error.to_string()))?;
        let (failing, failed) = watch::channel(false);
        let (progress, commits) = commits::progress(commits::HANGS_AFTER);
        let wal = wal::Wal::of(path, wal::BYTES_MAX);
        let observer = writer::Observed::default();
        let told = writer::Told { failing, progress, observer: observer.clone() };
        let writer = writer::Writer::start(connection, lock, wal, faults, told, writer::PROBE_EVERY)
            .map_err(|error| refuse(format!("cannot start the writer thread: {error}")))?;
        let (serving, backups) = (Arc::default(), Backups::of(path));
        let wal = place::wal_of(path).into();
        Ok(Self { own, serving, backups, writer, readers, failed, commits, observer, wal })
    }

    /// Looks at the ledger at `path` as [`Sqlite::open`] would find it, and leaves it as it is: it is not migrated and
    /// not locked. After a crash SQLite may make the index of the WAL anew beside it. Whether somebody holds it is not looked at; what is told of a file that is
    /// being written meanwhile may be wrong.
    ///
    /// # Errors
    /// [`OpenError`] if there is no file, this user may not write it, or an open would refuse it.
    pub fn inspect(path: &Path) -> Result<Inspected, OpenError> {
        inspect::inspect(path).map_err(|reason| OpenError { path: path.to_owned(), reason })
    }

    /// How commits go. A full disk is found to have room again by itself: while commits fail the engine tries a small
    /// one every two seconds.
    #[must_use]
    pub fn commits(&self) -> CommitsWatch {
        self.commits.clone()
    }

    /// Tells `observer` of every commit from now on: how long it took, and how many commands it held. The first
    /// observer stays.
    pub fn observe(&self, observer: impl Fn(Duration, usize) + Send + Sync + 'static) {
        let _ = self.observer.set(Box::new(observer));
    }

    /// Bytes in the write-ahead log now.
    #[must_use]
    pub fn wal_bytes(&self) -> u64 {
        std::fs::metadata(&self.wal).map_or(0, |file| file.len())
    }

    /// Turns true when a commit failed in a way after which the file cannot be trusted; the process must end.
    #[must_use]
    pub fn failed(&self) -> watch::Receiver<bool> {
        self.failed.clone()
    }
}

impl Ledger for Sqlite {
    fn id(&self) -> &str {
        &self.own.ledger
    }

    fn accept(&self, accept: Accept) -> Answer<Accepted> {
        let own = self.own.clone();
        self.writer.write(accept.items.len(), move |tx| accept::accept(tx, &own, &accept))
    }

    fn begin(&self, begin: Begin) -> Answer<Recorded> {
        self.serving.store(true, Ordering::Relaxed);
        self.writer.write(1, move |tx| turn::begin(tx, &begin))
    }

    fn advance(&self, advance: Advance) -> Answer<Recorded> {
        self.writer.write(step::weight(Some(&advance.settle)), move |tx| turn::advance(tx, &advance))
    }

    fn finish(&self, finish: Finish) -> Answer<Finished> {
        self.writer.write(step::weight(finish.settle.as_ref()), move |tx| turn::finish(tx, &finish))
    }

    fn hold(&self, hold: Hold) -> Answer<Held> {
        self.writer.write(step::weight(hold.settle.as_ref()), move |tx| turn::hold(tx, &hold))
    }

    fn release(&self, service: Service, now: Millis, most: usize) -> Answer<Vec<Wake>> {
        self.writer.write(1, move |tx| turn::release(tx, service, now, most))
    }

    fn fall_back(&self, seq: Seq, now: Millis) -> Answer<Recorded> {
        self.writer.write(1, move |tx| voice::fall_back(tx, seq, now))
    }

    fn prefer(&self, person: PersonId, wish: Medium) -> Answer<()> {
        self.writer.write(1, move |tx| person::prefer(tx, person, wish))
    }

    fn panicked(&self, seq: Seq) -> Answer<u32> {
        self.writer.write(1, move |tx| turn::panicked(tx, seq))
    }

    fn reconcile(&self, until: Millis) -> Answer<()> {
        self.writer.write(1, move |tx| recover::shorten_wait(tx, until))
    }

    fn recover(&self, recover: Recover) -> Answer<Recovered> {
        self.writer.write(1, move |tx| recover::recover(tx, recover))
    }

    fn head(&self, person: PersonId, now: Millis) -> Answer<Option<Row>> {
        self.readers.read(move |db| reads::head(db, person, now))
    }

    fn due(&self, now: Millis, limit: usize) -> Answer<Vec<Wake>> {
        self.readers.read(move |db| reads::due(db, now, limit))
    }

    fn audio(&self, seq: Seq) -> Answer<Option<Vec<u8>>> {
        self.readers.read(move |db| voice::audio(db, seq))
    }

    fn history(&self, person: PersonId, limit: usize) -> Answer<Vec<Line>> {
        self.readers.read(move |db| reads::history(db, person, limit))
    }

    fn told_of(&self, tag: Tag) -> Answer<Told> {
        let ours = *self.own.ledger == *tag.ledger;
        self.readers.read(move |db| if ours { reads::told_of(db, &tag) } else { Ok(Told::Nothing) })
    }

    fn counts(&self, queues: usize) -> Answer<Counts> {
        self.readers.read(move |db| reads::counts(db, queues))
    }

    fn trace(&self, message: MessageId) -> Answer<Traced> {
        let key = self.own.key.clone();
        self.readers.read(move |db| operator::trace::trace(db, &key, &message))
    }

    fn unanswered(&self, which: Which, limit: usize, after: Option<Seq>) -> Answer<Vec<Unanswered>> {
        self.readers.read(move |db| operator::trace::unanswered(db, which, limit, after))
    }

    fn replay(&self, replay: Replay, now: Millis) -> Answer<Replayed> {
        let (writer, key) = (self.writer.clone(), self.own.key.clone());
        match replay {
            Replay::One(message) => writer.write(1, move |tx| operator::replay::one(tx, &key, &message, now)),
            Replay::AllDead => Box::pin(operator::replay::all_dead(writer, now)),
        }
    }

    fn forget(&self, person: &str) -> Answer<Forgotten> {
        Box::pin(operator::forget::forget(self.writer.clone(), person.to_owned()))
    }

    fn retain(&self, now: Millis, keep: Retention, batch: u32) -> Answer<Retained> {
        Box::pin(operator::retain::retain(self.writer.clone(), now, keep, batch))
    }

    fn backup(&self, to: &Path) -> Answer<()> {
        if self.readers.is_closed() {
            // Someone else may hold the file by now.
            return Box::pin(async { Err(LedgerError::Closed) });
        }
        self.backups.start(to)
    }

    fn close(&self) -> Answer<()> {
        let (writer, give_back) = (self.writer.clone(), self.serving.load(Ordering::Relaxed));
        self.readers.close();
        Box::pin(async move { writer.close(give_back).await })
    }
}

#[cfg(test)]
mod tests;
