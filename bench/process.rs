//! A server in a process of its own, as the bench sees it: its address, its CPU time, its end.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::server::Role;

/// Length of the clock tick in which Linux tells CPU time to programs, on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// A running server; dropping it kills it.
pub(crate) struct Process {
    pub(crate) role: Role,
    pub(crate) address: SocketAddr,
    child: Child,
    told: Lines<BufReader<ChildStderr>>,
}

impl Process {
    /// Starts a server in the folder `dir`, which also takes its log, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not start; then what it said.
    pub(crate) fn start(
        role: Role,
        dir: &Path,
        env: &BTreeMap<&str, String>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(role.name())
            .current_dir(dir)
            .env_clear()
            .envs(env)
            .stdin(Stdio::null())
            .stdout(File::create(dir.join(role.name()).with_extension("log"))?)
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("the child has no stderr")?;
        let mut told = BufReader::new(stderr).lines();
        let first = told.next().ok_or("the server ended at its start")??;
        let address = first.parse().map_err(|_| format!("the server did not start: {first}"))?;
        Ok(Self { role, address, child, told })
    }

    /// CPU time of all its threads so far. Nothing where there is no `/proc`.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name of the program stands in parentheses and may itself hold spaces. Counted from behind it, user and
        // system time are the fields 12 and 13 (proc(5): 14 and 15 of all).
        let (_, fields) = stat.rsplit_once(") ")?;
        let ticks: Option<u32> =
            fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u32>().ok()).sum();
        Some(TICK * ticks?)
    }

    /// The most memory that it has held, in bytes. Nothing where there is no `/proc`.
    pub(crate) fn memory_peak(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }

    /// Ends it in good order, and tells how often it has committed; nothing for a server that has no ledger.
    ///
    /// # Errors
    /// If it does not end well.
    pub(crate) fn stop(mut self) -> Result<Option<u64>, Box<dyn Error>> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or("no process id")?;
        kill_process(pid, Signal::TERM)?;
        let commits = self.told.next().transpose()?.map(|line| line.parse()).transpose()?;
        let status = self.child.wait()?;
        if status.success() { Ok(commits) } else { Err(format!("the server ended with {status}").into()) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
