//! Each row of the table: what the person gets, how the message ends, what the channel does.

use std::time::Duration;

use parlante_sandbox::{Fault, Inbound, Route};
use serde_json::Value;

use super::{apologised, between, channel, dead, greeted, health, is_paused};
use super::{sent, trace, until, until_held, writes};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{Process, TestClock, TestFaults, World, a_phone, persona_text};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A refusal in the middle of a stream that is as good as any.
const CONTENT_REFUSED: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"I cannot\"}}]}\n\ndata: [DONE]\n\n";

/// How often each end of this message was told.
fn ends(server: &Process, id: &str) -> [usize; 3] {
    ["task_completed", "task_failed", "message_dead_lettered"].map(|event| server.log.count(event, id))
}

/// The `http_failed` line of a message.
async fn failed(server: &Process, id: &str, service: &str) -> Value {
    let ours = |line: &Value| line["message_id"] == id && line["service"] == service;
    server.log.wait("http_failed", ours).await
}

/// Row: three attempts, content refused, any other refusal.
#[actix_rt::test]
async fn what_the_model_fails_or_refuses_for_good_is_answered_by_the_apology() {
    let world = World::new();
    let server = world.start().await;
    let base = server.url("");
    let faults = [
        ("503", 3, Fault::status(503)),
        ("timeout", 3, Fault::hang()),
        ("network", 3, Fault::close()),
        ("truncated", 3, Fault::cut(100)),
        ("200", 1, Fault::Body(CONTENT_REFUSED.to_owned())),
        ("400", 1, Fault::code("content_filter")),
        ("400", 1, Fault::code("context_length_exceeded")),
        ("409", 1, Fault::status(409)),
        ("422", 1, Fault::status(422)),
    ];
    let world_slow = World::new().set("OPENAI_TIMEOUT_MS", "400");
    let slow = world_slow.start().await;
    for (code, attempts, fault) in faults {
        let (world, server) = if code == "timeout" { (&world_slow, &slow) } else { (&world, &server) };
        let (phone, before) = (a_phone(), world.sandbox.openai.chats().len());
        world.sandbox.openai.script().next(Route::Chat, attempts, fault);
        let id = writes(world, &phone, "ciao");
        let told = server.log.wait_for("task_failed", &id).await;
        assert_eq!((&told["level"], &told["error_code"]), (&"ERROR".into(), &code.into()), "{told}");
        assert_eq!(world.sandbox.meta.answers_to(&phone), apologised(), "{code}");
        assert_eq!(world.sandbox.openai.chats().len() - before, attempts, "{code}");
        let call = failed(server, &id, "openai").await;
        assert_eq!((&call["level"], &call["error_code"]), (&"ERROR".into(), &code.into()), "{call}");
        assert_eq!(call["attempt"], attempts, "{call}");
        assert_eq!(ends(server, &id), [0, 1, 0], "{code}");
        let row = trace(&server.url(""), &id).await;
        assert_eq!(row["state"], "done", "{row:#}");
    }
    assert_eq!(channel(&base, "openai").await, ("closed".to_owned(), false), "three of them in a row failed");
    let (status, all, ..) = health(&base, "openai").await;
    assert_eq!((status, all.as_str()), (200, "ok"));
    assert_eq!(dead(&base).await, []);
    persons_got_no_errors(&world);
    persons_got_no_errors(&world_slow);
}

/// Row: a message that panics its conversation 3 times. See also `panics`.
#[actix_rt::test]
async fn a_poisonous_message_is_a_dead_letter_and_its_person_gets_one_apology() {
    let (world, faults) = (World::new(), TestFaults::default());
    let server = world.start_in_process(&TestClock::default(), &faults).await;
    let (base, phone) = (server.url(""), a_phone());
    faults.panic("conversation.ask", 3);
    let id = writes(&world, &phone, "ciao");
    server.log.wait_for("message_dead_lettered", &id).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), apologised());
    assert_eq!(dead(&base).await, [(id.clone(), "panic".to_owned(), None)]);
    for provider in ["openai", "whatsapp"] {
        assert_eq!(channel(&base, provider).await, ("closed".to_owned(), false));
    }
    persons_got_no_errors(&world);
}

/// Row: WhatsApp, any other refusal.
#[actix_rt::test]
async fn what_whatsapp_refuses_for_good_is_a_dead_letter_and_the_channel_goes_on() {
    let world = World::new();
    let server = world.start().await;
    let (base, meta) = (server.url(""), &world.sandbox.meta);
    let mut listed = Vec::new();
    for code in ["131026", "131047", "100", "131009", "130472"] {
        let phone = a_phone();
        meta.script().aim("echo: ciao", Route::Send, 1, Fault::code(code).with_status(400));
        let id = writes(&world, &phone, "ciao");
        let told = server.log.wait_for("message_dead_lettered", &id).await;
        assert_eq!((&told["level"], &told["error_code"]), (&"ERROR".into(), &"400".into()), "{told}");
        assert_eq!(told["provider_code"], code, "{told}");
        assert_eq!(meta.answers_to(&phone), greeted(&[]), "{code}");
        assert_eq!(meta.look(|records| records.sends_to(&phone).count()), 2, "{code}: one attempt");
        assert_eq!(ends(&server, &id), [0, 0, 1]);
        assert_eq!(trace(&base, &id).await["state"], "dead");
        let next = writes(&world, &phone, "e poi?");
        server.log.wait_for("task_completed", &next).await;
        listed.push((id, "400".to_owned(), Some(code.to_owned())));
    }
    assert_eq!(dead(&base).await, listed);
    assert_eq!(channel(&base, "whatsapp").await, ("closed".to_owned(), false));
    let (status, all, ..) = health(&base, "whatsapp").await;
    assert_eq!((status, all.as_str()), (200, "ok"));
    assert_eq!(server.log.events("channel_paused"), [] as [Value; 0]);
    persons_got_no_errors(&world);
}

/// Row: WhatsApp, what an operator has to mend.
#[actix_rt::test]
async fn while_whatsapp_is_paused_a_message_is_held_until_its_window_ends() {
    let codes = [
        ("400", Some("0"), Fault::code(0).with_status(400)),
        ("401", Some("190"), Fault::code(190).with_status(401)),
        ("403", Some("230"), Fault::code(230).with_status(403)),
        ("400", Some("131042"), Fault::code(131_042).with_status(400)),
        ("401", None, Fault::status(401).with_body("<html>401</html>")),
    ];
    for (code, provider_code, fault) in codes {
        let (world, clock) = (World::new(), TestClock::default());
        let server = world.start_in_process(&clock, &TestFaults::default()).await;
        let (base, phone) = (server.url(""), a_phone());
        world.sandbox.meta.script().aim("echo: ciao", Route::Send, 9, fault);
        let id = writes(&world, &phone, "ciao");
        is_paused(&base, "whatsapp").await;
        let reason = provider_code.map_or(code.to_owned(), |own| format!("{code}/{own}"));
        assert_eq!(
            health(&base, "whatsapp").await,
            (503, "down".to_owned(), "down".to_owned(), format!("paused: {reason}"))
        );
        // Held for as long as the answer is free.
        until_held(&base, &id).await;
        let row = trace(&base, &id).await;
        assert_eq!(row["state"], "open", "{row:#}");
        assert!(between(&row["sent_at"], &row["due_at"]) == 0, "a day later: {row:#}");
        assert_eq!(dead(&base).await, []);
        clock.advance(DAY);
        let told = server.log.wait_for("message_dead_lettered", &id).await;
        assert_eq!(told["error_code"], "window_closed", "{told}");
        assert_eq!(dead(&base).await, [(id.clone(), "window_closed".to_owned(), None)]);
        assert_eq!(world.sandbox.meta.answers_to(&phone), greeted(&[]), "{reason}");
        assert_eq!(sent(&world, 2).await.len(), 2, "{reason}: one attempt, and no other");
        assert_eq!(channel(&base, "whatsapp").await, ("closed".to_owned(), true));
        persons_got_no_errors(&world);
    }
}

/// Row: WhatsApp, 5xx, 429, rate codes, three attempts.
#[actix_rt::test]
async fn what_whatsapp_cannot_take_now_is_tried_again_after_five_seconds_doubled_up_to_a_minute() {
    for (code, fault) in [("503", Fault::status(503)), ("429", Fault::code(130_429).with_status(429))] {
        let world = World::new().set("WHATSAPP_CIRCUIT_FAILURES", "1000");
        let clock = TestClock::default();
        let server = world.start_in_process(&clock, &TestFaults::default()).await;
        let (base, phone) = (server.url(""), a_phone());
        let rule = world.sandbox.meta.script().aim("echo: ciao", Route::Send, 1000, fault);
        let id = writes(&world, &phone, "ciao");
        let rounds = |count| {
            let ours = |line: &Value| line["message_id"] == id.as_str() && line["service"] == "whatsapp";
            server.log.wait_count("http_failed", count, ours)
        };
        for (round, wait) in [5, 10, 20, 40, 60, 60].into_iter().enumerate() {
            rounds(round + 1).await;
            until_held(&base, &id).await;
            let row = trace(&base, &id).await;
            let step = row["steps"].as_array().unwrap().last().unwrap().clone();
            assert_eq!((&step["state"], &step["error_code"]), (&"postponed".into(), &code.into()), "{row:#}");
            let waits = between(&step["settled_at"], &row["due_at"]);
            assert!((wait * 1000 - 1000..=wait * 1000 + 50).contains(&waits), "{waits} ms: {row:#}");
            assert_eq!(row["holds"], round + 1);
            assert_eq!(sent(&world, 1 + 3 * (round + 1)).await.len(), 1 + 3 * (round + 1));
            clock.advance(Duration::from_secs(wait.unsigned_abs()));
        }
        rounds(7).await;
        until_held(&base, &id).await;
        world.sandbox.meta.script().remove(rule);
        clock.advance(Duration::from_secs(60));
        server.log.wait_for("task_completed", &id).await;
        assert_eq!(world.sandbox.meta.answers_to(&phone), greeted(&["echo: ciao"]));
        assert_eq!(world.sandbox.openai.chats().len(), 1, "the answer was paid for once");
        assert_eq!(channel(&base, "whatsapp").await, ("closed".to_owned(), false));
        persons_got_no_errors(&world);
    }
}

/// The window of a message that could not be sent ends while it is held.
#[actix_rt::test]
async fn what_whatsapp_could_not_take_until_the_window_ended_is_a_dead_letter() {
    let (world, clock) = (World::new(), TestClock::default());
    let server = world.start_in_process(&clock, &TestFaults::default()).await;
    let (base, phone) = (server.url(""), a_phone());
    world.sandbox.meta.script().always(Route::Send, Fault::status(503));
    let id = writes(&world, &phone, "ciao");
    sent(&world, 3).await;
    until_nothing_runs(&base).await;
    clock.advance(DAY);
    let told = server.log.wait_for("message_dead_lettered", &id).await;
    assert_eq!(told["error_code"], "window_closed", "{told}");
    assert_eq!(dead(&base).await, [(id, "window_closed".to_owned(), None)]);
    assert_eq!(world.sandbox.meta.answers_to(&phone), [""; 0]);
    persons_got_no_errors(&world);
}

async fn until_nothing_runs(base: &str) {
    until(base, |stats| stats["queueStats"]["queues"][0]["processing"] == false).await;
}

/// While WhatsApp is paused nobody is told anything, neither that it was read nor that somebody types.
#[actix_rt::test]
async fn a_message_that_came_while_whatsapp_was_paused_is_answered_when_it_works() {
    let world = World::new().set("HEALTH_PROBE_S", "1");
    let server = world.start().await;
    let (base, meta, phone) = (server.url(""), &world.sandbox.meta, a_phone());
    let greeting = writes(&world, &phone, "ciao");
    server.log.wait_for("task_completed", &greeting).await;
    let rules = [Route::Send, Route::Number].map(|route| meta.script().always(route, Fault::code(190)));
    let first = writes(&world, &a_phone(), "uno");
    let paused = server.log.wait("channel_paused", |_| true).await;
    assert_eq!(
        (&paused["level"], &paused["service"], &paused["error_code"], &paused["provider_code"]),
        (&"ERROR".into(), &"whatsapp".into(), &"401".into(), &"190".into())
    );
    let during = meta.deliver_batch(vec![Inbound::text(&phone, "due"), Inbound::unsupported(&phone)]);
    // The answer is paid for, and waits with the message behind it.
    world.sandbox.openai.wait_calls(2).await.unwrap();
    until(&base, |stats| stats["queueStats"]["active_queues"] == 2).await;
    rules.into_iter().for_each(|rule| meta.script().remove(rule));
    for id in [&first].into_iter().chain(&during) {
        server.log.wait_for("task_completed", id).await;
    }
    let resumed = server.log.wait("channel_resumed", |_| true).await;
    assert_eq!((&resumed["level"], &resumed["service"]), (&"INFO".into(), &"whatsapp".into()));
    assert_eq!(channel(&base, "whatsapp").await, ("closed".to_owned(), false));
    let texts = greeted(&["echo: ciao", "echo: due", &persona_text("not_understood")]);
    assert_eq!(meta.answers_to(&phone), texts);
    let typed = meta
        .look(|records| records.reads().filter(|read| read.message_id.as_ref() == Some(&during[0])).count());
    assert_eq!(typed, 0, "it was taken up while nothing could be sent");
    assert_eq!(world.sandbox.openai.chats().len(), 3, "each was paid for once");
    persons_got_no_errors(&world);
}
