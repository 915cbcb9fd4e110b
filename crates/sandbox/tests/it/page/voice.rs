//! Voice on the page: recordings and files that a person sends, what the persona says, and both in the trail.

use parlante_sandbox::{PATIENCE, Sandbox, Status, audio};
use serde_json::{Value, json};

use super::{Events, LUCIA, sandbox, state, url};
use crate::support::{Answer, Webhook, get, post, read_and_type, request, send, upload};

/// Two seconds of Chromium's own recorder.
const RECORDING: &[u8] = include_bytes!("../../../voices/recording.webm");

/// Sends a file from the page, as its form does.
async fn send_file(sandbox: &Sandbox, bytes: &[u8], words: Option<&str>) -> Answer {
    let fields: Vec<_> = words.map(|words| ("words", words)).into_iter().collect();
    let path = url(sandbox, &format!("/api/phones/{LUCIA}/sounds"));
    upload(&path, "", &fields, Some(("recording", "audio/webm", bytes))).await
}

async fn bubble(sandbox: &Sandbox, place: usize) -> Value {
    state(sandbox).await["chats"][LUCIA][place].clone()
}

/// What a server does with a sound: it looks it up, fetches it, and asks what is said in it.
async fn hear(sandbox: &Sandbox, media: &str) -> Value {
    let (meta, openai) = (&sandbox.meta, &sandbox.openai);
    let token = &meta.options().access_token;
    let found = get(&format!("{}/v25.0/{media}", meta.base_url()), token).await.json();
    let bytes = get(found["url"].as_str().unwrap(), token).await.bytes;
    let place = format!("{}/audio/transcriptions", openai.base_url());
    let fields = [("model", "gpt-4o-mini-transcribe")];
    let file = Some(("voice.ogg", "audio/ogg", bytes.as_ref()));
    upload(&place, &openai.options().api_key, &fields, file).await.json()["text"].clone()
}

/// What a server does with an answer: it has it spoken, uploads the voice and sends it. The send's answer.
async fn say(sandbox: &Sandbox, text: &str) -> Answer {
    let elevenlabs = &sandbox.elevenlabs;
    let place = format!(
        "{}/v1/text-to-speech/sandboxVoiceOfJoe001?output_format=opus_48000_32",
        elevenlabs.base_url()
    );
    let key = ("xi-api-key", elevenlabs.options().api_key.as_str());
    let wish = json!({"text": text, "model_id": "eleven_flash_v2_5"});
    let voice = request(actix_web::http::Method::POST, &place, key, Some(&wish)).await.bytes;
    send_voice(sandbox, &voice).await
}

async fn send_voice(sandbox: &Sandbox, voice: &[u8]) -> Answer {
    let meta = &sandbox.meta;
    let place = format!("{}/v25.0/{}/media", meta.base_url(), meta.options().phone_number_id);
    let kind = "audio/ogg; codecs=opus";
    let fields = [("messaging_product", "whatsapp"), ("type", kind)];
    let file = Some(("voice.ogg", kind, voice));
    let id = upload(&place, &meta.options().access_token, &fields, file).await.json()["id"].clone();
    let message = json!({"messaging_product": "whatsapp", "to": format!("+{LUCIA}"), "type": "audio",
        "audio": {"id": id, "voice": true}, "biz_opaque_callback_data": "t1"});
    send(meta, &message).await
}

async fn ask_the_model(sandbox: &Sandbox, words: &str) -> String {
    let openai = &sandbox.openai;
    let body = json!({"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": words}]});
    let place = format!("{}/chat/completions", openai.base_url());
    let answer = post(&place, &openai.options().api_key, &body).await.json();
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

/// Whether these stand in the trail in this order.
fn goes_through(trail: &Value, steps: &[&str]) -> bool {
    let mut texts = trail.as_array().unwrap().iter().map(|step| step["text"].as_str().unwrap());
    steps.iter().all(|wanted| texts.any(|text| text.contains(wanted)))
}

#[actix_rt::test]
async fn a_recording_is_sent_as_a_voice_note_in_which_the_typed_words_are_heard() {
    let sandbox = sandbox();
    let (webhook, webhook_url) = Webhook::start();
    sandbox.meta.set_webhook(&webhook_url);
    let answer = send_file(&sandbox, RECORDING, Some("Ciao Joe, che si mangia?")).await;
    assert_eq!((answer.status, &answer.json()["kind"]), (200, &json!("voice")), "{}", answer.text);
    let told = webhook.wait(1).await[0].value();
    let sound = &told["messages"][0]["audio"];
    assert_eq!((&told["messages"][0]["type"], &sound["voice"]), (&json!("audio"), &json!(true)));
    assert_eq!(
        (&sound["mime_type"], told["contacts"][0]["profile"]["name"].as_str()),
        (&json!("audio/ogg; codecs=opus"), Some("Lucia"))
    );

    let media = sound["id"].as_str().unwrap();
    assert_eq!(hear(&sandbox, media).await, "Ciao Joe, che si mangia?");
    let played = get(&url(&sandbox, &format!("/api/sounds/{media}")), "").await;
    let file = audio::inspect(&played.bytes).unwrap();
    assert_eq!((file.channels, file.words.as_deref()), (1, Some("Ciao Joe, che si mangia?")));
    let shown = bubble(&sandbox, 0).await;
    let length = u64::try_from(file.duration.as_millis()).unwrap();
    assert_eq!(
        shown["sound"],
        json!({"media": media, "is_voice": true, "length_ms": length, "is_played": false,
        "words": "Ciao Joe, che si mangia?", "heard": "Ciao Joe, che si mangia?"})
    );
    let steps = ["asked where the sound is", "fetched the sound", "asked for a transcription", "heard in"];
    assert!(goes_through(&shown["trail"], &steps), "{:#}", shown["trail"]);
}

#[actix_rt::test]
async fn of_a_recording_without_words_it_shows_what_was_made_up() {
    let sandbox = sandbox();
    send_file(&sandbox, RECORDING, None).await;
    let sent = bubble(&sandbox, 0).await["sound"].clone();
    assert_eq!((&sent["words"], &sent["heard"]), (&Value::Null, &Value::Null));
    let heard = hear(&sandbox, sent["media"].as_str().unwrap()).await;
    let sent = bubble(&sandbox, 0).await["sound"].clone();
    assert_eq!((&sent["words"], &sent["heard"]), (&Value::Null, &heard));
    // The model is then asked about what was heard, and that is seen too.
    ask_the_model(&sandbox, heard.as_str().unwrap()).await;
    assert!(goes_through(
        &bubble(&sandbox, 0).await["trail"],
        &["heard in", "asked the model", "the model answered"]
    ));
}

#[actix_rt::test]
async fn files_go_as_what_they_are() {
    let sandbox = sandbox();
    let note = audio::note();
    assert_eq!(send_file(&sandbox, &note, None).await.json()["kind"], "voice");
    assert_eq!(send_file(&sandbox, &audio::mp3(), None).await.json()["kind"], "audio");
    let (voice, file) =
        (bubble(&sandbox, 0).await["sound"].clone(), bubble(&sandbox, 1).await["sound"].clone());
    assert_eq!((&file["is_voice"], &file["length_ms"]), (&json!(false), &Value::Null));
    for (sound, kind, bytes) in [(voice, "audio/ogg; codecs=opus", note), (file, "audio/mpeg", audio::mp3())]
    {
        let kept =
            get(&url(&sandbox, &format!("/api/sounds/{}", sound["media"].as_str().unwrap())), "").await;
        assert_eq!((kept.header("content-type"), &kept.bytes), (Some(kind), &bytes));
    }
    let refused = send_file(&sandbox, b"no sound at all", None).await;
    assert_eq!(refused.status, 400);
    assert!(refused.json()["error"].as_str().unwrap().contains("Ogg Opus"), "{}", refused.text);
    let nobody = url(&sandbox, "/api/phones/49155/sounds");
    assert_eq!(upload(&nobody, "", &[], Some(("a", "audio/ogg", &audio::note()))).await.status, 404);
    assert_eq!(get(&url(&sandbox, "/api/sounds/17"), "").await.status, 404);
    assert_eq!(state(&sandbox).await["chats"][LUCIA].as_array().unwrap().len(), 2);
}

#[actix_rt::test]
async fn a_voice_note_of_the_persona_is_played_when_the_person_plays_it() {
    let sandbox = sandbox();
    let (_webhook, webhook_url) = Webhook::start();
    sandbox.meta.set_webhook(&webhook_url);
    send_file(&sandbox, RECORDING, Some("ciao")).await;
    let answer = ask_the_model(&sandbox, "ciao").await;
    let mut events = Events::open(&sandbox).await;
    say(&sandbox, &answer).await;
    let got = events.wait("bubble", |told| told["from"] == "persona" && told["ticks"] == "read").await;
    let sent = sandbox.meta.voices_to(LUCIA).remove(0);
    assert_eq!((&got["sound"]["words"], &got["sound"]["is_played"]), (&json!(answer), &json!(false)));
    assert_eq!(got["sound"]["media"], sent.media_id.as_str());

    let steps = [
        "the model answered",
        "asked ElevenLabs",
        "ElevenLabs spoke",
        "uploaded the voice",
        "sent the answer as a voice note: accepted",
    ];
    let question = bubble(&sandbox, 0).await;
    assert!(goes_through(&question["trail"], &steps), "{:#}", question["trail"]);

    for _ in 0..2 {
        let played = post(&url(&sandbox, "/api/played"), "", &json!({"id": got["id"]})).await;
        assert_eq!(played.status, 200);
    }
    events.wait("bubble", |told| told["id"] == got["id"] && told["ticks"] == "played").await;
    sandbox.meta.wait_settled().await.unwrap();
    let told = sandbox.meta.look(|records| {
        records.deliveries().filter(|delivery| delivery.status.as_deref() == Some("played")).count()
    });
    assert_eq!(told, 1, "it can be played for the first time only once");
    assert_eq!(bubble(&sandbox, 1).await["sound"]["is_played"], true);
}

#[actix_rt::test]
async fn a_voice_note_that_nobody_can_play_is_a_step_of_the_trail_and_no_bubble() {
    let sandbox = sandbox();
    send_file(&sandbox, RECORDING, Some("ciao")).await;
    assert_eq!(send_voice(&sandbox, &audio::stereo("ciao")).await.status, 200);
    let chat = state(&sandbox).await["chats"][LUCIA].clone();
    assert_eq!(chat.as_array().unwrap().len(), 1);
    assert!(goes_through(&chat[0]["trail"], &["sent a voice note of its own", "cannot play it"]), "{chat:#}");
}

#[actix_rt::test]
async fn nobody_types_while_the_server_is_down() {
    let sandbox = sandbox();
    send_file(&sandbox, RECORDING, Some("ciao")).await;
    let id = bubble(&sandbox, 0).await["id"].clone();
    let mut events = Events::open(&sandbox).await;
    send(&sandbox.meta, &read_and_type(id.as_str().unwrap())).await;
    events.wait("typing", |typing| typing["on"] == true).await;
    sandbox.server_is(Status::Down);
    events.wait("typing", |typing| typing == &json!({"phone": LUCIA, "on": false})).await;
    assert!(
        PATIENCE.as_secs() < 25,
        "the indicator ends by itself after 25 s, which this must not have waited for"
    );
}
