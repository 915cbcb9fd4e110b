//! Who is answered by voice, and who in writing.

use parlante_sandbox::{Fault, Inbound, Route, audio};

use super::Talk;
use crate::support::{World, a_phone, persona_text};

#[actix_rt::test]
async fn an_answer_is_in_kind_and_an_audio_file_is_no_voice_note() {
    let talk = Talk::new().await;
    talk.world.sandbox.openai.hear_with(|_| "due calamari".to_owned());
    let phone = a_phone();
    let spoken = talk.says(&phone, "ciao Joe").await;
    talk.writes(&phone, "ciao").await;
    let file = talk.answered(Inbound::audio(&phone, audio::mp3())).await;
    // The very bytes of a voice note, sent as a file.
    let ogg = Inbound::audio(&phone, audio::say("tre alici")).mime("audio/ogg; codecs=opus");
    talk.answered(ogg).await;
    let expected = ["[voice] echo: ciao Joe", "echo: ciao", "echo: due calamari", "echo: tre alici"];
    assert_eq!(talk.got(&phone), expected);
    assert_eq!(talk.world.sandbox.elevenlabs.speeches().len(), 1);
    for (id, kind) in [(&spoken, "voice"), (&file, "audio")] {
        assert_eq!(talk.server.log.wait_for("message_accepted", id).await["kind"], kind);
    }
    talk.end();
}

#[actix_rt::test]
async fn who_asks_to_be_answered_by_voice_or_in_writing_is_until_they_are_forgotten() {
    let talk = Talk::new().await;
    let phone = a_phone();
    talk.writes(&phone, "rispondi a voce").await;
    talk.writes(&phone, "ciao").await;
    let talk = talk.restart().await;
    talk.writes(&phone, "ancora").await;
    talk.writes(&phone, "scrivi").await;
    let talk = talk.restart().await;
    talk.says(&phone, "sono in treno").await;
    let expected = [
        "[voice] echo: rispondi a voce",
        "[voice] echo: ciao",
        "[voice] echo: ancora",
        "echo: scrivi",
        "echo: sono in treno",
    ];
    assert_eq!(talk.got(&phone), expected);
    let (code, _, complaint) = talk.world.run(&["forget", &phone]).await;
    assert_eq!((code, complaint.as_str()), (0, ""));
    talk.world.sandbox.meta.forget();
    talk.says(&phone, "mi conosci?").await;
    talk.writes(&phone, "e ora?").await;
    assert_eq!(talk.got(&phone), ["[voice] echo: mi conosci?", "echo: e ora?"]);
    talk.end();
}

#[actix_rt::test]
async fn a_wish_may_be_spoken_and_is_one_person_s_own() {
    let talk = Talk::new().await;
    let (phone, other) = (a_phone(), a_phone());
    talk.says(&phone, "scrivi").await;
    talk.says(&phone, "ciao").await;
    talk.says(&other, "ciao").await;
    assert_eq!(talk.got(&phone), ["echo: scrivi", "echo: ciao"]);
    assert_eq!(talk.got(&other), ["[voice] echo: ciao"]);
    talk.end();
}

#[actix_rt::test]
async fn always_speaks_unless_the_person_wants_it_in_writing() {
    let talk = Talk::of(World::new().set("CONVERSATION_VOICE", "always")).await;
    let phone = a_phone();
    talk.writes(&phone, "ciao").await;
    talk.writes(&phone, "scrivi").await;
    talk.says(&phone, "ciao").await;
    assert_eq!(talk.got(&phone), ["[voice] echo: ciao", "echo: scrivi", "echo: ciao"]);
    talk.end();
}

#[actix_rt::test]
async fn never_does_not_speak_even_if_it_is_asked_to() {
    let talk = Talk::of(World::new().set("CONVERSATION_VOICE", "never")).await;
    let phone = a_phone();
    let ids = [
        talk.says(&phone, "ciao").await,
        talk.writes(&phone, "rispondi a voce").await,
        talk.says(&phone, "e ora?").await,
    ];
    assert_eq!(talk.got(&phone), ["echo: ciao", "echo: rispondi a voce", "echo: e ora?"]);
    assert_eq!(talk.world.sandbox.elevenlabs.speeches().len(), 0);
    assert_eq!(ids.map(|id| talk.fell_back(&id)), [None, None, None], "nothing has failed");
    talk.end();
}

#[actix_rt::test]
async fn without_a_key_or_a_voice_it_hears_and_writes() {
    for missing in ["ELEVENLABS_API_KEY", "ELEVENLABS_VOICE_ID"] {
        let talk = Talk::of(World::new().unset(missing)).await;
        assert_eq!(talk.server.log.wait("voice_disabled", |_| true).await["level"], "INFO");
        let phone = a_phone();
        let id = talk.says(&phone, "rispondi a voce").await;
        assert_eq!(talk.got(&phone), ["echo: rispondi a voce"], "{missing}");
        assert_eq!(talk.fell_back(&id), None, "nothing has failed");
        assert_eq!(talk.world.sandbox.elevenlabs.look(|calls| calls.all().count()), 0);
        talk.end();
    }
}

#[actix_rt::test]
async fn the_persona_s_own_texts_are_always_written() {
    let talk = Talk::of(World::new().set("CONVERSATION_VOICE", "always")).await;
    let phone = a_phone();
    talk.answered(Inbound::unsupported(&phone)).await;
    talk.world.sandbox.openai.script().next(Route::Chat, 1, Fault::status(400));
    let id = talk.deliver(Inbound::voice(&phone, audio::say("ciao")));
    talk.server.log.wait_for("task_failed", &id).await;
    assert_eq!(talk.got(&phone), ["not_understood", "apology"].map(persona_text));
    assert_eq!(talk.world.sandbox.elevenlabs.speeches().len(), 0);
    talk.end();
}
