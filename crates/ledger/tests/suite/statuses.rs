//! What WhatsApp tells later: statuses settle sends, their rank only rises, and a failure never undoes a delivery.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Address, PersonId, Seq, Status, Tag};
use parlante_ledger::{
    DeadLetter, Ending, Held, PartState, Purpose, Recorded, Row, Step, Told, Verdict, Wake,
};

use super::items::{phone, status};
use super::world::{DONE, HOUR, World, name, postponed, reply, sent, unknown};

const ANNA: &str = "393200000001";

/// A message whose one part is under way.
fn sending(world: &World) -> (PersonId, Row) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    (person, world.send_first_part(person, reply(&["ciao"])))
}

fn verdict(world: &World, seq: Seq, outcome: Result<Status, &str>) -> Verdict {
    world.tell(seq, 0, outcome).verdicts.remove(0)
}

fn told_of(world: &World, seq: Seq) -> Told {
    world.wait(world.ledger.told_of(world.tag(seq, 0)))
}

pub(crate) fn the_rank_only_rises(world: &mut World) {
    let (person, row) = sending(world);
    world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    assert_eq!(told_of(world, row.seq), Told::Nothing);
    let told = [Status::Sent, Status::Read, Status::Delivered, Status::Read, Status::Played, Status::Sent]
        .map(|status| verdict(world, row.seq, Ok(status)) == Verdict::Settled);
    assert_eq!(told, [true, true, false, false, true, false]);
    assert_eq!(told_of(world, row.seq), Told::Sent(format!("wamid.out.{}.0", row.seq).into()));
    assert_eq!(world.next(person), None);
}

pub(crate) fn a_status_may_come_before_our_own_result(world: &mut World) {
    let (person, row) = sending(world);
    let told = world.tell(row.seq, 0, Ok(Status::Delivered));
    assert_eq!((told.verdicts, told.wakes), (vec![Verdict::Settled], vec![]), "the call is still under way");
    assert_eq!(told_of(world, row.seq), Told::Sent(format!("wamid.out.{}.0", row.seq).into()));
    assert_eq!(world.head(person).parts_sent, 1);
    let finished = world.finish(row.seq, unknown(0), DONE);
    assert_eq!(finished.ending, Some(DONE), "what the status settled stays");
    assert_eq!(finished.attempts, 2, "our own attempt counts all the same");
}

pub(crate) fn what_a_status_has_settled_is_not_begun_again(world: &mut World) {
    let (person, row) = sending(world);
    world.tell(row.seq, 0, Ok(Status::Delivered));
    // A conversation that waited may have read the row before the status came: it must not send.
    assert_eq!(world.try_begin(&row, Step::Send(0)), Recorded::No);
    assert_eq!(world.head(person).parts_sent, 1);
    assert_eq!(world.crash().reconciled, 0);
    assert_eq!(world.head(person).parts_sent, 1);
}

pub(crate) fn a_status_lets_an_unknown_part_go_on(world: &mut World) {
    let (person, row) = sending(world);
    world.hold(row.seq, HOUR, unknown(0));
    let told = world.tell(row.seq, 0, Ok(Status::Sent));
    assert_eq!(told.wakes, [Wake { person, seq: row.seq }]);
    let head = world.head(person);
    assert_eq!((head.seq, head.parts_sent), (row.seq, 1), "due at once");
    assert_eq!(world.finish(row.seq, None, DONE).ending, Some(DONE));
    assert_eq!(world.tell(row.seq, 0, Ok(Status::Read)).wakes, [], "an ended row wakes nobody");
}

pub(crate) fn a_status_lets_a_postponed_part_go_on(world: &mut World) {
    let (person, row) = sending(world);
    assert_eq!(world.hold(row.seq, HOUR, postponed(0)), Held::Waiting);
    assert_eq!(world.tell(row.seq, 0, Ok(Status::Sent)).wakes, [Wake { person, seq: row.seq }]);
    assert_eq!(world.head(person).parts_sent, 1);
}

pub(crate) fn a_failed_status_lets_a_held_part_go_on(world: &mut World) {
    let (person, mut row) = sending(world);
    for late in [unknown(0), postponed(0)] {
        world.hold(row.seq, HOUR, late);
        let told = world.tell(row.seq, 0, Err("131026"));
        assert_eq!(
            (told.verdicts, told.wakes),
            (vec![Verdict::Settled], vec![Wake { person, seq: row.seq }])
        );
        let code = ErrorCode::recorded("131026");
        assert_eq!(world.head(person).next_part, PartState::Failed(code.clone()));
        assert_eq!(world.finish(row.seq, None, Ending::Dead(code.clone())).ending, Some(Ending::Dead(code)));
        world.arrive(&phone(ANNA), &[&format!("after {}", row.message_id)]);
        row = world.send_first_part(person, reply(&["ciao"]));
    }
}

pub(crate) fn the_code_of_the_status_stays(world: &mut World) {
    let (_, row) = sending(world);
    world.tell(row.seq, 0, Err("131026"));
    assert_eq!(world.hold(row.seq, HOUR, unknown(0)), Held::Settled);
    let finished = world.finish(row.seq, None, Ending::Dead(ErrorCode::TIMEOUT));
    assert_eq!(
        finished.ending,
        Some(Ending::Dead(ErrorCode::recorded("131026"))),
        "not the timeout of our own call"
    );
}

pub(crate) fn a_failure_after_the_delivery_is_ignored(world: &mut World) {
    let (_, row) = sending(world);
    world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    verdict(world, row.seq, Ok(Status::Delivered));
    assert_eq!(verdict(world, row.seq, Err("131026")), Verdict::Unmatched);
    assert_eq!(world.counts().dead, 0);
}

pub(crate) fn a_delivery_after_the_failure_saves_the_part(world: &mut World) {
    let (person, row) = sending(world);
    assert_eq!(verdict(world, row.seq, Err("131026")), Verdict::Settled);
    assert_eq!(verdict(world, row.seq, Ok(Status::Delivered)), Verdict::Settled);
    assert_eq!(world.head(person).parts_sent, 1);
    assert_eq!(world.finish(row.seq, Some(sent(row.seq, 0)), DONE).ending, Some(DONE));
}

pub(crate) fn a_bare_sent_does_not_outlive_a_failure(world: &mut World) {
    let (person, row) = sending(world);
    verdict(world, row.seq, Err("131026"));
    verdict(world, row.seq, Ok(Status::Sent));
    assert_eq!(world.head(person).next_part, PartState::Failed(ErrorCode::recorded("131026")));
    let finished = world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    assert_eq!(finished.ending, Some(Ending::Dead(ErrorCode::recorded("131026"))));
}

pub(crate) fn an_answered_message_turns_dead_once(world: &mut World) {
    let (_, row) = sending(world);
    world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    verdict(world, row.seq, Ok(Status::Sent));
    let undone = DeadLetter {
        message_id: "m1".into(),
        user: Address::Phone(ANNA.into()),
        code: ErrorCode::recorded("131049"),
        attempts: 2,
    };
    assert_eq!(verdict(world, row.seq, Err("131049")), Verdict::Undone(undone));
    assert_eq!(world.counts().dead, 1);
    assert_eq!(verdict(world, row.seq, Err("131049")), Verdict::Unmatched, "told again");
    assert_eq!((world.counts().dead, world.due()), (1, vec![]), "and nothing is sent a second time");
}

pub(crate) fn an_undelivered_disclosure_is_made_again(world: &mut World) {
    let anna = phone(ANNA);
    let person = world.arrive(&anna, &["m1"]);
    let (disclosure, _) = world.serve(person);
    assert_eq!(disclosure.purpose, Purpose::Disclosure);
    assert_eq!(verdict(world, disclosure.seq, Err("131026")), Verdict::Settled, "it was not an answer");
    assert_eq!(world.serve_all(person), ["m1"]);
    world.arrive(&anna, &["m2"]);
    assert_eq!(world.serve_all(person), ["disclosure", "m2"]);
}

pub(crate) fn a_foreign_tag_changes_nothing(world: &mut World) {
    let (person, row) = sending(world);
    let before = world.head(person);
    let foreign = Tag { ledger: "0123456789abcdef".into(), seq: row.seq, part: 0 };
    let tags = [foreign.clone(), world.tag(Seq(404), 0), world.tag(row.seq, 7), world.tag(Seq(-1), 0)];
    for outcome in [Ok(Status::Delivered), Err("131026")] {
        let told = world.accept(tags.iter().map(|tag| status(tag.clone(), outcome)).collect());
        assert_eq!((told.verdicts, told.wakes), (vec![Verdict::Unmatched; 4], vec![]));
    }
    assert_eq!(world.head(person), before);
    world.tell(row.seq, 0, Ok(Status::Sent));
    assert_eq!(world.wait(world.ledger.told_of(foreign)), Told::Nothing, "the same place in another ledger");
}

pub(crate) fn a_status_of_one_webhook_counts_once(world: &mut World) {
    let (person, row) = sending(world);
    world.hold(row.seq, HOUR, unknown(0));
    let update = || status(world.tag(row.seq, 0), Ok(Status::Sent));
    let told = world.accept(vec![update(), world.text(&phone(ANNA), "m2"), update()]);
    assert_eq!((&told.verdicts[0], &told.verdicts[2]), (&Verdict::Settled, &Verdict::Unmatched));
    assert_eq!(told.wakes.len(), 2, "one for the row that goes on, one for the new message");
    assert_eq!(world.counts().ids, 2, "statuses are not remembered as messages");
    world.finish(row.seq, None, DONE);
    assert_eq!(name(&world.head(person)), "m2");
}
