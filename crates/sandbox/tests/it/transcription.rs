//! OpenAI's transcription, over real sockets: what is heard, what is refused, what is remembered.

use parlante_sandbox::{Fault, OpenAi, Options, Outcome, Route, Sandbox, audio};
use serde_json::json;

use crate::support::{Answer, get, upload};

const MODEL: &str = "gpt-4o-mini-transcribe";

fn sandbox() -> Sandbox {
    Sandbox::start(Options::for_tests()).unwrap()
}

async fn hear(openai: &OpenAi, name: &str, bytes: &[u8]) -> Answer {
    hear_as(openai, &[("model", MODEL)], Some((name, "audio/ogg", bytes))).await
}

async fn hear_as(openai: &OpenAi, fields: &[(&str, &str)], file: Option<(&str, &str, &[u8])>) -> Answer {
    let url = format!("{}/audio/transcriptions", openai.base_url());
    upload(&url, &openai.options().api_key, fields, file).await
}

#[actix_rt::test]
async fn what_was_spoken_is_heard_word_for_word_and_recorded() {
    let sandbox = sandbox();
    let note = audio::say("perché no? 🍝");
    let answer = hear(&sandbox.openai, "voice.ogg", &note).await;
    assert_eq!((answer.status, &answer.json()["text"]), (200, &json!("perché no? 🍝")));
    assert_eq!(answer.json()["usage"]["type"], "tokens");
    let call = sandbox.openai.wait_transcriptions(1).await.unwrap().remove(0);
    let form = call.transcription.unwrap();
    assert_eq!((form.file_name.as_str(), form.content_type.as_str()), ("voice.ogg", "audio/ogg"));
    assert_eq!((form.size, form.fields["model"].as_str()), (note.len(), MODEL));
    assert_eq!(call.outcome, Outcome::Answered { status: 200, text: "perché no? 🍝".into() });
}

#[actix_rt::test]
async fn silence_becomes_invented_words_until_a_test_says_otherwise() {
    let sandbox = sandbox();
    let invented = hear(&sandbox.openai, "voice.ogg", &audio::silence()).await.json()["text"].clone();
    assert!(invented.as_str().is_some_and(|text| text.len() > 5), "{invented}");
    sandbox.openai.hear_with(|bytes| format!("{} bytes", bytes.len()));
    let heard = hear(&sandbox.openai, "voice.ogg", &audio::silence()).await;
    assert_eq!(heard.json()["text"], format!("{} bytes", audio::silence().len()));
    // Tags win: they are what was really said, be it nothing.
    assert_eq!(hear(&sandbox.openai, "voice.ogg", &audio::say("")).await.json()["text"], "");
}

#[actix_rt::test]
async fn the_file_s_name_decides_and_what_is_wrong_is_refused() {
    let sandbox = sandbox();
    let note = audio::note();
    for name in ["voice.opus", "voice.oga", "voice"] {
        let refused = hear(&sandbox.openai, name, &note).await;
        let error = &refused.json()["error"];
        assert_eq!(
            (refused.status, &error["code"], &error["param"]),
            (400, &json!("unsupported_value"), &json!("file"))
        );
    }
    let rubbish = hear(&sandbox.openai, "voice.ogg", b"rubbish").await;
    assert_eq!((rubbish.status, &rubbish.json()["error"]["code"]), (400, &json!("invalid_value")));
    let large = hear(&sandbox.openai, "voice.mp3", &vec![7; 26_214_401]).await;
    assert_eq!((large.status, &large.json()["error"]["type"]), (413, &json!("server_error")));
    let file = Some(("voice.ogg", "audio/ogg", &note[..]));
    let no_file = hear_as(&sandbox.openai, &[("model", MODEL)], None).await;
    assert_eq!((no_file.status, &no_file.json()["error"]["param"]), (400, &json!("file")));
    assert_eq!(hear_as(&sandbox.openai, &[], file).await.status, 400);
    let chat_model = hear_as(&sandbox.openai, &[("model", "gpt-5.4-mini")], file).await;
    assert_eq!((chat_model.status, &chat_model.json()["error"]["code"]), (404, &json!("model_not_found")));
    let srt = hear_as(&sandbox.openai, &[("model", MODEL), ("response_format", "srt")], file).await;
    assert_eq!((srt.status, &srt.json()["error"]["param"]), (400, &json!("response_format")));
}

#[actix_rt::test]
async fn whisper_answers_plain_text_too() {
    let sandbox = sandbox();
    let note = audio::say("ciao");
    let fields = [("model", "whisper-1"), ("response_format", "text")];
    let answer = hear_as(&sandbox.openai, &fields, Some(("voice.ogg", "audio/ogg", &note))).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "ciao\n"));
}

#[actix_rt::test]
async fn a_script_aims_at_the_words_of_a_recording() {
    let sandbox = sandbox();
    sandbox.openai.script().aim("funghi", Route::Transcribe, 1, Fault::code("rate_limit_exceeded"));
    assert_eq!(hear(&sandbox.openai, "voice.ogg", &audio::say("carbonara")).await.status, 200);
    assert_eq!(hear(&sandbox.openai, "voice.ogg", &audio::say("risotto ai funghi")).await.status, 429);
}

#[actix_rt::test]
async fn every_code_comes_under_its_usual_status() {
    let sandbox = sandbox();
    let codes = [
        (400, "context_length_exceeded"),
        (400, "unsupported_value"),
        (400, "invalid_service_tier"),
        (401, "invalid_api_key"),
        (401, "ip_not_authorized"),
        (403, "unsupported_country_region_territory"),
        (404, "model_not_found"),
        (429, "rate_limit_exceeded"),
        (429, "slow_down"),
        (429, "insufficient_quota"),
        (429, "credit_balance_exhausted"),
        (429, "organization_spend_limit_exceeded"),
        (429, "project_spend_limit_exceeded"),
        (429, "organization_usage_limit_exceeded"),
        (500, "server_error"),
        (503, "server_is_overloaded"),
        (400, "a_code_of_tomorrow"),
    ];
    for (status, code) in codes {
        sandbox.openai.script().next(Route::Transcribe, 1, Fault::code(code));
        let answer = hear(&sandbox.openai, "voice.ogg", &audio::note()).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(code)));
    }
    for status in [408, 409, 413, 502] {
        sandbox.openai.script().next(Route::Transcribe, 1, Fault::status(status));
        let answer = hear(&sandbox.openai, "voice.ogg", &audio::note()).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(null)));
    }
}

#[actix_rt::test]
async fn the_models_are_listed_with_the_others() {
    let sandbox = sandbox();
    let key = &sandbox.openai.options().api_key;
    let list = get(&format!("{}/models", sandbox.openai.base_url()), key).await;
    assert!(list.text.contains("gpt-5.4-mini") && list.text.contains(MODEL));
    let one = get(&format!("{}/models/{MODEL}", sandbox.openai.base_url()), key).await;
    assert_eq!(one.json()["id"], MODEL);
}
