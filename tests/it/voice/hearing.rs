//! A note that cannot be had or understood: the persona asks to write, at once.

use parlante_sandbox::{Fault, Inbound, Route, audio};
use serde_json::json;

use super::{BY_VOICE, Calls, Talk, of_route};
use crate::support::raw::{Act, RawServer};
use crate::support::{World, a_phone, persona_text};

fn please_write() -> Vec<String> {
    vec![persona_text("please_write")]
}

/// Nothing here opens a circuit.
fn world() -> World {
    World::new().set("OPENAI_CIRCUIT_FAILURES", "100").set("WHATSAPP_CIRCUIT_FAILURES", "100")
}

/// Each fault costs so many attempts; then the persona asks to write, the message is done, and the next is answered.
async fn is_not_heard(world: World, route: Route, rows: Vec<(usize, Fault)>) {
    let talk = Talk::of(world).await;
    for (attempts, fault) in rows {
        let (phone, openai) = (a_phone(), &talk.world.sandbox.openai);
        let (meta, before) = (&talk.world.sandbox.meta, Calls::of(&talk.world));
        let script = if route == Route::Transcribe { openai.script() } else { meta.script() };
        let rule = script.next(route, attempts, fault.clone());
        let id = talk.says(&phone, "ciao").await;
        script.remove(rule);
        assert_eq!(talk.got(&phone), please_write(), "{fault:?}");
        let after = Calls::of(&talk.world);
        let heard = if route == Route::Transcribe { attempts } else { 0 };
        assert_eq!(after.heard - before.heard, heard, "{fault:?}");
        assert_eq!((after.asked, after.spoken), (before.asked, before.spoken), "{fault:?}");
        assert_eq!(talk.server.log.count("task_failed", &id), 0);
        talk.says(&phone, "e ora?").await;
        assert_eq!(talk.got(&phone)[1..], ["[voice] echo: e ora?"], "{fault:?}");
    }
    talk.end();
}

#[actix_rt::test]
async fn a_note_that_the_provider_refuses_is_sent_to_it_once() {
    let rows = [400, 409, 413, 415, 422].map(|status| (1, Fault::status(status)));
    let rows = rows.into_iter().chain([(1, Fault::code("audio_too_short"))]);
    is_not_heard(world(), Route::Transcribe, rows.collect()).await;
}

#[actix_rt::test]
async fn a_provider_that_does_not_hear_is_asked_three_times() {
    let rows = vec![
        (3, Fault::status(500)),
        (3, Fault::status(503)),
        (3, Fault::code("rate_limit_exceeded")),
        (3, Fault::close()),
        (3, Fault::cut(5)),
        (3, Fault::Body("<html>boom</html>".to_owned())),
        (3, Fault::Body(r#"{"text":"#.to_owned())),
    ];
    is_not_heard(world(), Route::Transcribe, rows).await;
}

#[actix_rt::test]
async fn a_provider_that_is_too_slow_is_asked_three_times() {
    let slow = vec![(3, Fault::hang()), (3, Fault::stall(4))];
    is_not_heard(world().set("OPENAI_TIMEOUT_MS", "1000"), Route::Transcribe, slow).await;
}

#[actix_rt::test]
async fn a_note_that_whatsapp_does_not_hand_over_is_asked_for_in_writing() {
    let faults = || vec![(3, Fault::status(500)), (3, Fault::close()), (3, Fault::cut(5))];
    is_not_heard(world(), Route::Media, faults()).await;
    is_not_heard(world(), Route::Download, faults()).await;
    let html = |status| (1, Fault::status(status).with_body("<html>no</html>"));
    is_not_heard(world(), Route::Download, vec![html(400), html(403), html(410)]).await;
}

#[actix_rt::test]
async fn a_fault_that_passes_costs_nobody_the_note() {
    let talk = Talk::of(world()).await;
    let (meta, openai) = (talk.world.sandbox.meta.script(), talk.world.sandbox.openai.script());
    for (route, script) in [(Route::Media, meta), (Route::Download, meta), (Route::Transcribe, openai)] {
        for fault in [Fault::status(503), Fault::close(), Fault::cut(20)] {
            script.next(route, 2, fault.clone());
            assert_eq!(talk.a_person_says("ciao").await, ["[voice] echo: ciao"], "{route:?} {fault:?}");
        }
    }
    talk.end();
}

#[actix_rt::test]
async fn an_open_circuit_is_not_waited_for() {
    let talk = Talk::of(World::new().set("OPENAI_CIRCUIT_FAILURES", "1")).await;
    talk.world.sandbox.openai.script().always(Route::Transcribe, Fault::status(503));
    assert_eq!(talk.a_person_says("ciao").await, please_write());
    assert_eq!(talk.a_person_says("ciao").await, please_write());
    assert_eq!(Calls::of(&talk.world).heard, 3, "the second was not tried");
    assert_eq!(talk.server.log.events("circuit_opened")[0]["service"], "openai");
    talk.end();
}

#[actix_rt::test]
async fn a_paused_key_or_quota_is_not_waited_for() {
    for code in ["invalid_api_key", "insufficient_quota", "model_not_found"] {
        let talk = Talk::new().await;
        talk.world.sandbox.openai.script().always(Route::Transcribe, Fault::code(code));
        assert_eq!(talk.a_person_says("ciao").await, please_write(), "{code}");
        assert_eq!(talk.a_person_says("ciao").await, please_write(), "{code}");
        assert_eq!(Calls::of(&talk.world).heard, 1, "{code}: one attempt, and none while it is paused");
        let paused = talk.server.log.events("channel_paused");
        assert_eq!((paused.len(), &paused[0]["service"]), (1, &"openai".into()));
        talk.end();
    }
}

#[actix_rt::test]
async fn a_turn_s_own_deadline_ends_the_hearing() {
    let talk = Talk::of(World::new().set("CONVERSATION_TURN_MS", "1000")).await;
    talk.world.sandbox.openai.script().always(Route::Transcribe, Fault::hang());
    assert_eq!(talk.a_person_says("ciao").await, please_write());
    assert_eq!(Calls::of(&talk.world).heard, 1, "its own attempt had 15 s");
    talk.end();
}

#[actix_rt::test]
async fn what_is_no_sound_is_not_sent_to_be_heard() {
    let talk = Talk::new().await;
    let png = [&b"\x89PNG\r\n\x1a\n"[..], &[0; 500]].concat();
    for bytes in [png, b"#!AMR\n\x3c\x91".to_vec(), b"<html>404</html>".to_vec(), Vec::new()] {
        let phone = a_phone();
        talk.answered(Inbound::voice(&phone, bytes.clone())).await;
        assert_eq!(talk.got(&phone), please_write(), "{bytes:?}");
    }
    assert_eq!(Calls::of(&talk.world).heard, 0);
    talk.end();
}

#[actix_rt::test]
async fn files_are_heard_under_the_name_of_what_they_are() {
    let talk = Talk::new().await;
    talk.world.sandbox.openai.hear_with(|_| "che file!".to_owned());
    let m4a = [&b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0"[..], &[7; 4000]].concat();
    // The second one's sender is wrong about it.
    let files = [
        (Inbound::audio(&a_phone(), audio::mp3()), "voice.mp3", "audio/mpeg"),
        (Inbound::audio(&a_phone(), m4a.clone()), "voice.m4a", "audio/mp4"),
        (Inbound::audio(&a_phone(), m4a).mime("audio/mp4"), "voice.m4a", "audio/mp4"),
        (Inbound::voice(&a_phone(), "a-usual-note"), "voice.ogg", "audio/ogg"),
    ];
    for (file, name, kind) in files {
        talk.answered(file).await;
        let form = talk.world.sandbox.openai.transcriptions().pop().unwrap().transcription.unwrap();
        assert_eq!((form.file_name.as_str(), form.content_type.as_str()), (name, kind));
    }
    talk.end();
}

#[actix_rt::test]
async fn a_note_that_cannot_be_decoded_is_heard_all_the_same() {
    let talk = Talk::new().await;
    let (phone, whole) = (a_phone(), audio::say("una frase abbastanza lunga da tagliare"));
    talk.answered(Inbound::voice(&phone, whole.slice(..whole.len() / 2))).await;
    assert_eq!(talk.got(&phone), ["[voice] echo: una frase abbastanza lunga da tagliare"]);
    talk.end();
}

#[actix_rt::test]
async fn a_url_that_has_expired_is_looked_up_again() {
    let talk = Talk::new().await;
    let (meta, phone) = (&talk.world.sandbox.meta, a_phone());
    meta.script().next(Route::Download, 1, Fault::Gate("download".to_owned()));
    let id = talk.deliver(Inbound::voice(&phone, audio::say("ciao")));
    meta.script().wait_at_gate("download", 1, parlante_sandbox::PATIENCE).await.unwrap();
    meta.expire_urls();
    meta.script().open("download");
    talk.server.log.wait_for("task_completed", &id).await;
    assert_eq!(talk.got(&phone), ["[voice] echo: ciao"]);
    let lookups = meta.look(|records| of_route(records.media(), Route::Media).count());
    assert_eq!((lookups, Calls::of(&talk.world).downloads), (2, 2));
    talk.end();
}

#[actix_rt::test]
async fn a_file_that_is_gone_is_asked_for_in_writing_and_stops_nobody_else() {
    let talk = Talk::of(World::new().set("WHATSAPP_CIRCUIT_FAILURES", "1")).await;
    talk.world.sandbox.meta.expire_urls_after(Some(0));
    assert_eq!(talk.a_person_says("ciao").await, please_write(), "every URL is dead");
    assert_eq!(Calls::of(&talk.world).downloads, 3);
    talk.world.sandbox.meta.expire_urls_after(None);
    for refusal in [Fault::status(401), Fault::code(190)] {
        let script = talk.world.sandbox.meta.script();
        let rule = script.always(Route::Download, refusal);
        assert_eq!(talk.a_person_says("ciao").await, please_write(), "it is refused, the look-up was not");
        script.remove(rule);
    }
    let phone = a_phone();
    let item = json!({"from": phone, "id": format!("wamid.gone-{phone}"), "timestamp": "1795520000", "type": "audio",
        "audio": {"id": "404404404", "mime_type": "audio/ogg; codecs=opus", "voice": true}});
    talk.answered(Inbound::raw(item).field("timestamp", now().into())).await;
    assert_eq!(talk.got(&phone), please_write(), "nobody knows its id");
    for event in ["channel_paused", "circuit_opened"] {
        assert_eq!(talk.server.log.events(event), [json!(null); 0], "one file is not the channel");
    }
    assert_eq!(talk.a_person_says("ciao").await, ["[voice] echo: ciao"]);
    talk.end();
}

/// As it stands in a webhook.
fn now() -> String {
    use parlante_domain::Clock as _;
    (parlante::real::SystemClock.now().0 / 1000).to_string()
}

/// The most memory that a process has had so far, in bytes.
fn peak_memory(pid: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() * 1024
}

const MIB: usize = 1024 * 1024;

#[actix_rt::test]
async fn a_note_of_sixteen_megabytes_is_heard_and_a_larger_one_not_even_fetched() {
    let talk = Talk::new().await;
    let phone = a_phone();
    let largest = audio::of_size(16 * MIB - 8 * 1024, "un poema");
    assert!(largest.len() <= 16 * MIB);
    talk.answered(Inbound::voice(&phone, largest.clone())).await;
    talk.answered(Inbound::voice(&phone, audio::of_size(16 * MIB + 1, "un romanzo"))).await;
    assert_eq!(talk.got(&phone), ["[voice] echo: un poema".to_owned(), persona_text("please_write")]);
    assert_eq!(Calls::of(&talk.world), Calls::ONCE);
    let heard = talk.world.sandbox.openai.transcriptions().pop().unwrap().transcription.unwrap();
    assert_eq!(heard.size, largest.len());
    talk.end();
}

#[actix_rt::test]
async fn a_file_larger_than_it_says_is_not_read_to_its_end() {
    let length = 96 * MIB;
    let heads = [
        format!("content-length: {length}\r\n\r\n"),
        format!("transfer-encoding: chunked\r\n\r\n{length:x}\r\n"),
    ];
    for head in heads {
        let file = [b"HTTP/1.1 200 OK\r\n", head.as_bytes(), b"OggS", &vec![0; length]].concat();
        let host = RawServer::start(move |_, _| Act::Say(file.clone()));
        let talk = Talk::of(World::new().set("WHATSAPP_MEDIA_HOSTS", "127.0.0.1")).await;
        let found = json!({"url": host.url("/file"), "file_size": "9000", "id": "1"});
        talk.world.sandbox.meta.script().next(Route::Media, 3, Fault::Body(found.to_string()));
        let before = peak_memory(talk.server.pid());
        assert_eq!(talk.a_person_says("ciao").await, please_write());
        let grown = peak_memory(talk.server.pid()) - before;
        assert!(grown < 48 * MIB, "{} MiB for a bound of 16: {head:?}", grown / MIB);
        assert_eq!(host.bodies().len(), 1, "it does not become smaller");
        let failed = talk.server.log.events("http_failed");
        assert_eq!((failed.len(), &failed[0]["error_code"]), (1, &"too_long".into()), "{failed:?}");
        talk.end();
    }
}

#[actix_rt::test]
async fn a_file_that_was_refused_is_never_sent_again_whatever_becomes_of_the_answer() {
    let talk = Talk::new().await;
    let (meta, phone) = (&talk.world.sandbox.meta, a_phone());
    talk.writes(&phone, "ciao").await;
    talk.world.sandbox.openai.script().next(Route::Transcribe, 1, Fault::status(400));
    meta.script().aim(&persona_text("please_write")[..20], Route::Send, 1, Fault::hang());
    talk.deliver(Inbound::voice(&phone, audio::say("ciao")));
    // The disclosure, the first answer, and the one that hangs.
    meta.wait_sends(&phone, 3).await.unwrap();
    let talk = talk.restart().await;
    talk.world.sandbox.meta.wait_answers(&phone, 3).await.unwrap();
    assert_eq!(talk.got_in_the_end(&phone).await, ["echo: ciao".to_owned(), persona_text("please_write")]);
    assert_eq!(Calls::of(&talk.world).heard, 1);
    assert!(!talk.world.sandbox.meta.sends().iter().any(|send| send.json.to_string().contains(BY_VOICE)));
    talk.end();
}
