//! When WhatsApp fails: what is sent again, what is looked for first, what waits, and what is given up.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use parlante_domain::Clock as _;
use parlante_sandbox::{Fault, Inbound, Meta, MetaOptions, Options, PATIENCE, Request, Route, Sandbox};
use serde_json::Value;

use crate::support::{Process, TestClock, TestFaults, World, a_phone, get, persona_text};

const HOUR: Duration = Duration::from_secs(3600);

/// A Meta that tells no status by itself.
fn silent() -> World {
    let tests = Options::for_tests();
    World::with(Options { meta: MetaOptions { statuses: false, ..tests.meta }, ..tests })
}

/// The sends that carried the echo of `words`, accepted or not.
fn echoes(world: &World, phone: &str, words: &str) -> Vec<Request> {
    let echo = format!("echo: {words}");
    let of = |send: &&Request| send.text.as_ref() == Some(&echo);
    world.sandbox.meta.look(|records| records.sends_to(phone).filter(of).cloned().collect())
}

/// Waits until the echo of `words` has arrived, accepted or not, and tells its tag.
async fn tag_of(meta: &Meta, phone: &str, words: &str) -> String {
    let echo = format!("echo: {words}");
    let tag = |send: &Request| send.tag.clone().filter(|_| send.text.as_ref() == Some(&echo));
    meta.wait(|records| records.sends_to(phone).find_map(tag), PATIENCE).await.unwrap()
}

/// The `http_retry` and `http_failed` lines of a message's sends: attempt and code.
fn told(server: &Process, event: &str, id: &str) -> Vec<(u64, String)> {
    let ours = |line: &Value| line["message_id"] == id && line["service"] == "whatsapp";
    let line =
        |line: Value| (line["attempt"].as_u64().unwrap(), line["error_code"].as_str().unwrap().to_owned());
    server.log.events(event).into_iter().filter(ours).map(line).collect()
}

fn greeting(words: &[&str]) -> Vec<String> {
    let echoes = words.iter().map(|words| format!("echo: {words}"));
    std::iter::once(persona_text("disclosure")).chain(echoes).collect()
}

async fn dead_letters(server: &Process) -> Value {
    let (status, body) = get(&server.url("/stats")).await;
    assert_eq!(status, 200);
    serde_json::from_str::<Value>(&body).unwrap()["deadLetters"].clone()
}

/// A person writes `ciao`, whose echo meets `fault` so many times; waits for the message's end.
async fn written(
    world: &World,
    server: &Process,
    fault: (usize, Fault),
    ended: &str,
) -> (String, String, Value) {
    let phone = a_phone();
    world.sandbox.meta.script().aim("echo: ciao", Route::Send, fault.0, fault.1);
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    let end = server.log.wait_for(ended, &id).await;
    (phone, id, end)
}

/// The next message of this person is answered as ever, after everything that came before.
async fn goes_on(world: &World, server: &Process, phone: &str) {
    let id = world.sandbox.meta.deliver(Inbound::text(phone, "e poi?"));
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(world.sandbox.meta.answers_to(phone).last().unwrap(), "echo: e poi?");
}

#[actix_rt::test]
async fn a_send_that_met_a_limit_is_repeated() {
    let world = World::new();
    let server = world.start().await;
    for fault in [Fault::status(429), Fault::code(131_056), Fault::code(131_056).with_status(400)] {
        let (phone, id, _) = written(&world, &server, (2, fault.clone()), "task_completed").await;
        assert_eq!(world.sandbox.meta.answers_to(&phone), greeting(&["ciao"]), "{fault:?}");
        let sends = echoes(&world, &phone, "ciao");
        assert_eq!(sends.len(), 3, "{fault:?}");
        assert!(sends.iter().all(|send| send.tag == sends[0].tag && send.tag.is_some()), "one tag for all");
        let retries: Vec<u64> =
            told(&server, "http_retry", &id).into_iter().map(|(attempt, _)| attempt).collect();
        assert_eq!(retries, [1, 2], "{fault:?}");
        assert_eq!(told(&server, "http_failed", &id), []);
    }
}

#[actix_rt::test]
async fn a_refusal_is_not_repeated_and_ends_in_a_dead_letter() {
    let world = World::new();
    let server = world.start().await;
    let refusal = (1, Fault::code(131_026).with_status(400));
    let (phone, id, dead) = written(&world, &server, refusal, "message_dead_lettered").await;
    // One attempt at the model and one at WhatsApp.
    assert_eq!((&dead["error_code"], &dead["attempts"]), (&"400".into(), &2.into()));
    assert_eq!(dead["provider_code"], "131026");
    goes_on(&world, &server, &phone).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), greeting(&["e poi?"]));
    assert_eq!(echoes(&world, &phone, "ciao").len(), 1);
    assert_eq!(told(&server, "http_failed", &id), [(1, "400".to_owned())]);
    assert_eq!(server.log.count("task_completed", &id) + server.log.count("task_failed", &id), 0);
    assert_eq!(dead_letters(&server).await, 1);
}

#[actix_rt::test]
async fn a_send_that_met_a_500_is_repeated_when_no_status_tells_of_it() {
    let world = World::new();
    let server = world.start().await;
    let (phone, id, _) = written(&world, &server, (2, Fault::status(500)), "task_completed").await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), greeting(&["ciao"]));
    assert_eq!(echoes(&world, &phone, "ciao").len(), 3);
    assert_eq!(told(&server, "http_retry", &id), [(1, "500".to_owned()), (2, "500".to_owned())]);
}

#[actix_rt::test]
async fn a_send_that_met_a_500_is_not_repeated_when_a_status_tells_of_it() {
    // The status has a second to come in, before the next attempt looks for it.
    let world = World::new().set("WHATSAPP_BACKOFF_MS", "0,1000");
    let server = world.start().await;
    let taken = (1, Fault::status(500).accepted());
    let (phone, id, _) = written(&world, &server, taken, "task_completed").await;
    goes_on(&world, &server, &phone).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), greeting(&["ciao", "e poi?"]));
    assert_eq!(echoes(&world, &phone, "ciao").len(), 1);
    assert_eq!(told(&server, "http_retry", &id), [(1, "500".to_owned())]);
}

#[actix_rt::test]
async fn a_send_without_an_answer_is_settled_by_a_late_status() {
    let world = silent().set("WHATSAPP_RECONCILE_MS", "60000");
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    meta.script().aim("echo: ciao", Route::Send, 1, Fault::close().accepted());
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    let unknown = server.log.wait("http_failed", |line| line["message_id"] == id.as_str()).await;
    assert_eq!((&unknown["error_code"], &unknown["attempt"]), (&"network".into(), &1.into()));
    meta.status(&tag_of(meta, &phone, "ciao").await, "sent", None).unwrap();
    server.log.wait_for("task_completed", &id).await;
    goes_on(&world, &server, &phone).await;
    assert_eq!(meta.answers_to(&phone), greeting(&["ciao", "e poi?"]));
    assert_eq!(echoes(&world, &phone, "ciao").len(), 1);
}

#[actix_rt::test]
async fn a_send_of_which_nothing_is_heard_is_repeated_once_if_the_operator_says_resend() {
    let world = silent().set("WHATSAPP_RECONCILE_MS", "200").set("WHATSAPP_TIMEOUT_MS", "1500");
    let server = world.start().await;
    for unheard in [Fault::close(), Fault::hang(), Fault::cut(10), Fault::stall(10)] {
        let (phone, _, _) = written(&world, &server, (1, unheard.clone()), "task_completed").await;
        goes_on(&world, &server, &phone).await;
        assert_eq!(world.sandbox.meta.answers_to(&phone), greeting(&["ciao", "e poi?"]), "{unheard:?}");
        let sends = echoes(&world, &phone, "ciao");
        assert_eq!(sends.len(), 2, "{unheard:?}");
        assert_eq!(sends[0].tag, sends[1].tag);
        assert!(sends[1].at_ms - sends[0].at_ms >= 200, "{unheard:?}: not before the wait is over");
    }
}

#[actix_rt::test]
async fn a_send_of_which_nothing_is_heard_is_given_up_if_the_operator_says_hold() {
    let world = silent().set("WHATSAPP_RECONCILE_MS", "200").set("WHATSAPP_AMBIGUOUS_SEND", "hold");
    let server = world.start().await;
    let (phone, _, dead) = written(&world, &server, (1, Fault::close()), "message_dead_lettered").await;
    assert_eq!((&dead["error_code"], &dead["attempts"]), (&"uncertain".into(), &2.into()));
    goes_on(&world, &server, &phone).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), greeting(&["e poi?"]));
    assert_eq!(echoes(&world, &phone, "ciao").len(), 1);
}

#[actix_rt::test]
async fn a_repeated_send_of_which_nothing_is_heard_either_is_never_sent_a_third_time() {
    let world = silent().set("WHATSAPP_RECONCILE_MS", "200");
    let server = world.start().await;
    let (phone, id, dead) = written(&world, &server, (9, Fault::close()), "message_dead_lettered").await;
    assert_eq!((&dead["error_code"], &dead["attempts"]), (&"uncertain".into(), &3.into()));
    goes_on(&world, &server, &phone).await;
    assert_eq!(echoes(&world, &phone, "ciao").len(), 2);
    assert_eq!(server.log.count("message_dead_lettered", &id), 1);
    assert_eq!(dead_letters(&server).await, 1);
}

/// A port on which nobody listens, and that the system gives to nobody of itself: those begin at 32768.
fn closed_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    ports.take(100).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// WhatsApp as it is when it comes back at `port`.
fn back_at(port: u16) -> Sandbox {
    let tests = Options::for_tests();
    Sandbox::start(Options { meta: MetaOptions { port: Some(port), ..tests.meta }, ..tests }).unwrap()
}

#[actix_rt::test]
async fn without_a_connection_a_message_is_held_and_later_ones_wait_behind_it() {
    let port = closed_port();
    let world = World::new().set("WHATSAPP_BASE_URL", &format!("http://127.0.0.1:{port}"));
    let clock = TestClock::default();
    let server = world.start_in_process(&clock, &TestFaults::default()).await;
    let phone = a_phone();
    let ids =
        world.sandbox.meta.deliver_batch(["uno", "due"].map(|text| Inbound::text(&phone, text)).to_vec());
    let failures = |line: &Value| line["message_id"] == ids[0].as_str() && line["service"] == "whatsapp";
    let failed = server.log.wait("http_failed", failures).await;
    assert_eq!((&failed["error_code"], &failed["attempt"]), (&"network".into(), &3.into()));
    clock.advance(Duration::from_secs(5));
    server.log.wait_count("http_failed", 2, failures).await;
    let whatsapp = back_at(port);
    clock.advance(Duration::from_secs(10));
    assert_eq!(whatsapp.meta.wait_answers(&phone, 3).await.unwrap(), greeting(&["uno", "due"]));
    server.log.wait_for("task_completed", &ids[1]).await;
    assert_eq!(whatsapp.meta.sends().len(), 3);
    let later = |line: &Value| line["message_id"] == ids[1].as_str();
    assert_eq!(server.log.events("http_failed").into_iter().filter(later).count(), 0, "it waited");
    assert_eq!(world.sandbox.openai.chats().len(), 2);
}

#[actix_rt::test]
async fn a_message_that_is_held_until_its_window_closes_is_given_up() {
    let port = closed_port();
    let world = World::new().set("WHATSAPP_BASE_URL", &format!("http://127.0.0.1:{port}"));
    let clock = TestClock::default();
    let server = world.start_in_process(&clock, &TestFaults::default()).await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    server.log.wait("http_failed", |line| line["message_id"] == id.as_str()).await;
    clock.advance(24 * HOUR);
    let dead = server.log.wait_for("message_dead_lettered", &id).await;
    assert_eq!(dead["error_code"], "window_closed");
    let whatsapp = back_at(port);
    let tomorrow = u64::try_from(clock.now().0 / 1000).unwrap();
    let next = meta.deliver(Inbound::text(&phone, "e poi?").at(tomorrow));
    server.log.wait_for("task_completed", &next).await;
    assert_eq!(whatsapp.meta.answers_to(&phone), greeting(&["e poi?"]), "the disclosure is made up for");
}

#[actix_rt::test]
async fn an_answer_that_failed_after_all_becomes_a_dead_letter() {
    let world = silent();
    let server = world.start().await;
    let (phone, id, _) = written(&world, &server, (0, Fault::close()), "task_completed").await;
    let tag = tag_of(&world.sandbox.meta, &phone, "ciao").await;
    world.sandbox.meta.status(&tag, "failed", Some(131_047)).unwrap();
    let dead = server.log.wait_for("message_dead_lettered", &id).await;
    assert_eq!((&dead["error_code"], &dead["attempts"]), (&"131047".into(), &2.into()));
    world.sandbox.meta.status(&tag, "failed", Some(131_047)).unwrap();
    goes_on(&world, &server, &phone).await;
    world.sandbox.meta.wait_settled().await.unwrap();
    assert_eq!(echoes(&world, &phone, "ciao").len(), 1, "no second send");
    assert_eq!(server.log.count("message_dead_lettered", &id), 1);
    assert_eq!(dead_letters(&server).await, 1);
}

#[actix_rt::test]
async fn what_was_delivered_cannot_fail_any_more() {
    let world = silent();
    let server = world.start().await;
    for proof in ["delivered", "read"] {
        let (phone, id, _) = written(&world, &server, (0, Fault::close()), "task_completed").await;
        let tag = tag_of(&world.sandbox.meta, &phone, "ciao").await;
        world.sandbox.meta.status(&tag, proof, None).unwrap();
        world.sandbox.meta.wait_settled().await.unwrap();
        world.sandbox.meta.status(&tag, "failed", Some(131_047)).unwrap();
        world.sandbox.meta.wait_settled().await.unwrap();
        assert_eq!(server.log.count("message_dead_lettered", &id), 0, "{proof}");
    }
    assert_eq!(dead_letters(&server).await, 0);
}

#[actix_rt::test]
async fn a_status_may_come_before_the_answer_to_the_send() {
    let world = silent().set("WHATSAPP_TIMEOUT_MS", "1500").set("WHATSAPP_RECONCILE_MS", "60000");
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    for (words, fault) in [("uno", Fault::Gate("send".to_owned())), ("due", Fault::stall(0).accepted())] {
        meta.script().aim(format!("echo: {words}"), Route::Send, 1, fault);
        let id = meta.deliver(Inbound::text(&phone, words));
        meta.status(&tag_of(meta, &phone, words).await, "sent", None).unwrap();
        meta.wait_settled().await.unwrap();
        meta.script().open("send");
        server.log.wait_for("task_completed", &id).await;
        assert_eq!(echoes(&world, &phone, words).len(), 1, "{words}");
    }
    goes_on(&world, &server, &phone).await;
    assert_eq!(meta.answers_to(&phone), greeting(&["uno", "due", "e poi?"]));
}

#[actix_rt::test]
async fn a_failure_may_be_told_before_the_answer_to_the_send() {
    let world = silent();
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    meta.script().aim("echo: ciao", Route::Send, 1, Fault::Gate("send".to_owned()));
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    meta.status(&tag_of(meta, &phone, "ciao").await, "failed", Some(131_026)).unwrap();
    meta.wait_settled().await.unwrap();
    meta.script().open("send");
    let dead = server.log.wait_for("message_dead_lettered", &id).await;
    assert_eq!(dead["error_code"], "131026");
    goes_on(&world, &server, &phone).await;
    assert_eq!(echoes(&world, &phone, "ciao").len(), 1);
    assert_eq!(server.log.count("task_completed", &id) + server.log.count("task_failed", &id), 0);
}
