//! An answer that cannot be spoken: the person gets the same answer in writing, once.

use std::net::TcpListener;

use parlante_sandbox::{AudioFault, Fault, Inbound, Route, audio};

use super::{Calls, Talk};
use crate::support::{World, a_phone};

/// How it failed, attempts, error code, provider's code.
type Row = (Fault, usize, &'static str, Option<&'static str>);

/// Nothing here opens the circuit.
fn world() -> World {
    World::new().set("ELEVENLABS_CIRCUIT_FAILURES", "100")
}

/// Each fault costs so many attempts; the answer is written, and the next is spoken again.
async fn fall_back(world: World, rows: Vec<Row>) {
    let talk = Talk::of(world).await;
    for (fault, attempts, code, provider) in rows {
        let (phone, elevenlabs) = (a_phone(), &talk.world.sandbox.elevenlabs);
        elevenlabs.forget();
        elevenlabs.script().aim("ciao", Route::Speak, attempts, fault.clone());
        let id = talk.says(&phone, "ciao").await;
        assert_eq!(talk.fell_back(&id), Some((code.to_owned(), provider.map(str::to_owned))), "{fault:?}");
        assert_eq!(elevenlabs.speeches().len(), attempts, "{fault:?}");
        talk.says(&phone, "e ora?").await;
        assert_eq!(talk.got(&phone), ["echo: ciao", "[voice] echo: e ora?"], "{fault:?}");
        let sends = talk.world.sandbox.meta.look(|records| records.sends_to(&phone).count());
        assert_eq!(sends, 3, "{fault:?}: the disclosure and one for each");
    }
    talk.end();
}

#[actix_rt::test]
async fn when_elevenlabs_fails_the_answer_is_written() {
    let rows: Vec<Row> = vec![
        (Fault::status(500), 3, "500", Some("internal_error")),
        (Fault::status(503), 3, "503", Some("service_unavailable")),
        (Fault::code("rate_limit_exceeded"), 3, "429", Some("rate_limit_exceeded")),
        (Fault::status(503).with_header("x-should-retry", "false"), 1, "503", Some("service_unavailable")),
        (
            Fault::code("rate_limit_exceeded").with_header("retry-after", 11),
            1,
            "429",
            Some("rate_limit_exceeded"),
        ),
        (Fault::status(418).with_body("<html>418</html>"), 1, "418", None),
        (Fault::code("text_too_long"), 1, "400", Some("text_too_long")),
        (Fault::close(), 3, "network", None),
        (Fault::cut(0), 3, "truncated", None),
        (Fault::cut(500), 3, "truncated", None),
    ];
    fall_back(world(), rows).await;
}

#[actix_rt::test]
async fn when_the_sound_is_not_a_voice_note_the_answer_is_written() {
    let rows: Vec<Row> = vec![
        (Fault::Audio(AudioFault::Stereo), 1, "not_voice", None),
        (Fault::Audio(AudioFault::Mp3), 1, "not_voice", None),
        (Fault::Audio(AudioFault::RawOpus), 1, "not_voice", None),
        (Fault::Body("<html>ElevenLabs is down</html>".to_owned()), 1, "not_voice", None),
        (Fault::Audio(AudioFault::Huge), 1, "too_long", None),
        (Fault::Audio(AudioFault::Truncated), 3, "truncated", None),
        (Fault::Audio(AudioFault::Empty), 3, "truncated", None),
    ];
    fall_back(world(), rows).await;
}

#[actix_rt::test]
async fn when_elevenlabs_is_too_slow_the_answer_is_written() {
    let rows: Vec<Row> = vec![
        (Fault::hang(), 3, "timeout", None),
        (Fault::stall(0), 3, "timeout", None),
        (Fault::stall(200), 3, "timeout", None),
    ];
    fall_back(world().set("ELEVENLABS_TIMEOUT_MS", "1000"), rows).await;
}

#[actix_rt::test]
async fn a_fault_that_passes_costs_nobody_the_voice() {
    let talk = Talk::of(world()).await;
    for fault in [Fault::status(503), Fault::close(), Fault::Audio(AudioFault::Truncated)] {
        talk.world.sandbox.elevenlabs.script().next(Route::Speak, 2, fault.clone());
        assert_eq!(talk.a_person_says("ciao").await, ["[voice] echo: ciao"], "{fault:?}");
    }
    talk.end();
}

#[actix_rt::test]
async fn when_nobody_is_there_the_answer_is_written() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", port.local_addr().unwrap());
    drop(port);
    let talk = Talk::of(world().set("ELEVENLABS_BASE_URL", &nobody)).await;
    let phone = a_phone();
    let id = talk.says(&phone, "ciao").await;
    assert_eq!(talk.got_in_the_end(&phone).await, ["echo: ciao"]);
    assert_eq!(talk.fell_back(&id), Some(("network".to_owned(), None)));
    talk.end();
}

#[actix_rt::test]
async fn an_open_circuit_is_not_waited_for() {
    let talk = Talk::of(World::new().set("ELEVENLABS_CIRCUIT_FAILURES", "2")).await;
    let (phone, elevenlabs) = (a_phone(), &talk.world.sandbox.elevenlabs);
    elevenlabs.script().always(Route::Speak, Fault::status(503));
    let mut codes = Vec::new();
    for words in ["uno", "due", "tre"] {
        let id = talk.says(&phone, words).await;
        codes.extend(talk.fell_back(&id).map(|(code, _)| code));
    }
    assert_eq!(codes, ["503", "503", "circuit_open"]);
    assert_eq!(elevenlabs.speeches().len(), 6, "the third was not tried");
    assert_eq!(talk.got(&phone), ["echo: uno", "echo: due", "echo: tre"]);
    assert_eq!(talk.stats().await["providers"]["elevenlabs"]["circuit"], "open");
    talk.end();
}

#[actix_rt::test]
async fn after_the_circuit_s_time_the_next_answer_probes_and_is_spoken() {
    let world = World::new().set("ELEVENLABS_CIRCUIT_FAILURES", "1").set("ELEVENLABS_CIRCUIT_OPEN_MS", "100");
    let talk = Talk::of(world).await;
    let (phone, elevenlabs) = (a_phone(), &talk.world.sandbox.elevenlabs);
    elevenlabs.script().next(Route::Speak, 3, Fault::status(503));
    talk.says(&phone, "uno").await;
    // Each takes a while, so one of them comes after that time.
    let mut got = vec!["echo: uno".to_owned()];
    while !got.iter().any(|answer| answer.starts_with("[voice]")) {
        talk.says(&phone, "due").await;
        got = talk.got(&phone);
        assert!(got.len() < 1000, "never");
    }
    let ends = ["circuit_opened", "circuit_half_open", "circuit_closed"].map(|event| {
        talk.server.log.events(event).iter().filter(|line| line["service"] == "elevenlabs").count()
    });
    assert_eq!(ends, [1, 1, 1]);
    assert_eq!(elevenlabs.speeches().len(), 4, "three in vain, and the probe");
    talk.end();
}

/// Says two things while the key or quota is no good, and a third when it is good again.
async fn pauses_and_goes_on(talk: &Talk, code: &str, provider: &str, mend: impl FnOnce()) {
    let (phone, elevenlabs) = (a_phone(), &talk.world.sandbox.elevenlabs);
    for words in ["uno", "due"] {
        let id = talk.says(&phone, words).await;
        let told = (code.to_owned(), Some(provider.to_owned()));
        assert_eq!(talk.fell_back(&id), Some(told), "{words}");
    }
    assert_eq!(talk.got(&phone), ["echo: uno", "echo: due"]);
    assert_eq!(elevenlabs.speeches().len(), 1, "one attempt, and none while it is paused");
    let paused = talk.server.log.events("channel_paused");
    assert_eq!(paused.len(), 1, "{paused:?}");
    assert_eq!((&paused[0]["service"], &paused[0]["error_code"]), (&"elevenlabs".into(), &code.into()));
    let channel = talk.stats().await["providers"]["elevenlabs"].clone();
    assert_eq!((&channel["paused"], &channel["circuit"]), (&true.into(), &"closed".into()));
    mend();
    // Probed once a second at most, by the health call or by an answer.
    let mut got = talk.got(&phone);
    while !got.iter().any(|answer| answer.starts_with("[voice]")) {
        talk.says(&phone, "e ora?").await;
        got = talk.got(&phone);
        assert!(got.len() < 1000, "never");
    }
    let resumed = talk.server.log.events("channel_resumed");
    assert_eq!(resumed.len(), 1, "{resumed:?}");
    assert_eq!(elevenlabs.speeches().len(), 2, "the first since then was the good one");
}

#[actix_rt::test]
async fn a_used_up_quota_pauses_the_voice_until_there_is_some_again() {
    for legacy in [false, true] {
        let talk = Talk::of(World::new().set("HEALTH_PROBE_S", "1")).await;
        let elevenlabs = talk.world.sandbox.elevenlabs.clone();
        elevenlabs.legacy_errors(legacy);
        elevenlabs.set_characters_left(0);
        pauses_and_goes_on(&talk, "401", "quota_exceeded", || elevenlabs.set_characters_left(10_000)).await;
        talk.end();
    }
}

#[actix_rt::test]
async fn a_wrong_key_pauses_the_voice_until_it_is_right() {
    let talk = Talk::of(World::new().set("HEALTH_PROBE_S", "1")).await;
    let script = talk.world.sandbox.elevenlabs.script().clone();
    for route in [Route::Speak, Route::Subscription] {
        script.always(route, Fault::code("invalid_api_key"));
    }
    pauses_and_goes_on(&talk, "401", "invalid_api_key", || script.clear()).await;
    talk.end();
}

#[actix_rt::test]
async fn a_turn_s_own_deadline_ends_the_voice_and_not_the_answer() {
    let talk = Talk::of(World::new().set("CONVERSATION_TURN_MS", "3000")).await;
    talk.world.sandbox.elevenlabs.script().next(Route::Speak, 1, Fault::hang());
    let phone = a_phone();
    let id = talk.says(&phone, "ciao").await;
    assert_eq!(talk.got_in_the_end(&phone).await, ["echo: ciao"]);
    assert_eq!(talk.fell_back(&id), Some(("turn_deadline".to_owned(), None)));
    assert_eq!(Calls::of(&talk.world).spoken, 1);
    talk.end();
}

#[actix_rt::test]
async fn a_long_answer_is_written_in_parts_and_never_spoken() {
    let talk = Talk::of(World::new().set("OPENAI_MAX_ANSWER_TOKENS", "4000")).await;
    let line = format!("{}\n", "spaghettialpomodoro ".repeat(18).trim_end());
    let answer = line.repeat(20);
    let whole = answer.clone();
    talk.world.sandbox.openai.answer_with(move |_| answer.clone());
    let phone = a_phone();
    let id = talk.answered(Inbound::voice(&phone, audio::say("racconta"))).await;
    let got = talk.got(&phone);
    assert_eq!(got.len(), 2, "{got:?}");
    assert_eq!(got.join("\n"), whole.trim_end());
    assert_eq!(talk.fell_back(&id), Some(("too_long".to_owned(), None)));
    assert_eq!(Calls::of(&talk.world).spoken, 0);
    talk.end();
}
