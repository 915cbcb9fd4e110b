//! The stand-in of OpenAI, over real sockets: answers whole and streamed, errors, every fault.

use std::time::Duration;

use crate::support::{Answer, End, Expect, body_of, get, post, wire};
use parlante_sandbox::{Answers, Fault, OpenAi, Options, Outcome, PATIENCE, Route, Sandbox};
use serde_json::{Value, json};

fn sandbox() -> Sandbox {
    Sandbox::start(Options::for_tests()).unwrap()
}

fn question(text: &str, stream: bool) -> Value {
    json!({"model": "gpt-5.4-mini", "stream": stream,
        "messages": [{"role": "developer", "content": "You are Joe."}, {"role": "user", "content": text}]})
}

fn chat_url(openai: &OpenAi) -> String {
    format!("{}/chat/completions", openai.base_url())
}

async fn ask(openai: &OpenAi, body: &Value) -> Answer {
    post(&chat_url(openai), &openai.options().api_key, body).await
}

async fn on_the_wire(openai: &OpenAi, body: &Value, expect: Expect) -> (String, End) {
    wire(&chat_url(openai), &openai.options().api_key, body, expect).await
}

/// The data of each event of a stream.
fn events(stream: &str) -> Vec<&str> {
    stream
        .split("\n\n")
        .filter(|event| !event.is_empty())
        .map(|event| event.strip_prefix("data: ").unwrap())
        .collect()
}

fn said(events: &[&str]) -> String {
    let chunks = events.iter().filter_map(|event| serde_json::from_str::<Value>(event).ok());
    chunks.filter_map(|chunk| Some(chunk.pointer("/choices/0/delta/content")?.as_str()?.to_owned())).collect()
}

#[actix_rt::test]
async fn a_whole_answer_has_openais_shape() {
    let sandbox = sandbox();
    let answer = ask(&sandbox.openai, &question("ciao", false)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    let body = answer.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["content"], "echo: ciao");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["completion_tokens"], 2);
    let call = sandbox.openai.chats().remove(0);
    assert_eq!((call.last_user.as_deref(), call.messages, call.stream), (Some("ciao"), 2, false));
    assert_eq!(call.outcome, Outcome::Answered { status: 200, text: "echo: ciao".into() });
}

#[actix_rt::test]
async fn a_stream_has_role_tokens_reason_usage_and_done() {
    let sandbox = sandbox();
    let mut body = question("ciao bella", true);
    body["stream_options"] = json!({"include_usage": true});
    let answer = ask(&sandbox.openai, &body).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = events(&answer.text);
    assert_eq!(said(&events), "echo: ciao bella");
    assert_eq!(events.last(), Some(&"[DONE]"));
    let chunk = |index: usize| serde_json::from_str::<Value>(events[index]).unwrap();
    assert_eq!(chunk(0)["choices"][0]["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
    assert_eq!(chunk(events.len() - 3)["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunk(events.len() - 2)["choices"], json!([]));
    assert_eq!(chunk(events.len() - 2)["usage"]["completion_tokens"], 3);
    let whole = |calls: &parlante_sandbox::Calls| {
        calls.chats().find(|call| call.outcome != Outcome::Running).cloned()
    };
    let call = sandbox.openai.wait(whole, PATIENCE).await.unwrap();
    assert_eq!(call.outcome, Outcome::Answered { status: 200, text: "echo: ciao bella".into() });
}

#[actix_rt::test]
async fn joe_answers_and_a_test_can_answer_in_his_place() {
    let mut options = Options::for_tests();
    options.openai.voice = Answers::Joe;
    let sandbox = Sandbox::start(options).unwrap();
    let joe = ask(&sandbox.openai, &question("ciao, mi chiamo Anna", false)).await.json();
    assert!(joe["choices"][0]["message"]["content"].as_str().is_some_and(|text| !text.is_empty()), "{joe}");
    sandbox.openai.answer_with(|turns| format!("{} turns", turns.len()));
    let other = ask(&sandbox.openai, &question("ciao", false)).await.json();
    assert_eq!(other["choices"][0]["message"]["content"], "2 turns");
}

#[actix_rt::test]
async fn a_human_pace_is_slower_than_none() {
    let sandbox = Sandbox::start(Options { fast: false, ..Options::for_tests() }).unwrap();
    let began = tokio::time::Instant::now();
    ask(&sandbox.openai, &question("ciao", true)).await;
    assert!(began.elapsed() >= Duration::from_millis(600));
}

#[actix_rt::test]
async fn errors_come_in_openais_envelope() {
    let sandbox = sandbox();
    let url = chat_url(&sandbox.openai);
    let wrong_key = post(&url, "sk-other", &question("ciao", false)).await;
    assert_eq!((wrong_key.status, &wrong_key.json()["error"]["code"]), (401, &json!("invalid_api_key")));
    let mut no_model = question("ciao", false);
    no_model["model"] = "gpt-0".into();
    let no_model = ask(&sandbox.openai, &no_model).await;
    assert_eq!((no_model.status, &no_model.json()["error"]["code"]), (404, &json!("model_not_found")));
    let malformed = ask(&sandbox.openai, &json!("{")).await;
    assert_eq!(
        (malformed.status, &malformed.json()["error"]["type"]),
        (400, &json!("invalid_request_error"))
    );
    let nowhere =
        get(&format!("{}/nowhere", sandbox.openai.base_url()), &sandbox.openai.options().api_key).await;
    assert_eq!(nowhere.status, 404);
}

#[actix_rt::test]
async fn the_models_are_listed() {
    let sandbox = sandbox();
    let (openai, key) = (&sandbox.openai, &sandbox.openai.options().api_key);
    let list = get(&format!("{}/models", openai.base_url()), key).await.json();
    assert_eq!((&list["object"], &list["data"][0]["id"]), (&json!("list"), &json!("gpt-5.4-mini")));
    assert_eq!(get(&format!("{}/models/gpt-5.4", openai.base_url()), key).await.json()["object"], "model");
    assert_eq!(get(&format!("{}/models/gpt-0", openai.base_url()), key).await.status, 404);
    assert_eq!(get(&format!("{}/models", openai.base_url()), "other").await.status, 401);
}

#[actix_rt::test]
async fn scripted_codes_come_with_type_status_and_headers() {
    let sandbox = sandbox();
    let script = sandbox.openai.script();
    script.next(Route::Chat, 1, Fault::code("rate_limit_exceeded").with_header("retry-after", 2));
    script.next(Route::Chat, 1, Fault::code("insufficient_quota"));
    script.next(Route::Chat, 1, Fault::status(503));
    script.next(Route::Models, 1, Fault::status(401));
    let mut told = Vec::new();
    for _ in 0..3 {
        let answer = ask(&sandbox.openai, &question("ciao", true)).await;
        told.push((
            answer.status,
            answer.json()["error"]["code"].clone(),
            answer.header("retry-after").map(String::from),
        ));
    }
    assert_eq!(told[0], (429, json!("rate_limit_exceeded"), Some("2".into())));
    assert_eq!(told[1], (429, json!("insufficient_quota"), None));
    assert_eq!(told[2], (503, json!("server_is_overloaded"), None));
    let models =
        get(&format!("{}/models", sandbox.openai.base_url()), &sandbox.openai.options().api_key).await;
    assert_eq!(models.status, 401);
}

#[actix_rt::test]
async fn a_stream_can_end_without_done_or_be_cut_or_stall() {
    let sandbox = sandbox();
    let script = sandbox.openai.script();
    script.next(Route::Chat, 1, Fault::CutStream { after: 2 });
    let cut = ask(&sandbox.openai, &question("ciao bella", true)).await;
    assert_eq!(said(&events(&cut.text)), "echo: ciao");
    assert!(!cut.text.contains("[DONE]") && !cut.text.contains("stop"));

    script.next(Route::Chat, 1, Fault::cut(100));
    let (reply, end) = on_the_wire(&sandbox.openai, &question("ciao", true), Expect::Closing).await;
    assert!(!reply.ends_with("0\r\n\r\n") && !reply.contains("[DONE]"), "{reply}");
    assert_eq!(end, End::Closed);

    script.next(Route::Chat, 1, Fault::stall(100));
    let (reply, end) = on_the_wire(&sandbox.openai, &question("ciao", true), Expect::Stalling).await;
    assert!(body_of(&reply).contains("data: ") && !reply.contains("[DONE]"), "{reply}");
    assert_eq!(end, End::Open);

    let broken = |calls: &parlante_sandbox::Calls| {
        (calls.chats().filter(|call| call.outcome == Outcome::Broken).count() == 3).then_some(())
    };
    sandbox.openai.wait(broken, PATIENCE).await.unwrap();
}

#[actix_rt::test]
async fn closing_hanging_and_odd_bodies() {
    let sandbox = sandbox();
    let script = sandbox.openai.script();
    script.next(Route::Chat, 1, Fault::close());
    script.next(Route::Chat, 1, Fault::hang());
    script.next(Route::Chat, 1, Fault::Body("data: {\"error\":{\"message\":\"boom\"}}\n\n".into()));
    let body = question("ciao", true);
    assert_eq!(on_the_wire(&sandbox.openai, &body, Expect::Closing).await, (String::new(), End::Closed));
    assert_eq!(on_the_wire(&sandbox.openai, &body, Expect::Silence).await, (String::new(), End::Open));
    let alone = |calls: &parlante_sandbox::Calls| (calls.running() == 0).then_some(());
    sandbox.openai.wait(alone, PATIENCE).await.unwrap();
    let odd = ask(&sandbox.openai, &body).await;
    assert_eq!((odd.status, odd.text.as_str()), (200, "data: {\"error\":{\"message\":\"boom\"}}\n\n"));
}

#[actix_rt::test]
async fn calls_at_a_gate_count_as_concurrent() {
    let sandbox = sandbox();
    let openai = sandbox.openai.clone();
    openai.script().always(Route::Chat, Fault::Gate("g".into()));
    let askers: Vec<_> = (0..3)
        .map(|index| {
            let openai = openai.clone();
            actix_rt::spawn(async move { ask(&openai, &question(&index.to_string(), false)).await.status })
        })
        .collect();
    openai.script().wait_at_gate("g", 3, PATIENCE).await.unwrap();
    assert_eq!(openai.look(|calls| (calls.running(), calls.peak())), (3, 3));
    openai.script().open("g");
    for asker in askers {
        assert_eq!(asker.await.unwrap(), 200);
    }
    assert_eq!(openai.look(|calls| (calls.running(), calls.peak())), (0, 3));
}

#[actix_rt::test]
async fn a_script_can_be_written_over_http() {
    let sandbox = sandbox();
    let url = sandbox.openai.base_url().replace("/v1", "/__script");
    let order =
        json!({"route": "chat", "always": true, "containing": "Mike", "fault": {"status": {"status": 500}}});
    assert_eq!(post(&url, "", &order).await.status, 200);
    assert_eq!(ask(&sandbox.openai, &question("I am Mike", false)).await.status, 500);
    assert_eq!(ask(&sandbox.openai, &question("I am Lucia", false)).await.status, 200);
}

#[actix_rt::test]
async fn a_client_that_hangs_up_at_a_gate_is_no_longer_served() {
    let sandbox = sandbox();
    sandbox.openai.script().next(Route::Chat, 1, Fault::Gate("g".into()));
    assert_eq!(
        on_the_wire(&sandbox.openai, &question("ciao", true), Expect::Silence).await,
        (String::new(), End::Open)
    );
    let gone = |calls: &parlante_sandbox::Calls| {
        calls.chats().find(|call| call.outcome == Outcome::Broken).map(drop)
    };
    sandbox.openai.wait(gone, PATIENCE).await.unwrap();
    assert_eq!(sandbox.openai.script().standing_at("g"), 0);
    assert_eq!(sandbox.openai.look(parlante_sandbox::Calls::running), 0);
}
