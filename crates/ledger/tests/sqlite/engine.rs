//! SQLite as the suite sees it, and the faults that the particulars need.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use parlante_domain::ports::NoFaults;
use parlante_domain::{Fault, Faults};
use parlante_ledger::{Ledger, Sqlite};
use tempfile::TempDir;

use crate::suite::Engine;

/// A hold or a wait longer than this is a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory for one test. In memory where the system has such a place: the suite is about what is written,
/// not about how long a disk takes.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, Arc::new(NoFaults)).unwrap()
}

pub(crate) struct SqliteEngine {
    place: TempDir,
    faults: Arc<dyn Faults>,
}

impl SqliteEngine {
    pub(crate) fn new() -> Self {
        Self::with_faults(Arc::new(NoFaults))
    }

    pub(crate) fn with_faults(faults: Arc<dyn Faults>) -> Self {
        Self { place: scratch(), faults }
    }

    fn file(&self) -> PathBuf {
        self.place.path().join("ledger.db")
    }
}

impl Engine for SqliteEngine {
    fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(Sqlite::open(&self.file(), self.faults.clone()).unwrap())
    }

    /// What a process leaves that dies between two commits: the file and its WAL as they are, the shared memory lost.
    fn crash(&mut self) {
        let after = scratch();
        for name in ["ledger.db", "ledger.db-wal"] {
            std::fs::copy(self.place.path().join(name), after.path().join(name)).unwrap();
        }
        self.place = after;
    }
}

/// A gate before each commit: holds them, lets one fail or panic, and counts them.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    commits: usize,
    closed: bool,
    ends: Option<(usize, End)>,
}

/// How a commit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Fails,
    Panics,
}

impl Gate {
    /// Lets the commit after the next `passed` ones end like this.
    pub(crate) fn after(&self, passed: usize, end: End) {
        let mut state = self.state.lock().unwrap();
        state.ends = Some((state.commits + passed + 1, end));
    }

    /// Holds every commit until [`Gate::release`].
    pub(crate) fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }

    pub(crate) fn release(&self) {
        self.state.lock().unwrap().closed = false;
        self.changed.notify_all();
    }

    /// How many commits have come this far.
    pub(crate) fn commits(&self) -> usize {
        self.state.lock().unwrap().commits
    }

    /// Waits until this many commits have come this far.
    pub(crate) fn await_commits(&self, count: usize) {
        let state = self.state.lock().unwrap();
        let (_state, waited) =
            self.changed.wait_timeout_while(state, PATIENCE, |s| s.commits < count).unwrap();
        assert!(!waited.timed_out(), "commit {count} never came");
    }
}

impl Faults for Gate {
    fn at(&self, point: &'static str) -> Option<Fault> {
        assert_eq!(point, "ledger.commit");
        let mut state = self.state.lock().unwrap();
        state.commits += 1;
        let number = state.commits;
        self.changed.notify_all();
        let (state, _) = self.changed.wait_timeout_while(state, PATIENCE, |s| s.closed).unwrap();
        let end = state.ends.filter(|(at, _)| *at == number).map(|(_, end)| end);
        drop(state);
        assert_ne!(end, Some(End::Panics), "a test wants this commit to panic");
        end.map(|_| Fault::Fail)
    }
}
