//! Channels that are closed: rows that wait for one, and parts that go once more because theirs was at fault.

use parlante_domain::turn::{ErrorCode, Failure};
use parlante_domain::{Item, PersonId, Service, Status};
use parlante_ledger::{
    Ending, Finished, Held, PartState, Purpose, Replay, Replayed, Reply, Row, Settle, Step, StepOutcome,
    Told, Verdict, Wake, Which,
};

use super::items::{both, bsuid, phone, status_of, text};
use super::world::{
    DONE, HOUR, LOCKED, SECOND, World, answered, name, persona, postponed, refused, reply, sent, settled,
    unknown,
};

const ANNA: &str = "393200000001";
const BRUNO: &str = "393200000002";

/// A message whose parts are all out, and done.
fn done(world: &World, parts: &[&str]) -> (PersonId, Row) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(parts));
    let last = u32::try_from(parts.len()).unwrap() - 1;
    for part in 0..last {
        world.advance(row.seq, sent(row.seq, part), None, Some(Step::Send(part + 1)));
    }
    assert_eq!(world.finish(row.seq, Some(sent(row.seq, last)), DONE).ending, Some(DONE));
    (person, row)
}

/// What WhatsApp answers to a send that goes once more.
fn again(part: u32) -> Settle {
    settled(Step::Send(part), StepOutcome::Accepted(format!("wamid.again.{part}").into()))
}

fn fault() -> Verdict {
    Verdict::ChannelFault { code: ErrorCode::recorded(LOCKED) }
}

fn asking(world: &World, n: u8) -> Row {
    let person = world.arrive_known(&phone(&format!("39320000001{n}")), &[&format!("w{n}")]);
    let row = world.head(person);
    world.begin(&row, Step::Complete);
    row
}

fn paused() -> Option<Settle> {
    Some(settled(Step::Complete, StepOutcome::Postponed(ErrorCode::CIRCUIT_OPEN)))
}

fn wake(row: &Row) -> Wake {
    Wake { person: row.person, seq: row.seq }
}

// ---- waiting for a channel

pub(crate) fn a_row_waits_until_its_channel_opens(world: &mut World) {
    let row = asking(world, 0);
    assert_eq!(world.hold_for(row.seq, Service::OpenAi, paused()), Held::Waiting);
    world.arrive(&phone("393200000010"), &["later"]);
    assert_eq!((world.next(row.person), world.due()), (None, vec![]), "it keeps its place");
    for other in [Service::WhatsApp, Service::ElevenLabs] {
        assert_eq!(world.release(other, 9), []);
    }
    assert_eq!(world.release(Service::OpenAi, 9), [wake(&row)]);
    assert_eq!((name(&world.head(row.person)).as_str(), world.due()), ("w0", vec![wake(&row)]));
    assert_eq!(world.release(Service::OpenAi, 9), [], "once");
    assert_eq!(world.serve_all(row.person), ["w0", "later"]);
}

pub(crate) fn a_wait_for_a_channel_has_an_end(world: &mut World) {
    let row = asking(world, 0);
    world.hold_for(row.seq, Service::OpenAi, paused());
    world.later(HOUR);
    assert_eq!(world.head(row.person).seq, row.seq, "until, at the latest");
    assert_eq!(world.release(Service::OpenAi, 9), [wake(&row)], "nobody has taken it up yet");
    world.begin(&row, Step::Complete);
    assert_eq!(world.release(Service::OpenAi, 9), [], "it waits for nothing any more");
}

pub(crate) fn the_oldest_are_released_first(world: &mut World) {
    let rows = [0, 1, 2].map(|n| asking(world, n));
    for row in rows.iter().rev() {
        world.hold_for(row.seq, Service::OpenAi, paused());
    }
    assert_eq!(world.release(Service::OpenAi, 0), []);
    assert_eq!(world.release(Service::OpenAi, 1), [wake(&rows[0])], "one probe");
    assert_eq!(world.release(Service::OpenAi, 9), [wake(&rows[1]), wake(&rows[2])]);
}

pub(crate) fn a_hold_overwrites_what_was_waited_for(world: &mut World) {
    let row = asking(world, 0);
    world.hold_for(row.seq, Service::OpenAi, paused());
    world.hold_for(row.seq, Service::WhatsApp, None);
    assert_eq!(world.release(Service::OpenAi, 9), []);
    world.hold(row.seq, SECOND, None);
    assert_eq!((world.release(Service::WhatsApp, 9), world.next(row.person)), (vec![], None));
    world.later(SECOND);
    assert_eq!(world.head(row.person).seq, row.seq);
}

pub(crate) fn waiting_for_a_channel_is_no_hold(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a"]));
    world.hold_for(row.seq, Service::WhatsApp, postponed(0));
    world.release(Service::WhatsApp, 1);
    let head = world.head(person);
    assert_eq!((head.holds, head.next_part), (0, PartState::Fresh));
}

pub(crate) fn a_status_ends_the_wait_for_a_channel(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a", "b"]));
    world.hold_for(row.seq, Service::WhatsApp, postponed(0));
    assert_eq!(world.tell(row.seq, 0, Ok(Status::Sent)).wakes, [wake(&row)]);
    assert_eq!((world.head(person).parts_sent, world.release(Service::WhatsApp, 9)), (1, vec![]));
}

pub(crate) fn what_has_ended_waits_for_no_channel(world: &mut World) {
    let row = asking(world, 0);
    world.hold_for(row.seq, Service::OpenAi, paused());
    world.finish(row.seq, None, Ending::Dead(ErrorCode::status(401)));
    assert_eq!(world.release(Service::OpenAi, 9), []);
    world.wait(world.ledger.replay(Replay::AllDead, world.now));
    assert_eq!((world.release(Service::OpenAi, 9), world.head(row.person).seq), (vec![], row.seq));
}

pub(crate) fn channels_are_open_in_a_new_process(world: &mut World) {
    let row = asking(world, 0);
    world.hold_for(row.seq, Service::OpenAi, paused());
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let held = world.send_first_part(person, reply(&["a"]));
    world.hold(held.seq, HOUR, postponed(0));
    assert_eq!(world.crash().resumed, 2);
    assert_eq!(world.due(), [wake(&row)], "other waits go on");
    assert_eq!(world.release(Service::OpenAi, 9), []);
}

pub(crate) fn nobody_is_woken_for_what_is_behind_another(world: &mut World) {
    let one = world.arrive_known(&phone(ANNA), &["p1"]);
    let other = world.arrive_known(&bsuid("IT.1"), &["b1"]);
    let (elder, younger) = (world.head(one), world.head(other));
    for row in [&elder, &younger] {
        world.begin(row, Step::Complete);
    }
    world.hold_for(elder.seq, Service::OpenAi, paused());
    world.accept(vec![Item::Message(text("x1", &both(ANNA, "IT.1"), world.now))]);
    world.hold_for(younger.seq, Service::OpenAi, paused());
    assert_eq!(world.release(Service::OpenAi, 1), [wake(&younger)], "the elder waits for it");
    assert_eq!(world.release(Service::OpenAi, 1), []);
    assert_eq!(
        (world.serve_all(other), world.serve_all(one)),
        (vec!["b1".into()], vec!["p1".into(), "x1".into()])
    );
}

pub(crate) fn neither_the_slow_nor_the_fresh_use_up_the_list(world: &mut World) {
    let running = [0, 1, 2].map(|n| asking(world, n));
    let idle = [3, 4, 5].map(|n| {
        let person = world.arrive_known(&phone(&format!("39320000001{n}")), &[&format!("w{n}")]);
        wake(&world.head(person))
    });
    let listed = |limit| world.wait(world.ledger.due(world.now, limit));
    assert_eq!(listed(2), [idle[0], wake(&running[0])]);
    assert_eq!(listed(5), [idle[0], wake(&running[0]), idle[1], wake(&running[1]), idle[2]]);
    running.iter().for_each(|row| drop(world.serve(row.person)));
    assert_eq!(listed(2), idle[..2]);
}

// ---- a late failure that is the channel's

pub(crate) fn a_channel_fault_opens_what_was_done(world: &mut World) {
    let (person, row) = done(world, &["a"]);
    world.tell(row.seq, 0, Ok(Status::Sent));
    let told = world.tell(row.seq, 0, Err(LOCKED));
    assert_eq!((told.verdicts, told.wakes), (vec![fault()], vec![wake(&row)]));
    let head = world.head(person);
    assert_eq!((head.seq, head.begun, head.holds), (row.seq, true, 0));
    assert_eq!((head.parts_sent, head.next_part.clone(), head.unknowns), (0, PartState::Fresh, 0));
    assert_eq!((world.counts().dead, world.counts().people), (0, 1));
    assert_eq!(world.wait(world.ledger.told_of(world.tag(row.seq, 0))), Told::Nothing);

    world.begin(&head, Step::Send(0));
    let finished = world.finish(row.seq, Some(again(0)), DONE);
    assert_eq!(
        finished,
        Finished { ending: Some(DONE), repeated: false, told: true, remaining: 0, attempts: 3 }
    );
    assert_eq!(world.history(person), [">m1", "<a"]);
}

pub(crate) fn a_message_that_dies_after_it_was_done_is_told(world: &mut World) {
    let (person, row) = done(world, &["a"]);
    world.tell(row.seq, 0, Err(LOCKED));
    world.crash();
    let head = world.head(person);
    world.begin(&head, Step::Send(0));
    let dead = Ending::Dead(ErrorCode::recorded("131026"));
    let finished = world.finish(row.seq, Some(refused(0, "131026")), dead.clone());
    assert_eq!((finished.ending, finished.told), (Some(dead), true));

    let replayed = world.wait(world.ledger.replay(Replay::One("m1".into()), world.now));
    assert!(matches!(replayed, Replayed::Reopened { .. }));
    world.begin(&world.head(person), Step::Send(0));
    let finished = world.finish(row.seq, Some(again(0)), DONE);
    assert_eq!((finished.ending, finished.told), (Some(DONE), false), "a replay ends it a second time");
}

pub(crate) fn what_is_told_of_the_first_send_is_past(world: &mut World) {
    let (person, row) = done(world, &["a"]);
    world.tell(row.seq, 0, Err(LOCKED));
    let told = |outcome| world.tell(row.seq, 0, outcome).verdicts.remove(0);
    for outcome in [Err(LOCKED), Ok(Status::Sent), Err("131026")] {
        assert_eq!(told(outcome), Verdict::Unmatched, "while it waits: {outcome:?}");
    }
    world.begin(&world.head(person), Step::Send(0));
    assert_eq!(told(Err(LOCKED)), Verdict::Unmatched, "while the second is under way");
    assert_eq!(world.finish(row.seq, Some(again(0)), DONE).ending, Some(DONE));
    assert_eq!([told(Err(LOCKED)), told(Err("131026"))], [Verdict::Unmatched, Verdict::Unmatched]);
    assert_eq!((world.next(person), world.counts().dead), (None, 0));

    let second = |outcome| status_of(world.tag(row.seq, 0), "wamid.again.0".into(), outcome);
    assert_eq!(
        world.accept(vec![second(Err(LOCKED))]).verdicts,
        [fault()],
        "the second may fail like the first"
    );
    assert_eq!(world.head(person).next_part, PartState::Fresh);
}

pub(crate) fn a_delivery_of_the_first_send_is_believed(world: &mut World) {
    let (person, row) = done(world, &["a"]);
    world.tell(row.seq, 0, Err(LOCKED));
    assert_eq!(world.tell(row.seq, 0, Ok(Status::Delivered)).wakes, [wake(&row)]);
    assert_eq!(world.head(person).parts_sent, 1, "nothing is sent twice");
    let finished = world.finish(row.seq, None, DONE);
    assert_eq!((finished.ending, finished.told), (Some(DONE), true));
    assert_eq!(world.tell(row.seq, 0, Err(LOCKED)).verdicts, [Verdict::Unmatched]);
}

pub(crate) fn only_the_part_that_failed_goes_once_more(world: &mut World) {
    let (person, row) = done(world, &["a", "b", "c", "d"]);
    for part in [0, 2] {
        assert_eq!(world.tell(row.seq, part, Err(LOCKED)).verdicts, [fault()]);
    }
    let head = world.head(person);
    assert_eq!((head.parts_sent, head.parts_ahead), (0, vec![1, 3]));
    world.begin(&row, Step::Send(0));
    world.advance(row.seq, again(0), None, Some(Step::Send(2)));
    let head = world.head(person);
    assert_eq!((head.parts_sent, head.parts_ahead, head.next_part), (2, vec![3], PartState::Intended));
    assert_eq!(world.finish(row.seq, Some(again(2)), DONE).ending, Some(DONE));
}

pub(crate) fn a_part_that_failed_meanwhile_keeps_the_row_open(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1", "m2"]);
    let row = world.send_first_part(person, reply(&["a", "b"]));
    world.advance(row.seq, sent(row.seq, 0), None, Some(Step::Send(1)));
    let told = world.tell(row.seq, 0, Err(LOCKED));
    assert_eq!((told.verdicts, told.wakes), (vec![fault()], vec![]), "the row is in progress");
    let finished = world.finish(row.seq, Some(sent(row.seq, 1)), DONE);
    assert_eq!(finished, Finished { ending: None, repeated: false, told: false, remaining: 2, attempts: 3 });
    assert!(!world.counts().queues[0].processing);
    let head = world.head(person);
    assert_eq!((head.seq, head.parts_sent, head.parts_ahead), (row.seq, 0, vec![1]));
    world.begin(&row, Step::Send(0));
    let finished = world.finish(row.seq, Some(again(0)), DONE);
    assert_eq!((finished.ending, finished.told), (Some(DONE), false), "it was never done before");
}

pub(crate) fn a_fault_may_come_before_our_own_result(world: &mut World) {
    for (n, late) in [None, unknown(0), postponed(0)].into_iter().enumerate() {
        let person = world.arrive_known(&phone(&format!("39320000002{n}")), &[&format!("f{n}")]);
        let row = world.send_first_part(person, reply(&["a"]));
        let told = world.tell(row.seq, 0, Err(LOCKED));
        assert_eq!((told.verdicts, told.wakes), (vec![fault()], vec![]), "our call is under way");
        match late {
            None => assert_eq!(world.finish(row.seq, Some(sent(row.seq, 0)), DONE).ending, None),
            late => assert_eq!(world.hold(row.seq, SECOND, late), Held::Waiting),
        }
        world.later(SECOND);
        let head = world.head(person);
        assert_eq!((head.parts_sent, head.next_part, head.unknowns), (0, PartState::Fresh, 0));
        world.begin(&row, Step::Send(0));
        assert_eq!(world.finish(row.seq, Some(again(0)), DONE).ending, Some(DONE));
    }
}

pub(crate) fn the_second_send_may_fail_before_our_own_result(world: &mut World) {
    let (person, row) = done(world, &["a"]);
    world.tell(row.seq, 0, Err(LOCKED));
    world.begin(&world.head(person), Step::Send(0));
    let second = status_of(world.tag(row.seq, 0), "wamid.again.0".into(), Err(LOCKED));
    assert_eq!(world.accept(vec![second.clone()]).verdicts, [fault()]);
    assert_eq!(world.finish(row.seq, Some(again(0)), DONE).ending, None, "the very one that has failed");
    assert_eq!(world.accept(vec![second]).verdicts, [Verdict::Unmatched], "told again");
    assert_eq!(world.head(person).next_part, PartState::Fresh);
}

pub(crate) fn a_fault_of_an_earlier_attempt_does_not_undo_the_later(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a"]));
    world.tell(row.seq, 0, Err(LOCKED));
    assert_eq!(world.finish(row.seq, Some(again(0)), DONE).ending, Some(DONE), "WhatsApp took another");
    assert_eq!(world.tell(row.seq, 0, Err(LOCKED)).verdicts, [Verdict::Unmatched]);
}

pub(crate) fn a_fault_lets_an_unknown_part_go_on(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a"]));
    world.hold(row.seq, HOUR, unknown(0));
    let told = world.tell(row.seq, 0, Err(LOCKED));
    assert_eq!((told.verdicts, told.wakes), (vec![fault()], vec![wake(&row)]));
    let head = world.head(person);
    assert_eq!((head.next_part, head.unknowns), (PartState::Fresh, 0), "nothing is uncertain any more");
}

pub(crate) fn a_fault_after_the_delivery_is_ignored(world: &mut World) {
    let (person, row) = done(world, &["a"]);
    world.tell(row.seq, 0, Ok(Status::Delivered));
    assert_eq!(world.tell(row.seq, 0, Err(LOCKED)).verdicts, [Verdict::Unmatched]);
    assert_eq!(world.next(person), None);
}

pub(crate) fn a_fault_does_not_wake_the_dead(world: &mut World) {
    let (person, row) = done(world, &["a", "b"]);
    world.tell(row.seq, 0, Err("131026"));
    let told = world.tell(row.seq, 1, Err(LOCKED));
    assert_eq!((told.verdicts, told.wakes), (vec![Verdict::Settled], vec![]));
    assert_eq!((world.next(person), world.counts().dead), (None, 1));
}

pub(crate) fn a_fault_of_an_apology_that_was_replayed_is_past(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.head(person);
    world.begin(&row, Step::Complete);
    let code = ErrorCode::status(401);
    let gone = settled(Step::Complete, StepOutcome::Failed(code.clone()));
    let failed = Some(Failure { code: code.clone(), is_dead: true });
    let apology = Reply { failed, ..persona("sorry") };
    world.advance(row.seq, gone, Some(apology.clone()), Some(Step::Send(0)));
    assert_eq!(world.head(person).reply, Some(apology), "with what it means for the message");
    world.finish(row.seq, Some(sent(row.seq, 0)), Ending::Dead(code));
    world.wait(world.ledger.replay(Replay::One("m1".into()), world.now));
    let told = world.tell(row.seq, 0, Err(LOCKED));
    assert_eq!((told.verdicts, told.wakes), (vec![Verdict::Settled], vec![]));
    assert_eq!((world.head(person).reply, world.head(person).first_part), (None, 1));
}

pub(crate) fn a_failure_beside_a_fault_is_the_end(world: &mut World) {
    let (person, row) = done(world, &["a", "b"]);
    world.tell(row.seq, 0, Err(LOCKED));
    world.tell(row.seq, 1, Err("131026"));
    let code = ErrorCode::recorded("131026");
    let head = world.head(person);
    assert_eq!(
        (head.parts_sent, head.next_part),
        (0, PartState::Failed(code.clone())),
        "nothing more is sent"
    );
    assert_eq!(world.finish(row.seq, None, DONE).ending, Some(Ending::Dead(code)));
    assert_eq!(world.wait(world.ledger.unanswered(Which::Dead, 9, None)).len(), 1);
}

pub(crate) fn an_unknown_part_is_decided_before_one_that_goes_once_more(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a", "b"]));
    world.advance(row.seq, sent(row.seq, 0), None, Some(Step::Send(1)));
    world.hold(row.seq, SECOND, unknown(1));
    assert_eq!(world.tell(row.seq, 0, Err(LOCKED)).wakes, [], "it waits for the status of the other");
    world.later(SECOND);
    let head = world.head(person);
    assert_eq!((head.parts_sent, head.next_part, head.unknowns), (0, PartState::Unknown, 1));
    world.tell(row.seq, 1, Ok(Status::Sent));
    let head = world.head(person);
    assert_eq!((head.parts_ahead, head.next_part, head.unknowns), (vec![1], PartState::Fresh, 0));
}

pub(crate) fn a_disclosure_goes_once_more_like_an_answer(world: &mut World) {
    let person = world.arrive(&phone(ANNA), &["m1"]);
    let (disclosure, _) = world.serve(person);
    let row = world.head(person);
    world.begin(&row, Step::Complete);
    assert_eq!(world.tell(disclosure.seq, 0, Err(LOCKED)).verdicts, [fault()]);
    world.advance(row.seq, answered(), Some(reply(&["re: m1"])), Some(Step::Send(0)));
    let head = world.head(person);
    assert_eq!(head.purpose, Purpose::Disclosure, "before what is in progress");
    world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    world.begin(&head, Step::Send(0));
    assert_eq!(world.finish(head.seq, Some(again(0)), DONE).ending, Some(DONE));
    world.arrive(&phone(ANNA), &["m2"]);
    assert_eq!(world.serve_all(person), ["m2"], "told once");
}

pub(crate) fn a_row_that_is_open_again_belongs_to_the_one_they_are(world: &mut World) {
    let one = world.arrive_known(&phone(BRUNO), &["p1"]);
    let other = world.arrive_known(&bsuid("IT.1"), &["b1"]);
    let (row, _) = world.serve(other);
    world.arrive(&both(BRUNO, "IT.1"), &["x1"]);
    assert_eq!(world.tell(row.seq, 0, Err(LOCKED)).wakes, [Wake { person: one, seq: row.seq }]);
    assert_eq!(world.next(other), None);
    let head = world.head(one);
    assert_eq!((head.seq, head.person), (row.seq, one));
    world.begin(&head, Step::Send(0));
    world.finish(row.seq, Some(again(0)), DONE);
    assert_eq!(world.serve_all(one), ["p1", "x1"]);
}
