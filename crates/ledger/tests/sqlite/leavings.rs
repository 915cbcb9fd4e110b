//! What is left on the disk: nothing of someone who was forgotten, nothing of what was cleaned but the space that is
//! in use, and a copy that is whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Content, Inbound, Item, Kind, Medium, Millis, Sender};
use parlante_ledger::{
    Accept, Accepted, Audio, Ending, Finish, Ledger, LedgerError, QUEUES_MAX, Sqlite, Step, StepOutcome,
    Verdict,
};
use tempfile::TempDir;

use super::engine::{End, Gate, SqliteEngine, open, scratch};
use crate::suite::Engine;
use crate::suite::items::{phone, text};
use crate::suite::keeping::KEEP;
use crate::suite::world::{DONE, RULES, World, answered, persona, reply, sent, settled, spoken};

const ANNA: &str = "393200000001";
/// In every text of Anna's, and in every answer to her.
const MARK: &str = "marguerite";
/// In every id of hers, as a wamid has the number inside.
const WAMID: &str = "wamid.HBgMMzkzMjAwMDAwMDAx";
const NAME: &str = "Anna Annabella";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A ledger at a known place, opened and closed by the suite's verbs.
struct Here(Arc<TempDir>);

impl Here {
    fn file(&self) -> PathBuf {
        self.0.path().join("ledger.db")
    }
}

impl Engine for Here {
    fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(open(&self.file()))
    }

    fn crash(&mut self) {
        unreachable!("these tests look at the files of a living ledger");
    }
}

fn here() -> (Arc<TempDir>, World) {
    let place = Arc::new(scratch());
    (place.clone(), World::new(Box::new(Here(place))))
}

/// Every file of the ledger in which these bytes are.
fn holders(place: &Path, bytes: &str) -> Vec<String> {
    let files = std::fs::read_dir(place).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|file| {
            let content = std::fs::read(file).unwrap();
            content.windows(bytes.len()).any(|window| window == bytes.as_bytes())
        })
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

fn size(place: &Path) -> u64 {
    std::fs::metadata(place.join("ledger.db")).unwrap().len()
}

/// A message of Anna's, with her mark.
fn from_anna(n: usize, now: Millis) -> Item {
    let sender = Sender { name: Some(NAME.into()), ..phone(ANNA) };
    let content = Content::Words(format!("{MARK} {n} {}", "she loves me, she loves me not. ".repeat(n % 40)));
    Item::Message(Inbound { content, ..text(&format!("{WAMID}{}", scattered(n)), &sender, now) })
}

/// Ids that do not come in order, as Meta's do not: they go into the middle of the index's pages and split them.
fn scattered(n: usize) -> String {
    format!("{:08X}", u32::try_from(n).unwrap().wrapping_mul(2_654_435_761))
}

/// Two people who write in turns, so that their rows lie side by side; Anna's last messages are never answered.
fn talk(world: &mut World, messages: usize) {
    world.rules.backlog = 1000;
    for n in 0..messages {
        world.accept(vec![from_anna(n, world.now)]);
        let other = format!("{:012}", 390_000_000_000_u64 + u64::try_from(n).unwrap() * 7_919 % 1_000_003);
        world.write(&phone(&other), &[&format!("wamid.other.{}", scattered(n))]);
        world.later(Duration::from_secs(1));
        for wake in world.due() {
            while let Some(row) = world.next(wake.person) {
                if n + 10 > messages {
                    break;
                }
                let said = format!("{MARK} answered: {}", "he loves you. ".repeat(n % 60));
                world.begin_saying(&row, if n % 2 == 0 { reply(&[&said]) } else { persona(&said) });
                world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
            }
        }
    }
}

#[test]
fn a_forgotten_person_leaves_no_byte() {
    let (place, mut world) = here();
    talk(&mut world, 400);
    for mark in [ANNA, NAME, MARK, WAMID] {
        assert!(!holders(place.path(), mark).is_empty(), "{mark} is nowhere to begin with");
    }
    let forgotten = world.wait(world.ledger.forget(ANNA));
    assert_eq!((forgotten.found, forgotten.messages, forgotten.scrubbed), (true, 400, true));
    // The marks of the others' answers are the same words; they go with the answers of these.
    for mark in [ANNA, NAME, WAMID, "she loves me"] {
        assert_eq!(holders(place.path(), mark), Vec::<String>::new(), "{mark} is still there");
    }
    world.wait(world.ledger.close());
    for mark in [ANNA, NAME, WAMID, "she loves me"] {
        assert_eq!(holders(place.path(), mark), Vec::<String>::new(), "{mark} came back");
    }
}

/// In what was heard of Anna.
const HEARD: &str = "she whispers";
/// In the sound of what was spoken to her.
const SPOKEN: &str = "OggS of a serenade";

/// Anna's voice notes, of which some are answered, some given up, some under way; each answer is spoken.
fn speak(world: &World, notes: usize) {
    for n in 0..notes {
        let Item::Message(written) = from_anna(100_000 + n, world.now) else { unreachable!() };
        let note = Inbound { kind: Kind::Voice, content: Content::Sound("1234".into()), ..written };
        let wake = world.accept(vec![Item::Message(note)]).wakes[0];
        let Some(row) = world.next(wake.person).filter(|row| row.seq == wake.seq) else { return };
        world.begin(&row, Step::Transcribe);
        let words = format!("{HEARD} {}", "and whispers ".repeat(n % 30));
        let heard = settled(Step::Transcribe, StepOutcome::Heard { words, usage: None });
        world.advance(row.seq, heard, None, Some(Step::Complete));
        world.advance(row.seq, answered(), Some(spoken(&["sotto voce"])), Some(Step::Speak));
        let sound = Audio::new(SPOKEN.repeat(100 + 100 * (n % 40)).into_bytes()).unwrap();
        let said = settled(Step::Speak, StepOutcome::Spoken(sound));
        world.advance(row.seq, said, None, Some(Step::Send(0)));
        match n {
            _ if n + 1 == notes => {}
            _ if n % 2 == 0 => drop(world.finish(row.seq, Some(sent(row.seq, 0)), DONE)),
            _ => drop(world.finish(row.seq, None, Ending::Dead(ErrorCode::UNCERTAIN))),
        }
    }
}

#[test]
fn a_forgotten_voice_leaves_no_byte() {
    let (place, mut world) = here();
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    world.serve(person);
    world.wait(world.ledger.prefer(person, Medium::Voice));
    speak(&world, 41);
    talk(&mut world, 40);
    for mark in [HEARD, SPOKEN] {
        assert!(!holders(place.path(), mark).is_empty(), "{mark} is nowhere to begin with");
    }
    assert!(world.wait(world.ledger.forget(ANNA)).scrubbed);
    for mark in [HEARD, SPOKEN, ANNA] {
        assert_eq!(holders(place.path(), mark), Vec::<String>::new(), "{mark} is still there");
    }
    let db = rusqlite::Connection::open(place.path().join("ledger.db")).unwrap();
    let wishes: i64 = db.query_row("SELECT count(wish) FROM person", [], |row| row.get(0)).unwrap();
    assert_eq!(wishes, 0);
}

#[test]
fn what_was_spoken_goes_when_its_time_is_over() {
    let (place, mut world) = here();
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    world.serve(person);
    world.wait(world.ledger.prefer(person, Medium::Voice));
    speak(&world, 40);
    world.wait(world.ledger.finish(Finish {
        seq: world.head(person).seq,
        now: world.now,
        settle: None,
        ending: Ending::Dead(ErrorCode::UNCERTAIN),
    }));
    world.later(91 * DAY);
    while world.wait(world.ledger.retain(world.now, KEEP, 7)).more {}
    for mark in [HEARD, SPOKEN, ANNA] {
        assert_eq!(holders(place.path(), mark), Vec::<String>::new(), "{mark} is still there");
    }
}

#[test]
fn a_forget_that_a_reader_stands_in_the_way_of_is_made_good_later() {
    let (place, mut world) = here();
    talk(&mut world, 20);
    let reader = rusqlite::Connection::open(place.path().join("ledger.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM message;").unwrap();
    let forgotten = world.wait(world.ledger.forget(ANNA));
    assert_eq!((forgotten.found, forgotten.scrubbed), (true, false));
    assert!(!holders(place.path(), NAME).is_empty(), "the reader still sees it");
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    world.wait(world.ledger.retain(world.now, KEEP, 100));
    assert_eq!(holders(place.path(), NAME), Vec::<String>::new());
}

#[test]
fn a_forget_that_was_cut_off_is_brought_to_its_end() {
    let (place, mut world) = here();
    talk(&mut world, 20);
    world.wait(world.ledger.close());
    let gate = Arc::new(Gate::default());
    world.ledger = Arc::new(Sqlite::open(&place.path().join("ledger.db"), gate.clone()).unwrap());
    gate.after(1, End::Fails);
    assert!(world.outcome(world.ledger.forget(ANNA)).is_err(), "only its first step is done");
    assert!(!holders(place.path(), WAMID).is_empty());
    world.wait(world.ledger.close());

    world.ledger = Arc::new(open(&place.path().join("ledger.db")));
    assert!(!world.wait(world.ledger.forget(ANNA)).found, "nobody is found by what has been erased");
    while world.wait(world.ledger.retain(world.now, KEEP, 100)).more {}
    for mark in [ANNA, NAME, WAMID] {
        assert_eq!(holders(place.path(), mark), Vec::<String>::new(), "{mark} is still there");
    }
}

#[test]
fn the_file_shrinks_with_what_is_cleaned() {
    let (place, mut world) = here();
    talk(&mut world, 400);
    world.restart();
    let full = size(place.path());
    world.later(100 * DAY);
    while world.wait(world.ledger.retain(world.now, KEEP, 50)).more {}
    let cleaned = size(place.path());
    assert!(cleaned * 2 < full, "{full} bytes became {cleaned}");
    let wal = std::fs::metadata(place.path().join("ledger.db-wal")).unwrap().len();
    assert!(wal < full / 10, "they have only moved to the WAL: {wal} bytes");
}

// ---- backup

fn accept(world: &World, ledger: &Sqlite, items: Vec<Item>) -> Accepted {
    world.wait(ledger.accept(Accept { items, now: world.now, rules: RULES }))
}

#[test]
fn a_backup_is_a_ledger_of_its_own() {
    let (place, mut world) = here();
    talk(&mut world, 30);
    let copy = place.path().join("copy.db");
    let (counts, due) = (world.counts(), world.due());
    world.wait(world.ledger.backup(&copy));
    let id = world.ledger.id().to_owned();
    world.accept(vec![from_anna(500, world.now)]);

    let restored = open(&copy);
    assert_eq!(restored.id(), id, "tags of the original are known");
    assert_eq!(
        (world.wait(restored.counts(QUEUES_MAX)), world.wait(restored.due(world.now, 100))),
        (counts, due)
    );
    let verdicts =
        accept(&world, &restored, vec![from_anna(1, world.now), from_anna(500, world.now)]).verdicts;
    assert_eq!(verdicts[0], Verdict::Duplicate, "what was known is known");
    assert!(matches!(verdicts[1], Verdict::Accepted { .. }), "what came after the copy is new to it");
    // It shrinks and forgets like the original.
    assert!(world.wait(restored.forget(ANNA)).scrubbed);
    world.wait(restored.close());
    assert!(!std::fs::read(&copy).unwrap().windows(NAME.len()).any(|window| window == NAME.as_bytes()));
}

#[test]
fn a_backup_goes_on_beside_the_traffic() {
    let (place, mut world) = here();
    talk(&mut world, 60);
    let mut copies = Vec::new();
    for n in 0..5 {
        let copy = place.path().join(format!("copy{n}.db"));
        let backup = world.ledger.backup(&copy);
        world.accept((0..20).map(|m| from_anna(1000 + n * 20 + m, world.now)).collect());
        world.wait(backup);
        copies.push(copy);
    }
    for copy in copies {
        let db = rusqlite::Connection::open(&copy).unwrap();
        let (found, taken): (String, i64) = db
            .query_row(
                "SELECT (SELECT quick_check FROM pragma_quick_check),
                        (SELECT count(*) FROM message WHERE accepted_at = ?1 AND purpose = 2)",
                [world.now.0],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!((found.as_str(), taken % 20), ("ok", 0), "a webhook is in the copy whole or not at all");
    }
}

#[test]
fn a_backup_replaces_nothing() {
    let (place, mut world) = here();
    talk(&mut world, 5);
    let refusal = |to: &Path| match world.outcome(world.ledger.backup(to)) {
        Err(LedgerError::Refused { reason }) => reason,
        other => unreachable!("{other:?}"),
    };
    let taken = place.path().join("accounts.txt");
    std::fs::write(&taken, "of the year 1987").unwrap();
    assert!(refusal(&taken).contains("accounts.txt exists already"));
    assert_eq!(std::fs::read(&taken).unwrap(), b"of the year 1987");
    assert!(refusal(&place.path().join("ledger.db")).contains("exists already"));
    assert!(refusal(&place.path().join("nowhere/copy.db")).contains("nowhere/copy.db"));
    world.wait(world.ledger.backup(&place.path().join("copy.db")));
    let left: Vec<_> =
        std::fs::read_dir(place.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn looking_at_a_bare_file_leaves_the_traces_of_a_death() {
    let mut engine = SqliteEngine::new();
    let mut world = World::new(Box::new(SqliteEngine::new()));
    world.ledger = engine.open();
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    for _ in 0..2 {
        world.begin(&world.head(person), parlante_ledger::Step::Complete);
        engine.crash();
        let looking = engine.open();
        world.wait(looking.trace("m1".into()));
        world.wait(looking.close());
        world.ledger = engine.open();
        world.recover();
    }
    assert_eq!(world.recover().suspects.len(), 1);
}
