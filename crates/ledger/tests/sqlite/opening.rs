//! Locks, damaged and foreign files, places that cannot be written: an open that is refused names the file and
//! leaves it as it is.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use parlante_domain::ports::NoFaults;
use parlante_ledger::{Accept, Ledger, OpenError, Sqlite, Verdict};

use super::engine::{Gate, SqliteEngine, open, scratch};
use crate::suite::items::phone;
use crate::suite::world::World;

fn refusal(path: &Path) -> OpenError {
    let error = Sqlite::open(path, Arc::new(NoFaults)).map(|_| ()).expect_err("the ledger was opened");
    assert_eq!(error.path, path);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    error
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Refused with these words, and not a byte of the file changed.
fn is_left_alone(path: &Path, words: &str) {
    let before = std::fs::read(path).unwrap();
    let error = refusal(path);
    assert!(error.reason.contains(words), "{error}");
    assert!(std::fs::read(path).unwrap() == before, "the file was changed");
}

fn close(ledger: &Sqlite) {
    World::new(Box::new(SqliteEngine::new())).wait(ledger.close());
}

/// A ledger with some messages in it, closed.
fn written(path: &Path) {
    let world = World::new(Box::new(SqliteEngine::new()));
    let ledger = open(path);
    let items = (1..=10).map(|n| world.text(&phone("393200000001"), &format!("m{n}"))).collect();
    world.wait(ledger.accept(Accept { items, now: world.now, rules: world.rules }));
    world.wait(ledger.close());
}

#[test]
fn a_second_handle_is_refused() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    let first = open(&path);
    let error = refusal(&path);
    assert!(error.reason.contains("another process") && error.reason.contains("ledger.db.lock"), "{error}");
    drop(first.clone());
    refusal(&path);
}

#[test]
fn the_lock_is_let_go_by_closing() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    let first = open(&path);
    close(&first);
    // The closed one is still in someone's hands.
    let second = open(&path);
    drop(first);
    refusal(&path);
    drop(second);
}

#[test]
fn the_lock_outlasts_the_last_handle_until_all_is_written() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    let gate = Arc::new(Gate::default());
    gate.close();
    let ledger = Sqlite::open(&path, gate.clone()).unwrap();
    let world = World::new(Box::new(SqliteEngine::new()));
    let items = || vec![world.text(&phone("393200000001"), "m1")];
    let queued = ledger.accept(Accept { items: items(), now: world.now, rules: world.rules });
    gate.await_commits(1);
    drop(ledger);
    refusal(&path);

    gate.release();
    assert!(matches!(world.wait(queued).verdicts[..], [Verdict::Accepted { .. }]));
    let wait =
        Command::new("flock").args(["--timeout", "30"]).arg(with_suffix(&path, ".lock")).arg("true").status();
    assert!(wait.expect("flock (util-linux) is needed for this test").success(), "the lock is never let go");
    let again = open(&path).accept(Accept { items: items(), now: world.now, rules: world.rules });
    assert_eq!(world.wait(again).verdicts, [Verdict::Duplicate]);
}

#[test]
fn a_second_process_is_refused_both_ways() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    let lock = with_suffix(&path, ".lock");
    // The other process holds the lock until its standard input ends.
    let mut other = Command::new("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo held && cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock (util-linux) is needed for this test");
    let mut line = String::new();
    BufReader::new(other.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    assert!(refusal(&path).reason.contains("another process"));
    assert!(!path.exists(), "nothing was made");
    drop(other.stdin.take());
    other.wait().unwrap();

    let _ours = open(&path);
    let status = Command::new("flock").arg("--nonblock").arg(&lock).arg("true").status().unwrap();
    assert!(!status.success(), "another process got the lock as well");
}

#[test]
fn missing_directories_are_made() {
    let place = scratch();
    let path = place.path().join("data/deep/ledger.db");
    drop(open(&path));
    assert!(path.exists());
}

#[test]
fn a_place_that_cannot_be_written_is_an_error() {
    let place = scratch();
    let file = place.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    assert!(refusal(&file.join("ledger.db")).reason.contains("cannot create"));
    let directory = place.path().join("directory.db");
    std::fs::create_dir(&directory).unwrap();
    refusal(&directory);
}

#[test]
fn a_file_that_is_no_ledger_is_left_alone() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    std::fs::write(
        &path,
        "These are the accounts of the year 1987, of which there is no copy.\n".repeat(100),
    )
    .unwrap();
    is_left_alone(&path, "damaged");
}

/// The header of a page that is no page.
const BROKEN: [u8; 64] = [0xAA; 64];
const PAGE: usize = 4096;

#[test]
fn a_ledger_with_a_broken_page_is_left_alone() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    written(&path);
    let whole = std::fs::read(&path).unwrap();
    let mut found = 0;
    // Whichever page it is: one of the schema, of a table, of an index.
    for at in (PAGE..whole.len()).step_by(PAGE) {
        let mut bytes = whole.clone();
        bytes[at..at + BROKEN.len()].copy_from_slice(&BROKEN);
        std::fs::write(&path, bytes).unwrap();
        is_left_alone(&path, "damaged");
        found += 1;
    }
    assert!(found > 10, "the ledger has only {found} pages");
    std::fs::write(&path, whole).unwrap();
    drop(open(&path));
}

#[test]
fn a_ledger_that_is_cut_short_is_left_alone() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    written(&path);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..3 * PAGE]).unwrap();
    is_left_alone(&path, "damaged");
}

#[test]
fn a_ledger_of_a_newer_version_is_left_alone() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    written(&path);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    drop(db);
    is_left_alone(&path, "schema version 2");
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE recipe (name TEXT)").unwrap();
    drop(db);
    is_left_alone(&path, "not a ledger");
}
