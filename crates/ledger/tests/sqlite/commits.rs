//! Group commit, and commits that fail, panic or are held: nothing is answered before it is durable, and one bad
//! commit costs nothing but itself.

use std::sync::Arc;
use std::task::{Context, Waker};

use parlante_ledger::{Accept, Accepted, Answer, Counts, LedgerError, Verdict};

use super::engine::{End, Gate, SqliteEngine};
use crate::suite::items::phone;
use crate::suite::world::World;

const ANNA: &str = "393200000001";

fn gated() -> (World, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let world = World::new(Box::new(SqliteEngine::with_faults(gate.clone())));
    (world, gate)
}

/// Queues a webhook with one text.
fn queue(world: &World, id: &str) -> Answer<Accepted> {
    let items = vec![world.text(&phone(ANNA), id)];
    world.ledger.accept(Accept { items, now: world.now, rules: world.rules })
}

fn is_pending(answer: &mut Answer<Accepted>) -> bool {
    answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn is_unavailable<T>(result: &Result<T, LedgerError>) -> bool {
    matches!(result, Err(LedgerError::Unavailable { .. }))
}

#[test]
fn a_failed_commit_writes_nothing_and_the_next_works() {
    let (world, gate) = gated();
    gate.after(0, End::Fails);
    assert!(is_unavailable(&world.outcome(queue(&world, "m1"))));
    assert_eq!((world.counts(), world.due()), (Counts::default(), vec![]));
    let person = world.arrive(&phone(ANNA), &["m1"]);
    assert_eq!(world.serve_all(person), ["disclosure", "m1"]);
}

#[test]
fn a_panic_at_the_commit_does_not_end_the_writer() {
    let (world, gate) = gated();
    for _ in 0..3 {
        gate.after(0, End::Panics);
        assert!(is_unavailable(&world.outcome(queue(&world, "m1"))));
    }
    assert_eq!(world.counts(), Counts::default());
    let person = world.arrive(&phone(ANNA), &["m1"]);
    assert_eq!(world.serve_all(person), ["disclosure", "m1"]);
}

#[test]
fn what_queues_during_a_commit_shares_the_next() {
    let (world, gate) = gated();
    gate.close();
    let mut answers = vec![queue(&world, "m1")];
    gate.await_commits(1);
    answers.extend(["m2", "m3", "m2", "m4"].map(|id| queue(&world, id)));
    assert!(answers.iter_mut().all(is_pending), "nothing is answered before its commit");
    assert_eq!(world.counts(), Counts::default(), "and nothing is seen");
    gate.release();

    let verdicts: Vec<Verdict> = answers.into_iter().flat_map(|answer| world.wait(answer).verdicts).collect();
    assert_eq!(gate.commits(), 2, "one for the first, one for all the others");
    assert_eq!(verdicts[3], Verdict::Duplicate, "those of one group see each other");
    assert_eq!(world.serve_all(world.due()[0].person), ["disclosure", "m1", "m2", "m3", "m4"]);
}

#[test]
fn a_group_that_cannot_be_committed_is_refused_as_a_whole() {
    for end in [End::Fails, End::Panics] {
        let (world, gate) = gated();
        gate.close();
        gate.after(1, end);
        let first = queue(&world, "m1");
        gate.await_commits(1);
        let others = ["m2", "m3"].map(|id| queue(&world, id));
        gate.release();
        world.wait(first);
        assert!(others.into_iter().all(|answer| is_unavailable(&world.outcome(answer))), "{end:?}");
        let person = world.arrive(&phone(ANNA), &["m2", "m3"]);
        assert_eq!(world.serve_all(person), ["disclosure", "m1", "m2", "m3"], "{end:?}");
    }
}

#[test]
fn more_than_the_queue_takes_is_refused_at_once() {
    let (world, gate) = gated();
    gate.close();
    let first = queue(&world, "m0");
    gate.await_commits(1);
    let (mut waiting, mut busy) = (vec![first], 0);
    for n in 1..=5000 {
        let mut answer = queue(&world, &format!("m{n}"));
        if is_pending(&mut answer) {
            waiting.push(answer);
        } else {
            busy += 1;
        }
    }
    assert!(busy > 0, "the queue has no bound");
    let full = world.outcome(queue(&world, "late"));
    assert_eq!(full, Err(LedgerError::Busy));
    gate.release();
    for answer in waiting {
        world.wait(answer);
    }
    assert!(gate.commits() < 40, "{} commits are one by one", gate.commits());
    assert!(world.outcome(queue(&world, "later")).is_ok());
}
