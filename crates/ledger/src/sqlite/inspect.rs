//! A look at a ledger's file that changes nothing. After a crash SQLite may make the index of its WAL anew beside it,
//! which it does at every open.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::accept::Identity;
use super::place::{wal_of, with_suffix};
use super::schema::{self, NEWEST, SchemaError};
use super::sql::Sql;

/// What a look at a ledger's file finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected {
    /// The version of its schema; 0 if the file is empty.
    pub version: usize,
    /// The version to which the next open takes it.
    pub newest: usize,
}

/// Whether it could be opened, as far as that shows without doing it. `Err`: what stands in the way, in the words of an
/// open.
pub(super) fn inspect(path: &Path) -> Result<Inspected, String> {
    may_be_written(path)?;
    let version = version(path).map_err(|error| schema::explain(&error))?;
    Ok(Inspected { version, newest: NEWEST })
}

/// The file and what lies beside it. It is opened and closed again before SQLite comes: to close it later would drop
/// SQLite's own locks.
fn may_be_written(path: &Path) -> Result<(), String> {
    for file in ["", "-wal", "-shm", ".lock"].map(|suffix| with_suffix(path, suffix)) {
        match OpenOptions::new().write(true).open(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && file != path => {}
            opened => drop(opened.map_err(|error| format!("cannot open {}: {error}", file.display()))?),
        }
    }
    Ok(())
}

fn version(path: &Path) -> Result<usize, SchemaError> {
    let db = open(path)?;
    let version = schema::check(&db, NEWEST)?;
    if version == NEWEST {
        Identity::load(&db)?;
    }
    Ok(version)
}

/// A file that was closed in order is whole without its WAL, and is read as one that nobody writes: SQLite makes nothing
/// beside it then. After a crash the WAL is part of it, and lies there already.
fn open(path: &Path) -> Sql<Connection> {
    if std::fs::metadata(wal_of(path)).is_ok_and(|wal| wal.len() > 0) {
        return schema::open_reader(path);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{}?immutable=1", encoded(path.as_os_str())), flags)
}

/// As a path stands in a URI.
fn encoded(path: &OsStr) -> String {
    let mut encoded = String::new();
    for &byte in path.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
