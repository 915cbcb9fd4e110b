//! A code that stands in no file of ours: it is treated by its status, and counted.

use serde_json::{Value, json};

use super::runs::{all_at_once, all_held, one_by_one};
use super::{Case, Fate, Means, Stands, Step};

/// By their status, all of them do this.
fn by_status(step: Step) -> Vec<(u16, Means)> {
    let fault = if step == Step::Send { Means::RetryUnsure } else { Means::Retry };
    let mut all = vec![
        (400, Means::GiveUp),
        (409, Means::GiveUp),
        (422, Means::GiveUp),
        (429, Means::Retry),
        (500, fault),
        (503, fault),
        (401, Means::PauseCredential),
    ];
    match step {
        // At Meta they may concern one person.
        Step::Send => all.extend([(403, Means::GiveUp), (404, Means::GiveUp)]),
        Step::Model | Step::Ear => all.extend([402, 403, 404].map(|status| (status, Means::PauseAccount))),
        // A voice that does not exist costs nothing.
        Step::Voice => {
            all.extend([(402, Means::PauseAccount), (403, Means::PauseAccount), (404, Means::GiveUp)])
        }
    }
    all
}

/// In the provider's own envelope; each of its own, so that they can be told apart.
fn envelope(step: Step, code: &str, status: u16) -> Value {
    let message = format!("Something new ({status}).");
    match step {
        Step::Send => json!({"error": {"message": message, "code": code.parse::<u32>().unwrap()}}),
        Step::Model | Step::Ear => json!({"error": {"message": message, "type": "new_error", "code": code}}),
        Step::Voice => json!({"detail": {"message": message, "type": "new_error", "code": code}}),
    }
}

async fn is_treated_by_its_status(step: Step) {
    let code = if step == Step::Send { "199999" } else { "brand_new" };
    let case = |(status, outcome): (u16, Means)| Case {
        name: format!("unknown with {status}"),
        code: Some(code.to_owned()),
        status,
        outcome,
        body: envelope(step, code, status),
    };
    let cases: Vec<Case> = by_status(step).into_iter().map(case).collect();
    let (pausing, passing): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.outcome.pauses());
    let waits = |case: &&Case| Fate::of(step, case.outcome).stands == Stands::Open;
    let (held, passing): (Vec<&Case>, Vec<&Case>) = passing.into_iter().partition(waits);
    let attempts = |cases: &[&Case]| cases.iter().map(|case| case.outcome.attempts()).sum::<usize>();
    assert_eq!(all_at_once(step, &passing).await["unknownCodes"], attempts(&passing), "every answer counts");
    if step == Step::Send {
        assert_eq!(all_held(&held).await["unknownCodes"], attempts(&held));
    }
    // Where the message waits, a second real call for a key is refused too.
    let again =
        pausing.iter().filter(|case| !step.is_spoken() && case.outcome == Means::PauseCredential).count();
    assert_eq!(one_by_one(step, &pausing).await["unknownCodes"], attempts(&pausing) + again);
}

#[actix_rt::test]
async fn an_unknown_code_of_graph_is_treated_by_its_status_and_counted() {
    is_treated_by_its_status(Step::Send).await;
}

#[actix_rt::test]
async fn an_unknown_code_of_openai_is_treated_by_its_status_and_counted() {
    is_treated_by_its_status(Step::Model).await;
    is_treated_by_its_status(Step::Ear).await;
}

#[actix_rt::test]
async fn an_unknown_code_of_elevenlabs_is_treated_by_its_status_and_counted() {
    is_treated_by_its_status(Step::Voice).await;
}
