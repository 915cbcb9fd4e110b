//! The real binary as a child. It is ended by its process id when the test is over.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::log::Log;
use super::{PATIENCE, World};

pub(crate) struct Process {
    child: Arc<Mutex<Child>>,
    pid: u32,
    pub(crate) log: Log,
    pub(crate) raw: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    base: Mutex<String>,
}

impl Process {
    pub(crate) fn spawn(world: &World, arguments: &[&str]) -> Self {
        let mut child = command(world, arguments).spawn().expect("the binary starts");
        let (log, raw) = (Log::default(), Arc::new(Mutex::new(String::new())));
        let stdout = child.stdout.take().expect("a pipe");
        let stderr = child.stderr.take().expect("a pipe");
        let readers = vec![read_log(stdout, log.clone(), raw.clone()), read_raw(stderr, raw.clone())];
        let pid = child.id();
        Self { child: Arc::new(Mutex::new(child)), pid, log, raw, readers, base: Mutex::default() }
    }

    /// Where it listens, once it is ready.
    pub(crate) async fn address(&self) -> SocketAddr {
        let started = self.log.wait("server_started", |_| true).await;
        let address = started["address"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        *self.base.lock().expect("no poison") = format!("http://{address}");
        address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.lock().expect("no poison"))
    }

    /// All that it wrote, to stdout and stderr; whole once it has ended.
    pub(crate) fn output(mut self) -> String {
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader");
        }
        self.raw.lock().expect("no poison").clone()
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.pid).expect("a pid")
    }

    /// The most memory that it has ever held, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
        peak.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_raw(self.pid()).expect("a pid"), signal);
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) async fn kill(self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn terminate(&self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> ExitStatus {
        let child = self.child.clone();
        let wait = tokio::task::spawn_blocking(move || child.lock().expect("no poison").wait());
        let ended = tokio::time::timeout(PATIENCE, wait).await.expect("it ends");
        self.log.to_its_end().await;
        ended.expect("a thread").expect("a status")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        match self.child.try_lock() {
            Ok(mut child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            // A wait is under way and holds the lock.
            Err(_) => self.signal(Signal::KILL),
        }
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = Command::new(&world.program[0]);
    command
        .args(&world.program[1..])
        .args(arguments)
        .current_dir(world.dir.path())
        .env_clear()
        .envs(world.environment())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) async fn run_to_end(world: &World, arguments: &[&str]) -> (i32, String, String) {
    // What should have ended must not live on behind a test that failed over it.
    let mut command = tokio::process::Command::from(command(world, arguments));
    let run = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, run).await.expect("it ends").expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Every line on stdout has to be a JSON object.
fn read_log(stdout: impl Read + Send + 'static, log: Log, raw: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            raw.lock().expect("no poison").push_str(&format!("{line}\n"));
            match serde_json::from_str::<Value>(&line) {
                Ok(value) if value.is_object() => log.push(value),
                _ => log.push(serde_json::json!({"event": "not_json", "line": line})),
            }
        }
        log.end();
    })
}

fn read_raw(stderr: impl Read + Send + 'static, raw: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            raw.lock().expect("no poison").push_str(&format!("{line}\n"));
        }
    })
}
