//! Locks, damaged and foreign files, places that cannot be written: an open that is refused names the file and
//! leaves it as it is.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parlante_domain::ports::NoFaults;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Content, PersonId, Seq, Status};
use parlante_ledger::{
    Accept, Inspected, Ledger, OpenError, PartState, Replay, Replayed, Sqlite, Step, Traced, Usage, Verdict,
};

use super::engine::{Gate, SqliteEngine, open, scratch};
use crate::suite::items::phone;
use crate::suite::world::{DONE, RECONCILE, World, reply, sent};

fn refusal(path: &Path) -> OpenError {
    let error = Sqlite::open(path, Arc::new(NoFaults)).map(|_| ()).expect_err("the ledger was opened");
    assert_eq!(error.path, path);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    error
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Refused with these words, by an open and by a look, and not a byte of the file changed.
fn is_left_alone(path: &Path, words: &str) {
    let before = std::fs::read(path).unwrap();
    let (looked, error) = (Sqlite::inspect(path).expect_err("a look finds nothing wrong"), refusal(path));
    assert!(error.reason.contains(words), "{error}");
    assert_eq!((&looked.path, &looked.reason), (&error.path, &error.reason));
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
    let (free, freed) = mpsc::sync_channel(1);
    let lock = lock_file(&path);
    std::thread::spawn(move || free.send(lock.lock().map(|()| lock)));
    drop(freed.recv_timeout(Duration::from_secs(30)).expect("the lock is let go").expect("a lock"));
    let again = open(&path).accept(Accept { items: items(), now: world.now, rules: world.rules });
    assert_eq!(world.wait(again).verdicts, [Verdict::Duplicate]);
}

/// The lock's file, opened as another process would: the system tells apart who opened it, not which process it was. A
/// child would do worse: between its fork and its start it holds every lock of this process, those of other tests too.
fn lock_file(path: &Path) -> File {
    OpenOptions::new().create(true).truncate(false).write(true).open(with_suffix(path, ".lock")).unwrap()
}

#[test]
fn whoever_opens_it_second_is_refused_both_ways() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    let other = lock_file(&path);
    other.lock().unwrap();
    assert!(refusal(&path).reason.contains("another process"));
    assert!(!path.exists(), "nothing was made");
    drop(other);

    let _ours = open(&path);
    assert!(
        matches!(lock_file(&path).try_lock(), Err(TryLockError::WouldBlock)),
        "the other got the lock as well"
    );
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
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    is_left_alone(&path, "schema version 99");
}

/// As the first released version wrote it: a dead apology, an open message with its intents, a note nobody heard.
const FIRST: &str = "
INSERT INTO person (id, phone, newest_at, disclosed) VALUES (1, '393200000001', 1780000000000, 1);
INSERT INTO alias VALUES ('p:393200000001', 1);
INSERT INTO message (seq, message_id, person, number, purpose, kind, content, state, reason, sent_at, accepted_at,
                     ended_at, due, begun, running, reply) VALUES
  (1, 'm1', 1, '1', 2, 'text', '{\"v\":\"1\",\"what\":\"words\",\"words\":\"ciao\"}', 'dead', '401', 1, 1, 2, 1, 1, 0,
   '{\"v\":\"1\",\"parts\":[\"sorry\"],\"words\":null,\"failed\":\"401\"}'),
  (2, 'm2', 1, '1', 2, 'text', '{\"v\":\"1\",\"what\":\"words\",\"words\":\"and\"}', 'open', NULL, 1, 1, NULL, 1, 1, 1,
   '{\"v\":\"1\",\"parts\":[\"a\",\"b\"],\"words\":\"ab\",\"failed\":null}'),
  (3, 'v3', 1, '1', 2, 'voice', '{\"v\":\"1\",\"what\":\"sound\",\"words\":null}', 'open', NULL, 1, 1, NULL, 1, 0, 0, NULL);
INSERT INTO step (seq, step, part, state, intended_at, deadline, settled_at, attempts, unknowns, code, message_id, rank,
                  prompt_tokens, completion_tokens) VALUES
  (1, 'complete', 0, 'failed', 1, 2, 2, 3, 0, '401', NULL, 0, NULL, NULL),
  (2, 'complete', 0, 'done', 1, 2, 2, 2, 0, '503', NULL, 0, 20, 5),
  (2, 'send', 0, 'done', 1, 2, 2, 1, 1, 'timeout', 'wamid.0', 2, NULL, NULL),
  (2, 'send', 1, 'intended', 3, 4, NULL, 0, 0, NULL, NULL, 0, NULL, NULL);
INSERT INTO seen (id, at) VALUES (randomblob(16), 1), (randomblob(16), 1), (randomblob(16), 1);
PRAGMA application_id = 1347570772;
PRAGMA user_version = 1;";

fn first(path: &Path) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(include_str!("../../src/sqlite/schema/1.sql")).unwrap();
    db.execute_batch(FIRST).unwrap();
}

/// Every file in a folder, with what is in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

#[test]
fn a_look_tells_the_version_and_changes_nothing() {
    let place = scratch();
    // Whatever the name, it is a name, and nothing of a URI.
    let path = place.path().join("the ledger? #1 100%.db");
    first(&path);
    let before = files(place.path());
    let newest = Sqlite::inspect(&path).unwrap().newest;
    assert_eq!(Sqlite::inspect(&path).unwrap(), Inspected { version: 1, newest });
    assert!(newest > 1 && files(place.path()) == before, "something has changed");
    close(&open(&path));
    let before = files(place.path());
    assert_eq!(Sqlite::inspect(&path).unwrap(), Inspected { version: newest, newest });
    assert!(files(place.path()) == before, "something has changed");
}

#[test]
fn a_look_after_a_crash_sees_what_only_the_wal_holds() {
    let (place, after) = (scratch(), scratch());
    let (path, copy) = (place.path().join("ledger.db"), after.path().join("ledger.db"));
    first(&path);
    let ledger = open(&path);
    for suffix in ["", "-wal"] {
        std::fs::copy(with_suffix(&path, suffix), with_suffix(&copy, suffix)).unwrap();
    }
    close(&ledger);
    let before = files(after.path());
    let Inspected { version, newest } = Sqlite::inspect(&copy).unwrap();
    assert_eq!(version, newest);
    let left = files(after.path());
    assert!(before.iter().all(|(file, bytes)| left[file] == *bytes), "something has changed");
}

#[test]
fn a_look_neither_needs_the_lock_nor_keeps_it() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    let held = open(&path);
    assert!(Sqlite::inspect(&path).is_ok());
    drop(held);
    assert!(Sqlite::inspect(&place.path().join("none.db")).unwrap_err().reason.contains("cannot open"));
    assert!(!place.path().join("none.db").exists() && !place.path().join("none.db.lock").exists());
    assert!(Sqlite::inspect(place.path()).unwrap_err().reason.contains("cannot open"), "it is a folder");
}

#[test]
fn a_ledger_of_the_first_version_is_taken_over() {
    let place = scratch();
    let path = place.path().join("ledger.db");
    first(&path);

    let mut world = World::new(Box::new(SqliteEngine::new()));
    world.ledger = Arc::new(open(&path));
    let recovered = world.recover();
    assert_eq!((recovered.resumed, recovered.reconciled), (2, 1));
    world.later(RECONCILE);
    let row = world.head(PersonId(1));
    assert_eq!((row.reply, row.parts_sent, row.next_part), (Some(reply(&["a", "b"])), 1, PartState::Unknown));
    let Traced::Kept(trace) = world.wait(world.ledger.trace("m2".into())) else { unreachable!() };
    let [model, first, _] = trace.message.steps.as_slice() else { unreachable!("{trace:?}") };
    let usage = Usage { prompt_tokens: 20, completion_tokens: 5 };
    assert_eq!((model.step, model.attempts, model.usage), (Step::Complete, 2, Some(usage)));
    assert_eq!((first.unknowns, first.status), (1, Some(Status::Delivered)));
    assert_eq!((&first.code, &first.outbound), (&Some(ErrorCode::TIMEOUT), &Some("wamid.0".into())));
    world.begin(&world.head(PersonId(1)), Step::Send(1));
    world.finish(Seq(2), Some(sent(Seq(2), 1)), DONE);
    assert_eq!(world.head(PersonId(1)).content, Content::Unclear, "there is no id to hear it by");
    let replayed = world.wait(world.ledger.replay(Replay::One("m1".into()), world.now));
    assert!(matches!(replayed, Replayed::Reopened { .. }));
    let before = world.counts().ids;
    world.arrive(&phone("393200000002"), &["m4"]);
    assert_eq!((before, world.counts().ids), (3, 4), "and those from before are counted");
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
