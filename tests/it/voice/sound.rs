//! The bytes on their way: as they came, as WhatsApp wants them, and with no key where it does not belong.

use std::process::Command;
use std::time::Duration;

use parlante_sandbox::{Answer, Fault, Inbound, MediaHost, Request, Route, audio};

use super::{Calls, Talk, of_route, voice_sends};
use crate::clients::run_elevenlabs_client;
use crate::support::{World, a_phone, persona_text};

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What opus-tools say of a file.
fn opusinfo(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::with_suffix(".ogg").unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let output = Command::new("opusinfo")
        .arg(file.path())
        .output()
        .unwrap_or_else(|error| panic!("opusinfo: {error}; run ./test, which installs opus-tools"));
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{told}");
    told
}

#[actix_rt::test]
async fn the_bytes_that_arrive_are_those_that_were_spoken() {
    let talk = Talk::new().await;
    let (phone, said) = (a_phone(), audio::say("che si mangia?"));
    talk.answered(Inbound::voice(&phone, said.clone())).await;
    let (meta, openai) = (&talk.world.sandbox.meta, &talk.world.sandbox.openai);

    let asked = &openai.transcriptions()[0];
    let form = asked.transcription.clone().unwrap();
    assert_eq!((form.file_name.as_str(), form.content_type.as_str()), ("voice.ogg", "audio/ogg"));
    assert_eq!(form.size, said.len());
    let found = meta.look(|records| of_route(records.media(), Route::Media).next().cloned()).unwrap();
    let Answer::Whole { body: found, .. } = found.answer else { panic!("{found:?}") };
    assert_eq!(form.sha256, found["sha256"], "as the person sent it");
    let fields: Vec<_> = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(fields, [("model", "gpt-4o-mini-transcribe"), ("response_format", "json")]);

    let spoken = &talk.world.sandbox.elevenlabs.speeches()[0];
    let voices = meta.voices_to(&phone);
    assert_eq!(voices.len(), 1);
    let voice = &voices[0];
    assert_eq!((&voice.sha256, &voice.bytes), (&spoken.sha256, &spoken.audio), "as ElevenLabs sent it");
    assert!(voice.is_voice && voice.is_playable());
    assert_eq!((voice.file_name.as_str(), voice.mime.as_str()), ("voice.ogg", "audio/ogg; codecs=opus"));
    let sound = audio::inspect(&voice.bytes).unwrap();
    assert_eq!((sound.channels, sound.words.as_deref()), (1, Some("echo: che si mangia?")));
    let info = opusinfo(&voice.bytes);
    assert!(info.contains("Playback length") && info.contains("Channels: 1"), "{info}");
    assert!(!info.contains("WARNING") && !info.contains("ERROR"), "{info}");

    let upload = meta.look(|records| of_route(records.media(), Route::Upload).next().cloned()).unwrap();
    let length = header(&upload.headers, "content-length").and_then(|length| length.parse().ok());
    assert!(length.is_some_and(|length: usize| length > voice.bytes.len()), "{:?}", upload.headers);
    assert_eq!(header(&upload.headers, "transfer-encoding"), None);
    let send = &voice_sends(&talk.world)[0];
    assert_eq!(send.json["audio"]["id"], voice.media_id);
    assert_eq!(send.json["type"], "audio");
    talk.end();
}

#[actix_rt::test]
async fn what_is_spoken_can_be_said_aloud_and_the_history_keeps_the_model_s_words() {
    let answer = "**Ciao!** 🍝 Leggi [la ricetta](https://example.org/ricetta):\n- uova\n- `guanciale`";
    let spoken = "Ciao! Leggi la ricetta: uova. guanciale.";
    let written = "*Ciao!* 🍝 Leggi la ricetta (https://example.org/ricetta):\n- uova\n- `guanciale`";
    let talk = Talk::new().await;
    talk.world.sandbox.openai.answer_with(move |_| answer.to_owned());
    let phone = a_phone();
    talk.says(&phone, "come si fa la carbonara?").await;
    assert_eq!(talk.world.sandbox.elevenlabs.speeches()[0].text.as_deref(), Some(spoken));
    talk.world.sandbox.elevenlabs.script().next(Route::Speak, 1, Fault::status(400));
    talk.says(&phone, "e poi?").await;
    assert_eq!(talk.got(&phone), [format!("[voice] {spoken}"), written.to_owned()]);
    talk.writes(&phone, "grazie").await;
    let asked = talk.world.sandbox.openai.chats()[2].json["messages"].clone();
    let history: Vec<_> = (1..6).map(|at| asked[at]["content"].as_str().unwrap()).collect();
    // Spoken or, when that failed, written.
    assert_eq!(history, ["come si fa la carbonara?", answer, "e poi?", answer, "grazie"]);
    talk.end();
}

#[actix_rt::test]
async fn each_key_is_seen_by_its_own_provider_only() {
    let talk = Talk::new().await;
    let phone = a_phone();
    talk.says(&phone, "ciao").await;
    let (meta, openai, elevenlabs) =
        (&talk.world.sandbox.meta, &talk.world.sandbox.openai, &talk.world.sandbox.elevenlabs);
    let at_meta = meta.requests().into_iter().map(|request| request.headers);
    let at_openai = openai.look(|calls| calls.all().map(|call| call.headers.clone()).collect::<Vec<_>>());
    let at_elevenlabs =
        elevenlabs.look(|calls| calls.all().map(|call| call.headers.clone()).collect::<Vec<_>>());
    let keys = [&meta.options().access_token, &openai.options().api_key, &elevenlabs.options().api_key];
    for (own, seen) in [at_meta.collect(), at_openai, at_elevenlabs].into_iter().enumerate() {
        assert!(!seen.is_empty());
        for (at, key) in keys.into_iter().enumerate() {
            let shown =
                |headers: &&Vec<_>| headers.iter().any(|(_, value): &(_, String)| value.contains(key));
            let count = seen.iter().filter(shown).count();
            assert_eq!(count, if at == own { seen.len() } else { 0 }, "key {at} at provider {own}");
        }
    }
    talk.end();
}

/// What came to the other host of media.
fn at_other_host(talk: &Talk) -> Vec<Request> {
    talk.world.sandbox.meta.requests().into_iter().filter(|request| request.other_host).collect()
}

#[actix_rt::test]
async fn no_other_host_ever_sees_the_token() {
    for host in [MediaHost::Other, MediaHost::Redirect] {
        let talk = Talk::new().await;
        talk.world.sandbox.meta.media_host(host);
        assert_eq!(talk.a_person_says("ciao").await, [persona_text("please_write")], "{host:?}");
        assert_eq!(at_other_host(&talk).len(), 0, "{host:?}: not even asked");
        let downloads = Calls::of(&talk.world).downloads;
        assert_eq!(downloads, usize::from(host == MediaHost::Redirect), "and not tried again");
        talk.end();
    }
}

#[actix_rt::test]
async fn a_host_that_the_operator_names_may_have_the_token() {
    for host in [MediaHost::Other, MediaHost::Redirect] {
        let talk = Talk::of(World::new().set("WHATSAPP_MEDIA_HOSTS", "127.0.0.1")).await;
        talk.world.sandbox.meta.media_host(host);
        assert_eq!(talk.a_person_says("ciao").await, ["[voice] echo: ciao"], "{host:?}");
        let seen = at_other_host(&talk);
        assert_eq!(seen.len(), 1, "{host:?}");
        let token = format!("Bearer {}", talk.world.sandbox.meta.options().access_token);
        assert_eq!(header(&seen[0].headers, "authorization"), Some(token.as_str()));
        talk.end();
    }
}

#[actix_rt::test]
async fn the_length_of_an_answer_decides_how_it_is_encoded() {
    let talk = Talk::new().await;
    let phone = a_phone();
    for (length, format) in [
        (768, Some("opus_48000_64")),
        (769, Some("opus_48000_32")),
        (1536, Some("opus_48000_32")),
        (1537, None),
    ] {
        talk.world.sandbox.openai.answer_with(move |_| "a".repeat(length));
        talk.world.sandbox.elevenlabs.forget();
        let id = talk.says(&phone, "racconta").await;
        let formats: Vec<_> =
            talk.world.sandbox.elevenlabs.speeches().into_iter().map(|speech| speech.format).collect();
        assert_eq!(formats, Vec::from_iter(format.map(|format| Some(format.to_owned()))), "{length}");
        let code = format.is_none().then(|| ("too_long".to_owned(), None));
        assert_eq!(talk.fell_back(&id), code, "{length}");
        let expected = "a".repeat(length);
        let shown = if format.is_some() { format!("[voice] {expected}") } else { expected };
        assert_eq!(talk.got(&phone).last(), Some(&shown));
    }
    let largest = talk.world.sandbox.meta.voices_to(&phone).into_iter().map(|voice| voice.bytes.len()).max();
    assert!(largest.is_some_and(|size| size <= 512_000), "{largest:?}");
    talk.end();
}

#[actix_rt::test]
async fn our_request_for_speech_is_that_of_the_official_client() {
    let (official, _) = run_elevenlabs_client().await;
    let theirs = &official.elevenlabs.speeches()[0];
    let talk = Talk::new().await;
    // So long that it is asked for in the format that the client was told.
    talk.world.sandbox.openai.answer_with(|_| "una storia. ".repeat(70));
    talk.a_person_says("racconta").await;
    let ours = &talk.world.sandbox.elevenlabs.speeches()[0];
    assert_eq!(ours.shape(), theirs.shape());
    for name in ["content-type", "xi-api-key"] {
        assert_eq!(header(&ours.headers, name), header(&theirs.headers, name), "{name}");
    }
    assert_eq!(ours.model, theirs.model);
    talk.end();
}

#[actix_rt::test]
async fn the_person_sees_that_their_note_is_played_and_answered() {
    let talk = Talk::new().await;
    let phone = a_phone();
    let id = talk.says(&phone, "ciao").await;
    let meta = &talk.world.sandbox.meta;
    let reads = meta.look(|records| {
        records.reads().filter(|read| read.message_id.as_ref() == Some(&id) && read.typing).count()
    });
    assert_eq!(reads, 1);
    let sent = voice_sends(&talk.world)[0].accepted.clone().unwrap();
    let statuses = meta.wait(
        |records| {
            let told: Vec<_> = records
                .deliveries_of(&sent)
                .filter(|delivery| delivery.acknowledged())
                .filter_map(|delivery| delivery.status.clone())
                .collect();
            (told.len() == 4).then_some(told)
        },
        Duration::from_secs(20),
    );
    let mut statuses = statuses.await.unwrap();
    statuses.sort();
    assert_eq!(statuses, ["delivered", "played", "read", "sent"]);
    talk.end();
}
