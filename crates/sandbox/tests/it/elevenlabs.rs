//! The stand-in of ElevenLabs, over real sockets: speech, quota, errors in both envelopes, wrong audio, every fault.

use actix_web::http::Method;
use parlante_sandbox::{
    AudioFault, ElevenLabs, Fault, Options, Outcome, PATIENCE, Route, Sandbox, Speech, Speeches, audio,
};
use serde_json::{Value, json};

use crate::support::{Answer, request};

const VOICE: &str = "sandboxVoiceOfJoe001";

fn sandbox() -> Sandbox {
    Sandbox::start(Options::for_tests()).unwrap()
}

fn wish(text: &str) -> Value {
    json!({"text": text, "model_id": "eleven_flash_v2_5", "voice_settings": {"stability": 0.5}})
}

async fn speak(elevenlabs: &ElevenLabs, text: &str) -> Answer {
    speak_at(elevenlabs, &format!("{VOICE}?output_format=opus_48000_32"), &wish(text)).await
}

async fn speak_at(elevenlabs: &ElevenLabs, place: &str, body: &Value) -> Answer {
    let url = format!("{}/v1/text-to-speech/{place}", elevenlabs.base_url());
    request(Method::POST, &url, ("xi-api-key", &elevenlabs.options().api_key), Some(body)).await
}

async fn look_up(elevenlabs: &ElevenLabs, path: &str) -> Value {
    let url = format!("{}{path}", elevenlabs.base_url());
    let answer = request(Method::GET, &url, ("xi-api-key", &elevenlabs.options().api_key), None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

/// The request for speech, once it is over.
async fn over(elevenlabs: &ElevenLabs) -> Speech {
    let ended =
        |speeches: &Speeches| speeches.speeches().find(|speech| speech.outcome != Outcome::Running).cloned();
    elevenlabs.wait(ended, PATIENCE).await.unwrap()
}

#[actix_rt::test]
async fn speech_is_a_voice_note_with_its_words_and_is_recorded() {
    let sandbox = sandbox();
    let text = "Una ricetta che non sta in nessun libro.";
    let answer = speak(&sandbox.elevenlabs, text).await;
    assert_eq!((answer.status, answer.header("character-cost")), (200, Some("40")));
    assert!(answer.header("request-id").is_some());
    let sound = audio::inspect(&answer.bytes).unwrap();
    assert_eq!((sound.channels, sound.words.as_deref()), (1, Some(text)));
    let speech = over(&sandbox.elevenlabs).await;
    assert_eq!(speech.audio, answer.bytes);
    assert_eq!(speech.sha256.len(), 64);
    assert_eq!((speech.text.as_deref(), speech.voice.as_deref()), (Some(text), Some(VOICE)));
    assert_eq!(speech.model.as_deref(), Some("eleven_flash_v2_5"));
    assert_eq!(speech.format.as_deref(), Some("opus_48000_32"));
    assert_eq!(speech.outcome, Outcome::Answered { status: 200, text: text.into() });
    let shape = speech.shape();
    assert_eq!(shape.fields, ["model_id", "text", "voice_settings", "voice_settings.stability"]);
    assert_eq!(shape.query, [("output_format".to_owned(), "opus_48000_32".to_owned())]);
}

#[actix_rt::test]
async fn streamed_speech_is_the_same_speech() {
    let sandbox = sandbox();
    let whole = speak(&sandbox.elevenlabs, "Eccoti qua. Che si dice?").await;
    let place = format!("{VOICE}/stream?output_format=opus_48000_32");
    let streamed = speak_at(&sandbox.elevenlabs, &place, &wish("Eccoti qua. Che si dice?")).await;
    assert_eq!(streamed.header("content-length"), None);
    assert_eq!(streamed.bytes, whole.bytes);
}

#[actix_rt::test]
async fn the_account_tells_its_characters_voices_and_models() {
    let sandbox = sandbox();
    speak(&sandbox.elevenlabs, "ciao").await;
    let subscription = look_up(&sandbox.elevenlabs, "/v1/user/subscription").await;
    assert_eq!((&subscription["character_count"], &subscription["status"]), (&json!(4), &json!("active")));
    assert_eq!(look_up(&sandbox.elevenlabs, "/v1/voices").await["voices"][0]["voice_id"], VOICE);
    assert_eq!(look_up(&sandbox.elevenlabs, "/v2/voices").await["total_count"], 1);
    assert_eq!(look_up(&sandbox.elevenlabs, "/v1/models").await[0]["model_id"], "eleven_flash_v2_5");
}

#[actix_rt::test]
async fn a_used_up_quota_is_told_in_the_old_envelope_and_costs_nothing() {
    let sandbox = sandbox();
    sandbox.elevenlabs.set_characters_left(5);
    assert_eq!(speak(&sandbox.elevenlabs, "ciao").await.status, 200);
    assert_eq!(sandbox.elevenlabs.characters_left(), 1);
    let refused = speak(&sandbox.elevenlabs, "ciao").await;
    assert_eq!((refused.status, &refused.json()["detail"]["status"]), (401, &json!("quota_exceeded")));
    assert_eq!(sandbox.elevenlabs.characters_left(), 1);
    sandbox.elevenlabs.set_characters_left(100);
    assert_eq!(speak(&sandbox.elevenlabs, "ciao").await.status, 200);
}

#[actix_rt::test]
async fn a_wrong_key_voice_or_path_is_refused() {
    let sandbox = sandbox();
    let url = format!("{}/v1/text-to-speech/{VOICE}", sandbox.elevenlabs.base_url());
    let wrong = request(Method::POST, &url, ("xi-api-key", "other"), Some(&wish("ciao"))).await;
    assert_eq!((wrong.status, &wrong.json()["detail"]["code"]), (401, &json!("invalid_api_key")));
    let missing = request(Method::POST, &url, ("x-other", "1"), Some(&wish("ciao"))).await;
    assert_eq!((missing.status, &missing.json()["detail"]["code"]), (401, &json!("missing_api_key")));
    let nobody = speak_at(&sandbox.elevenlabs, "nobody", &wish("ciao")).await;
    assert_eq!((nobody.status, &nobody.json()["detail"]["code"]), (404, &json!("voice_not_found")));
    assert_eq!(speak_at(&sandbox.elevenlabs, "a/b/c", &wish("ciao")).await.status, 404);
    sandbox.elevenlabs.legacy_errors(true);
    let nobody = speak_at(&sandbox.elevenlabs, "nobody", &wish("ciao")).await;
    assert_eq!(nobody.json()["detail"]["status"], "voice_not_found");
    assert_eq!(nobody.json()["detail"].get("code"), None);
}

#[actix_rt::test]
async fn every_code_comes_under_its_usual_status() {
    let sandbox = sandbox();
    let today = [
        (400, "text_too_long"),
        (400, "malformed_json"),
        (401, "sign_in_required"),
        (402, "insufficient_credits"),
        (403, "model_access_denied"),
        (404, "model_not_found"),
        (409, "already_running"),
        (429, "concurrent_limit_exceeded"),
        (429, "system_busy"),
        (500, "internal_error"),
        (503, "maintenance"),
        (400, "a_code_of_tomorrow"),
    ];
    let old = [
        (401, "quota_exceeded"),
        (401, "detected_unusual_activity"),
        (403, "only_for_creator+"),
        (429, "too_many_concurrent_requests"),
    ];
    let expected = today.map(|case| ("code", case)).into_iter().chain(old.map(|case| ("status", case)));
    for (key, (status, code)) in expected {
        sandbox.elevenlabs.script().next(Route::Speak, 1, Fault::code(code));
        let answer = speak(&sandbox.elevenlabs, "ciao").await;
        assert_eq!((answer.status, &answer.json()["detail"][key]), (status, &json!(code)));
    }
    sandbox.elevenlabs.script().next(Route::Speak, 1, Fault::status(422));
    assert!(speak(&sandbox.elevenlabs, "ciao").await.json()["detail"].is_array());
    // What is refused is not paid for.
    assert_eq!(look_up(&sandbox.elevenlabs, "/v1/user/subscription").await["character_count"], 0);
}

#[actix_rt::test]
async fn wrong_audio_comes_as_if_all_were_well() {
    let sandbox = sandbox();
    let faults = [
        AudioFault::Stereo,
        AudioFault::Truncated,
        AudioFault::Mp3,
        AudioFault::Empty,
        AudioFault::RawOpus,
        AudioFault::Huge,
    ];
    for fault in faults {
        sandbox.elevenlabs.script().next(Route::Speak, 1, Fault::Audio(fault));
        let answer = speak(&sandbox.elevenlabs, "ciao").await;
        let good = audio::inspect(&answer.bytes).is_ok_and(|sound| sound.channels == 1);
        assert_eq!((answer.status, good), (200, fault == AudioFault::Huge), "{fault:?}");
        let length = answer.header("content-length").unwrap();
        assert_eq!(length, answer.bytes.len().to_string(), "{fault:?}");
    }
    assert!(sandbox.elevenlabs.speeches().iter().all(|speech| speech.fault.is_some()));
}

#[actix_rt::test]
async fn the_script_can_be_written_over_http() {
    let sandbox = sandbox();
    let order = json!({"route": "speak", "next": 1, "containing": "ciao", "fault": {"audio": "raw_opus"}});
    let url = format!("{}/__script", sandbox.elevenlabs.base_url());
    assert_eq!(request(Method::POST, &url, ("x-other", "1"), Some(&order)).await.status, 200);
    assert!(speak(&sandbox.elevenlabs, "altro").await.bytes.starts_with(b"OggS"));
    assert!(!speak(&sandbox.elevenlabs, "ciao").await.bytes.starts_with(b"OggS"));
}

#[actix_rt::test]
async fn a_cut_speech_counts_as_broken_and_is_paid() {
    let sandbox = sandbox();
    sandbox.elevenlabs.script().next(Route::Speak, 1, Fault::cut(100));
    let (host, key) = (sandbox.elevenlabs.base_url().to_owned(), &sandbox.elevenlabs.options().api_key);
    let url = format!("{host}/v1/text-to-speech/{VOICE}?output_format=opus_48000_32");
    let client = awc::Client::default();
    let mut answer =
        client.post(url).insert_header(("xi-api-key", key.as_str())).send_json(&wish("ciao")).await.unwrap();
    // The client may take the end of the connection for an error or for the end of the body.
    let got = answer.body().await.unwrap_or_default();
    assert!(got.len() <= 100, "{} bytes", got.len());
    assert_eq!(over(&sandbox.elevenlabs).await.outcome, Outcome::Broken);
    assert_eq!(look_up(&sandbox.elevenlabs, "/v1/user/subscription").await["character_count"], 4);
}
