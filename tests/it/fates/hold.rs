//! A paused model: nothing for a while, then the apology, each message by its own clock; or the answer, if the model
//! is back in time.

use std::time::Duration;

use parlante_sandbox::{Fault, Inbound, PATIENCE, Route, Rule, When};
use serde_json::{Value, json};

use super::{apologised, channel, dead, greeted, health, is_paused, trace, until_held, writes};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{InProcess, TestClock, TestFaults, World, a_phone, persona_text};

const HOLD: Duration = Duration::from_secs(120);
const MINUTE: Duration = Duration::from_secs(60);

async fn start(world: &World) -> (InProcess, TestClock) {
    let clock = TestClock::default();
    (world.start_in_process(&clock, &TestFaults::default()).await, clock)
}

/// How often each end of this message was told.
fn ends(server: &InProcess, id: &str) -> [usize; 3] {
    ["task_completed", "task_failed", "message_dead_lettered"].map(|event| server.log.count(event, id))
}

/// The server has done a whole turn since: what was due before is under way or done.
async fn a_turn_passes(world: &World, server: &InProcess) {
    let id = world.sandbox.meta.deliver(Inbound::unsupported(&a_phone()));
    server.log.wait_for("task_completed", &id).await;
}

/// Row: key, permission, quota, model not found.
#[actix_rt::test]
async fn while_the_model_is_paused_nothing_is_said_for_a_while_and_then_the_apology_once() {
    for (code, provider_code) in [
        ("401", "invalid_api_key"),
        ("403", "unsupported_country_region_territory"),
        ("429", "insufficient_quota"),
        ("404", "model_not_found"),
    ] {
        let world = World::new();
        world.sandbox.openai.script().always(Route::Chat, Fault::code(provider_code));
        let (server, clock) = start(&world).await;
        let (base, phone) = (server.url(""), a_phone());
        let id = writes(&world, &phone, "ciao");
        is_paused(&base, "openai").await;
        until_held(&base, &id).await;
        assert_eq!(
            health(&base, "openai").await,
            (200, "degraded".to_owned(), "degraded".to_owned(), format!("paused: {code}/{provider_code}"))
        );
        assert_eq!(channel(&base, "whatsapp").await, ("closed".to_owned(), false));
        assert_eq!((trace(&base, &id).await["state"].clone(), dead(&base).await), ("open".into(), vec![]));
        assert_eq!(world.sandbox.meta.answers_to(&phone), greeted(&[]), "{code}: nothing yet");
        clock.advance(HOLD);
        let told = server.log.wait_for("message_dead_lettered", &id).await;
        assert_eq!((&told["error_code"], &told["provider_code"]), (&code.into(), &provider_code.into()));
        assert_eq!(world.sandbox.meta.answers_to(&phone), apologised(), "{code}");
        assert_eq!(ends(&server, &id), [0, 0, 1]);
        let reason = (id, code.to_owned(), Some(provider_code.to_owned()));
        assert_eq!(dead(&base).await, [reason]);
        assert_eq!(world.sandbox.openai.chats().len(), 1, "{code}: nobody probed");
        assert_eq!(channel(&base, "openai").await, ("closed".to_owned(), true));
        persons_got_no_errors(&world);
    }
}

#[actix_rt::test]
async fn each_message_waits_from_its_own_acceptance_or_from_the_pause_whichever_is_later() {
    let world = World::new();
    let (server, clock) = start(&world).await;
    let (base, openai) = (server.url(""), world.sandbox.openai.script());
    // Accepted long before the pause: it waits behind a question that the model thinks about.
    openai.aim("penso", Route::Chat, 1, Fault::Gate("thinking".to_owned()));
    openai.next(Route::Chat, 1, Fault::code("insufficient_quota"));
    let early = a_phone();
    let texts = ["penso", "ancora"].map(|words| Inbound::text(&early, words));
    let before = world.sandbox.meta.deliver_batch(texts.to_vec()).remove(1);
    openai.wait_at_gate("thinking", 1, PATIENCE).await.unwrap();
    clock.advance(MINUTE * 3);
    openai.open("thinking");
    is_paused(&base, "openai").await;
    until_held(&base, &before).await;
    a_turn_passes(&world, &server).await;
    assert_eq!(
        ends(&server, &before),
        [0, 0, 0],
        "its own two minutes are over, but the pause has just begun"
    );
    // Accepted a minute into the pause.
    clock.advance(MINUTE);
    let late = a_phone();
    let during = writes(&world, &late, "during");
    world.sandbox.meta.wait_answers(&late, 1).await.unwrap();
    clock.advance(MINUTE);
    server.log.wait_for("message_dead_lettered", &before).await;
    a_turn_passes(&world, &server).await;
    assert_eq!(ends(&server, &during), [0, 0, 0], "it waits for its own two minutes");
    assert_eq!(world.sandbox.meta.answers_to(&late), greeted(&[]));
    clock.advance(MINUTE);
    server.log.wait_for("message_dead_lettered", &during).await;
    assert_eq!(world.sandbox.meta.answers_to(&late), apologised());
    assert_eq!(world.sandbox.meta.answers_to(&early), greeted(&["echo: penso", &persona_text("apology")]));
    assert_eq!(world.sandbox.openai.chats().len(), 2, "nobody probed");
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_pause_that_ends_in_time_costs_nobody_anything_and_keeps_each_persons_order() {
    let world = World::new().set("HEALTH_PROBE_S", "1");
    let rule = world.sandbox.openai.script().always(Route::Chat, Fault::code("insufficient_quota"));
    let (server, clock) = start(&world).await;
    let (base, people) = (server.url(""), [a_phone(), a_phone(), a_phone()]);
    let mut ids = Vec::new();
    for words in ["uno", "due", "tre"] {
        ids.extend(super::all_write(&world, &people, words));
        server.log.wait_for("message_accepted", ids.last().unwrap()).await;
    }
    is_paused(&base, "openai").await;
    clock.advance(HOLD - Duration::from_secs(10));
    world.sandbox.openai.script().remove(rule);
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
        assert_eq!(ends(&server, id), [1, 0, 0]);
    }
    for phone in &people {
        assert_eq!(world.sandbox.meta.answers_to(phone), greeted(&["echo: uno", "echo: due", "echo: tre"]));
    }
    assert_eq!(dead(&base).await, []);
    let answered = world.sandbox.openai.chats().into_iter().filter(|call| call.fault.is_none()).count();
    assert_eq!(answered, ids.len(), "each was paid for once");
    assert_eq!(channel(&base, "openai").await, ("closed".to_owned(), false));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn several_messages_of_one_person_are_given_up_in_their_order() {
    let world = World::new();
    world.sandbox.openai.script().always(Route::Chat, Fault::code("insufficient_quota"));
    let (server, clock) = start(&world).await;
    let (base, phone) = (server.url(""), a_phone());
    let texts = ["uno", "due", "tre"].map(|words| Inbound::text(&phone, words));
    let mut ids = world.sandbox.meta.deliver_batch([&texts[..], &[Inbound::unsupported(&phone)]].concat());
    is_paused(&base, "openai").await;
    a_turn_passes(&world, &server).await;
    assert_eq!(
        world.sandbox.meta.answers_to(&phone),
        greeted(&[]),
        "what needs no model waits behind what does"
    );
    clock.advance(HOLD);
    server.log.wait_for("task_completed", &ids.pop().unwrap()).await;
    for id in &ids {
        server.log.wait_for("message_dead_lettered", id).await;
    }
    let apology = persona_text("apology");
    assert_eq!(
        world.sandbox.meta.answers_to(&phone),
        greeted(&[&apology, &apology, &apology, &persona_text("not_understood")])
    );
    let order: Vec<String> = dead(&base).await.into_iter().map(|(id, ..)| id).collect();
    assert_eq!(order, ids);
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn after_the_apology_a_replay_sends_the_answer() {
    let world = World::new().set("HEALTH_PROBE_S", "1");
    let aimed = Rule {
        route: Route::Chat,
        containing: None,
        when: When::Always,
        fault: Fault::code("insufficient_quota"),
    };
    let rule = world.sandbox.openai.script().add(aimed);
    let (server, clock) = start(&world).await;
    let (base, phone) = (server.url(""), a_phone());
    let id = writes(&world, &phone, "ciao");
    is_paused(&base, "openai").await;
    clock.advance(HOLD);
    server.log.wait_for("message_dead_lettered", &id).await;
    // Nobody waits, so the next turn's call finds out that the quota is back.
    world.sandbox.openai.script().remove(rule);
    let other = writes(&world, &a_phone(), "ciao");
    server.log.wait_for("task_completed", &other).await;
    replay(&base, &id).await;
    super::until_state(&base, &id, "done").await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), greeted(&[&persona_text("apology"), "echo: ciao"]));
    assert_eq!(trace(&base, &id).await["replays"], 1);
    assert_eq!(dead(&base).await, []);
    server.log.wait_for("task_completed", &id).await;
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_replay_during_the_pause_waits_as_long_again_before_it_apologises() {
    let world = World::new();
    world.sandbox.openai.script().always(Route::Chat, Fault::code("insufficient_quota"));
    let (server, clock) = start(&world).await;
    let (base, phone) = (server.url(""), a_phone());
    let id = writes(&world, &phone, "ciao");
    is_paused(&base, "openai").await;
    until_held(&base, &id).await;
    clock.advance(HOLD);
    server.log.wait_for("message_dead_lettered", &id).await;
    replay(&base, &id).await;
    a_turn_passes(&world, &server).await;
    clock.advance(MINUTE);
    a_turn_passes(&world, &server).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), apologised(), "no second apology yet");
    clock.advance(MINUTE);
    server.log.wait_count("message_dead_lettered", 2, |line| line["message_id"] == id.as_str()).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone).len(), apologised().len() + 1);
    persons_got_no_errors(&world);
}

async fn replay(base: &str, id: &str) {
    let client = awc::Client::new();
    let mut answer =
        client.post(format!("{base}/admin/replay")).send_json(&json!({"message_id": id})).await.unwrap();
    let body: Value = serde_json::from_slice(&answer.body().await.unwrap()).unwrap();
    assert_eq!(body, json!({"replayed": 1}));
}

#[actix_rt::test]
async fn an_apology_that_whatsapp_cannot_take_waits_for_it() {
    let world = World::new();
    world.sandbox.openai.script().always(Route::Chat, Fault::code("insufficient_quota"));
    let (server, clock) = start(&world).await;
    let (base, meta, phone) = (server.url(""), &world.sandbox.meta, a_phone());
    let id = writes(&world, &phone, "ciao");
    is_paused(&base, "openai").await;
    until_held(&base, &id).await;
    meta.script().next(Route::Send, 3, Fault::status(503));
    clock.advance(HOLD);
    let ours = |line: &Value| line["message_id"] == id.as_str() && line["service"] == "whatsapp";
    server.log.wait("http_failed", ours).await;
    until_held(&base, &id).await;
    assert_eq!((ends(&server, &id), meta.answers_to(&phone)), ([0, 0, 0], greeted(&[])));
    clock.advance(Duration::from_secs(5));
    let told = server.log.wait_for("message_dead_lettered", &id).await;
    assert_eq!((&told["error_code"], &told["provider_code"]), (&"429".into(), &"insufficient_quota".into()));
    assert_eq!(meta.answers_to(&phone), apologised());
    persons_got_no_errors(&world);
}
