//! Signals, the drain, and the next start.

use std::time::Duration;

use parlante_sandbox::{Fault, Inbound, Route, sign};
use rustix::process::Signal;
use tokio::time::Instant;

use crate::support::ask::Ask;
use crate::support::{PATIENCE, Process, World, a_phone, get, persona_text, text_of, webhook_of};

/// A person who has written, and stands at the model's gate.
async fn at_the_gate(world: &World) -> (Process, String, String) {
    let server = world.start().await;
    world.sandbox.openai.script().next(Route::Chat, 1, Fault::Gate("model".into()));
    let phone = a_phone();
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    world.sandbox.openai.script().wait_at_gate("model", 1, PATIENCE).await.unwrap();
    world.sandbox.meta.wait_settled().await.unwrap();
    (server, phone, id)
}

/// Waits until the drain has begun.
async fn draining(server: &Process) {
    server.log.wait("shutdown_started", |_| true).await;
    let refused = async { while get(&server.url("/health/ready")).await.0 != 503 {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("not ready while draining");
}

/// The next start answers what was left, once, and tells nothing twice. Hands back the server, which runs on.
async fn the_next_start_answers(world: &World, phone: &str, id: &str) -> Process {
    let server = world.start().await;
    let answers = world.sandbox.meta.wait_answers(phone, 2).await.unwrap();
    server.log.wait_for("task_completed", id).await;
    let after = world.sandbox.meta.deliver(Inbound::text(phone, "still there?"));
    server.log.wait_for("task_completed", &after).await;
    assert_eq!(answers, [persona_text("disclosure"), "echo: ciao".to_owned()]);
    assert_eq!(world.sandbox.meta.answers_to(phone)[2..], ["echo: still there?"]);
    server
}

#[actix_rt::test]
async fn while_draining_webhooks_are_refused_and_the_other_routes_answer() {
    let world = World::new();
    let (server, phone, id) = at_the_gate(&world).await;
    server.signal(Signal::TERM);
    draining(&server).await;
    assert_eq!(server.log.events("shutdown_started")[0]["in_progress"], 1);

    let body = webhook_of(&world, &[text_of(&a_phone(), "wamid.late", "ciao")]);
    let signature = sign(&world.sandbox.meta.options().app_secret, body.as_bytes());
    let late = Ask::post(&server.url("/webhook")).header("x-hub-signature-256", &signature).body(body);
    let refused = late.send().await;
    assert_eq!(refused.status, 503);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(get(&server.url("/webhook?hub.mode=subscribe")).await.0, 503);
    assert_eq!(get(&server.url("/health/ready")).await.0, 503);
    for path in ["/health", "/health/live", "/stats"] {
        assert_eq!(get(&server.url(path)).await.0, 200, "{path}");
    }

    world.sandbox.openai.script().open("model");
    assert!(server.ended().await.success());
    assert_eq!(server.log.events("shutdown_completed").len(), 1);
    assert_eq!(server.log.count("message_accepted", "wamid.late"), 0);
    // The attempt that ran has ended and is not made again; none came after it.
    assert_eq!(world.sandbox.openai.chats().len(), 1);
    assert_eq!(world.sandbox.meta.answers_to(&phone), [persona_text("disclosure")]);
    the_next_start_answers(&world, &phone, &id).await;
    assert_eq!(world.sandbox.openai.chats().len(), 2);
}

#[actix_rt::test]
async fn what_is_refused_while_draining_is_delivered_again_and_answered() {
    let world = World::new();
    let (server, phone, id) = at_the_gate(&world).await;
    server.signal(Signal::TERM);
    draining(&server).await;
    let other = a_phone();
    let late = world.sandbox.meta.deliver(Inbound::text(&other, "too late"));
    let refused = |records: &parlante_sandbox::Records| {
        records.deliveries_of(&late).find(|delivery| delivery.last_status() == Some(503)).map(|_| ())
    };
    world.sandbox.meta.wait(refused, PATIENCE).await.unwrap();
    world.sandbox.openai.script().open("model");
    assert!(server.ended().await.success());
    let _server = the_next_start_answers(&world, &phone, &id).await;
    assert_eq!(world.sandbox.meta.wait_answers(&other, 2).await.unwrap()[1], "echo: too late");
}

#[actix_rt::test]
async fn a_provider_that_hangs_does_not_hold_up_the_end() {
    let world = World::new().set("SERVER_DRAIN_S", "1");
    let (server, phone, id) = at_the_gate(&world).await;
    let began = Instant::now();
    assert!(server.terminate().await.success());
    let took = began.elapsed();
    // The attempt had its second; after it at most two more, and half a one for this machine.
    assert!((Duration::from_secs(1)..Duration::from_millis(3500)).contains(&took), "{took:?}");
    the_next_start_answers(&world, &phone, &id).await;
}

#[actix_rt::test]
async fn a_send_that_hangs_at_the_end_is_found_by_its_status_after_the_next_start() {
    let world = World::new().set("SERVER_DRAIN_S", "1").set("WHATSAPP_RECONCILE_MS", "20000");
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    meta.script().aim("echo: ciao", Route::Send, 1, Fault::Gate("send".into()));
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    meta.script().wait_at_gate("send", 1, PATIENCE).await.unwrap();
    assert!(server.terminate().await.success());
    // Meta takes it although nobody listens any more.
    meta.script().open("send");
    meta.wait_answers(&phone, 2).await.unwrap();
    let _server = the_next_start_answers(&world, &phone, &id).await;
    assert_eq!(meta.wait_sends(&phone, 3).await.unwrap().len(), 3, "it was not sent again");
}

#[actix_rt::test]
async fn a_second_signal_ends_the_process_at_once_with_1() {
    let world = World::new().set("SERVER_DRAIN_S", "60");
    for second in [Signal::TERM, Signal::INT] {
        let (server, phone, id) = at_the_gate(&world).await;
        server.signal(Signal::TERM);
        server.log.wait("shutdown_started", |_| true).await;
        server.signal(second);
        assert_eq!(server.ended().await.code(), Some(1));
        the_next_start_answers(&world, &phone, &id).await;
    }
}

#[actix_rt::test]
async fn an_interrupt_drains_like_a_termination() {
    let world = World::new();
    let (server, phone, id) = at_the_gate(&world).await;
    server.signal(Signal::INT);
    draining(&server).await;
    world.sandbox.openai.script().open("model");
    assert_eq!(server.ended().await.code(), Some(0));
    the_next_start_answers(&world, &phone, &id).await;
}

#[actix_rt::test]
async fn an_idle_server_ends_without_waiting_for_its_drain() {
    let world = World::new().set("SERVER_DRAIN_S", "60");
    let server = world.start().await;
    assert_eq!(server.terminate().await.code(), Some(0));
    let told = server.log.events("shutdown_completed");
    assert_eq!((told.len(), &told[0]["in_progress"]), (1, &serde_json::json!(0)));
}
