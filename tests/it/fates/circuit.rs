//! A provider that fails again and again is left alone for a while, and then tried by one call.

use parlante_sandbox::{Fault, Records, Route};
use serde_json::Value;

use super::{all_write, apologised, channel, greeted, health, sends, sent, stats, trace, until, writes};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{PATIENCE, Process, TestClock, TestFaults, World, a_phone};

/// The `circuit_*` lines: event, level, service, failures.
fn changes(server: &Process) -> Vec<(String, String, u64)> {
    let lines = server.log.lines().into_iter();
    let ours = lines.filter(|line| line["event"].as_str().is_some_and(|event| event.starts_with("circuit_")));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let line = |line: Value| {
        assert_eq!(line["service"], "openai", "{line}");
        (text(&line["event"]), text(&line["level"]), line["failures"].as_u64().unwrap())
    };
    ours.map(line).collect()
}

fn opened(failures: u64) -> (String, String, u64) {
    ("circuit_opened".to_owned(), "WARN".to_owned(), failures)
}

fn half_open(failures: u64) -> (String, String, u64) {
    ("circuit_half_open".to_owned(), "INFO".to_owned(), failures)
}

fn closed(failures: u64) -> (String, String, u64) {
    ("circuit_closed".to_owned(), "INFO".to_owned(), failures)
}

/// Somebody writes, and gets the apology; with which code.
async fn is_apologised_to(world: &World, server: &Process) -> (String, String) {
    let phone = a_phone();
    let id = writes(world, &phone, "ciao");
    let told = server.log.wait_for("task_failed", &id).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), apologised());
    (id, told["error_code"].as_str().unwrap().to_owned())
}

#[actix_rt::test]
async fn an_open_circuit_of_the_model_means_the_apology_at_once() {
    let world = World::new().set("OPENAI_CIRCUIT_FAILURES", "2").set("OPENAI_CIRCUIT_OPEN_MS", "600000");
    world.sandbox.openai.script().always(Route::Chat, Fault::status(503));
    let server = world.start().await;
    let base = server.url("");
    for asked in [3, 6] {
        assert_eq!(channel(&base, "openai").await.0, "closed");
        assert_eq!(is_apologised_to(&world, &server).await.1, "503");
        assert_eq!(world.sandbox.openai.chats().len(), asked);
    }
    assert_eq!(channel(&base, "openai").await, ("open".to_owned(), false));
    let (status, all, check, reason) = health(&base, "openai").await;
    assert_eq!(
        (status, all.as_str(), check.as_str(), reason.as_str()),
        (200, "degraded", "degraded", "circuit open")
    );
    let (id, code) = is_apologised_to(&world, &server).await;
    assert_eq!(code, "circuit_open");
    assert_eq!(world.sandbox.openai.chats().len(), 6, "the model was left alone");
    let row = trace(&base, &id).await;
    let steps: Vec<&Value> = row["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
    assert_eq!(
        (&row["state"], steps),
        (&"done".into(), vec![&Value::from("send")]),
        "no attempt was used up"
    );
    assert_eq!(changes(&server), [opened(2)]);
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn one_call_of_one_attempt_probes_the_model_and_closes_the_circuit_if_it_works() {
    let world = World::new().set("OPENAI_CIRCUIT_FAILURES", "2").set("OPENAI_CIRCUIT_OPEN_MS", "300");
    let (openai, meta) = (&world.sandbox.openai, &world.sandbox.meta);
    let broken = openai.script().always(Route::Chat, Fault::status(503));
    let server = world.start().await;
    let base = server.url("");
    for _ in 0..2 {
        is_apologised_to(&world, &server).await;
    }
    // Whoever writes in the meantime is told so; the first after it probes, and fails.
    let mut code = String::new();
    while code != "503" {
        code = is_apologised_to(&world, &server).await.1;
    }
    assert_eq!(openai.chats().len(), 7, "one attempt");
    assert_eq!(changes(&server), [opened(2), half_open(2), opened(3)]);
    let (failed_at, open) = (openai.chats()[6].at_ms, channel(&base, "openai").await.0);
    assert_eq!(open, "open");
    // The second probe stands at the model, and all others are told.
    openai.script().remove(broken);
    openai.script().next(Route::Chat, 1, Fault::Gate("probe".to_owned()));
    let probing = loop {
        let (phone, asked) = (a_phone(), openai.chats().len());
        let id = writes(&world, &phone, "ciao");
        tokio::select! {
            _ = server.log.wait_for("task_failed", &id) => assert_eq!(openai.chats().len(), asked),
            _ = openai.script().wait_at_gate("probe", 1, PATIENCE) => break (phone, id),
        }
    };
    assert!(openai.chats()[7].at_ms - failed_at >= 300, "open for as long again");
    assert_eq!(channel(&base, "openai").await.0, "half_open");
    assert_eq!(health(&base, "openai").await.3, "circuit half_open");
    assert_eq!(is_apologised_to(&world, &server).await.1, "circuit_open");
    openai.script().open("probe");
    server.log.wait_for("task_completed", &probing.1).await;
    assert_eq!(meta.answers_to(&probing.0), greeted(&["echo: ciao"]));
    assert_eq!(channel(&base, "openai").await, ("closed".to_owned(), false));
    assert_eq!(changes(&server), [opened(2), half_open(2), opened(3), half_open(3), closed(3)]);
    let phone = a_phone();
    let id = writes(&world, &phone, "ciao");
    server.log.wait_for("task_completed", &id).await;
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_refusal_neither_counts_nor_begins_the_count_anew_and_an_answer_does() {
    let world = World::new().set("OPENAI_CIRCUIT_FAILURES", "2").set("OPENAI_CIRCUIT_OPEN_MS", "600000");
    let script = world.sandbox.openai.script();
    let server = world.start().await;
    for (attempts, status) in [(1, 400), (1, 409), (1, 422), (3, 500), (1, 400)] {
        script.next(Route::Chat, attempts, Fault::status(status));
        assert_eq!(is_apologised_to(&world, &server).await.1, status.to_string());
    }
    let phone = a_phone();
    let id = writes(&world, &phone, "ciao");
    server.log.wait_for("task_completed", &id).await;
    script.next(Route::Chat, 3, Fault::status(500));
    is_apologised_to(&world, &server).await;
    assert_eq!(changes(&server), [], "an answer lay between the two failures");
    script.next(Route::Chat, 1, Fault::status(400));
    is_apologised_to(&world, &server).await;
    script.next(Route::Chat, 3, Fault::status(500));
    is_apologised_to(&world, &server).await;
    assert_eq!(changes(&server), [opened(2)], "and only a refusal lay between these two");
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn typing_and_health_calls_do_not_count() {
    let world = World::new()
        .set("WHATSAPP_CIRCUIT_FAILURES", "1")
        .set("OPENAI_CIRCUIT_FAILURES", "1")
        .set("HEALTH_PROBE_S", "1");
    let (meta, openai) = (&world.sandbox.meta, &world.sandbox.openai);
    meta.script().always(Route::Read, Fault::status(503));
    meta.script().always(Route::Number, Fault::status(503));
    openai.script().always(Route::Models, Fault::status(503));
    let server = world.start().await;
    let base = server.url("");
    let probed = |records: &Records| {
        let number = records.requests().filter(|request| request.route == Some(Route::Number));
        (number.count() >= 2).then_some(())
    };
    meta.wait(probed, PATIENCE).await.unwrap();
    let id = writes(&world, &a_phone(), "ciao");
    server.log.wait_for("task_completed", &id).await;
    let read = |records: &Records| records.reads().find(|read| read.fault.is_some()).map(|_| ());
    meta.wait(read, PATIENCE).await.unwrap();
    for provider in ["whatsapp", "openai"] {
        assert_eq!(channel(&base, provider).await, ("closed".to_owned(), false));
        let (status, all, check, reason) = health(&base, provider).await;
        assert_eq!((status, all.as_str(), check.as_str()), (200, "degraded", "degraded"), "{reason}");
        assert!(reason.starts_with("503"), "{reason}");
    }
    let stats = stats(&base).await;
    let counted = |provider: &str| stats["providers"][provider]["failures"].clone();
    assert_eq!((counted("whatsapp"), counted("openai")), (0.into(), 0.into()));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn an_open_circuit_of_whatsapp_holds_the_rows_and_the_oldest_that_waits_probes() {
    let world = World::new().set("WHATSAPP_CIRCUIT_FAILURES", "1").set("WHATSAPP_CIRCUIT_OPEN_MS", "300");
    let meta = &world.sandbox.meta;
    let broken = meta.script().always(Route::Send, Fault::status(503));
    let server = world.start_in_process(&TestClock::default(), &TestFaults::default()).await;
    let base = server.url("");
    let opener = a_phone();
    let opening = writes(&world, &opener, "ciao");
    until(&base, |stats| stats["providers"]["whatsapp"]["circuit"] == "open").await;
    let people: Vec<String> = (0..8).map(|_| a_phone()).collect();
    let ids = all_write(&world, &people, "ciao");
    let (status, all, check, reason) = health(&base, "whatsapp").await;
    assert_eq!((status, all.as_str(), check.as_str()), (503, "down", "down"));
    assert!(reason.starts_with("circuit "), "{reason}");
    // Three attempts opened it; each probe has one, and is the oldest message's own call.
    let seen = sent(&world, 6).await;
    let of: Vec<&str> = seen.iter().filter_map(|send| send.person.as_deref()).collect();
    assert_eq!(of, vec![opener.as_str(); seen.len()], "the oldest that waits probes");
    for two in seen[2..].windows(2) {
        assert!(two[1].at_ms - two[0].at_ms >= 280, "{} and {}", two[0].at_ms, two[1].at_ms);
    }
    for id in &ids {
        let row = trace(&base, id).await;
        assert_eq!((&row["state"], &row["holds"]), (&"open".into(), &0.into()), "{row:#}");
        assert_eq!(row["steps"], Value::Array(Vec::new()), "no attempt was used up");
    }
    meta.script().remove(broken);
    for (phone, id) in [&opener].into_iter().chain(&people).zip([&opening].into_iter().chain(&ids)) {
        server.log.wait_for("task_completed", id).await;
        assert_eq!(meta.answers_to(phone), greeted(&["echo: ciao"]));
    }
    assert_eq!(channel(&base, "whatsapp").await, ("closed".to_owned(), false));
    let accepted: Vec<_> = sends(&world).into_iter().filter(|send| send.accepted.is_some()).collect();
    assert_eq!(accepted.len(), 18, "nothing was sent twice");
    assert_eq!(accepted[0].person.as_ref(), Some(&opener));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_circuit_whose_probe_finds_the_channel_paused_closes_after_the_pause() {
    let world = World::new()
        .set("WHATSAPP_CIRCUIT_FAILURES", "1")
        .set("WHATSAPP_CIRCUIT_OPEN_MS", "300")
        .set("HEALTH_PROBE_S", "1");
    let meta = &world.sandbox.meta;
    meta.script().next(Route::Send, 3, Fault::status(503));
    let rule = meta.script().always(Route::Send, Fault::code(131_042));
    let server = world.start().await;
    let (base, people) = (server.url(""), [a_phone(), a_phone(), a_phone()]);
    let mut ids = vec![writes(&world, &people[0], "ciao")];
    server.log.wait("circuit_opened", |_| true).await;
    ids.extend(all_write(&world, &people[1..], "ciao"));
    server.log.wait("channel_paused", |_| true).await;
    assert_eq!(channel(&base, "whatsapp").await, ("open".to_owned(), true));
    meta.script().remove(rule);
    for (phone, id) in people.iter().zip(&ids) {
        server.log.wait_for("task_completed", id).await;
        assert_eq!(meta.answers_to(phone), greeted(&["echo: ciao"]));
    }
    assert_eq!(channel(&base, "whatsapp").await, ("closed".to_owned(), false));
    persons_got_no_errors(&world);
}
