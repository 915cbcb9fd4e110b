//! An account is empty: OpenAI's quota, ElevenLabs' characters.

use parlante_sandbox::{Fault, Inbound, Route, audio};
use rustix::process::Signal;
use serde_json::Value;

use super::{OnCall, world};
use crate::support::{Process, a_phone, persona_text};

/// How a pause is told: level, service and codes.
async fn is_paused(server: &Process, service: &str) -> [String; 4] {
    let told = server.log.wait("channel_paused", |line| line["service"] == service).await;
    ["level", "service", "error_code", "provider_code"].map(|field| told[field].as_str().unwrap().to_owned())
}

#[actix_rt::test]
async fn the_quota_of_openai_is_used_up() {
    let world = world();
    let server = world.start().await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    let script = world.sandbox.openai.script();
    let empty = script.always(Route::Chat, Fault::code("insufficient_quota"));
    let phones = [a_phone(), a_phone()];
    let mut ids = on_call.writes_all(&phones[0], &["uno", "due"]);
    ids.push(on_call.writes(&phones[1], "tre"));
    assert_eq!(is_paused(&server, "openai").await, ["ERROR", "openai", "429", "insufficient_quota"]);
    on_call.health_says(200, "degraded", &[("openai", "degraded", "paused: 429/insufficient_quota")]).await;
    on_call.is_called(&["ParlanteOpenAIPaused openai"], &["channel_paused", "channel_resumed"]).await;

    script.remove(empty);
    server.signal(Signal::HUP);
    server.log.wait("channel_resumed", |line| line["service"] == "openai").await;
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
    }
    on_call.got(&phones[0], &["echo: uno", "echo: due"]);
    on_call.got(&phones[1], &["echo: tre"]);
    on_call.sees_the_end(&["openai"]).await;
}

#[actix_rt::test]
async fn the_quota_of_openai_is_away_for_longer_than_people_wait() {
    let world = world().set("CONVERSATION_HOLD_MS", "1000");
    let server = world.start().await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    let script = world.sandbox.openai.script();
    let empty = script.always(Route::Chat, Fault::code("insufficient_quota"));
    let phone = a_phone();
    let ids = on_call.writes_all(&phone, &["uno", "due"]);
    for id in &ids {
        let told = server.log.wait_for("message_dead_lettered", id).await;
        assert_eq!((&told["level"], &told["error_code"]), (&"ERROR".into(), &"429".into()), "{told}");
    }
    let apology = persona_text("apology");
    on_call.got(&phone, &[&apology, &apology]);
    on_call.health_says(200, "degraded", &[("openai", "degraded", "paused: 429/insufficient_quota")]).await;
    let alerts = ["ParlanteOpenAIPaused openai", "ParlanteDeadLettersGrew"];
    on_call.is_called(&alerts, &["channel_paused", "message_dead_lettered"]).await;

    script.remove(empty);
    server.signal(Signal::HUP);
    server.log.wait("reload_completed", |_| true).await;
    assert_eq!(on_call.types(&["dead", "replay", "--all"]).await, "2 messages are answered now\n");
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
    }
    assert_eq!(on_call.types(&["dead", "list"]).await, "no message is dead\n");
    on_call.got(&phone, &[&apology, &apology, "echo: uno", "echo: due"]);
    on_call.sees_the_end(&["openai"]).await;
}

#[actix_rt::test]
async fn the_characters_of_elevenlabs_are_used_up() {
    let world = world();
    let server = world.start().await;
    let (phone, elevenlabs) = (a_phone(), &world.sandbox.elevenlabs);
    let says = async |words: &str| {
        let id = world.sandbox.meta.deliver(Inbound::voice(&phone, audio::say(words)));
        server.log.wait_for("task_completed", &id).await;
        id
    };
    says("uno").await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    elevenlabs.set_characters_left(0);
    let id = says("due").await;
    let told: Value = server.log.wait_for("voice_fallback_to_text", &id).await;
    assert_eq!(
        (&told["level"], &told["provider_code"]),
        (&"WARN".into(), &"quota_exceeded".into()),
        "{told}"
    );
    assert_eq!(is_paused(&server, "elevenlabs").await, ["ERROR", "elevenlabs", "401", "quota_exceeded"]);
    on_call.health_says(200, "degraded", &[("elevenlabs", "degraded", "paused: 401/quota_exceeded")]).await;
    let alerts = ["ParlanteElevenLabsPaused elevenlabs", "ParlanteElevenLabsCharactersLow elevenlabs"];
    on_call.is_called(&alerts, &["channel_paused", "channel_resumed"]).await;

    elevenlabs.set_characters_left(10_000);
    server.signal(Signal::HUP);
    server.log.wait("reload_completed", |_| true).await;
    says("tre").await;
    server.log.wait("channel_resumed", |line| line["service"] == "elevenlabs").await;
    on_call.got(&phone, &["[voice] echo: uno", "echo: due", "[voice] echo: tre"]);
    on_call.sees_the_end(&["elevenlabs"]).await;
}
