//! The turn's own deadline, and the waits between attempts.

use parlante_sandbox::{Call, Fault, Outcome, PATIENCE, Route};
use serde_json::Value;

use super::{apologised, channel, greeted, trace, writes};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{Process, World, a_phone};

/// Somebody writes; what became of it, by this event.
async fn written(world: &World, server: &Process, ended: &str) -> (String, Vec<String>, Value) {
    let phone = a_phone();
    let id = writes(world, &phone, "ciao");
    let told = server.log.wait_for(ended, &id).await;
    (id, world.sandbox.meta.answers_to(&phone), told)
}

/// The waits before each further attempt at `service`, in milliseconds.
fn waits(server: &Process, id: &str, service: &str) -> Vec<u64> {
    let ours = |line: &Value| line["message_id"] == id && line["service"] == service;
    let retries = server.log.events("http_retry").into_iter().filter(ours);
    retries
        .map(|line| {
            assert_eq!(line["level"], "WARN", "{line}");
            line["delay_ms"].as_u64().unwrap()
        })
        .collect()
}

/// Waits until the stand-in has noticed that nobody waits for its last answer any more.
async fn was_hung_up_on(world: &World, calls: usize) {
    let broken = |calls: &parlante_sandbox::Calls| {
        let last: Option<&Call> = calls.chats().last();
        last.is_some_and(|call| call.outcome == Outcome::Broken).then_some(())
    };
    world.sandbox.openai.wait(broken, PATIENCE).await.unwrap();
    assert_eq!(world.sandbox.openai.chats().len(), calls);
}

#[actix_rt::test]
async fn a_turn_s_deadline_ends_the_attempt_that_runs() {
    let world = World::new().set("CONVERSATION_TURN_MS", "400").set("OPENAI_BACKOFF_MS", "0,50");
    world.sandbox.openai.script().next(Route::Chat, 1, Fault::status(503));
    world.sandbox.openai.script().always(Route::Chat, Fault::hang());
    let server = world.start().await;
    let (id, texts, told) = written(&world, &server, "task_failed").await;
    assert_eq!(texts, apologised());
    assert_eq!((&told["error_code"], &told["level"]), (&"turn_deadline".into(), &"ERROR".into()));
    assert!(told["duration_ms"].as_u64() >= Some(400), "{told}");
    // Its own attempt had 15 s, and there was a third.
    was_hung_up_on(&world, 2).await;
    let row = trace(&server.url(""), &id).await;
    assert_eq!((&row["state"], &row["steps"][0]["attempts"]), (&"done".into(), &2.into()), "{row:#}");
    assert_eq!(channel(&server.url(""), "openai").await, ("closed".to_owned(), false));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_wait_that_would_outlast_the_turn_is_not_made() {
    let world = World::new().set("CONVERSATION_TURN_MS", "3000");
    let limit = Fault::code("rate_limit_exceeded").with_header("retry-after", 9);
    world.sandbox.openai.script().always(Route::Chat, limit);
    let server = world.start().await;
    let (id, texts, told) = written(&world, &server, "task_failed").await;
    assert_eq!(texts, apologised());
    assert_eq!(told["error_code"], "turn_deadline");
    assert!(told["duration_ms"].as_u64() < Some(3000), "it did not wait for nothing: {told}");
    assert_eq!(world.sandbox.openai.chats().len(), 1);
    assert_eq!(waits(&server, &id, "openai"), [0; 0]);
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn the_model_may_say_in_milliseconds_when_to_come_again() {
    let world = World::new();
    let limit = Fault::code("rate_limit_exceeded");
    let limit = limit.with_header("retry-after-ms", 300).with_header("retry-after", 60);
    world.sandbox.openai.script().next(Route::Chat, 1, limit);
    let server = world.start().await;
    let (id, texts, _) = written(&world, &server, "task_completed").await;
    assert_eq!(texts, greeted(&["echo: ciao"]));
    let waits = waits(&server, &id, "openai");
    assert!(waits.len() == 1 && (300..=330).contains(&waits[0]), "{waits:?}");
    let calls = world.sandbox.openai.chats();
    assert!(calls[1].at_ms - calls[0].at_ms >= 300, "{calls:?}");
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn jitter_only_lengthens_a_wait_and_by_a_tenth_at_most() {
    let world = World::new().set("WHATSAPP_BACKOFF_MS", "0,100,200").set("OPENAI_BACKOFF_MS", "0,100,200");
    let server = world.start().await;
    let (mut all, meta) = (Vec::new(), &world.sandbox.meta);
    for _ in 0..4 {
        world.sandbox.openai.script().next(Route::Chat, 2, Fault::status(500));
        meta.script().aim("echo: ciao", Route::Send, 2, Fault::status(429));
        let (id, texts, _) = written(&world, &server, "task_completed").await;
        assert_eq!(texts, greeted(&["echo: ciao"]));
        for service in ["openai", "whatsapp"] {
            let waits = waits(&server, &id, service);
            assert_eq!(waits.len(), 2);
            assert!((100..=110).contains(&waits[0]) && (200..=220).contains(&waits[1]), "{waits:?}");
            all.push(waits[1]);
        }
    }
    all.sort_unstable();
    all.dedup();
    assert!(all.len() > 1, "there is no jitter");
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn whatsapp_may_say_when_to_come_again_and_how_late_is_too_late() {
    let world = World::new();
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let server = world.start().await;
    meta.script().aim("echo: ciao", Route::Send, 1, Fault::code(130_429).with_header("retry-after", 1));
    let (id, texts, _) = written(&world, &server, "task_completed").await;
    assert_eq!(texts, greeted(&["echo: ciao"]));
    let made = waits(&server, &id, "whatsapp");
    assert!(made.len() == 1 && (1000..=1100).contains(&made[0]), "{made:?}");
    // Beyond ten seconds the attempts end: it is held, and tried again after five.
    meta.script().aim("echo: too late", Route::Send, 1, Fault::code(130_429).with_header("retry-after", 11));
    let id = writes(&world, &phone, "too late");
    let ours = |line: &Value| line["message_id"] == id.as_str();
    let told = server.log.wait("http_failed", ours).await;
    assert_eq!((&told["attempt"], &told["error_code"]), (&1.into(), &"429".into()), "{told}");
    assert_eq!(waits(&server, &id, "whatsapp"), [0; 0]);
    super::until_held(&server.url(""), &id).await;
    assert_eq!(trace(&server.url(""), &id).await["holds"], 1);
    persons_got_no_errors(&world);
}
