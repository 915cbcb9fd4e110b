//! Every code of the Graph API, in the answer to a send.

use parlante_sandbox::Fault;

use super::meeting::{Met, words};
use super::runs::{all_at_once, all_held, one_by_one, place, world};
use super::{Case, GRAPH, Means, Step, cases, echo, names};
use crate::support::innocent::persons_got_no_errors;

fn those(cases: &[Case], fits: impl Fn(Means) -> bool) -> Vec<&Case> {
    cases.iter().filter(|case| fits(case.outcome)).collect()
}

fn may_be_tried_again(means: Means) -> bool {
    matches!(means, Means::Retry | Means::RetryUnsure)
}

#[actix_rt::test]
async fn every_code_of_graph_has_its_fate() {
    let cases = cases(GRAPH);
    let refused = those(&cases, |means| means == Means::GiveUp);
    assert_eq!(all_at_once(Step::Send, &refused).await["unknownCodes"], 0);
    let held = those(&cases, may_be_tried_again);
    assert_eq!(all_held(&held).await["unknownCodes"], 0);
    let paused = those(&cases, Means::pauses);
    assert_eq!(one_by_one(Step::Send, &paused).await["unknownCodes"], 0);
    assert_eq!(names([refused, held, paused].concat()), names(&cases), "every one was met");
}

/// CONTRACT, calls: rate codes are repeated without looking at statuses; after a fault of Meta's our tag is looked for
/// among them first. Here each refusal is a lie: the message went out, and its status tells so before the next attempt.
#[actix_rt::test]
async fn after_a_fault_of_meta_s_the_answer_is_looked_for_and_after_a_limit_it_is_not() {
    let world = world().set("WHATSAPP_BACKOFF_MS", "0,1000");
    let server = world.start().await;
    let place = place(&world, &server);
    let (cases, mut people) = (cases(GRAPH), Vec::new());
    for (index, case) in those(&cases, may_be_tried_again).into_iter().enumerate() {
        let words = words(index);
        let Fault::Status(refusal) = case.fault() else { unreachable!("it is a status") };
        let lie = Fault::Status(refusal).accepted();
        world.sandbox.meta.script().aim(Step::Send.sign(&words), Step::Send.route(), 1, lie);
        people.push(Met::new(&place, Step::Send, case, index, 0));
    }
    for person in &people {
        let name = &person.case.name;
        place.log.wait_for("task_completed", &person.id).await;
        let times = if person.case.outcome == Means::RetryUnsure { 1 } else { 2 };
        assert_eq!(person.calls(&place), times, "{name}");
        assert_eq!(place.got(&person.phone), vec![echo(&person.words); times], "{name}");
        assert_eq!(place.log.count("http_retry", &person.id), 1, "{name}");
        assert_eq!(place.log.count("http_failed", &person.id), 0, "{name}");
    }
    persons_got_no_errors(&world);
}
