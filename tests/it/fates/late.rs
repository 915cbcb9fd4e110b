//! A send that failed after WhatsApp had accepted it.

use parlante_sandbox::{Fault, MetaOptions, Options, Request, Route};
use serde_json::Value;

use super::{channel, dead, greeted, sends, stats, trace, writes};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{Process, World, a_phone};

/// A Meta that tells no status by itself.
fn silent() -> World {
    let tests = Options::for_tests();
    World::with(Options { meta: MetaOptions { statuses: false, ..tests.meta }, ..tests })
}

/// Somebody is answered; their number, the message's id and the tags of the answer's parts.
async fn is_answered(world: &World, server: &Process) -> (String, String, Vec<String>) {
    let phone = a_phone();
    let id = writes(world, &phone, "ciao");
    server.log.wait_for("task_completed", &id).await;
    let tags = to(world, &phone).into_iter().skip(1).map(|send| send.tag.unwrap());
    (phone.clone(), id, tags.collect())
}

fn to(world: &World, phone: &str) -> Vec<Request> {
    world.sandbox.meta.look(|records| records.sends_to(phone).cloned().collect())
}

/// Tells a status, and waits until it is durable.
async fn tell(world: &World, tag: &str, status: &str, code: Option<u32>) {
    world.sandbox.meta.status(tag, status, code).unwrap();
    world.sandbox.meta.wait_settled().await.unwrap();
}

#[actix_rt::test]
async fn a_failure_that_is_the_channel_s_fault_pauses_it_and_the_part_goes_again_after_resume() {
    for (code, lifted_by) in [(131_042, Route::Send), (190, Route::Number)] {
        let world = silent().set("HEALTH_PROBE_S", "1");
        let server = world.start().await;
        let (base, meta) = (server.url(""), &world.sandbox.meta);
        let (phone, id, tags) = is_answered(&world, &server).await;
        let shut = meta.script().always(lifted_by, Fault::code(code));
        tell(&world, &tags[0], "failed", Some(code)).await;
        let paused = server.log.wait("channel_paused", |_| true).await;
        assert_eq!((&paused["level"], &paused["service"]), (&"ERROR".into(), &"whatsapp".into()), "{paused}");
        assert_eq!(paused["error_code"], code.to_string(), "{paused}");
        assert_eq!(channel(&base, "whatsapp").await, ("closed".to_owned(), true));
        assert_eq!(stats(&base).await["queueStats"]["active_queues"], 1);
        assert_eq!(trace(&base, &id).await["state"], "open");
        let behind = writes(&world, &phone, "e poi?");
        server.log.wait_for("message_accepted", &behind).await;
        meta.script().remove(shut);
        server.log.wait_for("task_completed", &behind).await;
        server.log.wait("channel_resumed", |_| true).await;
        // The stand-in counts the first one too, since it had accepted it.
        assert_eq!(meta.answers_to(&phone), greeted(&["echo: ciao", "echo: ciao", "echo: e poi?"]), "{code}");
        let again = to(&world, &phone).into_iter().filter(|send| send.text.as_deref() == Some("echo: ciao"));
        let again: Vec<Request> = again.filter(|send| send.accepted.is_some()).collect();
        assert!(
            again.len() == 2 && again.iter().all(|send| send.tag.as_ref() == Some(&tags[0])),
            "one tag for both"
        );
        assert_eq!(trace(&base, &id).await["state"], "done");
        assert_eq!(server.log.count("task_completed", &id), 1, "told once");
        assert_eq!(dead(&base).await, []);
        // What is told of the first send after that changes nothing.
        let count = sends(&world).len();
        meta.status(again[0].accepted.as_ref().unwrap(), "failed", Some(131_026)).unwrap();
        meta.wait_settled().await.unwrap();
        assert_eq!((trace(&base, &id).await["state"].clone(), sends(&world).len()), ("done".into(), count));
        persons_got_no_errors(&world);
    }
}

#[actix_rt::test]
async fn only_the_part_that_failed_goes_again() {
    let world = silent().set("HEALTH_PROBE_S", "1").set("OPENAI_MAX_ANSWER_TOKENS", "4000");
    let parts: Vec<String> = ["alfa", "beta", "gamma"]
        .iter()
        .map(|word| format!("{word} ").repeat(500).trim().to_owned())
        .collect();
    let answer = parts.join("\n\n");
    world.sandbox.openai.answer_with(move |_| answer.clone());
    let server = world.start().await;
    let (phone, id, tags) = is_answered(&world, &server).await;
    assert_eq!(tags.len(), 3);
    tell(&world, &tags[1], "failed", Some(131_042)).await;
    server.log.wait("channel_resumed", |_| true).await;
    super::until_state(&server.url(""), &id, "done").await;
    let texts = [&parts[..], &parts[1..2]].concat();
    assert_eq!(world.sandbox.meta.answers_to(&phone)[1..], texts);
    assert_eq!(to(&world, &phone)[4].tag.as_ref(), Some(&tags[1]));
    assert_eq!(server.log.count("task_completed", &id), 1);
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn any_other_failure_makes_the_message_a_dead_letter_and_leaves_the_channel_alone() {
    let world = silent();
    let server = world.start().await;
    let base = server.url("");
    let mut listed = Vec::new();
    for code in [131_026, 131_047, 131_049, 131_053, 131_000, 130_429] {
        let (phone, id, tags) = is_answered(&world, &server).await;
        tell(&world, &tags[0], "failed", Some(code)).await;
        tell(&world, &tags[0], "failed", Some(code)).await;
        let told = server.log.wait_for("message_dead_lettered", &id).await;
        assert_eq!((&told["level"], &told["error_code"]), (&"ERROR".into(), &code.to_string().into()));
        let next = writes(&world, &phone, "e poi?");
        server.log.wait_for("task_completed", &next).await;
        assert_eq!(world.sandbox.meta.answers_to(&phone), greeted(&["echo: ciao", "echo: e poi?"]));
        assert_eq!(server.log.count("message_dead_lettered", &id), 1);
        assert_eq!(trace(&base, &id).await["state"], "dead");
        listed.push((id, code.to_string(), None));
    }
    assert_eq!(dead(&base).await, listed);
    assert_eq!(channel(&base, "whatsapp").await, ("closed".to_owned(), false));
    assert_eq!(server.log.events("channel_paused"), [] as [Value; 0]);
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn after_delivered_or_read_a_failure_changes_nothing() {
    let world = silent();
    let server = world.start().await;
    let base = server.url("");
    for proof in ["delivered", "read"] {
        for code in [131_042, 190, 131_026] {
            let (phone, id, tags) = is_answered(&world, &server).await;
            tell(&world, &tags[0], proof, None).await;
            tell(&world, &tags[0], "failed", Some(code)).await;
            let next = writes(&world, &phone, "e poi?");
            server.log.wait_for("task_completed", &next).await;
            assert_eq!(trace(&base, &id).await["state"], "done", "{proof}, {code}");
            assert_eq!(world.sandbox.meta.answers_to(&phone), greeted(&["echo: ciao", "echo: e poi?"]));
        }
    }
    assert_eq!(dead(&base).await, []);
    assert_eq!(server.log.events("channel_paused"), [] as [Value; 0]);
    persons_got_no_errors(&world);
}
