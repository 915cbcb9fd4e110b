//! A consistent copy while the ledger is in use, made by a thread and a connection of its own.
//!
//! It reads one snapshot for as long as it takes, so the WAL grows meanwhile by what is written; no commit waits for
//! it. The copy gets its name when it is whole and on the disk.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::params;
use tokio::sync::oneshot;

use crate::contract::Answer;
use crate::error::LedgerError;
use crate::sqlite::place::with_suffix;
use crate::sqlite::schema;

#[derive(Clone)]
pub(in crate::sqlite) struct Backups {
    ledger: Arc<Path>,
    /// One at a time: each holds a snapshot, and two could want the same name.
    running: Arc<AtomicBool>,
}

/// Lets the next backup in, however this one ends.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Backups {
    pub(in crate::sqlite) fn of(ledger: &Path) -> Self {
        Self { ledger: ledger.into(), running: Arc::default() }
    }

    pub(in crate::sqlite) fn start(&self, to: &Path) -> Answer<()> {
        if self.running.swap(true, Ordering::Acquire) {
            return refused("another backup is being made; wait for it".to_owned());
        }
        let running = Running(self.running.clone());
        let (from, to) = (self.ledger.clone(), to.to_owned());
        let (reply, answer) = oneshot::channel();
        let thread = std::thread::Builder::new().name("ledger-backup".into()).spawn(move || {
            let made = copy(&from, &to);
            drop(running);
            let _ = reply.send(made.map_err(|reason| LedgerError::Refused { reason }));
        });
        match thread {
            Ok(_) => Box::pin(async move { answer.await.unwrap_or(Err(LedgerError::Closed)) }),
            Err(error) => refused(format!("cannot start the backup: {error}")),
        }
    }
}

fn refused(reason: String) -> Answer<()> {
    Box::pin(async move { Err(LedgerError::Refused { reason }) })
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    if to.exists() {
        return Err(format!("{} exists already; name another file", to.display()));
    }
    let failed = |error: &dyn std::fmt::Display| format!("cannot back up to {}: {error}", to.display());
    let half = with_suffix(to, ".partial");
    let made =
        write(from, &half).and_then(|()| std::fs::rename(&half, to).map_err(|error| error.to_string()));
    if made.is_err() {
        // What is half made is of no use to anyone; it may not be there at all.
        let _ = std::fs::remove_file(&half);
    }
    made.and_then(|()| sync_directory(to)).map_err(|error| failed(&error))
}

/// SQLite itself does not bring the copy to the disk.
fn write(from: &Path, half: &PathBuf) -> Result<(), String> {
    // Left by a backup that was cut off.
    let _ = std::fs::remove_file(half);
    let name = half.to_str().ok_or("the name is not UTF-8")?;
    let db = schema::open_reader(from).map_err(|error| error.to_string())?;
    db.execute("VACUUM INTO ?1", params![name]).map_err(|error| error.to_string())?;
    File::open(half).and_then(|file| file.sync_all()).map_err(|error| error.to_string())
}

fn sync_directory(of: &Path) -> Result<(), String> {
    let directory = of.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| error.to_string())
}
