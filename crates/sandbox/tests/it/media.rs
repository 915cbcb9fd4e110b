//! Files at Meta's stand-in, over real sockets: what people send, what the product uploads and sends.

use actix_web::http::Method;
use parlante_sandbox::{Fault, Inbound, MediaHost, Meta, Options, Route, Sandbox, SentAudio, audio};
use serde_json::{Value, json};

use crate::support::{Answer, Webhook, delete, get, post, request, send, upload};

const LUCIA: &str = "393331110001";

fn sandbox() -> Sandbox {
    Sandbox::start(Options::for_tests()).unwrap()
}

fn token(meta: &Meta) -> &str {
    &meta.options().access_token
}

async fn put(meta: &Meta, (name, kind, bytes): (&str, &str, &[u8])) -> Answer {
    let url = format!("{}/v25.0/{}/media", meta.base_url(), meta.options().phone_number_id);
    let fields = [("messaging_product", "whatsapp"), ("type", kind)];
    upload(&url, token(meta), &fields, Some((name, kind, bytes))).await
}

/// Uploads a voice note and sends it; the send's answer.
async fn send_voice(meta: &Meta, bytes: &[u8]) -> Answer {
    let uploaded = put(meta, ("voice.ogg", "audio/ogg; codecs=opus", bytes)).await;
    assert_eq!(uploaded.status, 200, "{}", uploaded.text);
    send(meta, &voice_to(LUCIA, &uploaded.json()["id"])).await
}

fn voice_to(to: &str, id: &Value) -> Value {
    json!({"messaging_product": "whatsapp", "to": format!("+{to}"), "type": "audio",
        "audio": {"id": id, "voice": true}, "biz_opaque_callback_data": "t1"})
}

async fn look_up(meta: &Meta, id: &str) -> Answer {
    get(&format!("{}/v25.0/{id}", meta.base_url()), token(meta)).await
}

async fn url_of(meta: &Meta, id: &str) -> String {
    look_up(meta, id).await.json()["url"].as_str().unwrap().to_owned()
}

#[actix_rt::test]
async fn a_person_s_voice_note_can_be_looked_up_and_downloaded() {
    let sandbox = sandbox();
    let (webhook, url) = Webhook::start();
    sandbox.meta.set_webhook(&url);
    let note = audio::say("che ore sono?");
    sandbox.meta.deliver(Inbound::voice(LUCIA, note.clone()));
    let told = webhook.wait(1).await[0].value()["messages"][0]["audio"].clone();
    assert_eq!((&told["voice"], &told["mime_type"]), (&json!(true), &json!("audio/ogg; codecs=opus")));
    let found = look_up(&sandbox.meta, told["id"].as_str().unwrap()).await.json();
    assert_eq!(
        (&found["mime_type"], &found["file_size"]),
        (&json!("audio/ogg"), &json!(note.len().to_string()))
    );
    assert_eq!(found["sha256"].as_str().unwrap().len(), 64);
    for place in [&found["url"], &told["url"]] {
        let place = place.as_str().unwrap();
        assert!(place.starts_with(sandbox.meta.base_url()));
        let answer = get(place, token(&sandbox.meta)).await;
        assert_eq!((answer.status, &answer.bytes), (200, &note));
        assert_eq!(answer.header("content-type"), Some("audio/ogg; codecs=opus"));
        assert_eq!(get(place, "other").await.status, 404);
    }
    let routes: Vec<_> = sandbox.meta.look(|records| records.media().map(|request| request.route).collect());
    assert_eq!(routes[..2], [Some(Route::Media), Some(Route::Download)]);
}

#[actix_rt::test]
async fn a_bare_id_stands_for_a_usual_sound() {
    let sandbox = sandbox();
    sandbox.meta.deliver_batch(vec![Inbound::voice(LUCIA, "1"), Inbound::audio(LUCIA, "2")]);
    let place = url_of(&sandbox.meta, "1").await;
    assert_eq!(get(&place, token(&sandbox.meta)).await.bytes, audio::note());
    assert_eq!(look_up(&sandbox.meta, "2").await.json()["mime_type"], "audio/mpeg");
    let wrong = Inbound::voice(LUCIA, "3").mime("audio/mpeg");
    sandbox.meta.deliver(wrong);
    assert_eq!(look_up(&sandbox.meta, "3").await.json()["mime_type"], "audio/mpeg");
    let unknown = look_up(&sandbox.meta, "4").await;
    assert_eq!((unknown.status, &unknown.json()["error"]["error_subcode"]), (400, &json!(33)));
}

#[actix_rt::test]
async fn urls_expire_when_told_or_after_their_downloads() {
    let sandbox = sandbox();
    let id = sandbox.meta.keep_media(audio::note(), "audio/ogg");
    let first = url_of(&sandbox.meta, &id).await;
    sandbox.meta.expire_urls();
    assert_eq!(get(&first, token(&sandbox.meta)).await.status, 404);
    sandbox.meta.expire_urls_after(Some(1));
    let second = url_of(&sandbox.meta, &id).await;
    assert_eq!(get(&second, "other").await.status, 404);
    assert_eq!(get(&second, token(&sandbox.meta)).await.status, 200);
    assert_eq!(get(&second, token(&sandbox.meta)).await.status, 404);
    sandbox.meta.expire_urls_after(None);
    let third = url_of(&sandbox.meta, &id).await;
    assert_eq!(get(&third, token(&sandbox.meta)).await.status, 200);
}

#[actix_rt::test]
async fn the_other_host_has_files_and_nothing_else_and_shows_who_asked() {
    let sandbox = sandbox();
    let meta = &sandbox.meta;
    let id = meta.keep_media(audio::note(), "audio/ogg");
    meta.media_host(MediaHost::Other);
    let place = url_of(meta, &id).await;
    assert!(place.starts_with(meta.other_host()) && !place.starts_with(meta.base_url()));
    assert_eq!(get(&place, token(meta)).await.bytes, audio::note());
    let lookup = get(&format!("{}/v25.0/{id}", meta.other_host()), token(meta)).await;
    assert_eq!(lookup.status, 400);
    let at_other = meta.look(|records| records.requests().filter(|request| request.other_host).count());
    assert_eq!(at_other, 2);

    meta.media_host(MediaHost::Redirect);
    let place = url_of(meta, &id).await;
    assert!(place.starts_with(meta.base_url()));
    let bearer = format!("Bearer {}", token(meta));
    let answer = request(Method::GET, &place, ("authorization", &bearer), None).await;
    let target = answer.header("location").unwrap();
    assert!(answer.status == 302 && target.starts_with(meta.other_host()), "{answer:?}");
    assert_eq!(get(target, token(meta)).await.bytes, audio::note());
}

#[actix_rt::test]
async fn an_upload_can_be_sent_and_is_played() {
    let sandbox = sandbox();
    let (webhook, url) = Webhook::start();
    sandbox.meta.set_webhook(&url);
    let note = audio::say("eccomi");
    assert_eq!(send_voice(&sandbox.meta, &note).await.status, 200);
    assert_eq!(sandbox.meta.wait_answers(LUCIA, 1).await.unwrap(), ["[voice] eccomi"]);
    let heard: Vec<SentAudio> = sandbox.meta.voices_to(LUCIA);
    assert_eq!(
        (&heard[0].bytes, heard[0].words.as_deref(), heard[0].is_voice),
        (&note, Some("eccomi"), true)
    );
    assert_eq!(
        (heard[0].file_name.as_str(), heard[0].mime.as_str()),
        ("voice.ogg", "audio/ogg; codecs=opus")
    );
    let statuses = webhook.wait(4).await;
    let mut told: Vec<_> = statuses
        .iter()
        .map(|got| got.value()["statuses"][0]["status"].as_str().unwrap().to_owned())
        .collect();
    told.sort();
    assert_eq!(told, ["delivered", "played", "read", "sent"]);
}

#[actix_rt::test]
async fn what_cannot_be_played_is_accepted_and_fails_later() {
    let sandbox = sandbox();
    let (webhook, url) = Webhook::start();
    sandbox.meta.set_webhook(&url);
    for (index, wrong) in [audio::stereo("no"), audio::mp3()].iter().enumerate() {
        assert_eq!(send_voice(&sandbox.meta, wrong).await.status, 200);
        let failed = webhook.wait(index + 1).await[index].value()["statuses"][0].clone();
        assert_eq!((&failed["status"], &failed["errors"][0]["code"]), (&json!("failed"), &json!(131_053)));
        assert_eq!(failed["biz_opaque_callback_data"], "t1");
    }
    assert!(sandbox.meta.answers_to(LUCIA).is_empty() && sandbox.meta.voices_to(LUCIA).is_empty());
    let sends = sandbox.meta.sends();
    assert!(sends.iter().all(|send| send.unplayable && send.audio.is_some()));
}

#[actix_rt::test]
async fn uploads_that_meta_would_not_take_are_refused() {
    let sandbox = sandbox();
    let meta = &sandbox.meta;
    let url = format!("{}/v25.0/{}/media", meta.base_url(), meta.options().phone_number_id);
    let note = audio::note();
    let file = Some(("voice.ogg", "audio/ogg", &note[..]));
    let product = ("messaging_product", "whatsapp");
    let typed = ("type", "audio/ogg");
    let large = audio::of_size(16 * 1024 * 1024 + 1, "");
    let cases = [
        (vec![typed], file, 100),
        (vec![product], file, 100),
        (vec![product, typed], None, 100),
        (vec![product, ("type", "audio/x-wav")], Some(("voice.wav", "audio/x-wav", &note[..])), 131_053),
        (vec![product, typed], Some(("voice.ogg", "audio/mpeg", &note[..])), 131_053),
        (vec![product, typed], Some(("", "audio/ogg", &note[..])), 131_053),
        (vec![product, typed], Some(("voice.ogg", "audio/ogg", &b""[..])), 131_053),
        (vec![product, typed], Some(("voice.ogg", "audio/ogg", &large[..])), 131_053),
    ];
    for (fields, file, code) in cases {
        let refused = upload(&url, token(meta), &fields, file).await;
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!(code)), "{fields:?}");
    }
    assert_eq!(upload(&url, "other", &[product, typed], file).await.status, 401);
    let unknown = send(meta, &voice_to(LUCIA, &json!("17"))).await;
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (400, &json!(100)));
}

#[actix_rt::test]
async fn a_refused_upload_leaves_nothing_and_a_deleted_one_is_gone() {
    let sandbox = sandbox();
    let meta = &sandbox.meta;
    meta.script().next(Route::Upload, 1, Fault::code(131_016));
    assert_eq!(put(meta, ("voice.ogg", "audio/ogg", &audio::note())).await.status, 503);
    let id = put(meta, ("voice.ogg", "audio/ogg", &audio::note())).await.json()["id"].clone();
    let id = id.as_str().unwrap();
    assert_eq!(meta.media(id).unwrap().bytes, audio::note());
    let place = format!("{}/v25.0/{id}", meta.base_url());
    assert_eq!(delete(&place, token(meta)).await.json(), json!({"success": true}));
    assert_eq!((meta.media(id), look_up(meta, id).await.status), (None, 400));
    meta.script().next(Route::Media, 1, Fault::status(500));
    meta.script().next(Route::Download, 1, Fault::status(503));
    let id = meta.keep_media(audio::note(), "audio/ogg");
    assert_eq!(look_up(meta, &id).await.status, 500);
    let place = url_of(meta, &id).await;
    assert_eq!(get(&place, token(meta)).await.status, 503);
    assert_eq!(get(&place, token(meta)).await.status, 200);
}

#[actix_rt::test]
async fn every_graph_code_comes_under_its_usual_status() {
    let sandbox = sandbox();
    let meta = &sandbox.meta;
    let usual = [
        (401, vec![0, 190]),
        (403, vec![3, 10, 200, 230, 299, 368, 131_005, 131_031]),
        (429, vec![4, 613, 80_007, 130_429, 131_056]),
        (500, vec![1, 131_000, 134_102]),
        (503, vec![2, 131_016, 131_057, 133_004, 2_494_100]),
        (400, vec![33, 100, 130_403, 130_472, 131_008, 131_026, 131_042, 131_047, 131_053, 133_010, 999_999]),
    ];
    let url = crate::support::messages_url(meta);
    let body = crate::support::text_to(LUCIA, "ciao", "t1");
    for (status, codes) in usual {
        for code in codes {
            meta.script().next(Route::Send, 1, Fault::code(code));
            let answer = post(&url, token(meta), &body).await;
            let error = &answer.json()["error"];
            assert_eq!((answer.status, &error["code"]), (status, &json!(code)));
            let is_known = error["message"] != format!("(#{code}) Unknown error");
            assert_eq!(is_known, code != 999_999, "{error}");
        }
    }
}
