//! Which row is next, and who is due.

use parlante_ledger::{Purpose, Step};

use super::items::phone;
use super::world::{SECOND, World, name, postponed, reply};

const ANNA: &str = "393200000001";

pub(crate) fn the_disclosure_goes_first_and_once(world: &mut World) {
    let anna = phone(ANNA);
    let person = world.arrive(&anna, &["m1", "m2"]);
    assert_eq!(world.serve_all(person), ["disclosure", "m1", "m2"]);
    world.arrive(&anna, &["m3"]);
    world.restart();
    assert_eq!(world.serve_all(person), ["m3"]);
}

pub(crate) fn messages_keep_the_order_of_acceptance(world: &mut World) {
    let anna = phone(ANNA);
    let person = world.arrive(&anna, &["z", "a"]);
    // A clock that steps back must not reorder anyone's messages.
    world.now = world.now - SECOND;
    world.arrive(&anna, &["m"]);
    world.later(SECOND);
    world.arrive(&anna, &["b"]);
    assert_eq!(world.serve_all(person), ["disclosure", "z", "a", "m", "b"]);
}

pub(crate) fn a_notice_goes_between_two_turns(world: &mut World) {
    let anna = phone(ANNA);
    world.rules.backlog = 2;
    let person = world.arrive_known(&anna, &["m1", "m2"]);
    world.begin(&world.head(person), Step::Complete);
    world.write(&anna, &["x1"]);
    assert_eq!(name(&world.head(person)), "m1", "what was begun is ended first");
    assert_eq!(world.serve_all(person), ["m1", "notice", "m2"]);
}

pub(crate) fn a_held_row_keeps_its_place_and_the_others_wait(world: &mut World) {
    let anna = phone(ANNA);
    let person = world.arrive_known(&anna, &["m1", "m2"]);
    let row = world.send_first_part(person, reply(&["one"]));
    world.hold(row.seq, 5 * SECOND, postponed(0));

    assert_eq!(world.next(person), None);
    assert_eq!(world.due(), [], "nobody can go on");
    let accepted = world.write(&anna, &["m3"]);
    assert_eq!(accepted.wakes.len(), 1);
    assert_eq!(world.next(person), None, "a new message does not overtake it");

    world.later(5 * SECOND);
    assert_eq!(name(&world.head(person)), "m1");
    assert_eq!(world.due().iter().map(|wake| wake.seq).collect::<Vec<_>>(), [row.seq]);
    assert_eq!(world.serve_all(person), ["m1", "m2", "m3"]);
}

pub(crate) fn a_row_held_before_it_was_begun_keeps_its_place(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1", "m2"]);
    let row = world.head(person);
    world.hold(row.seq, 5 * SECOND, None);
    assert_eq!(world.next(person), None);
    assert_eq!(world.due(), [], "the person waits, with all that is theirs");
    world.later(5 * SECOND);
    assert!(!world.head(person).begun);
    assert_eq!(world.serve_all(person), ["m1", "m2"]);
}

pub(crate) fn a_notice_goes_out_while_an_unbegun_row_is_held(world: &mut World) {
    let anna = phone(ANNA);
    world.rules.backlog = 1;
    let person = world.arrive_known(&anna, &["m1"]);
    world.hold(world.head(person).seq, 5 * SECOND, None);
    world.write(&anna, &["x1"]);
    let notice = world.head(person);
    assert_eq!(notice.purpose, Purpose::Overflow);
    assert_eq!(world.due().iter().map(|wake| wake.seq).collect::<Vec<_>>(), [notice.seq]);
    world.serve(person);
    assert_eq!((world.next(person), world.due()), (None, vec![]));
}

pub(crate) fn due_lists_each_person_once_longest_waiting_first(world: &mut World) {
    let people: Vec<_> = ["3", "1", "2"]
        .map(|n| {
            world.arrive_known(&phone(&format!("39320000000{n}")), &[&format!("a{n}"), &format!("b{n}")])
        })
        .into();
    let listed = |limit| -> Vec<_> {
        world.wait(world.ledger.due(world.now, limit)).iter().map(|wake| wake.person).collect()
    };
    assert_eq!(listed(100), people);
    assert_eq!(listed(2), people[..2]);
    world.hold(world.head(people[0]).seq, SECOND, None);
    assert_eq!(listed(2), people[1..], "a limit is not used up by those who are held");
}

pub(crate) fn due_finds_those_whose_wake_was_lost(world: &mut World) {
    let accepted = world.write(&phone(ANNA), &["m1"]);
    world.crash();
    assert_eq!(world.due(), [accepted.wakes[0]]);
}
