//! The SQLite engine: the suite that every engine must pass, and what is particular to a file on a disk.
//!
//! - [`suite`]: the conformance cases and the property, here run over SQLite.
//! - [`sqlite::opening`]: locks, damaged and foreign files, places that cannot be written.
//! - [`sqlite::leavings`]: what is left on the disk after a forget, a cleaning, a backup.
//! - [`sqlite::commits`]: group commit, and commits that fail, panic or are held.

#![cfg(test)]

mod suite;

mod sqlite {
    mod commits;
    pub(crate) mod engine;
    mod leavings;
    mod opening;
}

mod conformance {
    use crate::sqlite::engine::SqliteEngine;

    crate::suite::conformance!(SqliteEngine::new());
}
