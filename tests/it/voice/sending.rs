//! A voice note that WhatsApp will not take: not as a voice note, not now, or not ever.

use std::time::Duration;

use parlante_sandbox::{Fault, Inbound, PATIENCE, Route, audio};

use super::{BY_VOICE, Calls, Talk, of_route, silent_meta, voice_sends};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{TestClock, TestFaults, World, a_phone, get};

/// The sound itself could not be used.
const MEDIA: u32 = 131_053;
/// The account cannot pay, which concerns every message.
const PAYMENT: u32 = 131_042;

/// A `failed` status for the voice note that this person got first.
fn fails(talk: &Talk, tag: &str, code: u32) {
    talk.world.sandbox.meta.status(tag, "failed", Some(code)).unwrap();
}

fn tag_of_voice(talk: &Talk) -> String {
    voice_sends(&talk.world)[0].tag.clone().unwrap()
}

#[actix_rt::test]
async fn an_upload_that_is_refused_leaves_the_answer_in_writing() {
    for (fault, provider) in
        [(Fault::code(MEDIA), MEDIA), (Fault::code(100), 100), (Fault::code(131_009), 131_009)]
    {
        let talk = Talk::new().await;
        let phone = a_phone();
        talk.world.sandbox.meta.script().next(Route::Upload, 1, fault);
        let id = talk.says(&phone, "ciao").await;
        assert_eq!(talk.fell_back(&id), Some(("400".to_owned(), Some(provider.to_string()))));
        assert_eq!(talk.got_in_the_end(&phone).await, ["echo: ciao"]);
        assert_eq!(Calls { asked: 1, ..Calls::of(&talk.world) }, Calls { voices: 0, ..Calls::ONCE });
        talk.end();
    }
}

#[actix_rt::test]
async fn a_voice_note_that_is_refused_for_its_sound_is_followed_by_the_text() {
    let talk = Talk::new().await;
    let phone = a_phone();
    talk.world.sandbox.meta.script().aim(BY_VOICE, Route::Send, 1, Fault::code(MEDIA));
    let id = talk.says(&phone, "ciao").await;
    assert_eq!(talk.fell_back(&id), Some(("400".to_owned(), Some(MEDIA.to_string()))));
    assert_eq!(talk.got_in_the_end(&phone).await, ["echo: ciao"]);
    assert_eq!(Calls { asked: 1, ..Calls::of(&talk.world) }, Calls::ONCE);
    assert_eq!(talk.server.log.count("message_dead_lettered", &id), 0);
    talk.end();
}

#[actix_rt::test]
async fn a_voice_note_that_is_refused_for_its_person_is_not_sent_as_text() {
    let talk = Talk::new().await;
    let phone = a_phone();
    talk.world.sandbox.meta.script().aim(BY_VOICE, Route::Send, 1, Fault::code(131_026));
    let id = talk.deliver(Inbound::voice(&phone, audio::say("ciao")));
    let dead = talk.server.log.wait_for("message_dead_lettered", &id).await;
    assert_eq!((&dead["error_code"], &dead["provider_code"]), (&"400".into(), &"131026".into()));
    assert_eq!(talk.got_in_the_end(&phone).await, [""; 0]);
    assert_eq!(talk.fell_back(&id), None);
    talk.end();
}

#[actix_rt::test]
async fn an_upload_that_does_not_go_through_is_tried_again_and_then_waits() {
    let talk = Talk::new().await;
    for fault in [Fault::status(503), Fault::close(), Fault::cut(2)] {
        talk.world.sandbox.meta.script().next(Route::Upload, 2, fault.clone());
        assert_eq!(talk.a_person_says("ciao").await, ["[voice] echo: ciao"], "{fault:?}");
    }
    assert_eq!(Calls::of(&talk.world).uploads, 9);
    assert_eq!(Calls::of(&talk.world).spoken, 3);
    talk.end();
}

#[actix_rt::test]
async fn a_late_failure_for_the_sound_is_followed_by_the_text_once() {
    let talk = Talk::of(silent_meta()).await;
    let (meta, phone) = (&talk.world.sandbox.meta, a_phone());
    let id = talk.says(&phone, "ciao").await;
    let tag = tag_of_voice(&talk);
    fails(&talk, &tag, MEDIA);
    let both = ["[voice] echo: ciao", "echo: ciao"];
    meta.wait_answers(&phone, 3).await.unwrap();
    for _ in 0..2 {
        fails(&talk, &tag, MEDIA);
    }
    meta.wait_settled().await.unwrap();
    assert_eq!(talk.got_in_the_end(&phone).await, both);
    assert_eq!(talk.fell_back(&id), Some((MEDIA.to_string(), None)));
    assert_eq!(talk.server.log.count("task_completed", &id), 1);
    assert_eq!(talk.server.log.count("message_dead_lettered", &id), 0);
    assert_eq!(Calls { asked: 1, ..Calls::of(&talk.world) }, Calls::ONCE);
    // The text is a text: what fails of it is not followed by anything.
    let text =
        meta.look(|records| records.sends_to(&phone).nth(2).and_then(|send| send.tag.clone())).unwrap();
    fails(&talk, &text, MEDIA);
    let dead = talk.server.log.wait_for("message_dead_lettered", &id).await;
    assert_eq!(dead["error_code"], MEDIA.to_string());
    let mut all = both.map(String::from).to_vec();
    all.push("echo: e poi?".to_owned());
    assert_eq!(talk.got_in_the_end(&phone).await, all);
    talk.end();
}

#[actix_rt::test]
async fn the_text_after_a_late_failure_survives_a_death() {
    let talk = Talk::of(silent_meta()).await;
    let (meta, phone) = (talk.world.sandbox.meta.clone(), a_phone());
    talk.says(&phone, "ciao").await;
    meta.script().aim("echo: ciao", Route::Send, 1, Fault::hang());
    fails(&talk, &tag_of_voice(&talk), MEDIA);
    meta.wait_sends(&phone, 3).await.unwrap();
    let talk = talk.restart().await;
    meta.wait_answers(&phone, 3).await.unwrap();
    assert_eq!(talk.got_in_the_end(&phone).await, ["[voice] echo: ciao", "echo: ciao"]);
    assert_eq!(Calls { asked: 1, ..Calls::of(&talk.world) }, Calls::ONCE);
    talk.end();
}

#[actix_rt::test]
async fn what_was_delivered_or_played_cannot_fail_any_more() {
    let talk = Talk::of(silent_meta()).await;
    for proof in ["delivered", "played"] {
        let phone = a_phone();
        let id = talk.says(&phone, "ciao").await;
        let tag = voice_sends(&talk.world).pop().unwrap().tag.unwrap();
        talk.world.sandbox.meta.status(&tag, proof, None).unwrap();
        talk.world.sandbox.meta.wait_settled().await.unwrap();
        fails(&talk, &tag, MEDIA);
        talk.world.sandbox.meta.wait_settled().await.unwrap();
        assert_eq!(talk.got_in_the_end(&phone).await, ["[voice] echo: ciao"], "{proof}");
        assert_eq!(talk.fell_back(&id), None);
    }
    talk.end();
}

#[actix_rt::test]
async fn a_late_failure_may_come_before_the_answer_to_the_send() {
    let talk = Talk::of(silent_meta()).await;
    let (meta, phone) = (&talk.world.sandbox.meta, a_phone());
    meta.script().aim(BY_VOICE, Route::Send, 1, Fault::Gate("voice".to_owned()));
    let id = talk.deliver(Inbound::voice(&phone, audio::say("ciao")));
    meta.script().wait_at_gate("voice", 1, PATIENCE).await.unwrap();
    fails(&talk, &tag_of_voice(&talk), MEDIA);
    meta.wait_settled().await.unwrap();
    meta.script().open("voice");
    talk.server.log.wait_for("task_completed", &id).await;
    assert_eq!(talk.got_in_the_end(&phone).await, ["[voice] echo: ciao", "echo: ciao"]);
    assert_eq!(talk.fell_back(&id), Some((MEDIA.to_string(), None)));
    talk.end();
}

/// Waits for the pause of WhatsApp.
async fn paused(talk: &Talk) {
    let line = talk.server.log.wait("channel_paused", |_| true).await;
    assert_eq!(line["service"], "whatsapp", "{line}");
}

async fn resumed(talk: &Talk) {
    talk.server.log.wait("channel_resumed", |line| line["service"] == "whatsapp").await;
}

#[actix_rt::test]
async fn an_upload_waits_for_a_paused_whatsapp_and_goes_on_by_voice() {
    for code in [PAYMENT, 190] {
        let talk = Talk::of(World::new().set("HEALTH_PROBE_S", "1")).await;
        let (meta, phone) = (&talk.world.sandbox.meta, a_phone());
        // A first time, for the disclosure.
        talk.writes(&phone, "ciao").await;
        for route in [Route::Upload, Route::Number] {
            meta.script().always(route, Fault::code(code));
        }
        let id = talk.deliver(Inbound::voice(&phone, audio::say("mi senti?")));
        paused(&talk).await;
        let (status, _) = get(&talk.server.url("/health")).await;
        assert_eq!(status, 503);
        meta.script().clear();
        talk.server.log.wait_for("task_completed", &id).await;
        resumed(&talk).await;
        assert_eq!(talk.got_in_the_end(&phone).await, ["echo: ciao", "[voice] echo: mi senti?"], "{code}");
        assert_eq!(talk.fell_back(&id), None);
        let calls = Calls::of(&talk.world);
        assert_eq!((calls.heard, calls.spoken, calls.voices), (1, 1, 1), "{code}");
        talk.end();
    }
}

#[actix_rt::test]
async fn a_voice_that_waits_for_whatsapp_is_kept_over_a_death() {
    let talk = Talk::new().await;
    let phone = a_phone();
    talk.world.sandbox.meta.script().next(Route::Upload, 1, Fault::code(PAYMENT));
    let id = talk.deliver(Inbound::voice(&phone, audio::say("ciao")));
    paused(&talk).await;
    // In the next process every channel is open until it is found out otherwise.
    let talk = talk.restart().await;
    talk.server.log.wait_for("task_completed", &id).await;
    assert_eq!(talk.got_in_the_end(&phone).await, ["[voice] echo: ciao"]);
    let calls = Calls::of(&talk.world);
    assert_eq!((calls.downloads, calls.heard, calls.spoken, calls.uploads), (1, 1, 1, 2));
    talk.end();
}

#[actix_rt::test]
async fn a_note_that_comes_while_whatsapp_is_paused_waits_to_be_fetched() {
    let talk = Talk::of(World::new().set("HEALTH_PROBE_S", "1")).await;
    let (meta, phone) = (&talk.world.sandbox.meta, a_phone());
    talk.writes(&phone, "ciao").await;
    for route in [Route::Media, Route::Number] {
        meta.script().always(route, Fault::code(190));
    }
    let id = talk.deliver(Inbound::voice(&phone, audio::say("mi senti?")));
    paused(&talk).await;
    meta.script().clear();
    talk.server.log.wait_for("task_completed", &id).await;
    assert_eq!(talk.got_in_the_end(&phone).await, ["echo: ciao", "[voice] echo: mi senti?"]);
    assert_eq!(Calls::of(&talk.world).heard, 1);
    talk.end();
}

#[actix_rt::test]
async fn a_voice_note_that_failed_for_the_channel_s_sake_is_sent_again() {
    let world = silent_meta().set("HEALTH_PROBE_S", "1");
    let talk = Talk::of(world).await;
    let (meta, phone) = (&talk.world.sandbox.meta, a_phone());
    let id = talk.says(&phone, "ciao").await;
    fails(&talk, &tag_of_voice(&talk), PAYMENT);
    paused(&talk).await;
    let before = meta.sends().len();
    let is_more = |records: &parlante_sandbox::Records| (records.sends().count() > before).then_some(());
    meta.wait(is_more, PATIENCE).await.unwrap();
    resumed(&talk).await;
    assert_eq!(talk.got_in_the_end(&phone).await, ["[voice] echo: ciao"; 2], "the first has failed");
    let sends = voice_sends(&talk.world);
    assert_eq!(sends[0].tag, sends[1].tag);
    assert!(sends[1].at_ms - sends[0].at_ms >= 1000, "not before it is probed");
    assert_eq!(Calls { asked: 1, ..Calls::of(&talk.world) }, Calls { voices: 2, ..Calls::ONCE });
    assert_eq!(talk.fell_back(&id), None);
    assert_eq!(talk.server.log.count("task_completed", &id), 1);
    talk.end();
}

#[actix_rt::test]
async fn a_voice_note_of_which_nothing_is_heard_is_sent_once_more() {
    let world = silent_meta().set("WHATSAPP_RECONCILE_MS", "200");
    let talk = Talk::of(world).await;
    let (meta, phone) = (&talk.world.sandbox.meta, a_phone());
    meta.script().aim(BY_VOICE, Route::Send, 1, Fault::close());
    talk.says(&phone, "ciao").await;
    assert_eq!(talk.got_in_the_end(&phone).await, ["[voice] echo: ciao"]);
    assert_eq!(Calls { asked: 1, ..Calls::of(&talk.world) }, Calls { voices: 2, ..Calls::ONCE });
    let uploads = meta.look(|records| of_route(records.media(), Route::Upload).count());
    assert_eq!(uploads, 1);
    talk.end();
}

#[actix_rt::test]
async fn an_upload_that_opens_the_circuit_is_its_probe() {
    let world = World::new().set("WHATSAPP_CIRCUIT_FAILURES", "1").set("WHATSAPP_CIRCUIT_OPEN_MS", "100");
    let talk = Talk::of(world).await;
    let (meta, phone) = (&talk.world.sandbox.meta, a_phone());
    // Three attempts, and a probe that fails.
    meta.script().next(Route::Upload, 4, Fault::status(503));
    talk.says(&phone, "ciao").await;
    assert_eq!(talk.got_in_the_end(&phone).await, ["[voice] echo: ciao"]);
    assert_eq!(Calls { asked: 1, ..Calls::of(&talk.world) }, Calls { uploads: 5, ..Calls::ONCE });
    let times = meta.look(|records| {
        of_route(records.media(), Route::Upload).map(|upload| upload.at_ms).collect::<Vec<_>>()
    });
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        waits[2..].iter().all(|wait| (100..4000).contains(wait)),
        "its own time, not a hold's: {waits:?}"
    );
    talk.end();
}

#[actix_rt::test]
async fn an_answer_may_wait_long_for_whatsapp_and_is_still_spoken() {
    let clock = TestClock::default();
    let world = World::new();
    let server = world.start_in_process(&clock, &TestFaults::default()).await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    meta.script().next(Route::Upload, 3, Fault::status(503));
    let id = meta.deliver(Inbound::voice(&phone, audio::say("ciao")));
    server.log.wait("http_failed", |line| line["message_id"] == id.as_str()).await;
    clock.advance(Duration::from_secs(5));
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(meta.answers_to(&phone)[1..], ["[voice] echo: ciao"]);
    assert_eq!(Calls::of(&world), Calls { uploads: 4, ..Calls::ONCE });
    persons_got_no_errors(&world);
}
