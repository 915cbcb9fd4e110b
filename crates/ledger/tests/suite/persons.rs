//! One person under several ids.

use parlante_domain::{Address, Item, PersonId, Sender};
use parlante_ledger::{Recorded, Step, Verdict};

use super::items::{both, bsuid, phone, text};
use super::world::{DONE, HOUR, World, answered, name, reply, sent};

const NUMBER: &str = "393200000001";
const BSUID: &str = "IT.4410097722110033";

/// One webhook of `sender`; answers the person it belongs to.
fn say(world: &World, sender: &Sender, id: &str) -> PersonId {
    world.arrive(sender, &[id])
}

/// Two people, not yet known to be one, both disclosed to; each has one message open: `p1` and `b1`.
fn strangers(world: &World) -> (PersonId, PersonId) {
    (world.arrive_known(&phone(NUMBER), &["p1"]), world.arrive_known(&bsuid(BSUID), &["b1"]))
}

pub(crate) fn a_phone_alone_and_a_bsuid_alone_are_addresses(world: &mut World) {
    let (one, other) = strangers(world);
    assert_ne!(one, other);
    assert_eq!(world.head(one).user, Address::Phone(NUMBER.into()));
    assert_eq!(world.head(other).user, Address::Bsuid(BSUID.into()));
}

pub(crate) fn the_phone_is_the_address_once_it_is_known(world: &mut World) {
    let person = say(world, &bsuid(BSUID), "m1");
    assert_eq!(say(world, &both(NUMBER, BSUID), "m2"), person);
    assert_eq!(world.head(person).user, Address::Phone(NUMBER.into()), "for what was accepted before too");
    assert_eq!(say(world, &phone(NUMBER), "m3"), person);
    let verdict = world.verdict(&bsuid(BSUID), "m4");
    assert!(matches!(verdict, Verdict::Accepted { user: Address::Phone(_), .. }), "{verdict:?}");
    assert_eq!(world.serve_all(person), ["disclosure", "m1", "m2", "m3", "m4"]);
}

pub(crate) fn every_order_of_joining_makes_one_person(world: &mut World) {
    for (n, order) in ["pbx", "pxb", "bpx", "bxp", "xpb", "xbp"].into_iter().enumerate() {
        let (number, id) = (format!("39320000010{n}"), format!("IT.{n}"));
        let ids: Vec<String> = order.chars().map(|form| format!("{order}.{form}")).collect();
        for (form, message) in order.chars().zip(&ids) {
            let sender = match form {
                'p' => phone(&number),
                'b' => bsuid(&id),
                _ => both(&number, &id),
            };
            world.arrive(&sender, &[message]);
        }
        let person = say(world, &both(&number, &id), &format!("{order}.last"));
        assert_eq!(world.due().len(), 1, "{order}: one person is due, not several");
        assert_eq!(world.head(person).user, Address::Phone(number.as_str().into()), "{order}");
        let mut expected = vec!["disclosure".to_owned()];
        expected.extend(ids);
        expected.push(format!("{order}.last"));
        assert_eq!(world.serve_all(person), expected, "{order}");
        assert_eq!(say(world, &phone(&number), &format!("{order}.later p")), person, "{order}");
        assert_eq!(say(world, &bsuid(&id), &format!("{order}.later b")), person, "{order}");
        world.serve_all(person);
    }
}

pub(crate) fn a_joined_person_waits_for_the_row_in_progress(world: &mut World) {
    let (one, other) = strangers(world);
    let row = world.send_first_part(other, reply(&["to b1"]));
    assert_eq!(say(world, &both(NUMBER, BSUID), "x1"), one, "the elder stays");

    assert_eq!(world.next(one), None, "one person is answered by one conversation at a time");
    assert_eq!(world.head(other).seq, row.seq, "the conversation in progress goes on with its row");
    let due: Vec<_> = world.due().iter().map(|wake| wake.person).collect();
    assert_eq!(due, [other], "only who can go on is due");

    let finished = world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    assert_eq!(finished.remaining, 2, "p1 and x1 are left of the one that they are");
    assert_eq!(world.next(other), None);
    assert_eq!(world.serve_all(one), ["p1", "x1"]);
    assert_eq!(world.history(one), [">b1", "<to b1", ">p1", "<re: p1", ">x1", "<re: x1"]);
    assert_eq!(world.history(other), world.history(one));
}

pub(crate) fn two_rows_in_progress_both_end_after_a_join(world: &mut World) {
    let (one, other) = strangers(world);
    let rows = [one, other].map(|person| world.send_first_part(person, reply(&["yes"])));
    say(world, &both(NUMBER, BSUID), "x1");
    world.crash();
    world.later(HOUR);
    assert_eq!(world.next(one), None, "the younger's row ends first");
    assert_eq!(world.head(other).seq, rows[1].seq);
    world.finish(rows[1].seq, Some(sent(rows[1].seq, 0)), DONE);
    assert_eq!(world.head(one).seq, rows[0].seq);
    world.finish(rows[0].seq, Some(sent(rows[0].seq, 0)), DONE);
    assert_eq!(world.serve_all(one), ["x1"]);
}

pub(crate) fn a_joined_person_may_be_joined_again(world: &mut World) {
    let eldest = world.arrive_known(&phone("393200000002"), &["e1"]);
    let (middle, youngest) = strangers(world);
    let row = world.send_first_part(youngest, reply(&["to b1"]));
    assert_eq!(say(world, &both(NUMBER, BSUID), "x1"), middle);
    assert_eq!(say(world, &both("393200000002", BSUID), "x2"), eldest);
    assert_eq!(
        (world.next(eldest), world.next(middle)),
        (None, None),
        "the youngest's row is still in progress"
    );
    assert_eq!(world.counts().people, 1);
    assert_eq!(world.finish(row.seq, Some(sent(row.seq, 0)), DONE).remaining, 4);
    assert_eq!(world.serve_all(eldest), ["e1", "p1", "x1", "x2"]);
    assert_eq!(world.history(youngest), world.history(eldest));
    assert_eq!(world.history(eldest).len(), 10);
}

pub(crate) fn the_backlog_counts_all_that_a_person_is(world: &mut World) {
    world.rules.backlog = 3;
    let (one, other) = strangers(world);
    let row = world.head(other);
    world.begin(&row, Step::Complete);
    let accepted = world.write(&both(NUMBER, BSUID), &["x1", "x2"]);
    assert!(matches!(accepted.verdicts[0], Verdict::Accepted { .. }), "{accepted:?}");
    assert!(matches!(accepted.verdicts[1], Verdict::Overflow { backlog: 3, .. }), "{accepted:?}");
    world.advance(row.seq, answered(), Some(reply(&["yes"])), Some(Step::Send(0)));
    assert_eq!(world.finish(row.seq, Some(sent(row.seq, 0)), DONE).remaining, 2);
    assert_eq!(world.serve_all(one), ["notice", "p1", "x1"]);
}

pub(crate) fn a_joined_person_is_told_once(world: &mut World) {
    world.rules.backlog = 1;
    let one = say(world, &phone(NUMBER), "p1");
    say(world, &bsuid(BSUID), "b1");
    for (sender, id) in [(phone(NUMBER), "p2"), (bsuid(BSUID), "b2"), (both(NUMBER, BSUID), "x1")] {
        assert!(matches!(world.verdict(&sender, id), Verdict::Overflow { .. }));
    }
    assert_eq!(world.serve_all(one), ["disclosure", "notice", "p1", "b1"]);
}

pub(crate) fn a_joined_person_is_one_queue(world: &mut World) {
    let (_, other) = strangers(world);
    world.begin(&world.head(other), Step::Complete);
    say(world, &both(NUMBER, BSUID), "x1");
    let counts = world.counts();
    assert_eq!(counts.people, 1);
    let [queue] = counts.queues.as_slice() else { unreachable!("{counts:?}") };
    assert_eq!(queue.user, Address::Phone(NUMBER.into()));
    assert_eq!((queue.waiting, queue.processing), (2, true));
}

pub(crate) fn histories_are_joined_in_the_order_of_time(world: &mut World) {
    let (one, other) = strangers(world);
    world.serve(other);
    world.serve(one);
    world.arrive(&bsuid(BSUID), &["b2"]);
    world.serve(other);
    assert_eq!(world.history(one), [">p1", "<re: p1"]);
    let person = say(world, &both(NUMBER, BSUID), "x1");
    let joined = [">b1", "<re: b1", ">p1", "<re: p1", ">b2", "<re: b2"];
    assert_eq!(world.history(person), joined);
    assert_eq!(world.history(one), joined);
    assert_eq!(world.history(other), joined, "under either id");
}

pub(crate) fn a_new_number_keeps_the_person(world: &mut World) {
    let person = say(world, &both(NUMBER, BSUID), "m1");
    assert_eq!(say(world, &both("393200000002", BSUID), "m2"), person);
    assert_eq!(world.head(person).user, Address::Phone("393200000002".into()));
    assert_eq!(world.serve_all(person), ["disclosure", "m1", "m2"]);
}

pub(crate) fn a_number_that_changes_hands_makes_a_new_person(world: &mut World) {
    let former = world.arrive_known(&both(NUMBER, BSUID), &["m1", "m2"]);
    world.serve(former);
    let person = say(world, &both(NUMBER, "IT.new"), "n1");
    assert_ne!(person, former);
    assert_eq!(world.head(former).user, Address::Bsuid(BSUID.into()), "nothing of theirs goes to the number");
    assert_eq!(world.serve_all(person), ["disclosure", "n1"]);
    assert_eq!(world.history(person), [">n1", "<re: n1"], "no history is shared");
    assert_eq!(say(world, &phone(NUMBER), "n2"), person, "the number is theirs");
    assert_eq!(say(world, &bsuid(BSUID), "m3"), former);
    assert_eq!(world.serve_all(former), ["m2", "m3"]);
    let verdict = world.verdict(&both("393200000009", BSUID), "m4");
    let Verdict::Accepted { user, .. } = verdict else { unreachable!("{verdict:?}") };
    assert_eq!(user, Address::Phone("393200000009".into()), "who has another number by now");
}

pub(crate) fn a_number_may_go_to_someone_known(world: &mut World) {
    let former = world.arrive_known(&both(NUMBER, BSUID), &["m1"]);
    let other = world.arrive_known(&bsuid("IT.other"), &["o1"]);
    assert_eq!(say(world, &both(NUMBER, "IT.other"), "o2"), other, "two BSUIDs are two people");
    assert_eq!(world.head(other).user, Address::Phone(NUMBER.into()));
    assert_eq!(world.head(former).user, Address::Bsuid(BSUID.into()));
    assert_eq!(
        (world.serve_all(former), world.serve_all(other)),
        (vec!["m1".into()], vec!["o1".into(), "o2".into()])
    );
}

pub(crate) fn a_row_that_has_moved_is_not_begun_by_its_old_conversation(world: &mut World) {
    let (one, other) = strangers(world);
    let row = world.head(other);
    say(world, &both(NUMBER, BSUID), "x1");
    assert_eq!(world.try_begin(&row, Step::Complete), Recorded::No, "it is the elder's now");
    assert_eq!(world.next(other), None);
    assert_eq!(world.serve_all(one), ["p1", "b1", "x1"]);
}

pub(crate) fn what_a_join_moves_is_woken_even_by_a_refused_message(world: &mut World) {
    // The elder has nothing open, and no conversation knows of it.
    let one = world.arrive_known(&phone(NUMBER), &["p1"]);
    world.serve_all(one);
    let other = world.arrive_known(&bsuid(BSUID), &["b1", "b2"]);
    let stale = Item::Message(text("x1", &both(NUMBER, BSUID), world.now - 25 * HOUR));
    let accepted = world.accept(vec![stale]);
    assert!(matches!(accepted.verdicts[..], [Verdict::Stale { .. }]));
    assert_eq!(accepted.wakes.iter().map(|wake| wake.person).collect::<Vec<_>>(), [one]);
    assert_eq!((world.next(other), world.serve_all(one)), (None, vec!["b1".into(), "b2".into()]));
}

pub(crate) fn the_window_counts_from_the_newest_message(world: &mut World) {
    let at = |hours: u32| world.now - hours * HOUR;
    let (early, late) = (at(5), at(1));
    let message = |id, sender: Sender, sent_at| Item::Message(text(id, &sender, sent_at));
    let first = world.accept(vec![message("p1", phone(NUMBER), early)]);
    let person = first.wakes[0].person;
    world.accept(vec![message("b1", bsuid(BSUID), late)]);
    assert_eq!(world.head(person).newest_at, early);
    world.accept(vec![message("x1", both(NUMBER, BSUID), at(3))]);
    assert_eq!(world.head(person).newest_at, late, "whoever of the two wrote it");
    world.accept(vec![message("x2", phone(NUMBER), at(4))]);
    assert_eq!(world.head(person).newest_at, late, "a late redelivery does not shorten the window");
    assert_eq!(name(&world.head(person)), "disclosure");
}
