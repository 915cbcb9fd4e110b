//! strace, from Debian: it kills the real binary at a system call of our choice, before the call is made.
//!
//! It counts the calls of each thread by itself, so "the k-th write" is the k-th write of whichever thread comes there
//! first.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use super::BINARY;

/// A strace that works here.
#[derive(Clone)]
pub(crate) struct Strace(PathBuf);

impl Strace {
    /// Looks for it, and tries it.
    pub(crate) fn find() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found =
            std::env::split_paths(&path).map(|folder| folder.join("strace")).find(|file| file.is_file());
        let strace = found.expect("strace is missing: apt-get install strace");
        let tried =
            Command::new(&strace).args(["-f", "-o", "/dev/null", "true"]).output().expect("strace runs");
        let told = String::from_utf8_lossy(&tried.stderr);
        assert!(tried.status.success(), "strace needs ptrace, which is not permitted here: {told}");
        Self(strace)
    }

    /// What to run so that the binary is killed as a thread of it is about to make its `k`-th call among `calls` (comma-separated).
    pub(crate) fn kill_at(&self, calls: &str, k: usize) -> Vec<OsString> {
        let inject = format!("inject={calls}:signal=KILL:when={k}");
        self.arguments(Path::new("/dev/null"), calls, &["-e", &inject])
    }

    /// What to run so that the calls are written to a file, for [`most`].
    pub(crate) fn listen(&self, calls: &str, file: &Path) -> Vec<OsString> {
        self.arguments(file, calls, &[])
    }

    /// What to run so that calls on this file fail with `error`; `when` counts them: `3`, or `3..8`.
    pub(crate) fn failing(&self, calls: &str, file: &Path, error: &str, when: &str) -> Vec<OsString> {
        let inject = format!("inject={calls}:error={error}:when={when}");
        let file = file.to_str().expect("a temporary folder has a plain name");
        self.arguments(Path::new("/dev/null"), calls, &["-P", file, "-e", &inject])
    }

    /// From now on each of these calls of a running process on this file waits for a minute before it is made, until the
    /// hold is dropped.
    pub(crate) fn hold(&self, pid: i32, calls: &str, file: &Path) -> Hold {
        let inject = format!("inject={calls}:delay_enter=60s");
        let mut strace = Command::new(&self.0)
            .args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject])
            .arg("-P")
            .arg(file)
            .args(["-p", &pid.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace runs");
        let mut lines = BufReader::new(strace.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let attached = lines.find(|line| line.contains("attached"));
        assert!(attached.is_some(), "strace may not attach to a running process here (yama's ptrace_scope?)");
        // It goes on to tell of each thread, and must not stand before a full pipe.
        let reader = std::thread::spawn(move || lines.for_each(drop));
        Hold { strace, reader: Some(reader) }
    }

    /// `-D`: strace is the grandchild, so that our child is the binary.
    fn arguments(&self, file: &Path, calls: &str, more: &[&str]) -> Vec<OsString> {
        let trace = format!("trace={calls}");
        let mut words = vec![self.0.clone().into_os_string()];
        words.extend(["-D", "-f", "-qq", "-o"].map(OsString::from));
        words.push(file.as_os_str().to_owned());
        words.extend(["-e", &trace].iter().chain(more).chain(&["--", BINARY]).map(OsString::from));
        words
    }
}

/// See [`Strace::hold`].
pub(crate) struct Hold {
    strace: Child,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // What it holds goes on when it is gone.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

/// How many calls among `calls` the thread with most of them made.
pub(crate) fn most(listing: &str, calls: &str) -> usize {
    let mut threads: BTreeMap<&str, usize> = BTreeMap::new();
    for line in listing.lines() {
        // `12345 write(1, ...`; what begins otherwise is the end of a call, a signal or an exit.
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let name = rest.trim_start().split_once('(').map(|(name, _)| name);
        if name.is_some_and(|name| calls.split(',').any(|call| call == name)) {
            *threads.entry(thread).or_default() += 1;
        }
    }
    threads.into_values().max().unwrap_or_default()
}
