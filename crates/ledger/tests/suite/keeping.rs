//! What is forgotten on request, and what when its time is over.

use std::time::Duration;

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Item, PersonId, Status};
use parlante_ledger::{
    Ending, Forgotten, Held, Recorded, Replay, Replayed, Retention, Step, Traced, Verdict, Wake,
};

use super::items::{both, bsuid, phone, text};
use super::world::{DONE, HOUR, World, answered, refused, reply, sent};

const ANNA: &str = "393200000001";
const BRUNO: &str = "393200000002";
const ID: &str = "IT.4410097722110033";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// As the settings have it by default.
pub(crate) const KEEP: Retention = Retention {
    done: Duration::from_secs(30 * 24 * 3600),
    dead: Duration::from_secs(90 * 24 * 3600),
    history: Duration::from_secs(90 * 24 * 3600),
    remember: Duration::from_secs(8 * 24 * 3600),
};

fn forget(world: &World, person: &str) -> Forgotten {
    world.wait(world.ledger.forget(person))
}

/// Cleans until nothing is left to do; answers how much went.
fn clean(world: &World, keep: Retention, batch: u32) -> u32 {
    let mut deleted = 0;
    for _ in 0..10_000 {
        let retained = world.wait(world.ledger.retain(world.now, keep, batch));
        deleted += retained.deleted;
        if !retained.more {
            return deleted;
        }
    }
    unreachable!("there is always more to clean");
}

fn is_kept(world: &World, id: &str) -> bool {
    matches!(world.wait(world.ledger.trace(id.into())), Traced::Kept(_))
}

// ---- forget

pub(crate) fn a_forgotten_person_is_a_stranger(world: &mut World) {
    let anna = phone(ANNA);
    let person = world.arrive(&anna, &["m1", "m2"]);
    world.serve(person);
    world.serve(person);
    let bruno = world.arrive_known(&phone(BRUNO), &["b1"]);
    let forgotten = forget(world, &format!("+{ANNA}"));
    let people = vec![person];
    assert_eq!(forgotten, Forgotten { found: true, messages: 2, people, scrubbed: true });
    assert_eq!((world.next(person), world.history(person)), (None, vec![]));
    assert!(matches!(world.wait(world.ledger.trace("m1".into())), Traced::NotKept { .. }));
    assert_eq!(world.wait(world.ledger.replay(Replay::One("m1".into()), world.now)), Replayed::NotKept);
    assert_eq!(world.counts().people, 1);
    assert!(!forget(world, ANNA).found, "nobody has this number any more");

    assert_eq!(world.verdict(&anna, "m2"), Verdict::Duplicate, "an id stays known");
    let again = world.arrive(&anna, &["m3"]);
    assert_ne!(again, person);
    assert_eq!(world.serve_all(again), ["disclosure", "m3"]);
    assert_eq!(world.history(again), [">m3", "<re: m3"]);
    assert_eq!(world.serve_all(bruno), ["b1"], "nobody else is touched");
}

pub(crate) fn a_person_is_forgotten_under_either_id_and_with_all_they_are(world: &mut World) {
    let one = world.arrive_known(&phone(ANNA), &["p1"]);
    let other = world.arrive_known(&bsuid(ID), &["b1", "b2"]);
    let row = world.send_first_part(other, reply(&["to b1"]));
    world.arrive(&both(ANNA, ID), &["x1"]);
    let forgotten = forget(world, ID);
    assert_eq!((forgotten.messages, forgotten.people), (4, vec![one, other]));
    assert_eq!((world.due(), world.counts().people), (vec![], 0));
    assert_eq!(
        world.finish(row.seq, None, DONE).ending,
        Some(Ending::Dead(ErrorCode::recorded("forgotten")))
    );
    assert!(!forget(world, ANNA).found);
}

pub(crate) fn a_turn_in_progress_ends_with_its_person(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1", "m2"]);
    let row = world.head(person);
    world.begin(&row, Step::Complete);
    forget(world, ANNA);
    let next = world.try_advance(row.seq, answered(), Some(reply(&["a"])), Some(Step::Send(0)));
    assert_eq!(next, Recorded::No, "nothing is sent to someone who is forgotten");
    assert_eq!(world.hold(row.seq, HOUR, None), Held::Closed);
    assert_eq!(world.tell(row.seq, 0, Ok(Status::Read)).verdicts, [Verdict::Unmatched]);
    assert_eq!((world.next(person), world.due()), (None, vec![]));
    assert_eq!(world.crash().resumed, 0);
}

pub(crate) fn an_unknown_person_is_told_apart(world: &mut World) {
    world.arrive(&phone(ANNA), &["m1"]);
    for nobody in ["393299999999", "IT.nobody", "", "+"] {
        assert_eq!(forget(world, nobody), Forgotten { scrubbed: true, ..Forgotten::default() });
    }
    assert!(is_kept(world, "m1"));
}

pub(crate) fn the_former_holder_of_a_number_is_not_forgotten_with_it(world: &mut World) {
    let former = world.arrive_known(&both(ANNA, "IT.former"), &["m1"]);
    let person = world.arrive_known(&both(ANNA, "IT.new"), &["m2"]);
    assert_eq!(forget(world, ANNA).people, [person]);
    assert_eq!(world.serve_all(former), ["m1"]);
}

// ---- retention

pub(crate) fn messages_go_when_their_time_is_over(world: &mut World) {
    let anna = phone(ANNA);
    world.rules.backlog = 3;
    let person = world.arrive_known(&anna, &["done", "dead", "open"]);
    world.write(&anna, &["refused"]);
    world.serve(person);
    world.serve(person);
    let row = world.send_first_part(person, reply(&["a"]));
    world.finish(row.seq, Some(refused(0, "131026")), Ending::Dead(ErrorCode::recorded("131026")));
    let kept = |world: &World| ["done", "dead", "open", "refused"].map(|id| is_kept(world, id));

    world.later(30 * DAY);
    clean(world, KEEP, 100);
    assert_eq!(kept(world), [true; 4], "to the end of its time");
    world.later(Duration::from_millis(1));
    assert!(clean(world, KEEP, 100) > 0);
    assert_eq!(kept(world), [false, true, true, true]);
    assert_eq!(world.history(person), [">done", "<re: done"], "what was said is kept for longer");
    world.later(60 * DAY);
    clean(world, KEEP, 100);
    assert_eq!(kept(world), [false, false, true, false], "an open message is never too old");
    assert_eq!(world.history(person), Vec::<String>::new());
    assert_eq!(clean(world, KEEP, 100), 0, "nothing is left to do");
    assert_eq!(world.serve_all(person), ["open"]);
}

pub(crate) fn ids_are_remembered_for_their_time(world: &mut World) {
    let anna = phone(ANNA);
    let person = world.arrive_known(&anna, &["m1"]);
    world.serve_all(person);
    world.later(KEEP.remember);
    clean(world, KEEP, 100);
    assert_eq!(world.verdict(&anna, "m1"), Verdict::Duplicate);
    world.later(Duration::from_millis(1));
    clean(world, KEEP, 100);
    assert_eq!(world.counts().ids, 0);
}

pub(crate) fn a_person_is_told_once_for_as_long_as_anything_is_left(world: &mut World) {
    let anna = phone(ANNA);
    let person = world.arrive_known(&anna, &["m1"]);
    world.serve_all(person);
    world.later(90 * DAY);
    clean(world, KEEP, 100);
    assert!(!is_kept(world, "m1"));
    assert_eq!(world.arrive(&anna, &["m2"]), person, "the conversation is not over");
    assert_eq!(world.serve_all(person), ["m2"]);
    world.later(90 * DAY + Duration::from_millis(1));
    clean(world, KEEP, 100);
    let again = world.arrive(&anna, &["m3"]);
    assert_ne!(again, person, "of whom nothing was left");
    assert_eq!(world.serve_all(again), ["disclosure", "m3"]);
}

pub(crate) fn a_short_memory_does_not_tell_a_person_twice(world: &mut World) {
    let anna = phone(ANNA);
    let short = Retention { done: Duration::ZERO, dead: Duration::ZERO, ..KEEP };
    let person = world.arrive_known(&anna, &["m1"]);
    let row = world.send_first_part(person, reply(&["a"]));
    world.finish(row.seq, Some(refused(0, "131026")), Ending::Dead(ErrorCode::recorded("131026")));
    world.later(DAY);
    clean(world, short, 100);
    assert!(!is_kept(world, "m1"), "not a row is left");
    assert_eq!(world.arrive(&anna, &["m2"]), person);
    assert_eq!(world.serve_all(person), ["m2"]);
}

pub(crate) fn joined_people_go_together(world: &mut World) {
    let one = world.arrive_known(&phone(ANNA), &["p1"]);
    let other = world.arrive_known(&bsuid(ID), &["b1"]);
    let row = world.send_first_part(other, reply(&["to b1"]));
    world.arrive(&both(ANNA, ID), &["x1"]);
    world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    world.serve_all(one);
    world.later(100 * DAY);
    assert!(clean(world, KEEP, 100) > 0);
    let again = world.arrive(&bsuid(ID), &["y1"]);
    assert!(again != one && again != other);
    assert_eq!(world.serve_all(again), ["disclosure", "y1"]);
}

pub(crate) fn cleaning_is_done_in_small_batches(world: &mut World) {
    let people: Vec<PersonId> = (0..30)
        .map(|n| {
            let person = world.arrive_known(&phone(&format!("3932000001{n:02}")), &[&format!("m{n}")]);
            world.serve_all(person);
            person
        })
        .collect();
    world.later(100 * DAY);
    let first = world.wait(world.ledger.retain(world.now, KEEP, 10));
    assert!(first.more && first.deleted <= 50, "{first:?}");
    clean(world, KEEP, 10);
    assert_eq!((world.counts().ids, world.history(people[29])), (0, vec![]));
    let item = Item::Message(text("m0", &phone("393200000100"), world.now));
    let accepted = world.accept(vec![item]);
    assert!(matches!(accepted.verdicts[..], [Verdict::Accepted { .. }]));
    let wakes: Vec<Wake> = accepted.wakes;
    assert!(!people.contains(&wakes[0].person));
}
