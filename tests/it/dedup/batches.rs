//! Broken neighbours, a thousand updates, several entries.

use parlante_sandbox::{Inbound, MetaOptions, Options, SignatureMode};
use serde_json::{Value, json};

use super::stats;
use crate::support::{World, a_phone, text_of, webhook_of};

/// Posts these items in one webhook, which has to be answered 200.
async fn post(world: &World, body: String) {
    let number = world.sandbox.meta.deliver_raw(body, &SignatureMode::Right);
    assert_eq!(world.sandbox.meta.wait_posted(number).await.unwrap().answer, Ok(200));
}

#[actix_rt::test]
async fn a_broken_item_does_not_spoil_its_neighbours() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let bent = |id: &str, field: &str, value: Value| {
        let mut item = text_of(&phone, id, "bent");
        item[field] = value;
        item
    };
    let items = [
        json!(17),
        text_of(&phone, "wamid.first", "first"),
        json!(null),
        json!([]),
        json!({}),
        bent("wamid.when", "timestamp", json!("soon")),
        bent("wamid.type", "type", json!({})),
        bent("wamid.id", "id", json!(null)),
        json!({"id": "wamid.bare"}),
        text_of(&phone, "wamid.last", "last"),
    ];
    post(&world, webhook_of(&world, &items)).await;
    server.log.wait_for("task_completed", "wamid.last").await;
    assert_eq!(world.sandbox.meta.answers_to(&phone)[1..], ["echo: first", "echo: last"]);
    assert_eq!(server.log.events("message_accepted").len(), 2);
    let ignored = server.log.events("item_ignored");
    assert_eq!(ignored.len(), 8);
    assert!(ignored.iter().all(|line| line["reason"] == "malformed"), "{ignored:?}");
    for id in ["wamid.when", "wamid.type", "wamid.bare"] {
        assert_eq!(server.log.count("item_ignored", id), 1, "{id}");
    }
}

#[actix_rt::test]
async fn half_a_character_in_one_text_does_not_spoil_the_batch() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let items = [
        text_of(&phone, "wamid.before", "before"),
        text_of(&phone, "wamid.half", "half HALF"),
        text_of(&phone, "wamid.after", "after"),
    ];
    // An emoji that was cut in two, as clients do that count in UTF-16.
    post(&world, webhook_of(&world, &items).replace("HALF", r"\ud83d")).await;
    server.log.wait_for("task_completed", "wamid.after").await;
    let answers = world.sandbox.meta.answers_to(&phone);
    assert_eq!(answers[1..], ["echo: before", "echo: half \u{fffd}", "echo: after"]);
}

#[actix_rt::test]
async fn a_broken_entry_or_change_does_not_spoil_the_others() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let mut body: Value =
        serde_json::from_str(&webhook_of(&world, &[text_of(&phone, "wamid.1", "one")])).unwrap();
    let good = body["entry"][0].clone();
    let mut odd = good.clone();
    odd["changes"] =
        json!([7, {"field": "messages"}, {"field": "messages", "value": []}, good["changes"][0]]);
    odd["changes"][3]["value"]["messages"] = json!([text_of(&phone, "wamid.2", "two")]);
    let mut listless = good.clone();
    listless["changes"][0]["value"]["messages"] = json!({"0": "no list"});
    body["entry"] = json!([null, "entry", good, {"changes": 5}, listless, odd]);
    post(&world, body.to_string()).await;
    server.log.wait_for("task_completed", "wamid.2").await;
    assert_eq!(world.sandbox.meta.answers_to(&phone)[1..], ["echo: one", "echo: two"]);
}

#[actix_rt::test]
async fn several_entries_and_changes_are_answered_in_their_order() {
    let world = World::new();
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let say = |words: &str| Inbound::text(&phone, words);
    let ids = meta.deliver_nested(vec![
        vec![vec![say("1"), say("2")], vec![say("3")]],
        vec![vec![say("4")], vec![say("5"), say("6")], vec![say("7")]],
        vec![vec![say("8"), say("9")]],
    ]);
    server.log.wait_for("task_completed", &ids[8]).await;
    let expected: Vec<_> = (1..=9).map(|n| format!("echo: {n}")).collect();
    assert_eq!(meta.answers_to(&phone)[1..], expected);
}

#[actix_rt::test]
async fn a_thousand_updates_in_one_webhook_are_all_taken() {
    let meta = MetaOptions { statuses: false, ..MetaOptions::default() };
    let world = World::with(Options { meta, ..Options::for_tests() });
    let server = world.start().await;
    let meta = &world.sandbox.meta;
    let people: Vec<_> = (0..20).map(|_| a_phone()).collect();
    // Two texts and 48 reactions each; the last update of all is a text.
    let mut updates = Vec::new();
    for round in 0..50 {
        updates.extend(people.iter().map(|phone| match round {
            0 => Inbound::text(phone, "first"),
            49 => Inbound::text(phone, "last"),
            _ => Inbound::reaction(phone, "wamid.X", Some("👍")),
        }));
    }
    assert_eq!(updates.len(), 1000);
    let ids = meta.deliver_batch(updates);
    let delivery = meta.wait_acknowledged(&ids[999]).await.unwrap();
    assert_eq!(delivery.attempts.len(), 1, "{:?}", delivery.attempts);
    server.log.wait_count("task_completed", 40, |_| true).await;
    for phone in &people {
        assert_eq!(meta.answers_to(phone)[1..], ["echo: first", "echo: last"]);
    }
    assert_eq!(server.log.events("item_ignored").len(), 960);
    assert_eq!(
        stats(&server.url("/stats"), "dedupStats").await,
        json!({"keys": 1000, "hits": 0, "misses": 1000})
    );
}
