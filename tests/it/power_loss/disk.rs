//! A disk that keeps only what was synced: the shim, compiled here, the folders, and the way back after a power loss.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use parlante_sandbox::Options;
use tempfile::TempDir;

use crate::support::{BINARY, World};

/// How SQLite syncs the WAL: at every commit, or only before a checkpoint.
#[derive(Clone, Copy, Debug)]
pub(super) enum Synchronous {
    Full,
    Normal,
}

/// The shim and the programs, made once per test.
pub(super) struct Lab {
    dir: TempDir,
}

impl Lab {
    pub(super) fn new() -> Self {
        let dir = TempDir::new().expect("a folder");
        compile_shim(&dir.path().join("shim.so"));
        with_normal(&dir.path().join("normal"));
        Self { dir }
    }

    /// A server that was never started, and its disk.
    pub(super) fn world(&self, synchronous: Synchronous) -> (World, Disk) {
        let program = match synchronous {
            Synchronous::Full => OsString::from(BINARY),
            Synchronous::Normal => self.dir.path().join("normal").into(),
        };
        let world = World::with(Options::for_tests()).program(vec![program]);
        let disk = Disk::new(world.dir.path(), self.dir.path().join("shim.so"));
        world.found_at(a_port());
        let world = world
            .set("LEDGER_PATH", &text(&disk.data.join("parlante.db")))
            // On a busy machine the statuses that were missed take their time to come again.
            .set("WHATSAPP_RECONCILE_MS", "2500");
        (world, disk)
    }
}

/// The data folder of one server, and beside it what the disk surely holds.
pub(super) struct Disk {
    shim: PathBuf,
    data: PathBuf,
    durable: PathBuf,
    points: PathBuf,
}

impl Disk {
    fn new(dir: &Path, shim: PathBuf) -> Self {
        let dir = dir.canonicalize().expect("a path");
        let disk =
            Self { shim, data: dir.join("data"), durable: dir.join("durable"), points: dir.join("points") };
        fs::create_dir(&disk.data).expect("a folder");
        fs::create_dir(&disk.durable).expect("a folder");
        disk
    }

    /// The power fails at this point of the server's next life; 0: never.
    pub(super) fn fails_at(&self, world: World, point: usize) -> World {
        let _ = fs::remove_file(&self.points);
        world
            .set("LD_PRELOAD", &text(&self.shim))
            .set("POWER_LOSS_DATA", &text(&self.data))
            .set("POWER_LOSS_DURABLE", &text(&self.durable))
            .set("POWER_LOSS_POINTS", &text(&self.points))
            .set("POWER_LOSS_AT", &point.to_string())
    }

    pub(super) fn never_fails(&self, world: World) -> World {
        world.unset("LD_PRELOAD")
    }

    /// The points that were reached.
    pub(super) fn points(&self) -> Vec<String> {
        let list = fs::read_to_string(&self.points).unwrap_or_default();
        list.lines().map(str::to_owned).collect()
    }

    /// What the point was, if it was reached.
    pub(super) fn last_point(&self, at: usize) -> Option<String> {
        self.points().get(at - 1).cloned()
    }

    /// Puts what was synced in the place of what was written. Answers how many bytes that drops.
    pub(super) fn restore(&self) -> u64 {
        let mut dropped = 0;
        for entry in fs::read_dir(&self.data).expect("a folder").map(Result::unwrap) {
            let file = entry.path();
            if entry.file_name().to_string_lossy().ends_with("-shm") {
                fs::remove_file(&file).expect("it goes");
                continue;
            }
            let written = fs::read(&file).expect("it can be read");
            // Never synced: the name is there, the content is not.
            let synced = fs::read(self.durable.join(entry.file_name())).unwrap_or_default();
            dropped += differing(&written, &synced);
            fs::write(&file, &synced).expect("it can be written");
        }
        dropped
    }
}

fn differing(written: &[u8], synced: &[u8]) -> u64 {
    let changed = written.iter().zip(synced).filter(|(written, synced)| written != synced).count();
    (changed + written.len().abs_diff(synced.len())) as u64
}

fn text(path: &Path) -> String {
    path.to_str().expect("a temporary folder has a plain name").to_owned()
}

fn compile_shim(place: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power_loss/shim.c");
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(place).arg(source).arg("-ldl");
    match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!(
                "the C compiler `cc` is missing: ./test installs it, so does apt-get install build-essential"
            )
        }
        Err(error) => panic!("cc does not start: {error}"),
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// The same program in which SQLite does not sync at a commit: one word of its bytes is changed, nothing else. A switch
/// for it in the product would be one more way to lose messages.
fn with_normal(place: &Path) {
    const FULL: &[u8] = b"PRAGMA synchronous = FULL;";
    const NORMAL: &[u8] = b"PRAGMA synchronous = 1   ;";
    let mut program = fs::read(BINARY).expect("the binary");
    let hits: Vec<_> =
        (0..program.len() - FULL.len()).filter(|at| program[*at..].starts_with(FULL)).collect();
    assert!(!hits.is_empty(), "the binary does not hold `PRAGMA synchronous = FULL;`");
    for at in hits {
        program[at..at + FULL.len()].copy_from_slice(NORMAL);
    }
    fs::write(place, program).expect("it can be written");
    // What may be run stays so in a copy of its permissions.
    fs::set_permissions(place, fs::metadata(BINARY).expect("the binary").permissions()).expect("permissions");
}

/// A free port below those that the kernel gives away by itself: nobody takes it while the server is down.
fn a_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let mine = u16::try_from(std::process::id() % 10_000).expect("small");
    loop {
        let port = 20_000 + (mine + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
