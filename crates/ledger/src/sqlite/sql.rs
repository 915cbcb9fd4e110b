//! What every file of this engine needs to speak to SQLite.

use std::time::Duration;

use rusqlite::Connection;

use crate::error::LedgerError;

/// `SQLITE_IOERR_SHMSIZE` of sqlite3.h.
const SQLITE_IOERR_SHMSIZE: i32 = 10 | (19 << 8);

/// What a statement of ours may fail with; never a person's words.
pub(super) type Sql<T> = Result<T, rusqlite::Error>;

/// How long a statement waits for another connection. Only we have the file open, so this is for the moments in
/// which a connection is opened.
const BUSY: Duration = Duration::from_secs(5);

/// A statement that is compiled once per connection.
pub(super) fn cached<'db>(db: &'db Connection, sql: &str) -> Sql<rusqlite::CachedStatement<'db>> {
    db.prepare_cached(sql)
}

/// A stored form that this version cannot read or write.
pub(super) fn unreadable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// A bound on rows, as SQLite takes it.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Writes so much, and takes it back: nothing stays, but every page of it has to be made durable.
pub(super) fn write_and_take_back(db: &Connection, bytes: u32) -> Sql<usize> {
    cached(db, "INSERT INTO meta (key, value) VALUES ('probe', hex(randomblob(?1)))")?
        .execute([bytes / 2])?;
    cached(db, "DELETE FROM meta WHERE key = 'probe'")?.execute([])
}

/// Whether the file can still be trusted after `error`.
pub(super) fn judge(error: &rusqlite::Error) -> LedgerError {
    use rusqlite::ErrorCode as Code;
    let reason = error.to_string();
    // The shared memory beside the file could not grow: the disk is full, and nothing of the file is in doubt.
    if error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE) {
        return LedgerError::Unavailable { reason };
    }
    match error.sqlite_error_code() {
        Some(Code::SystemIoFailure | Code::DatabaseCorrupt | Code::NotADatabase) => {
            LedgerError::Failed { reason }
        }
        _ => LedgerError::Unavailable { reason },
    }
}

/// A question, or upkeep, that failed: it decides nothing about the file. What the writer commits next does.
pub(super) fn unanswered(error: &rusqlite::Error) -> LedgerError {
    LedgerError::Unavailable { reason: error.to_string() }
}

/// Moves the WAL into the file and cuts it to nothing; false if a reader still needs it. It does not wait for that
/// reader: a backup reads for long, and no commit may stand behind it.
pub(super) fn truncate_wal(db: &Connection) -> Sql<bool> {
    cut_wal(db, Duration::ZERO)
}

/// The same, but waits as long for those who read now.
pub(super) fn cut_wal(db: &Connection, wait: Duration) -> Sql<bool> {
    db.busy_timeout(wait)?;
    let busy = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    db.busy_timeout(BUSY)?;
    busy.map(|busy| !busy)
}
