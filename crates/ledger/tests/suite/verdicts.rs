//! What becomes of the items of a webhook.

use std::time::Duration;

use parlante_domain::{Address, Item, Noted, PersonId};
use parlante_ledger::{Counts, Step, Verdict};

use super::items::{phone, text};
use super::world::{HOUR, World, name};

const ANNA: &str = "393200000001";

fn is_accepted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Accepted { .. })
}

/// Ten open messages, the disclosure made.
fn full(world: &World) -> PersonId {
    let ids: Vec<String> = (1..=10).map(|n| format!("m{n}")).collect();
    world.arrive_known(&phone(ANNA), &ids.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(crate) fn a_new_message_is_accepted_and_wakes_its_person(world: &mut World) {
    let accepted = world.write(&phone(ANNA), &["m1"]);
    let Verdict::Accepted { seq, user } = &accepted.verdicts[0] else { unreachable!("{accepted:?}") };
    assert_eq!(*user, Address::Phone(ANNA.into()));
    let woken: Vec<_> = accepted.wakes.iter().map(|wake| wake.seq).collect();
    assert_eq!(woken.len(), 2, "one for the disclosure, one for the message");
    assert_eq!(woken[1], *seq);
    assert_eq!(accepted.wakes[0].person, accepted.wakes[1].person);
}

pub(crate) fn a_known_id_is_a_duplicate(world: &mut World) {
    let anna = phone(ANNA);
    let accepted = world.write(&anna, &["m1", "m1", "m2"]);
    assert!(is_accepted(&accepted.verdicts[0]) && is_accepted(&accepted.verdicts[2]), "{accepted:?}");
    assert_eq!(accepted.verdicts[1], Verdict::Duplicate, "in one webhook");

    let again = world.write(&anna, &["m2"]);
    assert_eq!((again.verdicts, again.wakes), (vec![Verdict::Duplicate], vec![]), "in the next webhook");
    assert_eq!(world.verdict(&phone("393200000002"), "m1"), Verdict::Duplicate, "whoever brings it");

    let person = accepted.wakes[0].person;
    assert_eq!(world.serve_all(person), ["disclosure", "m1", "m2"]);
    assert_eq!(world.verdict(&anna, "m1"), Verdict::Duplicate, "after it was answered");
    world.restart();
    assert_eq!(world.verdict(&anna, "m1"), Verdict::Duplicate, "in the next process");
}

pub(crate) fn an_id_is_forgotten_after_its_time(world: &mut World) {
    let anna = phone(ANNA);
    let person = world.arrive_known(&anna, &["m1"]);
    world.serve_all(person);
    world.later(world.rules.remember);
    assert_eq!(world.verdict(&anna, "m1"), Verdict::Duplicate, "to the end of its time");
    world.later(Duration::from_millis(1));
    assert!(is_accepted(&world.verdict(&anna, "m1")), "after it");
    assert_eq!(world.verdict(&anna, "m1"), Verdict::Duplicate, "and remembered anew");
}

pub(crate) fn a_stale_message_is_refused_and_remembered(world: &mut World) {
    let anna = phone(ANNA);
    let oldest = world.now - world.rules.stale_after;
    let message = |id, at| Item::Message(text(id, &anna, at));
    let too_old = oldest - Duration::from_millis(1);
    let accepted = world.accept(vec![message("stale", too_old), message("just", oldest)]);
    assert_eq!(accepted.verdicts[0], Verdict::Stale { user: Address::Phone(ANNA.into()) });
    assert!(is_accepted(&accepted.verdicts[1]), "{accepted:?}");
    assert_eq!(world.counts().refused, 1);
    assert_eq!(world.accept(vec![message("stale", too_old)]).verdicts, [Verdict::Duplicate]);
    assert_eq!(world.serve_all(accepted.wakes[0].person), ["disclosure", "just"]);
}

pub(crate) fn the_eleventh_of_one_batch_overflows(world: &mut World) {
    let ids: Vec<String> = (1..=11).map(|n| format!("m{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let accepted = world.write(&phone(ANNA), &ids);
    let (last, first) = accepted.verdicts.split_last().unwrap();
    assert!(first.len() == 10 && first.iter().all(is_accepted), "{accepted:?}");
    assert_eq!(*last, Verdict::Overflow { user: Address::Phone(ANNA.into()), backlog: 10 });
    assert_eq!(accepted.wakes.len(), 12, "a disclosure, ten messages, a notice");
    let counts = world.counts();
    assert_eq!((counts.refused, counts.queues[0].waiting), (1, 10));
}

pub(crate) fn a_refused_id_is_a_duplicate_later(world: &mut World) {
    let person = full(world);
    let anna = phone(ANNA);
    assert!(matches!(world.verdict(&anna, "m11"), Verdict::Overflow { backlog: 10, .. }));
    assert_eq!(world.verdict(&anna, "m11"), Verdict::Duplicate, "while the backlog is full");
    world.serve_all(person);
    assert_eq!(world.verdict(&anna, "m11"), Verdict::Duplicate, "when there is room again");
    assert_eq!(world.counts().refused, 1);
}

pub(crate) fn the_backlog_counts_the_one_in_progress(world: &mut World) {
    let person = full(world);
    let anna = phone(ANNA);
    let row = world.head(person);
    world.begin(&row, Step::Complete);
    assert!(matches!(world.verdict(&anna, "m11"), Verdict::Overflow { backlog: 10, .. }), "one is begun");
    world.serve(person);
    assert!(is_accepted(&world.verdict(&anna, "m12")), "one is done");
    assert!(matches!(world.verdict(&anna, "m13"), Verdict::Overflow { backlog: 10, .. }));
}

pub(crate) fn the_backlog_counts_only_what_wants_an_answer(world: &mut World) {
    let anna = phone(ANNA);
    world.rules.backlog = 2;
    // The disclosure is open beside the first message, the notice beside the first two.
    assert!(is_accepted(&world.verdict(&anna, "m1")));
    world.accept(vec![Item::Noted { id: Some("r1".into()), reason: Noted::Reaction }]);
    assert!(is_accepted(&world.verdict(&anna, "m2")));
    for id in ["m3", "m4"] {
        assert!(matches!(world.verdict(&anna, id), Verdict::Overflow { backlog: 2, .. }));
    }
}

pub(crate) fn one_burst_is_told_once(world: &mut World) {
    let person = full(world);
    let anna = phone(ANNA);
    let first = world.write(&anna, &["x1", "x2"]);
    assert_eq!(first.wakes.len(), 1, "one notice for both");
    assert_eq!(name(&world.head(person)), "notice");
    world.serve(person);
    world.serve(person);
    assert!(is_accepted(&world.verdict(&anna, "m11")));
    let again = world.write(&anna, &["x3"]);
    assert!(matches!(again.verdicts[0], Verdict::Overflow { .. }));
    assert_eq!(again.wakes, [], "still the same burst");
}

pub(crate) fn a_burst_ends_when_the_backlog_reaches_zero(world: &mut World) {
    let anna = phone(ANNA);
    world.rules.backlog = 1;
    let person = world.arrive_known(&anna, &["m1"]);
    assert_eq!(world.write(&anna, &["x1"]).wakes.len(), 1);
    assert_eq!(world.serve_all(person), ["notice", "m1"]);
    world.arrive(&anna, &["m2"]);
    assert_eq!(world.write(&anna, &["x2"]).wakes.len(), 1, "a new burst is told again");
    assert_eq!(world.serve_all(person), ["notice", "m2"]);
}

pub(crate) fn people_do_not_fill_each_others_backlog(world: &mut World) {
    full(world);
    let accepted = world.accept(vec![
        world.text(&phone(ANNA), "m11"),
        world.text(&phone("393200000002"), "b1"),
        world.text(&phone(ANNA), "m12"),
    ]);
    assert!(matches!(accepted.verdicts[0], Verdict::Overflow { .. }));
    assert!(is_accepted(&accepted.verdicts[1]), "{accepted:?}");
    assert!(matches!(accepted.verdicts[2], Verdict::Overflow { .. }));
}

pub(crate) fn noted_items_are_remembered_and_open_nothing(world: &mut World) {
    let noted = |id: Option<&str>, reason| Item::Noted { id: id.map(Into::into), reason };
    let items = || vec![noted(Some("r1"), Noted::Reaction), noted(None, Noted::Malformed)];
    let first = world.accept(items());
    assert_eq!(first.verdicts, [Verdict::Noted(Noted::Reaction), Verdict::Noted(Noted::Malformed)]);
    let again = world.accept(items());
    assert_eq!(again.verdicts, [Verdict::Duplicate, Verdict::Noted(Noted::Malformed)], "no id, no memory");
    world.later(HOUR);
    assert_eq!(world.verdict(&phone(ANNA), "r1"), Verdict::Duplicate, "an id is an id, whatever its item");
    assert_eq!((first.wakes, again.wakes, world.due()), (vec![], vec![], vec![]));
    assert_eq!((world.counts().ids, world.counts().people), (1, 0));
}

pub(crate) fn an_empty_webhook_changes_nothing(world: &mut World) {
    let accepted = world.accept(vec![]);
    assert_eq!((accepted.verdicts, accepted.wakes), (vec![], vec![]));
    assert_eq!(world.counts(), Counts::default());
}
