//! A second model: asked when the first is open, paused or has failed for good.

use std::time::Duration;

use parlante_sandbox::{Call, Fault, OpenAiOptions, Options, Route, Sandbox};
use serde_json::Value;

use super::{apologised, channel, dead, greeted, is_paused, until_held, writes};
use crate::support::innocent::persons_got_only;
use crate::support::{Process, TestClock, TestFaults, World, a_phone};

/// The key of the second.
const KEY: &str = "the-second-key";

/// The second model, which answers in other words than the first.
fn second() -> Sandbox {
    let tests = Options::for_tests();
    let openai = OpenAiOptions { api_key: KEY.to_owned(), ..tests.openai };
    let second = Sandbox::start(Options { openai, ..tests }).unwrap();
    second.openai.answer_with(|turns| format!("second: {}", turns.last().unwrap().text));
    second
}

fn with(second: &Sandbox) -> World {
    World::new()
        .set("OPENAI_FALLBACK_BASE_URL", second.openai.base_url())
        .set("OPENAI_FALLBACK_API_KEY", KEY)
        .set("OPENAI_FALLBACK_MODEL", "gpt-4o-mini")
}

/// Somebody writes, and is answered by whom it says.
async fn is_answered(world: &World, server: &Process, by: &str) -> String {
    let phone = a_phone();
    let id = writes(world, &phone, "ciao");
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), greeted(&[&format!("{by}: ciao")]));
    id
}

fn asked(world: &World, second: &Sandbox) -> (usize, usize) {
    (world.sandbox.openai.chats().len(), second.openai.chats().len())
}

fn header(call: &Call, name: &str) -> String {
    call.headers.iter().find(|(key, _)| key == name).unwrap().1.clone()
}

#[actix_rt::test]
async fn when_the_first_model_has_failed_for_good_the_second_answers() {
    let second = second();
    let world = with(&second);
    let server = world.start().await;
    let mut count = (0, 0);
    for (attempts, fault) in [(3, Fault::status(503)), (1, Fault::status(400)), (3, Fault::cut(100))] {
        world.sandbox.openai.script().next(Route::Chat, attempts, fault);
        let id = is_answered(&world, &server, "second").await;
        count = (count.0 + attempts, count.1 + 1);
        assert_eq!(asked(&world, &second), count);
        let row = super::trace(&server.url(""), &id).await;
        let step = &row["steps"][0];
        assert_eq!((&step["step"], &step["state"]), (&"complete".into(), &"done".into()));
        assert_eq!(step["attempts"], attempts + 1, "{row:#}");
    }
    is_answered(&world, &server, "echo").await;
    assert_eq!(asked(&world, &second), (count.0 + 1, count.1), "the first goes first again");
    for call in second.openai.chats() {
        assert_eq!(header(&call, "authorization"), format!("Bearer {KEY}"));
        assert_eq!(call.json["model"], "gpt-4o-mini");
        assert_eq!(call.json["messages"], world.sandbox.openai.chats()[0].json["messages"]);
    }
    let own = format!("Bearer {}", world.sandbox.openai.options().api_key);
    assert!(world.sandbox.openai.chats().iter().all(|call| header(call, "authorization") == own));
    assert_eq!(server.log.events("task_failed"), [] as [Value; 0]);
    persons_got_only(&world, &[&second.openai], &[]);
}

#[actix_rt::test]
async fn while_the_first_model_s_circuit_is_open_only_the_second_is_asked() {
    let second = second();
    let world = with(&second).set("OPENAI_CIRCUIT_FAILURES", "1").set("OPENAI_CIRCUIT_OPEN_MS", "600000");
    world.sandbox.openai.script().always(Route::Chat, Fault::status(503));
    let server = world.start().await;
    is_answered(&world, &server, "second").await;
    assert_eq!(channel(&server.url(""), "openai").await, ("open".to_owned(), false));
    is_answered(&world, &server, "second").await;
    assert_eq!(asked(&world, &second), (3, 2));
    // When that fails too, it is as if there were none.
    second.openai.script().always(Route::Chat, Fault::status(401));
    let phone = a_phone();
    let id = writes(&world, &phone, "ciao");
    let told = server.log.wait_for("task_failed", &id).await;
    assert_eq!(told["error_code"], "circuit_open");
    assert_eq!(world.sandbox.meta.answers_to(&phone), apologised());
    assert_eq!(server.log.events("channel_paused"), [] as [Value; 0], "the second has no channel of its own");
    persons_got_only(&world, &[&second.openai], &[]);
}

#[actix_rt::test]
async fn while_the_first_model_is_paused_the_second_answers_and_a_turn_probes_the_first() {
    let second = second();
    let world = with(&second).set("HEALTH_PROBE_S", "1");
    let quota = world.sandbox.openai.script().always(Route::Chat, Fault::code("insufficient_quota"));
    let server = world.start().await;
    is_answered(&world, &server, "second").await;
    assert_eq!(channel(&server.url(""), "openai").await, ("closed".to_owned(), true));
    is_answered(&world, &server, "second").await;
    // Nobody waits for the first, so the next turn's call probes; that of the probe that fails is answered all the same.
    while world.sandbox.openai.chats().len() < 2 {
        is_answered(&world, &server, "second").await;
    }
    world.sandbox.openai.script().remove(quota);
    let resumed = server.log.wait("channel_resumed", |_| true);
    let writing = async {
        loop {
            let id = writes(&world, &a_phone(), "ciao");
            server.log.wait_for("task_completed", &id).await;
        }
    };
    tokio::select! {
        _ = resumed => {}
        () = writing => {}
    }
    is_answered(&world, &server, "echo").await;
    let times: Vec<u64> = world.sandbox.openai.chats().iter().take(3).map(|call| call.at_ms).collect();
    assert!(times[2] - times[0] + 600 >= 2000, "one probe a second: {times:?}");
    assert_eq!(server.log.events("task_failed"), [] as [Value; 0]);
    persons_got_only(&world, &[&second.openai], &[]);
}

#[actix_rt::test]
async fn between_probes_of_a_paused_model_the_second_is_asked_at_once_and_the_first_is_left_alone() {
    for code in ["insufficient_quota", "invalid_api_key"] {
        let second = second();
        let world = with(&second);
        world.sandbox.openai.script().always(Route::Chat, Fault::code(code));
        let server = world.start().await;
        for answered in 1..=3 {
            is_answered(&world, &server, "second").await;
            assert_eq!(asked(&world, &second), (1, answered), "{code}");
        }
        persons_got_only(&world, &[&second.openai], &[]);
    }
}

#[actix_rt::test]
async fn when_both_models_fail_the_first_one_s_fate_holds() {
    let second = second();
    let world = with(&second);
    second.openai.script().always(Route::Chat, Fault::status(500));
    let clock = TestClock::default();
    let server = world.start_in_process(&clock, &TestFaults::default()).await;
    let (base, refused) = (server.url(""), a_phone());
    world.sandbox.openai.script().next(Route::Chat, 1, Fault::status(400));
    let id = writes(&world, &refused, "ciao");
    let told = server.log.wait_for("task_failed", &id).await;
    assert_eq!(told["error_code"], "400");
    assert_eq!(world.sandbox.meta.answers_to(&refused), apologised());
    assert_eq!(asked(&world, &second), (1, 3));
    // The first is paused: held, and at the end the apology.
    world.sandbox.openai.script().always(Route::Chat, Fault::code("insufficient_quota"));
    let held = a_phone();
    let id = writes(&world, &held, "ciao");
    is_paused(&base, "openai").await;
    until_held(&base, &id).await;
    assert_eq!(world.sandbox.meta.answers_to(&held), greeted(&[]));
    clock.advance(Duration::from_secs(120));
    let told = server.log.wait_for("message_dead_lettered", &id).await;
    assert_eq!((&told["error_code"], &told["provider_code"]), (&"429".into(), &"insufficient_quota".into()));
    assert_eq!(world.sandbox.meta.answers_to(&held), apologised());
    let reason = (id, "429".to_owned(), Some("insufficient_quota".to_owned()));
    assert_eq!(dead(&base).await, [reason]);
    persons_got_only(&world, &[&second.openai], &[]);
}
