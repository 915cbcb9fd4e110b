//! What is answered, and how; what is only recorded.

use parlante_sandbox::{Inbound, SignatureMode};
use serde_json::{Value, json};

use super::stats;
use crate::support::{Process, World, a_phone, persona_text, text_of, webhook_of};

/// Someone writes and is answered: whatever came before has had its time.
async fn a_later_message_is_answered(world: &World, server: &Process, phone: &str) {
    let id = world.sandbox.meta.deliver(Inbound::text(phone, "a later one"));
    server.log.wait_for("task_completed", &id).await;
}

#[actix_rt::test]
async fn what_is_recorded_only_is_logged_with_its_reason_and_not_answered() {
    let world = World::new();
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let unknown = Inbound::text(&phone, "?").field("type", "telepathy".into());
    for (item, reason) in [
        (Inbound::reaction(&phone, "wamid.X", Some("👍")), "reaction"),
        (Inbound::reaction(&phone, "wamid.X", None), "reaction"),
        (Inbound::changed_number(&phone, &a_phone()), "system"),
        (Inbound::edit(&phone, "wamid.X", "I meant this"), "edit"),
        (Inbound::revoke(&phone, "wamid.X"), "revoke"),
        (Inbound::group(&phone, "120363", "all of you"), "group"),
        (unknown, "unknown_type"),
        (Inbound::text(&phone, "wrong number").to_number("999"), "other_number"),
    ] {
        let id = meta.deliver(item);
        let told = server.log.wait_for("item_ignored", &id).await;
        assert_eq!((&told["reason"], &told["level"]), (&json!(reason), &json!("INFO")));
        assert!(meta.redeliver(&id));
        meta.wait_settled().await.unwrap();
        assert_eq!(server.log.count("message_accepted", &id), 0, "{reason}");
    }
    a_later_message_is_answered(&world, &server, &phone).await;
    assert_eq!(meta.answers_to(&phone), [&persona_text("disclosure"), "echo: a later one"]);
    assert_eq!(meta.sends().len(), 2, "nobody else was written to");
    assert_eq!(world.sandbox.openai.chats().len(), 1);
    let told = stats(&server.url("/stats"), "dedupStats").await;
    assert_eq!(told, json!({"keys": 9, "hits": 8, "misses": 9}));
    assert_eq!(server.log.events("item_ignored").len(), 8, "a redelivery is not told again");
}

#[actix_rt::test]
async fn what_is_recorded_only_takes_no_place_in_the_backlog() {
    let world = World::new();
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let mut batch: Vec<_> = (0..12).map(|_| Inbound::reaction(&phone, "wamid.X", Some("👍"))).collect();
    batch.extend((0..10).map(|n| Inbound::text(&phone, &n.to_string())));
    let ids = meta.deliver_batch(batch);
    server.log.wait_for("task_completed", &ids[21]).await;
    let expected: Vec<_> = (0..10).map(|n| format!("echo: {n}")).collect();
    assert_eq!(meta.answers_to(&phone)[1..], expected);
    assert_eq!(server.log.events("user_queue_overflow").len(), 0);
}

#[actix_rt::test]
async fn while_no_number_is_set_the_answer_goes_out_from_the_one_that_was_written_to() {
    let world = World::new().unset("WHATSAPP_PHONE_NUMBER_ID");
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    a_later_message_is_answered(&world, &server, &phone).await;
    let number = meta.options().phone_number_id.clone();
    for send in meta.wait_sends(&phone, 2).await.unwrap() {
        assert_eq!(send.path, format!("/v25.0/{number}/messages"));
        assert!(send.answered_ok());
    }
}

#[actix_rt::test]
async fn what_the_persona_cannot_make_out_is_answered_by_its_own_text() {
    let world = World::new();
    let server = world.start().await;
    let meta = &world.sandbox.meta;
    let text = persona_text("not_understood");
    let phone = a_phone();
    for (item, kind) in [
        (Inbound::unsupported(&phone), "unsupported"),
        (Inbound::sticker(&phone, "1"), "sticker"),
        (Inbound::image(&phone, "1", None), "image"),
        (Inbound::document(&phone, "1", "menu.pdf"), "document"),
        (Inbound::text(&phone, "  "), "text"),
    ] {
        let id = meta.deliver(item);
        let accepted = server.log.wait_for("message_accepted", &id).await;
        assert_eq!(accepted["kind"], kind);
        server.log.wait_for("task_completed", &id).await;
        assert_eq!(meta.answers_to(&phone).last(), Some(&text), "{kind}");
    }
    assert_eq!(meta.answers_to(&phone).len(), 6);
    assert_eq!(world.sandbox.openai.chats().len(), 0, "no model was paid for it");
}

#[actix_rt::test]
async fn what_can_be_put_in_words_reaches_the_model_in_words() {
    let world = World::new().set("OPENAI_HISTORY_TOKENS", "0");
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    for (item, words, kind) in [
        (Inbound::image(&phone, "1", Some("my tiramisù")), "my tiramisù", "image"),
        (Inbound::video(&phone, "1", Some("my oven")), "my oven", "video"),
        (Inbound::location(&phone, 40.85, 14.27, "Da Michele"), "Da Michele", "location"),
        (Inbound::contacts(&phone, "Ada Bianchi", "+39333"), "Ada Bianchi", "contacts"),
        (Inbound::button(&phone, "yes", "Yes, please"), "Yes, please", "button"),
        (Inbound::interactive(&phone, "1", "Book a table"), "Book a table", "interactive"),
        (Inbound::order(&phone, "no onions"), "no onions", "order"),
    ] {
        let id = meta.deliver(item);
        assert_eq!(server.log.wait_for("message_accepted", &id).await["kind"], kind);
        server.log.wait_for("task_completed", &id).await;
        let asked = world.sandbox.openai.chats().pop().and_then(|call| call.last_user).unwrap();
        assert!(asked.contains(words), "{kind}: {asked}");
        assert_eq!(meta.answers_to(&phone).pop(), Some(format!("echo: {asked}")));
    }
    assert_eq!(world.sandbox.openai.chats().len(), 7);
}

#[actix_rt::test]
async fn a_message_without_any_sender_is_recorded_and_answered_to_nobody() {
    let world = World::new();
    let server = world.start().await;
    let mut item = text_of("1", "wamid.nobody", "who am I?");
    item.as_object_mut().unwrap().remove("from");
    let number = world.sandbox.meta.deliver_raw(webhook_of(&world, &[item]), &SignatureMode::Right);
    assert_eq!(world.sandbox.meta.wait_posted(number).await.unwrap().answer, Ok(200));
    let told: Value = server.log.wait_for("item_ignored", "wamid.nobody").await;
    assert_eq!(told["reason"], "malformed");
    a_later_message_is_answered(&world, &server, &a_phone()).await;
    assert_eq!(world.sandbox.meta.sends().len(), 2);
}
