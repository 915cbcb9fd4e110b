//! The write-ahead log is kept short. PASSIVE checkpoints alone never reset it under steady load: somebody always
//! still reads from it. So the writer cuts it to nothing whenever it has grown beyond a bound.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::place::wal_of;
use super::sql::cut_wal;

/// The bound: some twenty seconds of messages at Meta's highest rate, and no burden for a small disk.
pub(super) const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long a cut, and with it every commit, waits for who reads at that moment. Without a wait, reads that take longer
/// than a commit would put it off for ever. Who comes later is no hindrance, so this is one read's time.
const READERS_WAIT: Duration = Duration::from_millis(100);

pub(super) struct Wal {
    file: PathBuf,
    bytes_max: u64,
    /// Beyond this a cut waits for readers.
    wait_above: u64,
}

impl Wal {
    /// The WAL of the ledger at `path`, to be cut above `bytes_max`.
    pub(super) fn of(path: &Path, bytes_max: u64) -> Self {
        Self { file: wal_of(path), bytes_max, wait_above: bytes_max }
    }

    /// Cuts it if it is too long. Where a reader stays (a backup may, for minutes), each commit tries again, but none
    /// waits for that reader until there is another quarter to cut.
    pub(super) fn bound(&mut self, db: &Connection) {
        let bytes = std::fs::metadata(&self.file).map_or(0, |file| file.len());
        if bytes <= self.bytes_max {
            return;
        }
        let wait = if bytes > self.wait_above { READERS_WAIT } else { Duration::ZERO };
        if matches!(cut_wal(db, wait), Ok(true)) {
            self.wait_above = self.bytes_max;
        } else if !wait.is_zero() {
            self.wait_above = bytes + self.bytes_max / 4;
        }
    }
}
