//! One provider that is nothing but a plain socket.

use parlante_sandbox::Inbound;
use serde_json::Value;

use crate::support::raw::{Act, RawServer};
use crate::support::{Process, World, a_phone, persona_text};

const ACCEPTED: &str = r#"{"messaging_product":"whatsapp","messages":[{"id":"wamid.accepted"}]}"#;
const ANSWERED: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"eccomi\"}}]}\n\ndata: [DONE]\n\n";

/// A reply of this status with these headers, as it stands on the wire.
fn reply(status: &str, headers: &[(&str, String)], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes()
}

/// A whole reply.
fn whole(body: &str) -> Vec<u8> {
    reply("200 OK", &[("content-length", body.len().to_string())], body)
}

/// A reply that ends before the length it promised.
fn short(body: &str) -> Vec<u8> {
    reply("200 OK", &[("content-length", (body.len() + 40).to_string())], body)
}

/// A reply in chunks whose last one, the empty one, never comes.
fn endless_chunks(body: &str) -> Vec<u8> {
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    reply("200 OK", &[("transfer-encoding", "chunked".to_owned())], &chunk)
}

/// A Meta that takes everything, save that the sends of an echo meet `acts` first.
fn whatsapp(acts: Vec<Act>) -> RawServer {
    let echoes = std::sync::atomic::AtomicUsize::new(0);
    RawServer::start(move |body, _| {
        let is_echo = body.contains("echo: ");
        let at = if is_echo { echoes.fetch_add(1, std::sync::atomic::Ordering::SeqCst) } else { usize::MAX };
        acts.get(at).cloned().unwrap_or_else(|| Act::Say(whole(ACCEPTED)))
    })
}

/// How many sends of an echo arrived.
fn echoes(whatsapp: &RawServer) -> usize {
    whatsapp.bodies().iter().filter(|body| body.contains("echo: ")).count()
}

/// A model whose first answers are `acts`; after those it says `eccomi`.
fn model(acts: Vec<Act>) -> RawServer {
    RawServer::start(move |_, at| acts.get(at).cloned().unwrap_or_else(|| Act::Say(whole(ANSWERED))))
}

/// Starts a server that speaks to `whatsapp`, and lets a person write `ciao`.
async fn send_through(whatsapp: &RawServer, ended: &str) -> (World, Process, String, Value) {
    let world = World::new()
        .set("WHATSAPP_BASE_URL", &whatsapp.url(""))
        .set("WHATSAPP_TIMEOUT_MS", "2000")
        .set("WHATSAPP_RECONCILE_MS", "100")
        .set("WHATSAPP_AMBIGUOUS_SEND", "hold");
    let server = world.start().await;
    let id = world.sandbox.meta.deliver(Inbound::text(&a_phone(), "ciao"));
    let end = server.log.wait_for(ended, &id).await;
    (world, server, id, end)
}

/// A send whose reply is `act` is unknown: it is sent once, and given up when no status comes.
async fn leaves_a_send_unknown(act: Act, code: &str) {
    let whatsapp = whatsapp(vec![act]);
    let (_world, server, id, dead) = send_through(&whatsapp, "message_dead_lettered").await;
    assert_eq!(dead["error_code"], "uncertain");
    assert_eq!(echoes(&whatsapp), 1);
    let failed = server.log.wait_for("http_failed", &id).await;
    assert_eq!((&failed["error_code"], &failed["attempt"]), (&code.into(), &1.into()));
}

/// The texts that `ciao` was answered with, and the codes of the attempts at the model that failed.
async fn ask_through(model: &RawServer, ended: &str) -> (Vec<String>, Vec<String>) {
    let world = World::new().set("OPENAI_BASE_URL", &model.url("/v1")).set("OPENAI_TIMEOUT_MS", "2000");
    let server = world.start().await;
    let phone = a_phone();
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    server.log.wait_for(ended, &id).await;
    let failed = ["http_retry", "http_failed"].map(|event| server.log.events(event));
    let codes = failed.iter().flatten().map(|line| line["error_code"].as_str().unwrap().to_owned()).collect();
    (world.sandbox.meta.answers_to(&phone), codes)
}

/// An answer that is `act` is none: the model is asked again.
async fn is_no_answer(act: Act, code: &str) {
    let model = model(vec![act]);
    let (texts, codes) = ask_through(&model, "task_completed").await;
    assert_eq!(texts, [persona_text("disclosure"), "eccomi".to_owned()]);
    assert_eq!(codes, [code]);
    assert_eq!(model.bodies().len(), 2);
}

#[actix_rt::test]
async fn a_send_whose_reply_is_cut_is_unknown() {
    // The id is there and parses, but the length says that something is missing.
    leaves_a_send_unknown(Act::Say(short(ACCEPTED)), "truncated").await;
    leaves_a_send_unknown(Act::Say(short(&ACCEPTED[..30])), "truncated").await;
    leaves_a_send_unknown(Act::Say(endless_chunks(&ACCEPTED[..30])), "truncated").await;
}

#[actix_rt::test]
async fn an_id_in_a_whole_chunk_proves_the_send_though_the_last_chunk_is_missing() {
    let whatsapp = whatsapp(vec![Act::Say(endless_chunks(ACCEPTED))]);
    send_through(&whatsapp, "task_completed").await;
    assert_eq!(echoes(&whatsapp), 1);
}

#[actix_rt::test]
async fn an_answer_whose_stream_is_cut_is_asked_for_again() {
    let half = &ANSWERED[..ANSWERED.find("data: [DONE]").unwrap()];
    is_no_answer(Act::Say(short(half)), "truncated").await;
    is_no_answer(Act::Say(endless_chunks(half)), "truncated").await;
    is_no_answer(Act::Say(reply("200 OK", &[], half)), "truncated").await;
}

#[actix_rt::test]
async fn a_connection_closed_without_a_reply_leaves_a_send_unknown() {
    leaves_a_send_unknown(Act::Close, "network").await;
}

#[actix_rt::test]
async fn a_connection_closed_without_a_reply_is_no_answer() {
    is_no_answer(Act::Close, "network").await;
}

#[actix_rt::test]
async fn a_body_that_never_comes_ends_the_attempt() {
    let head = reply("200 OK", &[("content-length", "100".to_owned())], "");
    leaves_a_send_unknown(Act::Stall(head.clone()), "timeout").await;
    is_no_answer(Act::Stall(head), "timeout").await;
    is_no_answer(Act::Stall(b"HTTP/1.1 200 OK\r\n".to_vec()), "timeout").await;
}

#[actix_rt::test]
async fn an_error_whose_body_never_comes_is_an_error_all_the_same() {
    let head = |status| reply(status, &[("content-length", "100".to_owned())], "");
    let whatsapp = whatsapp(vec![Act::Say(head("429 Too Many Requests"))]);
    send_through(&whatsapp, "task_completed").await;
    assert_eq!(echoes(&whatsapp), 2);
    is_no_answer(Act::Say(head("503 Service Unavailable")), "503").await;
}

#[actix_rt::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = RawServer::start(|_, _| Act::Say(whole(ACCEPTED)));
    for status in ["307 Temporary Redirect", "302 Found"] {
        let to = |path| ("location", elsewhere.url(path));
        let length = ("content-length", "0".to_owned());
        let code = &status[..3];
        let whatsapp =
            whatsapp(vec![Act::Say(reply(status, &[to("/v25.0/1/messages"), length.clone()], ""))]);
        let (_world, _server, _, dead) = send_through(&whatsapp, "message_dead_lettered").await;
        assert_eq!(dead["error_code"], code);
        assert_eq!(echoes(&whatsapp), 1);
        let model = model(vec![Act::Say(reply(status, &[to("/v1/chat/completions"), length], ""))]);
        let (texts, codes) = ask_through(&model, "task_failed").await;
        assert_eq!(texts, [persona_text("disclosure"), persona_text("apology")]);
        assert_eq!(codes, [code]);
    }
    assert_eq!(elsewhere.bodies(), [""; 0], "nobody but the one we know gets a message or a key");
}

#[actix_rt::test]
async fn a_reply_may_come_one_byte_at_a_time() {
    let whatsapp = whatsapp(vec![Act::Drip(whole(ACCEPTED))]);
    send_through(&whatsapp, "task_completed").await;
    assert_eq!(echoes(&whatsapp), 1);
    let model = model(vec![Act::Drip(whole(ANSWERED))]);
    let (texts, codes) = ask_through(&model, "task_completed").await;
    assert_eq!(texts, [persona_text("disclosure"), "eccomi".to_owned()]);
    assert_eq!(codes, [""; 0]);
}

#[actix_rt::test]
async fn a_body_beyond_its_bound_is_not_read_to_its_end() {
    let padded = format!("{ACCEPTED}{}", " ".repeat(64 * 1024));
    leaves_a_send_unknown(Act::Say(whole(&padded)), "truncated").await;
    // A line of a stream that never ends.
    let line = format!("data: {}", "x".repeat(1024 * 1024));
    is_no_answer(Act::Stall(reply("200 OK", &[], &line)), "truncated").await;
    let error = "x".repeat(1024 * 1024);
    let broken = reply("500 Internal Server Error", &[("content-length", error.len().to_string())], &error);
    is_no_answer(Act::Stall(broken), "500").await;
}

#[actix_rt::test]
async fn the_content_type_of_a_reply_is_of_no_account() {
    let odd = |body: &str| {
        let length = ("content-length", body.len().to_string());
        Act::Say(reply("200 OK", &[("content-type", "text/html; charset=latin1".to_owned()), length], body))
    };
    let whatsapp = whatsapp(vec![odd(ACCEPTED)]);
    send_through(&whatsapp, "task_completed").await;
    assert_eq!(echoes(&whatsapp), 1);
    let model = model(vec![odd(ANSWERED)]);
    let (texts, codes) = ask_through(&model, "task_completed").await;
    assert_eq!(texts, [persona_text("disclosure"), "eccomi".to_owned()]);
    assert_eq!(codes, [""; 0]);
}
