//! A wake-up is a hint and a row is a message: when every wake-up is lost, the sweep finds all the same.

use std::time::Duration;

use parlante_domain::Fault;
use parlante_sandbox::{Inbound, MetaOptions, Options, PATIENCE, Request, Route};

use crate::support::{TestClock, TestFaults, World, a_phone, persona_text};

fn without_wakes() -> TestFaults {
    let faults = TestFaults::default();
    faults.give("dedup.wake", Fault::Skip, usize::MAX);
    faults
}

#[actix_rt::test]
async fn every_message_is_answered_in_order_though_every_wake_up_is_lost() {
    let (world, faults) = (World::new(), without_wakes());
    let server = world.start_in_process(&TestClock::default(), &faults).await;
    let meta = &world.sandbox.meta;
    let people: Vec<String> = (0..5).map(|_| a_phone()).collect();
    for round in 0..3 {
        let messages =
            |phone: &String| [0, 1, 2].map(|at| Inbound::text(phone, &format!("round {round}, {at}")));
        let ids = meta.deliver_batch(people.iter().flat_map(messages).collect());
        for id in &ids {
            server.log.wait_for("task_completed", id).await;
        }
    }
    let rounds = (0..3).flat_map(|round| (0..3).map(move |at| format!("echo: round {round}, {at}")));
    let expected: Vec<String> = std::iter::once(persona_text("disclosure")).chain(rounds).collect();
    for phone in &people {
        assert_eq!(meta.answers_to(phone), expected);
        assert_eq!(meta.look(|records| records.sends_to(phone).count()), expected.len());
    }
    assert!(faults.passed("dedup.wake") >= 50, "one for each of 45 messages and 5 disclosures");
}

#[actix_rt::test]
async fn a_late_status_settles_its_send_though_its_wake_up_is_lost() {
    let tests = Options::for_tests();
    let silent = Options { meta: MetaOptions { statuses: false, ..tests.meta }, ..tests };
    let world = World::with(silent).set("WHATSAPP_RECONCILE_MS", "600000");
    let server = world.start_in_process(&TestClock::default(), &without_wakes()).await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    meta.script().aim("echo: ciao", Route::Send, 1, parlante_sandbox::Fault::close().accepted());
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    server.log.wait("http_failed", |line| line["message_id"] == id.as_str()).await;
    let tag = |send: &Request| send.tag.clone().filter(|_| send.text.as_deref() == Some("echo: ciao"));
    let tag = meta.wait(|records| records.sends_to(&phone).find_map(tag), PATIENCE).await.unwrap();
    meta.status(&tag, "delivered", None).unwrap();
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(meta.look(|records| records.sends_to(&phone).count()), 2);
}

#[actix_rt::test]
async fn a_held_message_is_taken_up_again_though_every_wake_up_is_lost() {
    let (world, clock) = (World::new(), TestClock::default());
    let server = world.start_in_process(&clock, &without_wakes()).await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    meta.script().aim("echo: ciao", Route::Send, 3, parlante_sandbox::Fault::status(429));
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    server.log.wait("http_failed", |line| line["message_id"] == id.as_str()).await;
    clock.advance(Duration::from_secs(6));
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(meta.answers_to(&phone), [persona_text("disclosure"), "echo: ciao".to_owned()]);
}
