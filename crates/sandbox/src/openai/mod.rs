//! The stand-in of OpenAI: chat completions, transcriptions and the list of models.
//!
//! Answers come from the built-in persona, an echo, or a function of the test's own; at a human pace, or at once.
//! [`OpenAi`] is the handle by which tests look at what was asked, and wait.

mod chat;
mod errors;
mod records;
mod running;
mod transcribe;

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::sleep;
use actix_web::dev::Server;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

pub use records::{Call, Calls, Outcome, Transcription};

use crate::brain::{self, Role, Turn};
use crate::happening::Witness;
use crate::http::{self, Body, Ending, Reply};
use crate::multipart::Form;
use crate::options::{Answers, OpenAiOptions};
use crate::script::{self, Fault, Refusal, Route, Script};
use crate::shared::Shared;
use crate::{PATIENCE, ids};
use chat::{Completion, Frame, Question};
use errors::ApiError;
use running::Running;
use transcribe::Ears;

/// How long a model takes to transcribe a short recording.
const HEARING: Duration = Duration::from_millis(700);

/// The handle of OpenAI's stand-in. Cheap to clone, usable from any thread and runtime.
#[derive(Clone, Debug)]
pub struct OpenAi {
    options: Arc<OpenAiOptions>,
    base_url: Arc<str>,
    fast: bool,
    script: Script,
    calls: Shared<Calls>,
    voice: Shared<Voice>,
    ears: Shared<Ears>,
    witness: Witness,
}

/// Who answers at present.
struct Voice(Arc<Speaker>);

type Speaker = dyn Fn(&[Turn]) -> String + Send + Sync;

impl Voice {
    fn of(answers: Answers) -> Self {
        match answers {
            Answers::Joe => Self(Arc::new(brain::reply)),
            Answers::Echo => Self(Arc::new(|turns| {
                let last = turns.iter().rfind(|turn| turn.role == Role::Person);
                format!("echo: {}", last.map_or("", |turn| turn.text.as_str()))
            })),
        }
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Voice")
    }
}

impl OpenAi {
    pub(crate) fn new(options: OpenAiOptions, base_url: &str, fast: bool, witness: Witness) -> Self {
        Self {
            voice: Shared::new(Voice::of(options.voice)),
            ears: Shared::new(Ears::inventive()),
            options: Arc::new(options),
            base_url: base_url.into(),
            fast,
            script: Script::new(),
            calls: Shared::new(Calls::new()),
            witness,
        }
    }

    /// Starts serving on `listener`.
    pub(crate) fn start(&self, listener: TcpListener) -> std::io::Result<Server> {
        let data = web::Data::new(self.clone());
        http::serve(listener, move |app| {
            app.app_data(data.clone())
                .route("/__script", web::post().to(scripted))
                .default_service(web::to(handle));
        })
    }

    /// `http://127.0.0.1:PORT/v1`, to be used in the place of `https://api.openai.com/v1`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The key and the models, as the product must know them.
    pub fn options(&self) -> &OpenAiOptions {
        &self.options
    }

    /// What goes wrong.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// From now on `answer` is asked, which gets the whole history, oldest first.
    pub fn answer_with(&self, answer: impl Fn(&[Turn]) -> String + Send + Sync + 'static) {
        self.voice.change(|voice| voice.0 = Arc::new(answer));
    }

    /// From now on `hear` says what is in a recording whose tags do not carry its words.
    pub fn hear_with(&self, hear: impl Fn(&[u8]) -> String + Send + Sync + 'static) {
        self.ears.change(|ears| *ears = Ears::hearing(hear));
    }

    /// Looks at everything remembered.
    pub fn look<R>(&self, look: impl FnOnce(&Calls) -> R) -> R {
        self.calls.read(look)
    }

    /// All chats so far, in order of arrival.
    pub fn chats(&self) -> Vec<Call> {
        self.look(|calls| calls.chats().cloned().collect())
    }

    /// All transcriptions so far, in order of arrival.
    pub fn transcriptions(&self) -> Vec<Call> {
        self.look(|calls| calls.transcriptions().cloned().collect())
    }

    /// Forgets the requests and the peak; what is under way stays under way.
    pub fn forget(&self) {
        self.calls.change(|calls| {
            calls.log.clear();
            calls.peak = calls.running;
        });
    }

    /// Waits until `seek` finds what it wants.
    ///
    /// # Errors
    /// After `timeout`, with a summary of what was seen.
    pub async fn wait<R>(&self, seek: impl Fn(&Calls) -> Option<R>, timeout: Duration) -> Result<R, String> {
        self.calls.wait(seek, timeout, Calls::summary).await
    }

    /// Waits until at least `count` chats have arrived.
    ///
    /// # Errors
    /// After [`PATIENCE`], with a summary of what was seen.
    pub async fn wait_calls(&self, count: usize) -> Result<Vec<Call>, String> {
        let enough =
            |calls: &Calls| (calls.chats().count() >= count).then(|| calls.chats().cloned().collect());
        self.wait(enough, PATIENCE).await
    }

    /// Waits until at least `count` transcriptions have arrived.
    ///
    /// # Errors
    /// After [`PATIENCE`], with a summary of what was seen.
    pub async fn wait_transcriptions(&self, count: usize) -> Result<Vec<Call>, String> {
        let enough = |calls: &Calls| {
            (calls.transcriptions().count() >= count).then(|| calls.transcriptions().cloned().collect())
        };
        self.wait(enough, PATIENCE).await
    }

    /// Handles a request under the script: what is answered, and how much of it gets through.
    async fn process(&self, running: Running, incoming: Incoming) -> (Reply, Ending, Option<Running>) {
        let fault = match incoming.route() {
            Some(route) => self.script.meet(route, &incoming.text).await,
            None => None,
        };
        running.met(fault.clone());
        let ending = Ending::of(fault.as_ref());
        let (reply, running) = match &fault {
            Some(Fault::Status(refusal)) => (refused(refusal), Some(running)),
            Some(Fault::Body(body)) => (as_it_is(body, &incoming), Some(running)),
            _ => self.answer(running, &incoming, fault.as_ref()).await,
        };
        (with_headers(reply, fault.as_ref()), ending, running)
    }

    async fn answer(
        &self,
        running: Running,
        incoming: &Incoming,
        fault: Option<&Fault>,
    ) -> (Reply, Option<Running>) {
        let judged = match (self.authorize(incoming), incoming.route()) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(Route::Chat)) => match Question::read(&incoming.json, &self.options.models) {
                Ok(question) => return self.speak(running, question, fault).await,
                Err(error) => Err(error),
            },
            (Ok(()), Some(Route::Transcribe)) => self.transcribe(incoming).await,
            (Ok(()), Some(_)) => Ok(self.models(&incoming.path)),
            (Ok(()), None) => {
                let message = format!("Invalid URL ({} {})", incoming.method, incoming.path);
                Err(ApiError::request(message).with_status(404))
            }
        };
        (judged.unwrap_or_else(|error| error.reply()), Some(running))
    }

    async fn transcribe(&self, incoming: &Incoming) -> Result<Reply, ApiError> {
        let ears = self.ears.read(Ears::clone);
        let reply = transcribe::transcribe(&self.options, &ears, incoming.form.as_ref())?;
        if !self.fast {
            sleep(HEARING).await;
        }
        Ok(reply)
    }

    async fn speak(
        &self,
        running: Running,
        question: Question,
        fault: Option<&Fault>,
    ) -> (Reply, Option<Running>) {
        let voice = self.voice.read(|voice| Arc::clone(&voice.0));
        let streamed = question.stream;
        let answer = voice(&question.turns);
        let completion = Completion::new(question, &answer);
        if streamed {
            let cut_after = fault
                .and_then(|fault| if let Fault::CutStream { after } = fault { Some(*after) } else { None });
            let text = cut_after.is_none().then(|| completion.text());
            let body = self.paced(completion.frames(cut_after), running, text);
            let reply = Reply { status: 200, headers: Vec::new(), body };
            return (reply.with_header("content-type", "text/event-stream; charset=utf-8"), None);
        }
        if !self.fast {
            sleep(completion.duration()).await;
        }
        (Reply::json(200, &completion.whole()), Some(running))
    }

    /// The frames at their pace; with the last of them the call counts as answered, if there is a `text`.
    fn paced(&self, frames: Vec<Frame>, running: Running, text: Option<String>) -> Body {
        let fast = self.fast;
        let state = (frames.into_iter(), running, text);
        let stream = stream::unfold(state, move |(mut frames, mut running, text)| async move {
            let Some((pause, frame)) = frames.next() else {
                if let Some(text) = text {
                    running.finish(200, text);
                }
                return None;
            };
            if !fast {
                sleep(pause).await;
            }
            Some((frame, (frames, running, text)))
        });
        Body::Stream(stream.boxed_local())
    }

    fn authorize(&self, incoming: &Incoming) -> Result<(), ApiError> {
        match http::bearer(&incoming.headers) {
            Some(key) if key == self.options.api_key => Ok(()),
            Some(key) => {
                let start: String = key.chars().take(3).collect();
                let place = "https://platform.openai.com/account/api-keys";
                let message =
                    format!("Incorrect API key provided: {start}***. You can find your API key at {place}.");
                Err(ApiError::of("invalid_api_key").with_message(message))
            }
            None => {
                let message = "You didn't provide an API key. You need to provide your API key in an Authorization \
                               header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
                Err(ApiError::request(message).with_status(401))
            }
        }
    }

    fn all_models(&self) -> impl Iterator<Item = &String> {
        self.options.models.iter().chain(&self.options.transcription_models)
    }

    /// The list of models, or the one that the path names.
    fn models(&self, path: &str) -> Reply {
        let model = |id: &String| json!({"id": id, "object": "model", "created": 1_772_323_200, "owned_by": "system"});
        match path.strip_prefix("/v1/models/") {
            None => {
                let data: Vec<_> = self.all_models().map(model).collect();
                Reply::json(200, &json!({"object": "list", "data": data}))
            }
            Some(id) => match self.all_models().find(|known| *known == id) {
                Some(id) => Reply::json(200, &model(id)),
                None => ApiError::of("model_not_found")
                    .with_message(format!("The model '{id}' does not exist"))
                    .with_param("model")
                    .reply(),
            },
        }
    }
}

/// A request as it was read.
struct Incoming {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    /// The body as text, for scripts to look into.
    text: String,
    json: Value,
    form: Option<Form>,
}

impl Incoming {
    fn wants_stream(&self) -> bool {
        self.json.get("stream").and_then(Value::as_bool).unwrap_or(false)
    }

    fn route(&self) -> Option<Route> {
        match (self.method.as_str(), self.path.as_str()) {
            ("POST", "/v1/chat/completions") => Some(Route::Chat),
            ("POST", "/v1/audio/transcriptions") => Some(Route::Transcribe),
            ("GET", path) if path == "/v1/models" || path.starts_with("/v1/models/") => Some(Route::Models),
            _ => None,
        }
    }
}

/// The reply of a scripted refusal: its body, else the envelope of its code, else of its status.
fn refused(refusal: &Refusal) -> Reply {
    let error = match (&refusal.code, refusal.status) {
        (Some(code), None) => ApiError::of(code),
        (Some(code), Some(status)) => ApiError::of(code).with_status(status),
        (None, status) => ApiError::usual(status.unwrap_or(500)),
    };
    let reply = error.reply();
    match &refusal.body {
        Some(body) => Reply { body: Body::Whole(body.clone().into()), ..reply },
        None => reply,
    }
}

fn as_it_is(body: &str, incoming: &Incoming) -> Reply {
    let kind = if incoming.wants_stream() { "text/event-stream; charset=utf-8" } else { "application/json" };
    Reply::bytes(200, kind, body.to_owned())
}

/// The headers that every reply has; the script has the last word.
fn with_headers(reply: Reply, fault: Option<&Fault>) -> Reply {
    let usual = [
        ("openai-version", "2020-10-01"),
        ("openai-organization", "org-sandbox"),
        ("openai-processing-ms", "12"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-reset-requests", "6ms"),
    ];
    let reply = usual.iter().fold(reply, |reply, (name, value)| reply.with_header(name, *value));
    let reply = reply.with_header("x-request-id", ids::opaque("req_"));
    match fault {
        Some(Fault::Status(refusal)) => {
            refusal.headers.iter().fold(reply, |reply, (name, value)| reply.with_header(name, value))
        }
        _ => reply,
    }
}

async fn handle(request: HttpRequest, body: Bytes, openai: web::Data<OpenAi>) -> HttpResponse {
    let headers = http::header_list(&request);
    let form = Form::read(&headers, &body);
    let incoming = Incoming {
        method: request.method().to_string(),
        path: request.path().into(),
        headers,
        text: match &form {
            Some(form) => transcribe::as_text(form),
            None => String::from_utf8_lossy(&body).into_owned(),
        },
        json: serde_json::from_slice(&body).unwrap_or(Value::Null),
        form,
    };
    let running = Running::begin(&openai, &incoming);
    // Not a task of its own: if the client hangs up, all this ends, as a model stops that nobody listens to.
    let (reply, ending, running) = openai.process(running, incoming).await;
    match (running, ending) {
        (Some(mut running), Ending::Whole) => running.finish(reply.status, said(&reply)),
        // Hanging, it is under way until the connection is gone.
        (running, _) => {
            let response = http::respond(&request, reply, ending).await;
            drop(running);
            return response;
        }
    }
    http::respond(&request, reply, ending).await
}

/// What the model said or heard in a whole reply.
fn said(reply: &Reply) -> String {
    let Body::Whole(body) = &reply.body else { return String::new() };
    let reply: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = reply.pointer("/choices/0/message/content").or(reply.get("text"));
    said.and_then(Value::as_str).unwrap_or_default().into()
}

async fn scripted(request: HttpRequest, body: Bytes, openai: web::Data<OpenAi>) -> HttpResponse {
    http::respond(&request, script::obey(&openai.script, &body), Ending::Whole).await
}
