//! What a new process finds.

use std::time::Duration;

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Address, PersonId, Status};
use parlante_ledger::{
    DeadLetter, Ending, Held, PartState, Purpose, Recovered, Row, Step, StepOutcome, Verdict, Wake,
};

use super::items::phone;
use super::world::{DONE, RECONCILE, SECOND, World, answered, postponed, reply, sent, settled, unknown};

const ANNA: &str = "393200000001";
/// How often a process may die over a row.
const DEATHS_MAX: u32 = 20;

fn one_message(world: &World) -> (PersonId, Row) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    (person, world.head(person))
}

/// Messages still open, intents without a result.
fn numbers(found: &Recovered) -> (u64, u64) {
    (found.resumed, found.reconciled)
}

pub(crate) fn a_fresh_row_goes_on(world: &mut World) {
    let (person, row) = one_message(world);
    assert_eq!(numbers(&world.crash()), (1, 0));
    assert_eq!(world.head(person), row);
    assert_eq!(world.due(), [Wake { person, seq: row.seq }]);
}

pub(crate) fn the_model_is_asked_again(world: &mut World) {
    let (person, row) = one_message(world);
    world.begin(&row, Step::Complete);
    assert_eq!(numbers(&world.crash()), (1, 1));
    assert_eq!(world.head(person), Row { begun: true, ..row.clone() }, "at once");
    world.begin(&row, Step::Complete);
    world.advance(row.seq, answered(), Some(reply(&["a"])), Some(Step::Send(0)));
    assert_eq!(world.finish(row.seq, Some(sent(row.seq, 0)), DONE).ending, Some(DONE));
}

pub(crate) fn a_send_without_its_result_becomes_unknown(world: &mut World) {
    let (person, _) = one_message(world);
    let row = world.send_first_part(person, reply(&["a"]));
    world.arrive(&phone(ANNA), &["m2"]);
    world.later(SECOND);
    assert_eq!(numbers(&world.crash()), (2, 1));
    assert_eq!((world.next(person), world.due()), (None, vec![]), "its status may still come");
    world.later(RECONCILE - SECOND);
    assert_eq!(world.next(person), None);
    world.later(SECOND);
    let head = world.head(person);
    assert_eq!((head.seq, head.next_part, head.unknowns), (row.seq, PartState::Unknown, 1));

    // The second attempt dies as well: two deaths are no two failures. The third, too, and this time the status comes.
    for _ in 0..2 {
        world.begin(&row, Step::Send(0));
        assert_eq!(numbers(&world.crash()), (2, 1));
        world.later(RECONCILE + SECOND);
        let head = world.head(person);
        assert_eq!((head.next_part, head.unknowns), (PartState::Unknown, 1));
    }
    assert_eq!(world.tell(row.seq, 0, Ok(Status::Sent)).wakes, [Wake { person, seq: row.seq }]);
    let head = world.head(person);
    assert_eq!((head.parts_sent, head.next_part), (1, PartState::Fresh));
}

pub(crate) fn a_death_over_the_resend_of_an_unknown_send_is_the_last(world: &mut World) {
    let (person, _) = one_message(world);
    let row = world.send_first_part(person, reply(&["a"]));
    world.hold(row.seq, RECONCILE, unknown(0));
    world.later(RECONCILE + SECOND);
    world.begin(&row, Step::Send(0));
    world.crash();
    world.later(RECONCILE + SECOND);
    assert_eq!((world.head(person).next_part, world.head(person).unknowns), (PartState::Unknown, 2));
}

pub(crate) fn the_wait_for_a_status_counts_from_ready(world: &mut World) {
    let (person, _) = one_message(world);
    let row = world.send_first_part(person, reply(&["a"]));
    world.crash();
    world.wait(world.ledger.reconcile(world.now + SECOND));
    assert_eq!(world.next(person), None, "its status may still come");
    world.later(SECOND);
    assert_eq!((world.head(person).seq, world.head(person).next_part), (row.seq, PartState::Unknown));
    // A wait that is over is not begun again.
    world.wait(world.ledger.reconcile(world.now + RECONCILE));
    assert_eq!(world.head(person).seq, row.seq);
}

pub(crate) fn an_unknown_send_waits_anew(world: &mut World) {
    let (person, _) = one_message(world);
    let row = world.send_first_part(person, reply(&["a"]));
    world.hold(row.seq, RECONCILE, unknown(0));
    // Nobody listened for its status in the meantime.
    world.later(10 * RECONCILE);
    assert_eq!(numbers(&world.crash()), (1, 0), "its result was recorded");
    assert_eq!(world.next(person), None);
    world.later(RECONCILE);
    let head = world.head(person);
    assert_eq!((head.next_part, head.unknowns), (PartState::Unknown, 1));
}

pub(crate) fn a_postponed_part_stays_postponed(world: &mut World) {
    let (person, _) = one_message(world);
    let row = world.send_first_part(person, reply(&["a"]));
    world.hold(row.seq, 5 * SECOND, postponed(0));
    assert_eq!(numbers(&world.crash()), (1, 0));
    assert_eq!(world.next(person), None, "a restart does not shorten the wait");
    world.later(5 * SECOND);
    let head = world.head(person);
    assert_eq!((head.next_part, head.holds, head.reply), (PartState::Fresh, 1, Some(reply(&["a"]))));
}

pub(crate) fn sent_parts_stay_sent(world: &mut World) {
    let (person, _) = one_message(world);
    let row = world.send_first_part(person, reply(&["a", "b", "c"]));
    world.advance(row.seq, sent(row.seq, 0), None, Some(Step::Send(1)));
    assert_eq!(numbers(&world.crash()), (1, 1));
    world.later(RECONCILE);
    let head = world.head(person);
    assert_eq!((head.parts_sent, head.next_part), (1, PartState::Unknown));
    world.tell(row.seq, 1, Ok(Status::Sent));
    assert_eq!(world.head(person).parts_sent, 2);
    assert_eq!(world.head(person).next_part, PartState::Fresh);
}

pub(crate) fn a_graceful_stop_is_no_death(world: &mut World) {
    let (person, row) = one_message(world);
    for _ in 0..=DEATHS_MAX {
        world.begin(&row, Step::Complete);
        let interrupted = settled(Step::Complete, StepOutcome::Postponed(ErrorCode::NETWORK));
        assert_eq!(world.hold(row.seq, Duration::ZERO, Some(interrupted)), Held::Waiting);
        assert_eq!(numbers(&world.restart()), (1, 0));
    }
    assert_eq!(world.serve_all(person), ["m1"]);
}

pub(crate) fn a_stop_in_the_middle_of_a_turn_is_no_death(world: &mut World) {
    let (person, row) = one_message(world);
    for _ in 0..=DEATHS_MAX {
        world.begin(&row, Step::Complete);
        let found = world.restart();
        assert_eq!((numbers(&found), found.suspects), ((1, 1), vec![]), "the call is lost, and that is all");
    }
    assert_eq!(world.serve_all(person), ["m1"]);
}

pub(crate) fn from_its_second_death_on_a_row_is_suspected(world: &mut World) {
    let (anna, bruno) = (phone(ANNA), phone("393200000002"));
    let person = world.arrive_known(&anna, &["a1", "a2"]);
    let other = world.arrive_known(&bruno, &["b1"]);
    let (row, beside) = (world.head(person), world.head(other));
    world.begin(&beside, Step::Complete);
    world.begin(&row, Step::Complete);
    assert_eq!(world.crash().suspects, [], "one death may be chance");
    world.begin(&row, Step::Complete);
    let suspected = Wake { person, seq: row.seq };
    assert_eq!(world.crash().suspects, [suspected], "only what was in progress both times");
    assert_eq!(world.restart().suspects, [suspected], "it stays one until it has ended");
    world.begin(&beside, Step::Complete);
    assert_eq!(world.crash().suspects, [suspected, Wake { person: other, seq: beside.seq }], "by place");
    world.serve_all(person);
    assert_eq!(world.recover().suspects, [Wake { person: other, seq: beside.seq }]);
}

pub(crate) fn twenty_deaths_end_a_row(world: &mut World) {
    let (person, row) = one_message(world);
    world.arrive(&phone(ANNA), &["m2"]);
    for _ in 1..DEATHS_MAX {
        world.begin(&row, Step::Complete);
        assert_eq!(numbers(&world.crash()), (2, 1));
    }
    world.begin(&row, Step::Complete);
    let last = world.crash();
    let letter = DeadLetter {
        message_id: "m1".into(),
        user: Address::Phone(ANNA.into()),
        code: ErrorCode::recorded("crash"),
        attempts: 0,
    };
    assert_eq!((last.resumed, last.given_up, last.suspects), (1, vec![letter], vec![]));
    assert_eq!(world.counts().dead, 1);
    assert_eq!(world.serve_all(person), ["m2"], "one poisoned message never blocks the next");
}

pub(crate) fn a_row_given_up_ends_the_burst(world: &mut World) {
    let anna = phone(ANNA);
    world.rules.backlog = 1;
    let person = world.arrive(&anna, &["m1"]);
    let disclosure = world.head(person);
    for _ in 0..DEATHS_MAX {
        world.begin(&disclosure, Step::Complete);
        assert_eq!(world.crash().given_up, [], "a disclosure is not a message");
    }
    world.write(&anna, &["x1"]);
    assert_eq!(world.serve(person).0.purpose, Purpose::Overflow);
    let row = world.head(person);
    for _ in 0..DEATHS_MAX {
        world.begin(&row, Step::Complete);
        world.crash();
    }
    assert_eq!(world.next(person), None);
    let verdicts = world.write(&anna, &["m2", "x2"]).verdicts;
    assert!(matches!(verdicts[..], [Verdict::Accepted { .. }, Verdict::Overflow { .. }]), "{verdicts:?}");
    assert_eq!(world.serve_all(person), ["disclosure", "notice", "m2"], "both were lost with the rows");
}

pub(crate) fn what_was_answered_survives(world: &mut World) {
    let anna = phone(ANNA);
    let person = world.arrive_known(&anna, &["m1", "m2", "m3"]);
    world.serve(person);
    let row = world.send_first_part(person, reply(&["a"]));
    world.finish(row.seq, None, Ending::Dead(ErrorCode::UNCERTAIN));
    let (id, before) =
        (world.ledger.id().to_owned(), (world.counts(), world.head(person), world.history(person)));
    assert_eq!(id.len(), 16);
    world.crash();
    assert_eq!(world.ledger.id(), id, "tags of the last process are still ours");
    assert_eq!((world.counts(), world.head(person), world.history(person)), before);
    for id in ["m1", "m2", "m3"] {
        assert_eq!(world.verdict(&anna, id), Verdict::Duplicate);
    }
    let row = world.head(person);
    world.restart();
    assert_eq!(world.head(person), row);
}

pub(crate) fn recovering_twice_finds_nothing_more(world: &mut World) {
    let (person, _) = one_message(world);
    let row = world.send_first_part(person, reply(&["a"]));
    assert_eq!(numbers(&world.crash()), (1, 1));
    assert_eq!(numbers(&world.recover()), (1, 0));
    world.later(RECONCILE);
    let head = world.head(person);
    assert_eq!((head.seq, head.unknowns), (row.seq, 1));
}
