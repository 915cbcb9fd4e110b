//! Intents, results, holds, endings: the way of one row.

use std::time::Duration;

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Content, Kind, PersonId, Seq, Status};
use parlante_ledger::{
    Begin, Ending, Finish, Finished, Held, PartState, Purpose, Recorded, Step, StepOutcome,
};

use super::items::{OURS, phone};
use super::world::{
    DONE, SECOND, World, answered, name, persona, postponed, refused, reply, sent, settled, unknown,
};

const ANNA: &str = "393200000001";

pub(crate) fn a_turn_is_begun_advanced_and_finished(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let fresh = world.head(person);
    assert_eq!((fresh.person, fresh.purpose, fresh.kind), (person, Purpose::Answer, Kind::Text));
    assert_eq!((&fresh.number, &fresh.content), (&OURS.into(), &Content::Words("m1".into())));
    assert_eq!((fresh.accepted_at, fresh.newest_at), (world.now, world.now));
    assert_eq!((fresh.begun, &fresh.reply, &fresh.next_part), (false, &None, &PartState::Fresh));

    world.begin(&fresh, Step::Complete);
    assert!(world.head(person).begun);
    assert_eq!(world.head(person).next_part, PartState::Fresh, "no part is under way yet");

    world.advance(fresh.seq, answered(), Some(reply(&["ciao"])), Some(Step::Send(0)));
    let sending = world.head(person);
    assert_eq!((sending.reply, sending.next_part), (Some(reply(&["ciao"])), PartState::Intended));

    let finished = world.finish(fresh.seq, Some(sent(fresh.seq, 0)), DONE);
    assert_eq!(
        finished,
        Finished { ending: Some(DONE), repeated: false, told: false, remaining: 0, attempts: 2 }
    );
    assert_eq!(world.next(person), None);
    assert_eq!(world.history(person), [">m1", "<ciao"]);
}

pub(crate) fn parts_are_sent_one_after_the_other(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a", "b", "c"]));
    for part in 0..2 {
        world.advance(row.seq, sent(row.seq, part), None, Some(Step::Send(part + 1)));
        let sending = world.head(person);
        assert_eq!((sending.parts_sent, sending.next_part), (part + 1, PartState::Intended));
    }
    world.advance(row.seq, sent(row.seq, 2), None, None);
    let sending = world.head(person);
    assert_eq!((sending.parts_sent, sending.next_part), (3, PartState::Fresh));
    assert_eq!(world.finish(row.seq, None, DONE).attempts, 4);
}

pub(crate) fn a_postponed_part_is_fresh_again_later(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a", "b"]));
    for holds in 1..=2 {
        assert_eq!(world.hold(row.seq, SECOND, postponed(0)), Held::Waiting);
        assert_eq!(world.next(person), None);
        world.later(SECOND);
        let held = world.head(person);
        assert_eq!((held.next_part, held.holds, held.unknowns), (PartState::Fresh, holds, 0));
        world.begin(&row, Step::Send(0));
    }
    world.advance(row.seq, sent(row.seq, 0), None, Some(Step::Send(1)));
    assert_eq!(world.head(person).holds, 0, "WhatsApp takes it again");
}

pub(crate) fn only_whatsapp_counts_as_a_hold(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.head(person);
    world.begin(&row, Step::Complete);
    let paused = settled(Step::Complete, StepOutcome::Postponed(ErrorCode::status(401)));
    assert_eq!(world.hold(row.seq, SECOND, Some(paused)), Held::Waiting);
    assert_eq!(world.next(person), None);
    world.later(SECOND);
    assert_eq!(world.head(person).holds, 0, "the model's pause says nothing of WhatsApp");
}

pub(crate) fn an_unknown_part_waits_for_its_status(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a"]));
    for unknowns in 1..=2 {
        assert_eq!(world.hold(row.seq, SECOND, unknown(0)), Held::Waiting);
        assert_eq!(world.next(person), None);
        world.later(SECOND);
        let held = world.head(person);
        assert_eq!((held.next_part, held.unknowns, held.holds), (PartState::Unknown, unknowns, 0));
        world.begin(&row, Step::Send(0));
        let again = world.head(person);
        assert_eq!((again.next_part, again.unknowns), (PartState::Intended, unknowns));
    }
    let ending = Ending::Dead(ErrorCode::UNCERTAIN);
    assert_eq!(world.finish(row.seq, None, ending.clone()).ending, Some(ending));
    assert_eq!((world.next(person), world.counts().dead), (None, 1));
    assert_eq!(world.history(person), Vec::<String>::new(), "nobody knows whether it was said");
}

pub(crate) fn a_drained_row_is_given_back_as_it_is(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1", "m2"]);
    let row = world.head(person);
    world.begin(&row, Step::Complete);
    world.advance(row.seq, answered(), Some(reply(&["a"])), None);
    assert_eq!(world.hold(row.seq, Duration::ZERO, None), Held::Waiting);
    let given_back = world.head(person);
    assert_eq!((name(&given_back).as_str(), given_back.begun), ("m1", true));
    assert_eq!((given_back.reply, given_back.next_part), (Some(reply(&["a"])), PartState::Fresh));
    assert_eq!(given_back.holds, 0);
    assert!(!world.counts().queues[0].processing);
}

pub(crate) fn a_settled_hold_does_not_wait(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a", "b"]));
    for part in 0..2 {
        world.tell(row.seq, part, Ok(Status::Sent));
        let late = if part == 0 { unknown(part) } else { postponed(part) };
        assert_eq!(world.hold(row.seq, SECOND, late), Held::Settled);
        let row = world.head(person);
        assert_eq!((row.parts_sent, row.unknowns, row.holds), (part + 1, 0, 0));
        world.begin(&row, Step::Send(part + 1));
    }
}

pub(crate) fn a_failed_part_makes_the_row_dead(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1", "m2"]);
    let row = world.send_first_part(person, reply(&["a", "b"]));
    world.advance(row.seq, sent(row.seq, 0), None, Some(Step::Send(1)));
    world.tell(row.seq, 0, Err("131026"));
    assert_eq!(world.head(person).next_part, PartState::Failed(ErrorCode::recorded("131026")));
    let finished = world.finish(row.seq, Some(sent(row.seq, 1)), DONE);
    assert_eq!(
        finished.ending,
        Some(Ending::Dead(ErrorCode::recorded("131026"))),
        "whatever the caller believed"
    );

    let row = world.send_first_part(person, reply(&["a"]));
    let finished =
        world.finish(row.seq, Some(refused(0, "131047")), Ending::Dead(ErrorCode::recorded("131047")));
    assert_eq!(finished.ending, Some(Ending::Dead(ErrorCode::recorded("131047"))));
    assert_eq!((finished.remaining, world.counts().dead), (0, 2));
    assert_eq!(world.history(person), Vec::<String>::new());
}

pub(crate) fn a_dead_disclosure_is_made_again(world: &mut World) {
    let anna = phone(ANNA);
    let person = world.arrive(&anna, &["m1"]);
    let row = world.head(person);
    world.begin_saying(&row, persona("I am an AI"));
    world.finish(row.seq, Some(refused(0, "131026")), Ending::Dead(ErrorCode::recorded("131026")));
    assert_eq!(world.serve_all(person), ["m1"]);

    world.arrive(&anna, &["m2"]);
    let row = world.head(person);
    assert_eq!(row.purpose, Purpose::Disclosure, "the first did not arrive");
    world.begin_saying(&row, persona("I am an AI"));
    world.finish(row.seq, unknown(0), Ending::Dead(ErrorCode::UNCERTAIN));
    world.serve_all(person);
    world.arrive(&anna, &["m3"]);
    assert_eq!(world.serve_all(person), ["m3"], "the second has perhaps been read");
    assert_eq!(world.counts().dead, 0, "a disclosure is not a message");
}

pub(crate) fn panics_are_counted_per_row(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1", "m2"]);
    let row = world.send_first_part(person, reply(&["a"]));
    let panicked = || world.wait(world.ledger.panicked(row.seq));
    assert_eq!([panicked(), panicked()], [1, 2]);
    let again = world.head(person);
    assert_eq!((again.seq, again.panics, again.next_part), (row.seq, 2, PartState::Intended));
    world.finish(row.seq, None, Ending::Dead(ErrorCode::PANIC));
    let next = world.head(person);
    assert_eq!((name(&next).as_str(), next.panics), ("m2", 0));
}

pub(crate) fn a_row_that_has_ended_stays_as_it_is(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1", "m2"]);
    let (row, first) = world.serve(person);
    let (counts, history) = (world.counts(), world.history(person));
    assert_eq!(world.try_begin(&row, Step::Complete), Recorded::No);
    let late = || settled(Step::Send(0), StepOutcome::Failed(ErrorCode::recorded("131026")));
    assert_eq!(world.try_advance(row.seq, late(), Some(reply(&["again"])), None), Recorded::No);
    assert_eq!(world.hold(row.seq, SECOND, Some(late())), Held::Closed);
    let again = world.finish(row.seq, Some(late()), Ending::Dead(ErrorCode::TIMEOUT));
    assert_eq!(again, Finished { repeated: true, ..first }, "what it is, not what the caller believes");
    assert_eq!((world.counts(), world.history(person)), (counts, history));
    assert_eq!(world.serve_all(person), ["m2"]);
}

pub(crate) fn a_dead_row_answers_why(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a"]));
    let dead = Ending::Dead(ErrorCode::recorded("131047"));
    world.finish(row.seq, Some(refused(0, "131047")), dead.clone());
    let again = world.finish(row.seq, None, DONE);
    assert_eq!(
        again,
        Finished { ending: Some(dead), repeated: true, told: false, remaining: 0, attempts: 2 }
    );
}

pub(crate) fn a_command_for_no_row_changes_nothing(world: &mut World) {
    let seq = Seq(404);
    let begin = Begin {
        seq,
        person: PersonId(1),
        now: world.now,
        reply: Some(persona("a")),
        intent: world.intent(Step::Complete),
    };
    let finish = Finish { seq, now: world.now, settle: None, ending: DONE };
    let (begun, finished, panicked) =
        (world.ledger.begin(begin), world.ledger.finish(finish), world.ledger.panicked(seq));
    // Queued beside them, so that it may share their commit.
    let person = world.arrive(&phone(ANNA), &["m1"]);
    assert_eq!(world.wait(begun), Recorded::No);
    let forgotten = Ending::Dead(ErrorCode::recorded("forgotten"));
    let gone = Finished { ending: Some(forgotten), repeated: true, told: false, remaining: 0, attempts: 0 };
    assert_eq!(world.wait(finished), gone);
    assert_eq!(world.wait(panicked), 0);
    assert_eq!(world.try_advance(seq, answered(), Some(reply(&["a"])), Some(Step::Send(0))), Recorded::No);
    assert_eq!(world.hold(seq, SECOND, None), Held::Closed);
    assert_eq!(world.serve_all(person), ["disclosure", "m1"]);
}
