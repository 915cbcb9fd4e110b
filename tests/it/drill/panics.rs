//! Every actor panics.

use std::time::Duration;

use parlante_sandbox::{Inbound, audio};

use super::{OnCall, masked, world};
use crate::support::{TestClock, TestFaults, a_phone};

/// `/health` tells of it for so long.
const TOLD_FOR: Duration = Duration::from_secs(5 * 60);
/// The actor, its check in `/health`, and where it panics.
const ACTORS: [(&str, &str, &str); 6] = [
    ("ingress", "webhook", "ingress.deliver"),
    ("dedup", "dedup", "dedup.accept"),
    ("conversation", "queue", "conversation.ask"),
    ("openai", "openai", "openai.ask"),
    ("elevenlabs", "elevenlabs", "elevenlabs.speak"),
    ("whatsapp", "whatsapp", "whatsapp.send"),
];

#[actix_rt::test]
async fn every_actor_panics() {
    let (world, faults, clock) = (world(), TestFaults::default(), TestClock::default());
    let server = world.start_in_process(&clock, &faults).await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    let phone = a_phone();
    for (_, _, point) in ACTORS {
        faults.panic(point, 1);
    }
    // One voice note passes all of them, and another comes after it.
    let meta = &world.sandbox.meta;
    let says = |words: &str| meta.deliver(Inbound::voice(&phone, audio::say(words)));
    let mut ids = vec![says("uno")];
    meta.wait_acknowledged(&ids[0]).await.unwrap();
    ids.push(says("due"));
    for (actor, _, _) in ACTORS {
        let is_its = |line: &serde_json::Value| {
            line["actor"] == actor && (actor != "conversation" || line["user_id"] == masked(&phone))
        };
        let told = server.log.wait("actor_restarted", is_its).await;
        assert_eq!(told["level"], "ERROR", "{told}");
        assert!(told["reason"].as_str().is_some_and(|reason| reason.starts_with("panic")), "{told}");
    }
    let ill = ACTORS.map(|(actor, check, _)| {
        (check, "degraded", format!("{actor} was restarted after a panic (event actor_restarted)"))
    });
    on_call.health_says(200, "degraded", &ill.each_ref().map(|(name, is, why)| (*name, *is, &**why))).await;
    let alerts = ACTORS.map(|(actor, ..)| format!("ParlanteActorRestarted {actor}"));
    on_call.is_called(&alerts.each_ref().map(String::as_str), &["actor_restarted", "panic"]).await;

    // What was in progress went on by itself; the rest is for whoever mends the program.
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
    }
    // Nobody waits for a voice that is lost.
    on_call.got(&phone, &["echo: uno", "[voice] echo: due"]);
    clock.advance(TOLD_FOR);
    on_call.sees_the_end(&ACTORS.map(|(_, check, _)| check)).await;
}
