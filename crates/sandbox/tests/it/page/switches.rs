//! The switches of the drawer: what each one does on the wire, and that it can be switched back.

use std::time::Duration;

use actix_web::http::Method;
use parlante_sandbox::{Sandbox, audio};
use serde_json::{Value, json};

use super::{LUCIA, sandbox, state, url};
use crate::support::{Answer, get, post, request, send, text_to, upload};

async fn switch(sandbox: &Sandbox, name: &str, on: bool) {
    let order = json!({"name": name, "on": on});
    assert_eq!(post(&url(sandbox, "/api/drawer/switch"), "", &order).await.status, 200, "{name}");
    assert_eq!(state(sandbox).await["switches"][name], on);
}

fn chat() -> Value {
    json!({"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "ciao"}]})
}

async fn ask(sandbox: &Sandbox) -> Answer {
    let openai = &sandbox.openai;
    post(&format!("{}/chat/completions", openai.base_url()), &openai.options().api_key, &chat()).await
}

async fn hear(sandbox: &Sandbox) -> Answer {
    let place = format!("{}/audio/transcriptions", sandbox.openai.base_url());
    let file = Some(("voice.ogg", "audio/ogg", audio::note()));
    let file = file.as_ref().map(|(name, kind, bytes)| (*name, *kind, bytes.as_ref()));
    upload(&place, &sandbox.openai.options().api_key, &[("model", "whisper-1")], file).await
}

fn speech_url(sandbox: &Sandbox) -> String {
    format!("{}/v1/text-to-speech/sandboxVoiceOfJoe001", sandbox.elevenlabs.base_url())
}

async fn speak(sandbox: &Sandbox) -> Answer {
    let key = ("xi-api-key", sandbox.elevenlabs.options().api_key.as_str());
    request(Method::POST, &speech_url(sandbox), key, Some(&json!({"text": "ciao"}))).await
}

#[actix_rt::test]
async fn the_model_is_down_and_up_again() {
    let sandbox = sandbox();
    switch(&sandbox, "model_down", true).await;
    // Switching on what is on changes nothing.
    switch(&sandbox, "model_down", true).await;
    assert_eq!((ask(&sandbox).await.status, hear(&sandbox).await.status), (503, 200));
    switch(&sandbox, "model_down", false).await;
    assert_eq!(ask(&sandbox).await.status, 200);
}

#[actix_rt::test]
async fn a_slow_model_has_not_answered_when_a_quick_one_has() {
    let sandbox = sandbox();
    let impatient = async |sandbox: &Sandbox| {
        let client = awc::Client::builder().timeout(Duration::from_millis(300)).finish();
        let openai = &sandbox.openai;
        let asked = client.post(format!("{}/chat/completions", openai.base_url()));
        asked.bearer_auth(&openai.options().api_key).send_json(&chat()).await.is_ok()
    };
    switch(&sandbox, "model_slow", true).await;
    assert!(!impatient(&sandbox).await);
    switch(&sandbox, "model_slow", false).await;
    assert_eq!(ask(&sandbox).await.status, 200);
}

#[actix_rt::test]
async fn openai_has_no_quota_for_chats_and_transcriptions() {
    let sandbox = sandbox();
    switch(&sandbox, "openai_quota", true).await;
    for refused in [ask(&sandbox).await, hear(&sandbox).await] {
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (429, &json!("insufficient_quota")));
    }
    switch(&sandbox, "openai_quota", false).await;
    assert_eq!((ask(&sandbox).await.status, hear(&sandbox).await.status), (200, 200));
}

#[actix_rt::test]
async fn elevenlabs_is_cut_off_and_back_again() {
    let sandbox = sandbox();
    switch(&sandbox, "elevenlabs_cut", true).await;
    let paths = [speech_url(&sandbox), format!("{}/v1/user/subscription", sandbox.elevenlabs.base_url())];
    for (path, method) in paths.into_iter().zip([Method::POST, Method::GET]) {
        let asked = awc::Client::default().request(method, path).send_json(&json!({"text": "ciao"})).await;
        assert!(asked.is_err(), "{asked:?}");
    }
    switch(&sandbox, "elevenlabs_cut", false).await;
    assert_eq!(speak(&sandbox).await.status, 200);
}

#[actix_rt::test]
async fn elevenlabs_has_no_characters_left_and_gets_them_back() {
    let sandbox = sandbox();
    let left = sandbox.elevenlabs.characters_left();
    switch(&sandbox, "elevenlabs_quota", true).await;
    let refused = speak(&sandbox).await;
    assert_eq!((refused.status, refused.text.contains("quota_exceeded")), (401, true), "{}", refused.text);
    switch(&sandbox, "elevenlabs_quota", false).await;
    assert_eq!(sandbox.elevenlabs.characters_left(), left);
    assert_eq!(speak(&sandbox).await.status, 200);
}

#[actix_rt::test]
async fn whatsapp_refuses_an_expired_token_until_it_is_good_again() {
    let sandbox = sandbox();
    let meta = &sandbox.meta;
    let number = format!("{}/v25.0/{}", meta.base_url(), meta.options().phone_number_id);
    let media = meta.keep_media(audio::note(), "audio/ogg");
    let lookup = format!("{}/v25.0/{media}", meta.base_url());
    let token = &meta.options().access_token;
    switch(&sandbox, "whatsapp_token", true).await;
    let refused = [
        send(meta, &text_to(LUCIA, "ciao", "t1")).await,
        get(&number, token).await,
        get(&lookup, token).await,
        upload(&format!("{number}/media"), token, &[], None).await,
    ];
    for refused in refused {
        assert_eq!(
            (refused.status, &refused.json()["error"]["code"]),
            (401, &json!(190)),
            "{}",
            refused.text
        );
    }
    assert_eq!(state(&sandbox).await["chats"][LUCIA], json!([]), "nothing came");
    switch(&sandbox, "whatsapp_token", false).await;
    assert_eq!(send(meta, &text_to(LUCIA, "ciao", "t1")).await.status, 200);
    assert_eq!(get(&lookup, token).await.status, 200);
}

#[actix_rt::test]
async fn there_is_no_other_switch() {
    let sandbox = sandbox();
    let order = json!({"name": "everything", "on": true});
    assert_eq!(post(&url(&sandbox, "/api/drawer/switch"), "", &order).await.status, 400);
    let off: Vec<_> = state(&sandbox).await["switches"].as_object().unwrap().values().cloned().collect();
    assert_eq!(off, vec![json!(false); 6]);
}
