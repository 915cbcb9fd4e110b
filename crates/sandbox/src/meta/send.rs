//! Requests to Meta: what kind they are, whether they are right, and the reply.

use bytes::Bytes;
use serde_json::{Value, json};

use super::account;
use super::errors::GraphError;
use super::media::{self, Change, DOWNLOADS, Origins, SentAudio, Store};
use super::number;
use super::status::{Course, Outgoing};
use crate::audio;
use crate::http::{Reply, bearer};
use crate::ids::{self, wamid};
use crate::multipart::Form;
use crate::options::MetaOptions;
use crate::script::Route;

/// Characters of a text, Meta's limit.
const TEXT_CHARS_MAX: usize = 4096;

/// Characters of `biz_opaque_callback_data`, Meta's limit.
const TAG_CHARS_MAX: usize = 512;

/// The message types that Meta sends.
const KINDS: [&str; 11] = [
    "text",
    "audio",
    "image",
    "video",
    "document",
    "sticker",
    "location",
    "contacts",
    "interactive",
    "template",
    "reaction",
];

/// A request, read but not judged.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: String,
    /// The path, without query.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: Vec<(String, String)>,
    /// The body as text, for scripts to look into.
    pub(super) text: String,
    pub(super) json: Value,
    pub(super) form: Option<Form>,
    /// Our own number, whose record has a path like a file's.
    pub(super) number: String,
}

/// What a request leads to, if no fault gets in the way.
pub(super) struct Verdict {
    pub(super) reply: Reply,
    /// The message that Meta has accepted with it.
    pub(super) accepted: Option<Outgoing>,
    /// The sound that is sent with that message.
    pub(super) audio: Option<SentAudio>,
    /// What becomes of files.
    pub(super) change: Option<Change>,
}

impl Verdict {
    pub(super) fn new(reply: Reply) -> Self {
        Self { reply, accepted: None, audio: None, change: None }
    }

    pub(super) fn changing(self, change: Change) -> Self {
        Self { change: Some(change), ..self }
    }
}

/// What a request is judged by.
pub(super) struct Judge<'a> {
    pub(super) options: &'a MetaOptions,
    /// The only one that is taken.
    pub(super) token: &'a str,
    pub(super) store: &'a mut Store,
    pub(super) origins: &'a Origins,
    /// Whether the request came to the other host, which only has files.
    pub(super) other: bool,
}

impl Call {
    pub(super) fn new(
        options: &MetaOptions,
        (method, path, query): (&str, &str, &str),
        headers: Vec<(String, String)>,
        body: &Bytes,
    ) -> Self {
        let form = Form::read(&headers, body);
        Self {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers,
            text: match &form {
                Some(form) => as_text(form),
                None => String::from_utf8_lossy(body).into_owned(),
            },
            json: serde_json::from_slice(body).unwrap_or(Value::Null),
            form,
            number: options.phone_number_id.clone(),
        }
    }

    /// The kind of request; none if Meta has nothing at this path.
    pub(super) fn route(&self) -> Option<Route> {
        let segments = self.segments();
        match (self.method.as_str(), segments.as_slice()) {
            ("GET", [first, _]) if *first == DOWNLOADS => Some(Route::Download),
            ("POST", [version, _, "messages"]) if is_version(version) => {
                Some(if self.json.get("status").is_some() { Route::Read } else { Route::Send })
            }
            ("POST", [version, _, "media"]) if is_version(version) => Some(Route::Upload),
            ("GET", [version, "debug_token"]) if is_version(version) => Some(Route::Token),
            ("GET", [version, _, "phone_numbers"]) if is_version(version) => Some(Route::PhoneNumbers),
            ("GET", [version, _, "subscribed_apps"]) if is_version(version) => Some(Route::SubscribedApps),
            ("GET", [version, id]) if is_version(version) && *id == self.number => Some(Route::Number),
            ("GET" | "DELETE", [version, _]) if is_version(version) => Some(Route::Media),
            _ => None,
        }
    }

    /// To whom a message goes: digits without `+`, or a BSUID. `to` wins, as at Meta.
    pub(super) fn person(&self) -> Option<String> {
        let to = self.field("to").map(|to| to.trim_start_matches('+').to_owned());
        to.or_else(|| self.field("recipient").map(String::from))
    }

    /// A field of the body, be it JSON or a form.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let in_form = || self.form.as_ref()?.field(name);
        self.json.get(name).and_then(Value::as_str).or_else(in_form)
    }

    pub(super) fn body_text(&self) -> Option<&str> {
        self.json.get("text")?.get("body")?.as_str()
    }

    /// What Graph says of an id that does not exist.
    pub(super) fn unsupported(&self, id: &str) -> GraphError {
        let message = format!(
            "Unsupported {} request. Object with ID '{id}' does not exist, cannot be loaded due to missing \
             permissions, or does not support this operation. Please read the Graph API documentation at \
             https://developers.facebook.com/docs/graph-api",
            self.method.to_lowercase()
        );
        GraphError { code: 100, message, details: None, subcode: Some(33) }
    }

    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).collect()
    }
}

/// A form as scripts can look into it: the fields, the file's name, and the words in the file.
fn as_text(form: &Form) -> String {
    let fields = form.fields.iter().map(|(name, value)| format!("{name}={value}\n"));
    let words = |bytes: &Bytes| audio::words(bytes).unwrap_or_default();
    let file = form.file.as_ref().map(|file| format!("{}\n{}\n", file.name, words(&file.bytes)));
    fields.chain(file).collect()
}

/// `v25.0` and the like.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').and_then(|number| number.split_once('.')).is_some_and(|(major, minor)| {
        [major, minor].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Judges a request as Meta would.
pub(super) fn judge(judge: Judge<'_>, call: &Call) -> Verdict {
    let Judge { options, token, store, origins, other } = judge;
    let authorized = authorize(options, token, call);
    if call.route() == Some(Route::Download) {
        return media::download(store, origins, call, authorized.is_ok(), other);
    }
    let judged = authorized.and_then(|()| match call.route().filter(|_| !other) {
        Some(Route::Send) => send(store, call),
        Some(Route::Read) => read(call),
        Some(Route::Number) => Ok(Verdict::new(Reply::json(200, &number::record(options, &call.query)?))),
        Some(Route::Token) => {
            Ok(Verdict::new(Reply::json(200, &account::token(options, token, &call.query))))
        }
        Some(Route::PhoneNumbers) => listed(options, call, account::phone_numbers),
        Some(Route::SubscribedApps) => listed(options, call, account::subscribed_apps),
        Some(Route::Upload) => media::upload(call),
        Some(Route::Media) => media::lookup(store, origins, call),
        _ => {
            let message = format!("Unknown path components: {}", call.path);
            Err(GraphError { code: 2500, message, details: None, subcode: None })
        }
    });
    let verdict = judged.unwrap_or_else(|error| Verdict::new(error.reply()));
    Verdict { reply: dressed(verdict.reply, call), ..verdict }
}

/// A list of our account's; no other account exists.
fn listed(
    options: &MetaOptions,
    call: &Call,
    list: fn(&MetaOptions) -> Value,
) -> Result<Verdict, GraphError> {
    let id = call.segments().get(1).copied().unwrap_or_default();
    if id != options.business_account_id {
        return Err(call.unsupported(id));
    }
    Ok(Verdict::new(Reply::json(200, &list(options))))
}

/// The headers that every reply of Graph has.
pub(super) fn dressed(reply: Reply, call: &Call) -> Reply {
    let version = call.segments().first().copied().unwrap_or("v25.0").to_owned();
    reply
        .with_header("content-type", "application/json; charset=UTF-8")
        .with_header("facebook-api-version", version)
        .with_header("x-fb-trace-id", ids::opaque(""))
        .with_header("x-fb-request-id", ids::opaque("A"))
}

fn authorize(options: &MetaOptions, token: &str, call: &Call) -> Result<(), GraphError> {
    let token_error =
        |message: &str| GraphError { code: 190, message: message.into(), details: None, subcode: None };
    match bearer(&call.headers) {
        Some(given) if given == token => {}
        Some(_) => return Err(token_error("Invalid OAuth access token - Cannot parse access token")),
        None => return Err(token_error("An access token is required to request this resource.")),
    }
    let id = call.segments().get(1).copied().unwrap_or_default();
    let of_number = matches!(call.route(), Some(Route::Send | Route::Read | Route::Upload));
    if of_number && id != options.phone_number_id {
        return Err(call.unsupported(id));
    }
    Ok(())
}

pub(super) fn product(call: &Call) -> Result<(), GraphError> {
    match call.field("messaging_product") {
        Some("whatsapp") => Ok(()),
        Some(_) => Err(GraphError::parameter("Param messaging_product must be one of {WHATSAPP}")),
        None => Err(GraphError::parameter("The parameter messaging_product is required.")),
    }
}

fn send(store: &Store, call: &Call) -> Result<Verdict, GraphError> {
    product(call)?;
    let person = recipient(call)?;
    let kind = call.field("type").unwrap_or("text");
    if !KINDS.contains(&kind) {
        return Err(GraphError::parameter(&format!("Param type must be one of {KINDS:?}")));
    }
    if !call.json.get(kind).is_some_and(|content| content.is_object() || content.is_array()) {
        return Err(GraphError::parameter(&format!("The parameter {kind} is required.")));
    }
    if kind == "text" {
        text(call)?;
    }
    let audio = if kind == "audio" { Some(media::sent(store, call)?) } else { None };
    let tag = call.field("biz_opaque_callback_data").map(String::from);
    if tag.as_ref().is_some_and(|tag| tag.chars().count() > TAG_CHARS_MAX) {
        return Err(GraphError::parameter(
            "Param biz_opaque_callback_data must be at most 512 characters long.",
        ));
    }
    let id = wamid();
    let contact = match call.field("to") {
        Some(to) => json!({"input": to, "wa_id": person}),
        None => json!({"input": person, "user_id": person}),
    };
    let reply = json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": id}]});
    let outgoing = Outgoing { id, person, tag, course: course(audio.as_ref()) };
    Ok(Verdict { accepted: Some(outgoing), audio, ..Verdict::new(Reply::json(200, &reply)) })
}

/// Voice notes are played after they are read, and what cannot be played fails after it was accepted.
fn course(audio: Option<&SentAudio>) -> Course {
    match audio {
        Some(audio) if !audio.is_playable() => Course::Failing(131_053),
        Some(audio) if audio.is_voice => Course::Played,
        _ => Course::Usual,
    }
}

/// Exactly one address. Meta itself takes both and lets `to` win; who sends both is not sure to whom, so this
/// stand-in is stricter.
fn recipient(call: &Call) -> Result<String, GraphError> {
    match (call.json.get("to"), call.json.get("recipient")) {
        (None, None) => Err(GraphError::parameter("The parameter to is required.")),
        (Some(_), Some(_)) => {
            Err(GraphError::parameter("Only one of the parameters to and recipient may be given."))
        }
        (Some(to), None) => {
            let digits = to.as_str().map(|to| to.strip_prefix('+').unwrap_or(to)).unwrap_or_default();
            if (5..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                Ok(digits.into())
            } else {
                Err(GraphError::parameter("Param to is not a valid phone number."))
            }
        }
        (None, Some(recipient)) => {
            let parts = recipient.as_str().and_then(|id| Some((id, id.split_once('.')?)));
            match parts {
                Some((id, (country, rest))) if country.len() == 2 && (1..=132).contains(&rest.len()) => {
                    Ok(id.into())
                }
                _ => Err(GraphError::parameter("Param recipient is not a valid user ID.")),
            }
        }
    }
}

fn text(call: &Call) -> Result<(), GraphError> {
    match call.body_text().map(|body| body.chars().count()) {
        None | Some(0) => Err(GraphError::parameter("The parameter text['body'] is required.")),
        Some(1..=TEXT_CHARS_MAX) => Ok(()),
        Some(_) => Err(GraphError::parameter("Param text['body'] must be at most 4096 characters long.")),
    }
}

fn read(call: &Call) -> Result<Verdict, GraphError> {
    product(call)?;
    if call.field("status") != Some("read") {
        return Err(GraphError::parameter("Param status must be one of {READ}"));
    }
    if !call.field("message_id").is_some_and(|id| id.starts_with("wamid.")) {
        return Err(GraphError::of(131_009).because("The message ID is not valid."));
    }
    let typing = call.json.get("typing_indicator");
    if typing.is_some_and(|typing| typing != &json!({"type": "text"})) {
        return Err(GraphError::parameter("Param typing_indicator['type'] must be one of {TEXT}"));
    }
    Ok(Verdict::new(Reply::json(200, &json!({"success": true}))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    fn call(json: &Value) -> Call {
        let options = MetaOptions::default();
        let headers = vec![("authorization".into(), format!("Bearer {}", options.access_token))];
        let path = format!("/v25.0/{}/messages", options.phone_number_id);
        Call::new(&options, ("POST", &path, ""), headers, &json.to_string().into())
    }

    fn judged(call: &Call) -> (u16, Value, Option<Outgoing>) {
        let origins = Origins { own: String::new(), other: String::new() };
        let (options, store) = (&MetaOptions::default(), &mut Store::default());
        let token = &options.access_token;
        let verdict = judge(Judge { options, token, store, origins: &origins, other: false }, call);
        let Body::Whole(body) = verdict.reply.body else { unreachable!("Graph never streams") };
        (verdict.reply.status, serde_json::from_slice(&body).unwrap(), verdict.accepted)
    }

    fn text_to(to: &str, body: &str) -> Value {
        json!({"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": body}})
    }

    #[test]
    fn a_send_is_accepted_with_and_without_plus() {
        for to in ["+393331110001", "393331110001"] {
            let (status, reply, accepted) = judged(&call(&text_to(to, "ciao")));
            assert_eq!(status, 200);
            assert_eq!(reply["contacts"], json!([{"input": to, "wa_id": "393331110001"}]));
            assert_eq!(reply["messages"][0]["id"], accepted.unwrap().id.as_str());
        }
    }

    #[test]
    fn a_bsuid_is_answered_without_a_phone() {
        let mut body = text_to("", "ciao");
        body.as_object_mut().unwrap().remove("to");
        body["recipient"] = "IT.44100".into();
        let (status, reply, _) = judged(&call(&body));
        assert_eq!(
            (status, &reply["contacts"]),
            (200, &json!([{"input": "IT.44100", "user_id": "IT.44100"}]))
        );
    }

    #[test]
    fn what_meta_refuses_is_refused_with_its_code() {
        let mut both = text_to("+393331110001", "ciao");
        both["recipient"] = "IT.44100".into();
        let mut long_tag = text_to("+393331110001", "ciao");
        long_tag["biz_opaque_callback_data"] = "x".repeat(513).into();
        let read = |id: &str| json!({"messaging_product": "whatsapp", "status": "read", "message_id": id});
        let cases = [
            (json!({}), 100),
            (json!({"messaging_product": "whatsapp", "type": "text", "text": {"body": "ciao"}}), 100),
            (json!({"messaging_product": "whatsapp", "to": "+393331110001", "type": "carrier_pigeon"}), 100),
            (json!({"messaging_product": "whatsapp", "to": "+393331110001", "type": "audio"}), 100),
            (text_to("+39 333", "ciao"), 100),
            (text_to("IT.44100", "ciao"), 100),
            (text_to("+393331110001", ""), 100),
            (text_to("+393331110001", &"è".repeat(4097)), 100),
            (both, 100),
            (long_tag, 100),
            (read("17"), 131_009),
        ];
        for (body, code) in cases {
            let (status, reply, accepted) = judged(&call(&body));
            assert_eq!(
                (status, reply["error"]["code"].as_u64(), accepted.is_none()),
                (400, Some(code), true),
                "{body}"
            );
            assert!(reply["error"]["fbtrace_id"].is_string());
        }
        let (status, ..) = judged(&call(&text_to("+393331110001", &"è".repeat(4096))));
        assert_eq!(status, 200);
    }

    #[test]
    fn a_wrong_or_missing_token_is_190_and_an_unknown_number_33() {
        let good = call(&text_to("+393331110001", "ciao"));
        let wrong = Call { headers: vec![("authorization".into(), "Bearer other".into())], ..good.clone() };
        let missing = Call { headers: Vec::new(), ..good.clone() };
        for refused in [wrong, missing] {
            let (status, reply, _) = judged(&refused);
            assert_eq!(
                (status, &reply["error"]["code"], &reply["error"]["type"]),
                (401, &json!(190), &json!("OAuthException"))
            );
        }
        let (status, reply, _) = judged(&Call { path: "/v25.0/1/messages".into(), ..good });
        assert_eq!((status, &reply["error"]["error_subcode"]), (400, &json!(33)));
    }
}
