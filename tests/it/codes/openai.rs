//! Every code of OpenAI's, in the answer to a question and to a voice note.

use super::meeting::Met;
use super::runs::{all_at_once, hang_up, one_by_one, place, world};
use super::{Case, Means, OPENAI, Step, cases, names};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{a_phone, persona_text};

/// Those that leave the channel alone, and those that pause it.
fn parted(cases: &[Case]) -> (Vec<&Case>, Vec<&Case>) {
    cases.iter().partition(|case| !case.outcome.pauses())
}

async fn all_have_their_fates(step: Step) {
    let cases = cases(OPENAI);
    let (passing, pausing) = parted(&cases);
    assert_eq!(all_at_once(step, &passing).await["unknownCodes"], 0);
    assert_eq!(one_by_one(step, &pausing).await["unknownCodes"], 0);
    assert_eq!(names([passing, pausing].concat()), names(&cases), "every one was met");
}

#[actix_rt::test]
async fn every_code_of_openai_has_its_fate_where_the_model_is_asked() {
    all_have_their_fates(Step::Model).await;
}

#[actix_rt::test]
async fn every_code_of_openai_has_its_fate_where_a_voice_note_is_heard() {
    all_have_their_fates(Step::Ear).await;
}

/// CONTRACT's table of fates: nothing for `CONVERSATION_HOLD_MS`, then the apology, and the message is dead. Here that
/// time is over at once.
#[actix_rt::test]
async fn every_code_that_pauses_the_model_ends_in_the_apology_and_a_dead_letter() {
    let world = world().set("CONVERSATION_HOLD_MS", "0");
    let server = world.start().await;
    let (place, step, all) = (place(&world, &server), Step::Model, cases(OPENAI));
    for (index, case) in parted(&all).1.into_iter().enumerate() {
        let (name, resumed) = (&case.name, index + 1);
        let person = Met::new(&place, step, case, index, 1);
        let dead = place.log.wait_for("message_dead_lettered", &person.id).await;
        case.is_told_in(&dead);
        assert_eq!(
            (&dead["level"], &dead["attempts"]),
            (&"ERROR".into(), &2.into()),
            "{name}: model and send"
        );
        assert_eq!(place.got(&person.phone), [persona_text("apology")], "{name}");
        assert_eq!(person.calls(&place), 1, "{name}");
        assert_eq!(place.ends(&person.id), [0, 0, 1], "{name}");
        let row = place.trace(&person.id).await;
        assert_eq!(
            (&row["state"], &row["reason"]),
            (&"dead".into(), &case.status.to_string().into()),
            "{name}"
        );
        assert_eq!(place.provider(step).await["paused"], true, "{name}");
        hang_up(&world, &server, step).await;
        let is_resumed = async || server.log.wait_count("channel_resumed", resumed, |_| true).await;
        if case.outcome == Means::PauseCredential {
            is_resumed().await;
        }
        let next = world.sandbox.meta.deliver(step.message(&a_phone(), "e poi?"));
        place.log.wait_for("task_completed", &next).await;
        is_resumed().await;
        assert_eq!(server.log.events("channel_paused").len(), resumed, "{name}");
    }
    persons_got_no_errors(&world);
}
