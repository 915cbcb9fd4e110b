//! The files of a ledger: itself, its WAL, its lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn wal_of(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

/// Keeps every other process out for as long as the file is held.
pub(super) fn lock(path: &Path) -> Result<File, String> {
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
