//! What an operator asks and orders: trace, dead letters, replay.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Address, Item, Kind, MessageId, Noted, PersonId, Seq, Service, Status};
use parlante_ledger::{
    Ending, Finished, PartState, Purpose, Replay, Replayed, Reply, Row, RowState, Step, StepOutcome,
    StepState, Told, Trace, Traced, TracedRow, Unanswered, Usage, Wake, Which,
};

use super::items::{phone, text};
use super::world::{
    DONE, HOUR, SECOND, World, answered, failure, name, persona, refused, reply, sent, settled, unknown,
};

const ANNA: &str = "393200000001";
const BRUNO: &str = "393200000002";

fn traced(world: &World, id: &str) -> Traced {
    world.wait(world.ledger.trace(id.into()))
}

fn kept(world: &World, id: &str) -> Trace {
    match traced(world, id) {
        Traced::Kept(trace) => *trace,
        other => unreachable!("{id}: {other:?}"),
    }
}

fn listed(world: &World, which: Which) -> Vec<String> {
    let listed = world.wait(world.ledger.unanswered(which, 100, None));
    listed.iter().map(|message| message.message_id.to_string()).collect()
}

fn replay(world: &World, id: &str) -> Replayed {
    world.wait(world.ledger.replay(Replay::One(id.into()), world.now))
}

/// The message must be dead or refused.
fn reopen(world: &World, id: &str) -> Vec<Wake> {
    match replay(world, id) {
        Replayed::Reopened { replayed: 1, wakes } => wakes,
        other => unreachable!("{id}: {other:?}"),
    }
}

fn code(code: &str) -> ErrorCode {
    ErrorCode::recorded(code)
}

/// The model has answered in these parts, and WhatsApp refuses the one with this number.
fn die_at(world: &World, person: PersonId, parts: &[&str], refusal: u32) -> Row {
    let row = world.send_first_part(person, reply(parts));
    for part in 0..refusal {
        world.advance(row.seq, sent(row.seq, part), None, Some(Step::Send(part + 1)));
    }
    world.finish(row.seq, Some(refused(refusal, "131026")), Ending::Dead(code("131026")));
    row
}

/// The model has failed, and the apology went out.
fn apologise(world: &World, person: PersonId) -> Row {
    let row = world.head(person);
    world.begin(&row, Step::Complete);
    let failed = Some(failure(ErrorCode::status(401)));
    let apology = Reply { failed, ..persona("sorry") };
    let gone = settled(Step::Complete, StepOutcome::Failed(ErrorCode::status(401)));
    world.advance(row.seq, gone, Some(apology), Some(Step::Send(0)));
    world.finish(row.seq, Some(sent(row.seq, 0)), Ending::Dead(ErrorCode::status(401)));
    row
}

// ---- trace

pub(crate) fn a_trace_tells_the_whole_way(world: &mut World) {
    let began = world.now;
    let person = world.arrive(&phone(ANNA), &["m1"]);
    world.serve(person);
    world.later(SECOND);
    let row = world.send_first_part(person, reply(&["a", "b"]));
    world.later(SECOND);
    world.hold(row.seq, SECOND, unknown(0));
    world.tell(row.seq, 0, Ok(Status::Delivered));
    world.begin(&row, Step::Send(1));
    world.finish(row.seq, Some(sent(row.seq, 1)), DONE);

    let Trace { message, beside } = kept(world, "m1");
    assert_eq!((message.seq, message.purpose, message.kind), (row.seq, Purpose::Answer, Kind::Text));
    assert_eq!(message.user, Address::Phone(ANNA.into()));
    assert_eq!((message.state, message.reason, message.parts), (RowState::Done, None, 2));
    assert_eq!((message.sent_at, message.accepted_at), (began, began));
    assert_eq!((message.started_at, message.ended_at), (Some(began + SECOND), Some(world.now)));
    assert_eq!(
        (message.due, message.panics, message.deaths, message.holds, message.replays),
        (None, 0, 0, 0, 0)
    );

    let [model, first, second] = message.steps.as_slice() else { unreachable!("{:?}", message.steps) };
    assert_eq!((model.step, model.state, model.attempts), (Step::Complete, StepState::Done, 1));
    assert_eq!(model.usage, Some(Usage { prompt_tokens: 20, completion_tokens: 5 }));
    assert_eq!((first.step, first.state, first.unknowns), (Step::Send(0), StepState::Done, 1));
    assert_eq!((first.status, &first.code), (Some(Status::Delivered), &Some(ErrorCode::TIMEOUT)));
    assert_eq!((first.intended_at, first.settled_at), (began + SECOND, Some(world.now)));
    assert_eq!(second.outbound, Some(MessageId::from(format!("wamid.out.{}.1", row.seq))));
    assert_eq!((second.status, second.usage, &second.code), (None, None, &None));

    let [disclosure] = beside.as_slice() else { unreachable!("{beside:?}") };
    assert_eq!((disclosure.purpose, disclosure.state), (Purpose::Disclosure, RowState::Done));
    assert_eq!(disclosure.steps.len(), 1);
}

pub(crate) fn a_trace_tells_what_an_open_row_waits_for(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1", "m2"]);
    let row = world.send_first_part(person, reply(&["a"]));
    world.hold(row.seq, HOUR, Some(settled(Step::Send(0), StepOutcome::Postponed(ErrorCode::status(503)))));
    let held: TracedRow = kept(world, "m1").message;
    assert_eq!((held.state, held.due, held.ended_at), (RowState::Open, Some(world.now + HOUR), None));
    assert_eq!((held.holds, held.steps[1].state, held.waits_for), (1, StepState::Postponed, None));
    world.hold_for(row.seq, Service::WhatsApp, None);
    assert_eq!(kept(world, "m1").message.waits_for, Some(Service::WhatsApp));
    let waiting = kept(world, "m2").message;
    assert_eq!((waiting.state, waiting.started_at, waiting.parts), (RowState::Open, None, 0));
    assert_eq!(waiting.steps, []);
}

pub(crate) fn a_trace_of_a_refused_message(world: &mut World) {
    let anna = phone(ANNA);
    world.rules.backlog = 1;
    world.arrive_known(&anna, &["m1"]);
    world.write(&anna, &["x1"]);
    world.accept(vec![Item::Message(text("old", &anna, world.now - 25 * HOUR))]);
    let Trace { message, beside } = kept(world, "x1");
    assert_eq!((message.state, message.reason), (RowState::Refused, Some(code("overflow"))));
    assert_eq!(message.ended_at, Some(world.now));
    assert_eq!(beside.iter().map(|row| row.purpose).collect::<Vec<_>>(), [Purpose::Overflow]);
    assert_eq!(kept(world, "old").message.reason, Some(code("stale")));
}

pub(crate) fn what_is_only_known_is_told_from_what_is_not(world: &mut World) {
    world.accept(vec![Item::Noted { id: Some("r1".into()), reason: Noted::Reaction }]);
    let known_since = world.now;
    world.later(SECOND);
    assert_eq!(traced(world, "r1"), Traced::NotKept { known_since });
    assert_eq!(traced(world, "m1"), Traced::Unknown);
    assert_eq!((replay(world, "r1"), replay(world, "m1")), (Replayed::NotKept, Replayed::Unknown));
}

// ---- dead letters and refusals

pub(crate) fn the_dead_are_listed_with_what_the_providers_said(world: &mut World) {
    let (anna, bruno) = (phone(ANNA), phone(BRUNO));
    let one = world.arrive_known(&anna, &["a1", "a2"]);
    let other = world.arrive_known(&bruno, &["b1"]);
    let first = die_at(world, one, &["a", "b"], 1);
    world.serve(one);
    world.later(SECOND);
    let second = apologise(world, other);

    let dead = world.wait(world.ledger.unanswered(Which::Dead, 100, None));
    let expected = Unanswered {
        seq: first.seq,
        message_id: "a1".into(),
        user: Address::Phone(ANNA.into()),
        kind: Kind::Text,
        accepted_at: first.accepted_at,
        ended_at: first.accepted_at,
        reason: code("131026"),
        attempts: 3,
        errors: vec![(Step::Send(1), code("131026"))],
    };
    assert_eq!(dead[0], expected);
    assert_eq!((dead.len(), dead[1].seq, dead[1].ended_at), (2, second.seq, world.now));
    assert_eq!(dead[1].errors, [(Step::Complete, ErrorCode::status(401))]);
    let page = |after| world.wait(world.ledger.unanswered(Which::Dead, 1, after));
    assert_eq!((page(None), page(Some(first.seq))), (vec![expected], dead[1..].to_vec()));
    assert_eq!(page(Some(second.seq)), []);
}

pub(crate) fn the_refused_are_listed_apart(world: &mut World) {
    let anna = phone(ANNA);
    world.rules.backlog = 1;
    let person = world.arrive_known(&anna, &["m1"]);
    die_at(world, person, &["a"], 0);
    world.arrive(&anna, &["m2"]);
    world.write(&anna, &["x1", "x2"]);
    assert_eq!(
        (listed(world, Which::Refused), listed(world, Which::Dead)),
        (vec!["x1".into(), "x2".into()], vec!["m1".into()])
    );
}

// ---- replay

pub(crate) fn a_replay_sends_only_what_was_not_accepted(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = die_at(world, person, &["a", "b", "c"], 1);
    world.later(HOUR);
    assert_eq!(reopen(world, "m1"), [Wake { person, seq: row.seq }]);
    let head = world.head(person);
    assert_eq!((head.seq, &head.reply), (row.seq, &Some(reply(&["a", "b", "c"]))), "what was paid for");
    assert_eq!((head.first_part, head.parts_sent, &head.next_part), (0, 1, &PartState::Fresh));
    assert_eq!((head.begun, head.panics, head.holds, head.unknowns), (false, 0, 0, 0));
    assert_eq!((world.counts().dead, kept(world, "m1").message.replays), (0, 1));
    assert_eq!(replay(world, "m1"), Replayed::Wrong(RowState::Open));

    assert_eq!(head.awaited_since, world.now, "not since it was accepted");
    world.begin(&head, Step::Send(1));
    world.advance(row.seq, sent(row.seq, 1), None, Some(Step::Send(2)));
    let finished = world.finish(row.seq, Some(sent(row.seq, 2)), DONE);
    assert_eq!(
        finished,
        Finished { ending: Some(DONE), repeated: false, told: false, remaining: 0, attempts: 5 }
    );
    assert_eq!(world.history(person), [">m1", "<abc"]);
    assert_eq!(replay(world, "m1"), Replayed::Wrong(RowState::Done));
}

pub(crate) fn a_replay_sends_the_answer_after_an_apology(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = apologise(world, person);
    world.tell(row.seq, 0, Ok(Status::Sent));
    reopen(world, "m1");
    let head = world.head(person);
    assert_eq!((&head.reply, head.first_part, head.parts_sent), (&None, 1, 0), "the model is asked again");

    world.send_first_part(person, reply(&["ciao"]));
    // What is told of the apology now says nothing of the answer.
    assert_eq!(world.tell(row.seq, 0, Ok(Status::Read)).wakes, []);
    assert_eq!(world.head(person).next_part, PartState::Intended);
    let finished = world.finish(row.seq, Some(sent(row.seq, 1)), DONE);
    assert_eq!((finished.ending, finished.remaining), (Some(DONE), 0));
    assert_eq!(world.history(person), [">m1", "<ciao"]);
    let steps = kept(world, "m1").message.steps;
    assert_eq!(steps.iter().map(|step| step.state).collect::<Vec<_>>(), [StepState::Done; 3]);
}

pub(crate) fn a_failed_apology_does_not_fail_the_answer(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = apologise(world, person);
    reopen(world, "m1");
    world.tell(row.seq, 0, Err("131026"));
    world.send_first_part(person, reply(&["ciao"]));
    assert_eq!(world.finish(row.seq, Some(sent(row.seq, 1)), DONE).ending, Some(DONE));
    assert_eq!(world.counts().dead, 0);
}

pub(crate) fn a_late_status_of_the_failed_send_changes_nothing(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a"]));
    world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    world.tell(row.seq, 0, Err("131049"));
    reopen(world, "m1");
    // Meta tells it again, and that it had been sent.
    world.tell(row.seq, 0, Err("131049"));
    world.tell(row.seq, 0, Ok(Status::Sent));
    assert_eq!(world.head(person).next_part, PartState::Fresh);
    world.begin(&row, Step::Send(0));
    assert_eq!(
        world.wait(world.ledger.told_of(world.tag(row.seq, 0))),
        Told::Nothing,
        "nothing was heard of the new send"
    );
    world.tell(row.seq, 0, Err("131049"));
    let again = settled(Step::Send(0), StepOutcome::Accepted("wamid.again".into()));
    assert_eq!(world.finish(row.seq, Some(again), DONE).ending, Some(DONE));
    assert_eq!(world.history(person), [">m1", "<a"], "said once, though it ended twice");
    world.tell(row.seq, 0, Err("131049"));
    assert_eq!(world.counts().dead, 0, "that was the first send");
}

pub(crate) fn an_uncertain_send_may_be_settled_after_all(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    let row = world.send_first_part(person, reply(&["a"]));
    world.hold(row.seq, SECOND, unknown(0));
    world.finish(row.seq, None, Ending::Dead(ErrorCode::UNCERTAIN));
    reopen(world, "m1");
    assert_eq!((world.head(person).next_part, world.head(person).unknowns), (PartState::Fresh, 0));
    assert_eq!(world.tell(row.seq, 0, Ok(Status::Delivered)).wakes, [Wake { person, seq: row.seq }]);
    assert_eq!(world.head(person).parts_sent, 1, "it had arrived; nothing is sent twice");
}

pub(crate) fn a_replayed_refusal_is_answered(world: &mut World) {
    let anna = phone(ANNA);
    world.rules.backlog = 1;
    let person = world.arrive_known(&anna, &["m1"]);
    world.write(&anna, &["x1"]);
    reopen(world, "x1");
    assert_eq!((world.counts().refused, world.counts().queues[0].waiting), (0, 2), "beyond the backlog");
    assert_eq!(world.serve_all(person), ["notice", "m1", "x1"]);
}

pub(crate) fn a_stranger_is_told_first_when_a_refusal_is_replayed(world: &mut World) {
    world.accept(vec![Item::Message(text("old", &phone(ANNA), world.now - 25 * HOUR))]);
    assert_eq!(world.due(), []);
    let wakes = reopen(world, "old");
    assert_eq!(wakes.len(), 2, "one for the disclosure, one for the message");
    assert_eq!(world.serve_all(wakes[0].person), ["disclosure", "old"]);
}

pub(crate) fn a_replay_does_not_overtake_what_is_in_progress(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1", "m2", "m3"]);
    die_at(world, person, &["a"], 0);
    let row = world.send_first_part(person, reply(&["b"]));
    assert_eq!(row.message_id, MessageId::from("m2"));
    reopen(world, "m1");
    assert_eq!(name(&world.head(person)), "m2");
    world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    let again = world.head(person);
    assert_eq!(name(&again), "m1");
    world.begin(&again, Step::Send(0));
    world.finish(again.seq, Some(sent(again.seq, 0)), DONE);
    assert_eq!(world.serve_all(person), ["m3"]);
}

pub(crate) fn all_the_dead_are_replayed_in_order(world: &mut World) {
    world.rules.backlog = 1000;
    let ids: Vec<String> = (1..=450).map(|n| format!("m{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let person = world.arrive_known(&phone(ANNA), &ids);
    while let Some(row) = world.next(person) {
        world.finish(row.seq, None, Ending::Dead(ErrorCode::PANIC));
    }
    assert_eq!(world.counts().dead, 450);
    let all = || world.wait(world.ledger.replay(Replay::AllDead, world.now));
    let Replayed::Reopened { replayed, wakes } = all() else { unreachable!() };
    let places: Vec<Seq> = wakes.iter().map(|wake| wake.seq).collect();
    assert_eq!((replayed, places.len(), places.is_sorted()), (450, 450, true));
    assert_eq!((world.counts().dead, name(&world.head(person)).as_str()), (0, "m1"));
    assert_eq!(all(), Replayed::Reopened { replayed: 0, wakes: vec![] });
}

pub(crate) fn a_replay_after_a_join_belongs_to_the_one_they_are(world: &mut World) {
    let one = world.arrive_known(&phone(ANNA), &["p1"]);
    let other = world.arrive_known(&super::items::bsuid("IT.1"), &["b1"]);
    die_at(world, other, &["a"], 0);
    world.arrive(&super::items::both(ANNA, "IT.1"), &["x1"]);
    assert_eq!(reopen(world, "b1")[0].person, one);
    let mut served = Vec::new();
    while let Some(row) = world.next(one) {
        let first = if row.reply.is_some() { Step::Send(0) } else { Step::Complete };
        world.begin(&row, first);
        if first == Step::Complete {
            world.advance(row.seq, answered(), Some(reply(&["r"])), Some(Step::Send(0)));
        }
        world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
        served.push(name(&row));
    }
    assert_eq!(served, ["p1", "b1", "x1"]);
}
