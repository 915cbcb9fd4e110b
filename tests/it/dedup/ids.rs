//! The same id again: at once, after a restart, after its time, after a commit that failed.

use std::time::Duration;

use parlante_domain::{Clock, Fault};
use parlante_sandbox::{Inbound, SignatureMode, sign};
use serde_json::json;

use super::stats;
use crate::support::ask::Ask;
use crate::support::{TestClock, TestFaults, World, a_phone, persona_text, text_of, webhook_of};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Seconds since 1970, this long ago.
fn ago(clock: &TestClock, by: Duration) -> u64 {
    u64::try_from(clock.now().0).unwrap() / 1000 - by.as_secs()
}

#[actix_rt::test]
async fn the_same_id_twice_is_answered_once() {
    let world = World::new();
    let server = world.start().await;
    let meta = &world.sandbox.meta;
    let id = meta.deliver(Inbound::text("393247722154", "once"));
    server.log.wait_for("task_completed", &id).await;
    assert!(meta.redeliver(&id));
    let told = server.log.wait_for("duplicate_message_skipped", &id).await;
    assert_eq!((told["level"].as_str(), told["user_id"].as_str()), (Some("WARN"), Some("393******154")));
    let next = meta.deliver(Inbound::text("393247722154", "and on"));
    server.log.wait_for("task_completed", &next).await;
    let expected = [&persona_text("disclosure"), "echo: once", "echo: and on"];
    assert_eq!(meta.answers_to("393247722154"), expected);
    assert_eq!(server.log.count("message_accepted", &id), 1);
    assert_eq!(server.log.count("duplicate_message_skipped", &id), 1);
}

#[actix_rt::test]
async fn the_same_id_twenty_times_at_once_is_answered_once() {
    let world = World::new();
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    meta.hold();
    let id = meta.deliver_times(Inbound::text(&phone, "once"), 20);
    meta.release(parlante_sandbox::Order::Queued);
    meta.wait_settled().await.unwrap();
    server.log.wait_for("task_completed", &id).await;
    let next = meta.deliver(Inbound::text(&phone, "and on"));
    server.log.wait_for("task_completed", &next).await;
    assert_eq!(meta.answers_to(&phone)[1..], ["echo: once", "echo: and on"]);
    assert_eq!(world.sandbox.openai.chats().len(), 2);
    assert_eq!(server.log.count("message_accepted", &id), 1);
    assert_eq!(server.log.count("duplicate_message_skipped", &id), 19);
    let told = stats(&server.url("/stats"), "dedupStats").await;
    assert_eq!(told, json!({"keys": 2, "hits": 19, "misses": 2}));
}

#[actix_rt::test]
async fn a_restart_forgets_no_id() {
    let world = World::new();
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let server = world.start().await;
    let id = meta.deliver(Inbound::text(&phone, "once"));
    server.log.wait_for("task_completed", &id).await;
    assert!(server.terminate().await.success());
    let server = world.start().await;
    assert!(meta.redeliver(&id));
    server.log.wait_for("duplicate_message_skipped", &id).await;
    let next = meta.deliver(Inbound::text(&phone, "and on"));
    server.log.wait_for("task_completed", &next).await;
    assert_eq!(meta.answers_to(&phone)[1..], ["echo: once", "echo: and on"]);
    let told = stats(&server.url("/stats"), "dedupStats").await;
    assert_eq!(told, json!({"keys": 2, "hits": 1, "misses": 1}), "hits and misses count from the start");
}

#[actix_rt::test]
async fn an_id_whose_time_is_over_is_new() {
    let world = World::new().set("DEDUP_TTL_HOURS", "2");
    let clock = TestClock::default();
    let server = world.start_in_process(&clock, &TestFaults::default()).await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let id = meta.deliver(Inbound::text(&phone, "again"));
    server.log.wait_for("task_completed", &id).await;
    clock.advance(2 * HOUR - MINUTE);
    assert!(meta.redeliver(&id));
    server.log.wait_for("duplicate_message_skipped", &id).await;
    clock.advance(2 * MINUTE);
    assert!(meta.redeliver(&id));
    let answers = meta.wait_answers(&phone, 3).await.unwrap();
    assert_eq!(answers, [&persona_text("disclosure"), "echo: again", "echo: again"]);
    server.log.wait_count("task_completed", 2, |line| line["message_id"] == *id).await;
    assert_eq!(server.log.count("message_accepted", &id), 2);
    // It is remembered anew, from its second acceptance on.
    assert!(meta.redeliver(&id));
    server.log.wait_count("duplicate_message_skipped", 2, |line| line["message_id"] == *id).await;
}

#[actix_rt::test]
async fn by_default_an_id_outlives_the_seven_days_of_metas_redeliveries() {
    let world = World::new();
    let clock = TestClock::default();
    let server = world.start_in_process(&clock, &TestFaults::default()).await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let id = meta.deliver(Inbound::text(&phone, "once"));
    server.log.wait_for("task_completed", &id).await;
    clock.advance(8 * 24 * HOUR - MINUTE);
    assert!(meta.redeliver(&id));
    server.log.wait_for("duplicate_message_skipped", &id).await;
    assert_eq!(server.log.count("stale_message_skipped", &id), 0);
    assert_eq!(meta.answers_to(&phone).len(), 2);
}

#[actix_rt::test]
async fn what_could_not_be_committed_is_answered_503_and_its_redelivery_is_answered() {
    let world = World::new();
    let faults = TestFaults::default();
    let server = world.start_in_process(&TestClock::default(), &faults).await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let id = format!("wamid.uncommitted.{phone}");
    let body = webhook_of(&world, &[text_of(&phone, &id, "ciao")]);
    let signature = sign(&meta.options().app_secret, body.as_bytes());
    let post =
        || Ask::post(&server.url("/webhook")).header("x-hub-signature-256", &signature).body(body.clone());

    faults.give("ledger.commit", Fault::Fail, 1);
    let refused = post().send().await;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    // Nothing went ahead of the commit.
    let told = stats(&server.url("/stats"), "dedupStats").await;
    assert_eq!(told, json!({"keys": 0, "hits": 0, "misses": 0}));
    assert_eq!(server.log.count("message_accepted", &id), 0);
    assert_eq!(meta.sends().len() + world.sandbox.openai.chats().len(), 0);

    assert_eq!(post().send().await.status, 200);
    let answers = meta.wait_answers(&phone, 2).await.unwrap();
    assert_eq!(answers, [&persona_text("disclosure"), "echo: ciao"]);
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(server.log.count("duplicate_message_skipped", &id), 0);
    assert_eq!(server.log.count("message_accepted", &id), 1);
    let told = stats(&server.url("/stats"), "dedupStats").await;
    assert_eq!(told, json!({"keys": 1, "hits": 0, "misses": 1}));
}

#[actix_rt::test]
async fn nothing_is_acknowledged_before_its_commit_and_meanwhile_others_are_taken_in() {
    let world = World::new();
    let faults = TestFaults::default();
    let server = world.start_in_process(&TestClock::default(), &faults).await;
    let (meta, one, two) = (&world.sandbox.meta, a_phone(), a_phone());
    let commits = faults.passed("ledger.commit");
    faults.shut("ledger.commit");
    let mut ids = vec![meta.deliver(Inbound::text(&one, "one"))];
    faults.wait_passed("ledger.commit", commits + 1).await;
    ids.push(meta.deliver(Inbound::text(&two, "two")));
    faults.wait_passed("dedup.accept", 2).await;
    // The second stands in the queue behind the first; of neither is anything told.
    let told = stats(&server.url("/stats"), "dedupStats").await;
    assert_eq!(told, json!({"keys": 0, "hits": 0, "misses": 0}));
    assert_eq!(meta.unsettled(), 2);
    for id in &ids {
        assert_eq!(server.log.count("message_accepted", id), 0);
    }
    assert_eq!(meta.sends().len() + world.sandbox.openai.chats().len(), 0);

    faults.open("ledger.commit");
    for (id, phone, answer) in [(&ids[0], &one, "echo: one"), (&ids[1], &two, "echo: two")] {
        assert_eq!(meta.wait_acknowledged(id).await.unwrap().attempts.len(), 1);
        server.log.wait_for("task_completed", id).await;
        assert_eq!(meta.answers_to(phone)[1..], [answer]);
    }
}

#[actix_rt::test]
async fn meta_delivers_again_what_was_refused_and_all_of_the_batch_is_answered_once() {
    let world = World::new();
    let faults = TestFaults::default();
    let server = world.start_in_process(&TestClock::default(), &faults).await;
    let (meta, one, two) = (&world.sandbox.meta, a_phone(), a_phone());
    faults.give("ledger.commit", Fault::Fail, 3);
    let ids = meta.deliver_batch(vec![Inbound::text(&one, "one"), Inbound::text(&two, "two")]);
    let delivery = meta.wait_acknowledged(&ids[0]).await.unwrap();
    let answers: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.answer.clone()).collect();
    assert_eq!(answers, [Ok(503), Ok(503), Ok(503), Ok(200)]);
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
        assert_eq!(server.log.count("message_accepted", id), 1);
        assert_eq!(server.log.count("duplicate_message_skipped", id), 0);
    }
    assert_eq!(meta.answers_to(&one)[1..], ["echo: one"]);
    assert_eq!(meta.answers_to(&two)[1..], ["echo: two"]);
}

#[actix_rt::test]
async fn a_stale_message_is_skipped_and_its_redelivery_is_a_duplicate() {
    let world = World::new();
    let server = world.start().await;
    let (meta, phone, clock) = (&world.sandbox.meta, a_phone(), TestClock::default());
    let stale = Inbound::text(&phone, "yesterday").at(ago(&clock, 24 * HOUR + MINUTE));
    let stale = meta.deliver(stale);
    let told = server.log.wait_for("stale_message_skipped", &stale).await;
    assert_eq!(told["level"], "WARN");
    assert!(told["user_id"].as_str().is_some_and(|user| user.contains("******")), "{told}");
    assert!(meta.redeliver(&stale));
    server.log.wait_for("duplicate_message_skipped", &stale).await;

    let late = meta.deliver(Inbound::text(&phone, "just in time").at(ago(&clock, 24 * HOUR - MINUTE)));
    server.log.wait_for("task_completed", &late).await;
    assert_eq!(meta.answers_to(&phone)[1..], ["echo: just in time"]);
    assert_eq!(server.log.count("message_accepted", &stale), 0);
    assert_eq!(server.log.count("stale_message_skipped", &stale), 1);
    assert_eq!(stats(&server.url("/stats"), "refused").await, 1);
    // A refused id is a miss once, then a hit.
    let told = stats(&server.url("/stats"), "dedupStats").await;
    assert_eq!(told, json!({"keys": 2, "hits": 1, "misses": 2}));
}

#[actix_rt::test]
async fn an_id_that_occurs_twice_in_one_webhook_is_answered_once() {
    let world = World::new();
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let items = [
        text_of(&phone, "wamid.a", "one"),
        text_of(&phone, "wamid.a", "one"),
        text_of(&phone, "wamid.b", "two"),
    ];
    let number = meta.deliver_raw(webhook_of(&world, &items), &SignatureMode::Right);
    assert_eq!(meta.wait_posted(number).await.unwrap().answer, Ok(200));
    server.log.wait_for("task_completed", "wamid.b").await;
    assert_eq!(meta.answers_to(&phone)[1..], ["echo: one", "echo: two"]);
    assert_eq!(server.log.count("duplicate_message_skipped", "wamid.a"), 1);
}
