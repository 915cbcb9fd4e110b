//! When the model fails: what is tried again, for how long, and what the person gets instead of an answer.

use parlante_sandbox::{Call, Fault, Inbound, PATIENCE, Route};
use serde_json::Value;

use crate::support::{Process, World, a_phone, persona_text};

/// The `http_retry` or `http_failed` lines of a message's calls to the model.
fn told(server: &Process, event: &str, id: &str) -> Vec<Value> {
    let ours = |line: &Value| line["message_id"] == id && line["service"] == "openai";
    server.log.events(event).into_iter().filter(ours).collect()
}

/// Which attempts failed, each with its code.
fn attempts(lines: &[Value]) -> Vec<(u64, &str)> {
    let attempt = |line: &Value| line["attempt"].as_u64().unwrap();
    lines.iter().map(|line| (attempt(line), line["error_code"].as_str().unwrap())).collect()
}

fn delay(line: &Value) -> u64 {
    line["delay_ms"].as_u64().unwrap()
}

/// Lets a person write `ciao`, and waits for what they got and for the message's end.
async fn written(world: &World, server: &Process, ended: &str) -> (String, Vec<String>, Value) {
    let phone = a_phone();
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    let end = server.log.wait_for(ended, &id).await;
    (id, world.sandbox.meta.answers_to(&phone), end)
}

fn apology() -> Vec<String> {
    vec![persona_text("disclosure"), persona_text("apology")]
}

fn answer() -> Vec<String> {
    vec![persona_text("disclosure"), "echo: ciao".to_owned()]
}

#[actix_rt::test]
async fn a_model_that_is_too_slow_is_asked_three_times_and_then_the_persona_apologises() {
    let world = World::new().set("OPENAI_TIMEOUT_MS", "200");
    world.sandbox.openai.script().always(Route::Chat, Fault::hang());
    let server = world.start().await;
    let (id, texts, failed) = written(&world, &server, "task_failed").await;
    assert_eq!(texts, apology());
    assert_eq!(world.sandbox.openai.chats().len(), 3);
    assert_eq!(failed["error_code"], "timeout");
    assert!(failed["duration_ms"].as_u64() >= Some(600), "{failed}");
    let retries = told(&server, "http_retry", &id);
    assert_eq!(attempts(&retries), [(1, "timeout"), (2, "timeout")]);
    assert!(
        (20..=22).contains(&delay(&retries[0])) && (40..=44).contains(&delay(&retries[1])),
        "{retries:?}"
    );
    let given_up = told(&server, "http_failed", &id);
    assert_eq!(attempts(&given_up), [(3, "timeout")]);
    assert!(given_up[0]["duration_ms"].as_u64() >= Some(660), "{given_up:?}");
    assert_eq!(server.log.count("task_completed", &id), 0);
}

#[actix_rt::test]
async fn two_503_are_two_retries_and_then_the_answer() {
    let world = World::new();
    world.sandbox.openai.script().next(Route::Chat, 2, Fault::status(503));
    let server = world.start().await;
    let (id, texts, _) = written(&world, &server, "task_completed").await;
    assert_eq!(texts, answer());
    assert_eq!(world.sandbox.openai.chats().len(), 3);
    let retries = told(&server, "http_retry", &id);
    assert_eq!(attempts(&retries), [(1, "503"), (2, "503")]);
    assert_eq!(retries[0]["provider_code"], "server_is_overloaded");
    assert_eq!(told(&server, "http_failed", &id), [] as [Value; 0]);
    assert_eq!(server.log.count("task_failed", &id), 0);
}

#[actix_rt::test]
async fn a_400_is_not_tried_again() {
    let world = World::new();
    world.sandbox.openai.script().next(Route::Chat, 1, Fault::status(400));
    let server = world.start().await;
    let (id, texts, failed) = written(&world, &server, "task_failed").await;
    assert_eq!(texts, apology());
    assert_eq!(failed["error_code"], "400");
    assert_eq!(world.sandbox.openai.chats().len(), 1);
    assert_eq!(told(&server, "http_retry", &id), [] as [Value; 0]);
    assert_eq!(attempts(&told(&server, "http_failed", &id)), [(1, "400")]);
}

#[actix_rt::test]
async fn a_longer_wait_that_the_model_asks_for_is_kept() {
    let world = World::new();
    let limit = Fault::code("rate_limit_exceeded").with_header("retry-after", 1);
    world.sandbox.openai.script().next(Route::Chat, 1, limit);
    let server = world.start().await;
    let (id, texts, _) = written(&world, &server, "task_completed").await;
    assert_eq!(texts, answer());
    let retries = told(&server, "http_retry", &id);
    assert_eq!(attempts(&retries), [(1, "429")]);
    assert!((1000..=1100).contains(&delay(&retries[0])), "{retries:?}");
    let calls = world.sandbox.openai.chats();
    assert!(calls[1].at_ms - calls[0].at_ms >= 1000, "{calls:?}");
}

#[actix_rt::test]
async fn a_wait_beyond_ten_seconds_ends_the_attempts() {
    let world = World::new();
    let limit = Fault::code("rate_limit_exceeded").with_header("retry-after", 11);
    world.sandbox.openai.script().next(Route::Chat, 1, limit);
    let server = world.start().await;
    let (id, texts, failed) = written(&world, &server, "task_failed").await;
    assert_eq!(texts, apology());
    assert_eq!(failed["error_code"], "429");
    assert_eq!(world.sandbox.openai.chats().len(), 1);
    assert_eq!(told(&server, "http_retry", &id), [] as [Value; 0]);
}

#[actix_rt::test]
async fn the_model_can_ask_not_to_be_asked_again() {
    let world = World::new();
    let stop = Fault::status(503).with_header("x-should-retry", "false");
    world.sandbox.openai.script().next(Route::Chat, 1, stop);
    let server = world.start().await;
    let (id, texts, failed) = written(&world, &server, "task_failed").await;
    assert_eq!(texts, apology());
    assert_eq!(failed["error_code"], "503");
    assert_eq!(world.sandbox.openai.chats().len(), 1);
    assert_eq!(attempts(&told(&server, "http_failed", &id)), [(1, "503")]);
}

#[actix_rt::test]
async fn half_an_answer_is_no_answer() {
    let world = World::new();
    world.sandbox.openai.script().next(Route::Chat, 1, Fault::CutStream { after: 1 });
    world.sandbox.openai.script().next(Route::Chat, 1, Fault::cut(300));
    let server = world.start().await;
    let (id, texts, _) = written(&world, &server, "task_completed").await;
    assert_eq!(texts, answer());
    assert_eq!(world.sandbox.openai.chats().len(), 3);
    assert_eq!(attempts(&told(&server, "http_retry", &id)), [(1, "truncated"), (2, "truncated")]);
}

#[actix_rt::test]
async fn a_whole_turn_has_a_deadline_of_its_own() {
    let world = World::new().set("CONVERSATION_TURN_MS", "300");
    world.sandbox.openai.script().always(Route::Chat, Fault::hang());
    let server = world.start().await;
    let (id, texts, failed) = written(&world, &server, "task_failed").await;
    assert_eq!(texts, apology());
    assert_eq!(failed["error_code"], "turn_deadline");
    assert!(failed["duration_ms"].as_u64() >= Some(300), "{failed}");
    assert_eq!(world.sandbox.openai.chats().len(), 1, "its own attempt had 15 s");
    assert_eq!(server.log.count("task_completed", &id), 0);
}

#[actix_rt::test]
async fn the_person_sees_read_and_typing_while_the_model_thinks() {
    let world = World::new();
    world.sandbox.openai.script().always(Route::Chat, Fault::Gate("thinking".to_owned()));
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    world.sandbox.openai.script().wait_at_gate("thinking", 1, PATIENCE).await.unwrap();
    let typing = meta
        .wait(
            |records| {
                let mut reads = records.reads();
                reads
                    .find(|read| read.message_id.as_ref() == Some(&id) && read.typing)
                    .map(|read| read.number)
            },
            PATIENCE,
        )
        .await
        .unwrap();
    assert_eq!(meta.answers_to(&phone), [persona_text("disclosure")]);
    world.sandbox.openai.script().open("thinking");
    server.log.wait_for("task_completed", &id).await;
    let sends = meta.wait_sends(&phone, 2).await.unwrap();
    assert!(typing < sends[1].number && sends[1].text.as_deref() == Some("echo: ciao"));
}

/// Everything that a model's server may say when it fails, with a word in it that nobody must ever read; and how many
/// attempts that costs.
fn failures() -> Vec<(usize, Fault)> {
    let error = r#"{"error":{"message":"Traceback: boom","type":"boom","code":"boom"}}"#;
    let refusal = r#"data: {"choices":[{"index":0,"delta":{"refusal":"boom"}}]}"#;
    vec![
        (1, Fault::status(400).with_body(error)),
        (1, Fault::status(418).with_body("<html>418 boom</html>")),
        (3, Fault::status(500).with_body("<html>500 boom</html>")),
        (1, Fault::code("context_length_exceeded")),
        (3, Fault::Body(format!("data: {error}\n\n"))),
        (1, Fault::Body(format!("{refusal}\n\ndata: [DONE]\n\n"))),
        (3, Fault::Body("data: boom\n\n".to_owned())),
        (1, Fault::Body("data: [DONE]\n\n".to_owned())),
        (3, Fault::close()),
        (3, Fault::cut(200)),
        (3, Fault::hang()),
    ]
}

#[actix_rt::test]
async fn no_error_word_ever_reaches_a_person() {
    // So many failures in a row would open the circuit, and each is to be met by itself.
    let world = World::new()
        .set("OPENAI_TIMEOUT_MS", "2000")
        .set("WHATSAPP_RECONCILE_MS", "50")
        .set("OPENAI_CIRCUIT_FAILURES", "1000");
    let (meta, openai) = (&world.sandbox.meta, &world.sandbox.openai);
    let server = world.start().await;
    let mut people = Vec::new();
    for (at, (attempts, fault)) in failures().into_iter().enumerate() {
        let (phone, words) = (a_phone(), format!("question {at}."));
        openai.script().aim(words.clone(), Route::Chat, attempts, fault);
        let ids = meta.deliver_batch([&*words, "and then?"].map(|text| Inbound::text(&phone, text)).to_vec());
        people.push((phone, ids));
    }
    for (phone, ids) in &people {
        server.log.wait_for("task_failed", &ids[0]).await;
        server.log.wait_for("task_completed", &ids[1]).await;
        let texts = meta.answers_to(phone);
        assert_eq!(texts[..2], apology(), "{phone}");
        assert_eq!(texts[2..], ["echo: and then?"], "{phone}");
    }
    let asked: Vec<Call> = openai.chats();
    let again = asked.iter().filter(|call| call.last_user.as_deref() == Some("and then?"));
    for call in again {
        assert!(!call.json.to_string().contains("boom"), "the next question repeats an error: {}", call.json);
    }
}
