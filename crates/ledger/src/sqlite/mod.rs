//! The embedded engine: SQLite in WAL mode, `synchronous=FULL`.
//!
//! - [`schema`]: tables, pragmas, versions.
//! - [`writer`]: the one thread that writes; drains its queue into one transaction and answers after the commit.
//! - [`reader`]: two threads with read-only connections.
//! - [`accept`], [`person`], [`status`]: what the accept transaction decides.
//! - [`turn`]: begin, advance, finish, hold, recover.
//! - [`reads`]: what is asked without changing anything.
//!
//! A second process is kept out by a lock on `<file>.lock`; `locking_mode=EXCLUSIVE` would lock out our own
//! readers.

mod accept;
mod person;
mod reader;
mod reads;
mod schema;
mod status;
mod turn;
mod writer;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parlante_domain::policy::Line;
use parlante_domain::{Faults, MessageId, Millis, PersonId, Seq, Tag};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::contract::{
    Accept, Accepted, Advance, Answer, Begin, Counts, Finish, Finished, Held, Hold, Ledger, Recover,
    Recovered, Row, Wake,
};
use crate::error::{LedgerError, OpenError};

/// The SQLite engine. Clones share the same threads.
#[derive(Clone)]
pub struct Sqlite {
    id: Arc<str>,
    writer: writer::Writer,
    readers: reader::Readers,
    failed: watch::Receiver<bool>,
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
        let lock = lock(path).map_err(refuse)?;
        let connection = schema::open(path).map_err(|error| refuse(schema::explain(&error)))?;
        let id = schema::ledger_id(&connection).map_err(|error| refuse(schema::explain(&error)))?;
        let readers = reader::Readers::start(path).map_err(|error| refuse(error.to_string()))?;
        let (failing, failed) = watch::channel(false);
        let wal = wal_of(path);
        let writer = writer::Writer::start(connection, lock, wal, faults, failing)
            .map_err(|error| refuse(format!("cannot start the writer thread: {error}")))?;
        Ok(Self { id: id.into(), writer, readers, failed })
    }

    /// Turns true when a commit failed in a way after which the file cannot be trusted; the process must end.
    #[must_use]
    pub fn failed(&self) -> watch::Receiver<bool> {
        self.failed.clone()
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn wal_of(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

fn lock(path: &Path) -> Result<File, String> {
    let place = with_suffix(path, ".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&place)
        .map_err(|error| format!("cannot open {}: {error}", place.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another process holds {}; stop it, or set LEDGER_PATH to another file",
            place.display()
        )),
        Err(TryLockError::Error(error)) => Err(format!("cannot lock {}: {error}", place.display())),
    }
}

impl Ledger for Sqlite {
    fn id(&self) -> &str {
        &self.id
    }

    fn accept(&self, accept: Accept) -> Answer<Accepted> {
        let id = self.id.clone();
        self.writer.write(accept.items.len(), move |tx| accept::accept(tx, &id, &accept))
    }

    fn begin(&self, begin: Begin) -> Answer<()> {
        self.writer.write(1, move |tx| turn::begin(tx, &begin))
    }

    fn advance(&self, advance: Advance) -> Answer<()> {
        self.writer.write(1, move |tx| turn::advance(tx, &advance))
    }

    fn finish(&self, finish: Finish) -> Answer<Finished> {
        self.writer.write(1, move |tx| turn::finish(tx, &finish))
    }

    fn hold(&self, hold: Hold) -> Answer<Held> {
        self.writer.write(1, move |tx| turn::hold(tx, &hold))
    }

    fn panicked(&self, seq: Seq) -> Answer<u32> {
        self.writer.write(1, move |tx| turn::panicked(tx, seq))
    }

    fn recover(&self, recover: Recover) -> Answer<Recovered> {
        self.writer.write(1, move |tx| turn::recover(tx, recover))
    }

    fn head(&self, person: PersonId, now: Millis) -> Answer<Option<Row>> {
        self.readers.read(move |db| reads::head(db, person, now))
    }

    fn due(&self, now: Millis, limit: usize) -> Answer<Vec<Wake>> {
        self.readers.read(move |db| reads::due(db, now, limit))
    }

    fn history(&self, person: PersonId, limit: usize) -> Answer<Vec<Line>> {
        self.readers.read(move |db| reads::history(db, person, limit))
    }

    fn was_sent(&self, tag: Tag) -> Answer<Option<MessageId>> {
        let ours = *self.id == *tag.ledger;
        self.readers.read(move |db| if ours { reads::was_sent(db, &tag) } else { Ok(None) })
    }

    fn counts(&self) -> Answer<Counts> {
        self.readers.read(reads::counts)
    }

    fn close(&self) -> Answer<()> {
        let writer = self.writer.clone();
        self.readers.close();
        Box::pin(async move { writer.close().await })
    }
}

#[cfg(test)]
mod tests;

/// What a statement of ours may fail with; never a person's words.
pub(crate) type Sql<T> = Result<T, rusqlite::Error>;

/// A stored form that this version cannot read or write.
pub(crate) fn unreadable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// Whether the file can still be trusted after `error`.
fn judge(error: &rusqlite::Error) -> LedgerError {
    use rusqlite::ErrorCode as Code;
    let reason = error.to_string();
    match error.sqlite_error_code() {
        Some(Code::SystemIoFailure | Code::DatabaseCorrupt | Code::NotADatabase) => {
            LedgerError::Failed { reason }
        }
        _ => LedgerError::Unavailable { reason },
    }
}

/// A statement that is compiled once per connection.
pub(crate) fn cached<'db>(db: &'db Connection, sql: &str) -> Sql<rusqlite::CachedStatement<'db>> {
    db.prepare_cached(sql)
}
