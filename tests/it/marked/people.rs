//! What people write, in every kind there is; and providers that fail in every way and quote in their errors all that they
//! were told, keys included.

use parlante_domain::Clock;
use parlante_sandbox::{Fault, Inbound, MediaHost, Route, Sandbox, SignatureMode, audio};
use serde_json::{Value, json};

use super::marks::*;
use super::told::Server;
use crate::support::World;

/// A code that is plain enough to be one, but is a person's number or a key.
const CODES: [&str; 2] = [PHONES[0], VOICE];

/// All that a provider could quote.
fn quote() -> String {
    let [one, two] = SECRETS;
    let phones = PHONES.join(", +");
    format!(
        "{ERROR}: +{phones}, {BSUID}, {NAME} wrote {TEXT}, {SPOKEN}; said {ANSWER}; {ACCESS} {OPENAI} {FALLBACK} {VOICE} \
         {one} {two}"
    )
}

/// OpenAI's envelope.
fn of_openai(code: impl Into<Value>) -> String {
    json!({"error": {"message": quote(), "type": quote(), "param": quote(), "code": code.into()}}).to_string()
}

/// The Graph API's envelope.
fn of_graph(code: impl Into<Value>) -> String {
    let details = json!({"messaging_product": "whatsapp", "details": quote()});
    let error = json!({"message": quote(), "type": "OAuthException", "code": code.into(), "error_data": details,
        "error_user_title": quote(), "error_user_msg": quote(), "fbtrace_id": ERROR});
    json!({"error": error}).to_string()
}

/// ElevenLabs' envelope.
fn of_elevenlabs(code: impl Into<Value>) -> String {
    json!({"detail": {"type": quote(), "code": code.into(), "status": quote(), "message": quote()}})
        .to_string()
}

fn html() -> String {
    format!("<!DOCTYPE html><title>502</title><pre>{}</pre>", quote())
}

fn answer(status: u16, body: String) -> Fault {
    Fault::status(status).with_header("x-request-id", ERROR).with_header("retry-after", ERROR).with_body(body)
}

/// Whatever the provider: no answer, half of one, one that is none.
fn broken() -> Vec<Fault> {
    let elsewhere = format!("http://{ERROR}.example/?access_token={ACCESS}&to={}", PHONES[0]);
    vec![
        answer(502, html()),
        answer(400, html()),
        answer(400, format!("{{\"error\": {{\"message\": \"{}", quote())),
        Fault::status(302).with_header("location", elsewhere).with_body(html()),
        Fault::Body(html()),
        Fault::Body(json!({"answer": quote()}).to_string()),
        Fault::close(),
        Fault::cut(20),
        Fault::hang(),
    ]
}

fn of_chat() -> Vec<Fault> {
    let event = format!("data: {}\n\n", of_openai("server_error"));
    let chunk =
        format!("data: {{\"choices\": [{{\"delta\": {{\"content\": {}", super::told::quoted(&quote()));
    let mut faults = broken();
    faults.extend(CODES.iter().chain(&[OPENAI]).map(|code| answer(400, of_openai(*code))));
    faults.extend([
        answer(401, of_openai("invalid_api_key")),
        answer(403, quote()),
        answer(429, of_openai("insufficient_quota")),
        answer(500, of_openai(Value::Null)),
        Fault::Body(event),
        Fault::Body(chunk),
    ]);
    faults
}

fn of_send() -> Vec<Fault> {
    let number: u64 = PHONES[0].parse().unwrap();
    let mut faults = broken();
    faults.extend([
        answer(400, of_graph(131_026)),
        answer(400, of_graph(number)),
        answer(400, of_graph(VOICE)),
        answer(401, of_graph(190)),
        answer(403, quote()),
        answer(400, of_graph(131_042)),
        answer(429, of_graph(130_429)),
        answer(503, of_graph(131_016)),
    ]);
    faults
}

fn of_voice() -> Vec<(Route, Fault)> {
    let wrong_fields =
        json!({"detail": [{"loc": ["body", "text"], "msg": quote(), "input": quote(), "type": "x"}]});
    let mut faults: Vec<_> = broken().into_iter().map(|fault| (Route::Speak, fault)).collect();
    faults.extend(CODES.map(|code| (Route::Speak, answer(400, of_elevenlabs(code)))));
    faults.extend([
        (Route::Speak, answer(422, wrong_fields.to_string())),
        (Route::Transcribe, answer(400, of_openai(PHONES[0]))),
        (Route::Transcribe, Fault::Body(html())),
        (Route::Media, answer(404, of_graph(100))),
        (Route::Download, answer(403, html())),
        (Route::Upload, answer(400, of_graph(131_053))),
        (Route::Upload, answer(500, html())),
        // The last: it pauses the channel.
        (Route::Speak, answer(401, of_elevenlabs("invalid_api_key"))),
    ]);
    faults
}

fn from(person: usize, words: &str) -> Inbound {
    Inbound::text(PHONES[person], &format!("{TEXT} {words}")).name(NAME)
}

/// One person writes; the message's id.
pub(super) fn says_one(world: &World) -> String {
    world.sandbox.openai.answer_with(|turns| format!("{ANSWER} {}", turns.last().unwrap().text));
    world.sandbox.meta.deliver(from(0, "ciao"))
}

/// Every kind of message.
fn of_every_kind() -> Vec<Inbound> {
    let phone = PHONES[1];
    let place = json!({"latitude": 44.5, "longitude": 11.3, "name": PLACE, "address": STREET, "url": format!("https://{STREET}.example")});
    let chosen =
        json!({"type": "list_reply", "list_reply": {"id": CHOICE, "title": CHOICE, "description": CHOICE}});
    vec![
        Inbound::audio(phone, audio::say(SPOKEN)),
        Inbound::image(phone, "1000000000000001", Some(CAPTION)),
        Inbound::video(phone, "1000000000000002", Some(CAPTION)),
        Inbound::document(phone, "1000000000000003", FILE).field("caption", CAPTION.into()),
        Inbound::sticker(phone, "1000000000000004"),
        Inbound::location(phone, 44.5, 11.3, PLACE).field("location", place),
        Inbound::contacts(phone, CARD, &format!("+{}", OTHERS[0])),
        Inbound::button(phone, BUTTON, BUTTON),
        Inbound::interactive(phone, CHOICE, CHOICE),
        Inbound::interactive(phone, CHOICE, CHOICE).field("interactive", chosen),
        Inbound::order(phone, ORDER),
        Inbound::unsupported(phone).field("errors", json!([{"code": 131_051, "message": quote()}])),
        Inbound::text(phone, TEXT).no_phone().bsuid(BSUID),
    ]
}

/// What is recorded and not answered.
fn of_no_answer(id: &str) -> Vec<Inbound> {
    let phone = PHONES[1];
    vec![
        Inbound::reaction(phone, id, Some(UNKNOWN)),
        Inbound::edit(phone, id, EDIT),
        Inbound::revoke(phone, id),
        Inbound::group(phone, GROUP, GROUP),
        Inbound::changed_number(phone, OTHERS[1]),
        Inbound::text(phone, TEXT).field("type", UNKNOWN.into()).field(UNKNOWN, json!({"text": UNKNOWN})),
        Inbound::text(phone, TEXT).to_number(OTHERS[1]),
        Inbound::text(phone, TEXT).at(1_600_000_000),
        Inbound::raw(json!({"from": phone, "text": [BROKEN], "type": "text"})),
        Inbound::raw(json!(BROKEN)),
    ]
}

/// A status that says of an accepted send that it has failed, and why.
fn late(world: &World, code: &Value) -> Option<String> {
    let sends = world.sandbox.meta.sends();
    let send =
        sends.iter().rfind(|send| send.accepted.is_some() && send.person.as_deref() == Some(PHONES[2]))?;
    let error =
        json!({"code": code, "title": quote(), "message": quote(), "error_data": {"details": quote()}});
    let now = (parlante::real::SystemClock.now().0 / 1000).to_string();
    let status = json!({"id": send.accepted, "status": "failed", "timestamp": now, "recipient_id": PHONES[2],
        "biz_opaque_callback_data": send.tag, "errors": [error]});
    let metadata = json!({"phone_number_id": world.sandbox.meta.options().phone_number_id});
    let value = json!({"messaging_product": "whatsapp", "metadata": metadata, "statuses": [status]});
    let change = json!({"field": "messages", "value": value});
    Some(
        json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]})
            .to_string(),
    )
}

/// Requests that met a fault.
fn faults_met(world: &World) -> usize {
    let sandbox = &world.sandbox;
    let of_meta = sandbox.meta.look(|records| records.requests().filter(|one| one.fault.is_some()).count());
    let of_openai = sandbox.openai.look(|calls| calls.all().filter(|one| one.fault.is_some()).count());
    let of_voice =
        sandbox.elevenlabs.look(|speeches| speeches.all().filter(|one| one.fault.is_some()).count());
    of_meta + of_openai + of_voice
}

/// Somebody writes, and it goes wrong on its way to an end.
async fn goes_wrong(world: &World, server: &Server, message: Inbound) -> String {
    let before = faults_met(world);
    let id = world.sandbox.meta.deliver(message);
    server.ends(&id, 1).await;
    assert!(faults_met(world) > before, "{id} met no fault");
    id
}

/// Everybody says everything, and every provider fails in every way. The ids; the first is of a text that was answered.
pub(super) async fn talk(world: &World, second: &Sandbox, server: &Server) -> Vec<String> {
    let (meta, openai) = (&world.sandbox.meta, world.sandbox.openai.script());
    let mut ids = vec![says_one(world)];
    server.ends(&ids[0], 1).await;
    for message in of_every_kind() {
        ids.push(meta.deliver(message.name(NAME)));
        server.ends(ids.last().unwrap(), 1).await;
    }
    for message in of_no_answer(&ids[0]) {
        meta.deliver(message);
    }
    second.openai.script().always(Route::Chat, answer(401, of_openai("invalid_api_key")));
    meta.script().next(Route::Read, 1, answer(400, of_graph(190)));
    for fault in of_chat() {
        // Once more than it is tried, so that the last attempt fails too; a silence once is long enough.
        let times = if fault == Fault::hang() { 1 } else { 3 };
        openai.next(Route::Chat, times, fault);
        ids.push(goes_wrong(world, server, from(3, "fallisce")).await);
        openai.clear();
    }
    for fault in of_send() {
        meta.script().aim("va storto", Route::Send, 1, fault);
        ids.push(goes_wrong(world, server, from(2, "va storto")).await);
    }
    speak(world, server, &mut ids).await;
    for code in [json!(131_047), json!(PHONES[0]), json!(VOICE), json!(TEXT)] {
        let before = server.process.raw.lock().unwrap().matches("message_dead_lettered").count();
        ids.push(meta.deliver(from(2, "arriva tardi")));
        server.ends(ids.last().unwrap(), 1).await;
        let status = late(world, &code).expect("an accepted send");
        let number = meta.deliver_raw(status.into_bytes(), &SignatureMode::Secret(SECRETS[1].to_owned()));
        assert_eq!(meta.wait_posted(number).await.unwrap().answer, Ok(200));
        server.logged("message_dead_lettered", before + 1).await;
    }
    meta.wait_settled().await.unwrap();
    ids
}

/// Voice notes, each with something that goes wrong on its way.
async fn speak(world: &World, server: &Server, ids: &mut Vec<String>) {
    let sandbox = &world.sandbox;
    for (route, fault) in of_voice() {
        let script = match route {
            Route::Speak => sandbox.elevenlabs.script(),
            Route::Transcribe => sandbox.openai.script(),
            _ => sandbox.meta.script(),
        };
        let times = if fault == Fault::hang() { 1 } else { 3 };
        script.next(route, times, fault);
        let note = Inbound::voice(PHONES[0], audio::say(&format!("{SPOKEN} e poi"))).name(NAME);
        ids.push(goes_wrong(world, server, note).await);
        script.clear();
    }
    sandbox.meta.media_host(MediaHost::Redirect);
    ids.push(sandbox.meta.deliver(Inbound::voice(PHONES[0], audio::say(SPOKEN)).name(NAME)));
    server.ends(ids.last().unwrap(), 1).await;
    sandbox.meta.media_host(MediaHost::Own);
}

/// From here on every health call fails, and quotes keys and numbers where a code belongs.
pub(super) fn fall_ill(world: &World) {
    let sandbox = &world.sandbox;
    sandbox.meta.script().always(Route::Number, answer(400, of_graph(VOICE)));
    sandbox.openai.script().always(Route::Models, answer(400, of_openai(PHONES[0])));
    for route in [Route::Subscription, Route::Models] {
        sandbox.elevenlabs.script().always(route, answer(400, of_elevenlabs(VOICE)));
    }
}
