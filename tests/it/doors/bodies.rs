//! What may be delivered.

use futures_util::future::select_all;
use parlante_sandbox::{Inbound, SignatureMode, sign};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::ask::Ask;
use crate::support::{PATIENCE, Process, World, a_phone, get, persona_text, text_of, webhook_of};

/// Bodies that may be under way at once.
const BODIES_MAX: usize = 128;
/// Meta's own bound.
const BODY_MAX: usize = 3 * 1024 * 1024;

async fn post(world: &World, body: impl Into<Vec<u8>>) -> u16 {
    let number = world.sandbox.meta.deliver_raw(body.into(), &SignatureMode::Right);
    world.sandbox.meta.wait_posted(number).await.unwrap().answer.unwrap()
}

/// A message is answered, and is all that was taken since the start.
async fn nothing_else_was_done(world: &World, server: &Process) {
    let phone = a_phone();
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    let answers = world.sandbox.meta.wait_answers(&phone, 2).await.unwrap();
    assert_eq!(answers, [persona_text("disclosure"), "echo: ciao".to_owned()]);
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(world.sandbox.meta.sends().len(), 2);
    assert_eq!(world.sandbox.openai.chats().len(), 1);
    let stats: Value = serde_json::from_str(&get(&server.url("/stats")).await.1).unwrap();
    assert_eq!(stats["dedupStats"], json!({"keys": 1, "hits": 0, "misses": 1}));
}

#[actix_rt::test]
async fn a_signed_body_that_is_no_json_object_is_answered_400() {
    let world = World::new();
    let server = world.start().await;
    let halved = r#"{"object": "whatsapp_business_account", "entry": ["#;
    for body in ["", " ", "[]", "[{}]", "7", "null", "\"{}\"", "{", "{}{}", "<xml/>", halved] {
        assert_eq!(post(&world, body).await, 400, "{body:?}");
    }
    nothing_else_was_done(&world, &server).await;
}

#[actix_rt::test]
async fn a_signed_object_that_concerns_us_not_is_answered_200_and_nothing_is_done() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let ours = webhook_of(&world, &[text_of(&phone, "wamid.1", "ciao")]);
    for (body, why) in [
        ("{}".to_owned(), "empty"),
        (r#"{"object": "whatsapp_business_account"}"#.to_owned(), "without entry"),
        (r#"{"object": "whatsapp_business_account", "entry": null}"#.to_owned(), "entry null"),
        (r#"{"object": "whatsapp_business_account", "entry": {"0": 1}}"#.to_owned(), "entry no list"),
        (r#"{"object": "whatsapp_business_account", "entry": [7, {}, null]}"#.to_owned(), "odd entries"),
        (ours.replace("whatsapp_business_account", "page"), "another product"),
        (ours.replace("\"object\"", "\"subject\""), "no product"),
        (ours.replace("\"field\":\"messages\"", "\"field\":\"account_update\""), "another field"),
    ] {
        assert_eq!(post(&world, body).await, 200, "{why}");
    }
    server.log.wait_count("items_skipped", 8, |_| true).await;
    nothing_else_was_done(&world, &server).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), Vec::<String>::new());
}

#[actix_rt::test]
async fn a_body_over_three_mebibytes_is_answered_413_and_one_of_just_three_is_taken() {
    let world = World::new();
    let server = world.start().await;
    let secret = world.sandbox.meta.options().app_secret.clone();
    let phone = a_phone();
    let padded = |id: &str, length: usize| {
        let body = webhook_of(&world, &[text_of(&phone, id, "ciao")]);
        format!("{body}{}", " ".repeat(length - body.len())).into_bytes()
    };
    let post =
        |body: &[u8]| Ask::post(&server.url("/webhook")).header("x-hub-signature-256", &sign(&secret, body));
    let large = padded("wamid.large", BODY_MAX + 1);
    assert_eq!(post(&large).body(large.clone()).send().await.status, 413);
    assert_eq!(post(&large).chunked(&large).send().await.status, 413);
    let (whole, chunked) = (padded("wamid.whole", BODY_MAX), padded("wamid.chunked", BODY_MAX));
    assert_eq!(post(&whole).body(whole.clone()).send().await.status, 200);
    assert_eq!(post(&chunked).chunked(&chunked).send().await.status, 200);
    let answers = world.sandbox.meta.wait_answers(&phone, 3).await.unwrap();
    assert_eq!(answers[1..], ["echo: ciao", "echo: ciao"]);
    server.log.wait_for("task_completed", "wamid.chunked").await;
    assert_eq!(server.log.count("message_accepted", "wamid.large"), 0);
}

#[actix_rt::test]
async fn with_too_many_bodies_under_way_the_next_is_answered_503_until_there_is_room() {
    let world = World::new();
    let server = world.start().await;
    let signature = sign("anything", b"");
    let ask = || Ask::post(&server.url("/webhook")).header("x-hub-signature-256", &signature);
    // From so many addresses that none of them has too many.
    let address = |count: usize| [127, 0, 0, 1 + u8::try_from(count % 3).unwrap()];
    let waiting =
        (0..=BODIES_MAX).map(|count| actix_rt::spawn(ask().from(address(count)).promising(17).send()));
    let (refused, _, waiting) = select_all(waiting).await;
    let refused = refused.unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(get(&server.url("/health/ready")).await.0, 200);
    waiting.iter().for_each(JoinHandle::abort);
    let is_read = async { while ask().body("{}").send().await.status != 401 {} };
    tokio::time::timeout(PATIENCE, is_read).await.expect("there is room again");
}
