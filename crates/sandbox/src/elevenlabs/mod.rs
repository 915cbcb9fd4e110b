//! The stand-in of ElevenLabs: texts are spoken as mono Ogg Opus, by Joe or in a babble of the right length.
//!
//! The spoken words ride in the file's tags ([`crate::audio`]). [`ElevenLabs`] is the handle by which tests look at
//! what was asked, set how many characters are left, and wait.

mod account;
mod errors;
mod records;
mod speak;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::sleep;
use actix_web::dev::Server;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use serde_json::Value;

pub use records::{Shape, Speech, Speeches};

use crate::digest::sha256_hex;
use crate::happening::{Happening, Query, Witness};
use crate::http::{self, Body, Ending, Reply};
use crate::openai::Outcome;
use crate::options::ElevenLabsOptions;
use crate::script::{self, Fault, Refusal, Route, Script};
use crate::shared::Shared;
use crate::{PATIENCE, clock, ids};
use errors::ApiError;
use speak::Wish;

/// How long a voice takes to begin, and for each character more: a fast model on a good day.
const START: Duration = Duration::from_millis(250);
const PER_CHAR: Duration = Duration::from_millis(4);

/// Before the id of a voice.
const VOICE: &str = "/v1/voices/";

/// Bytes of one piece of streamed audio.
const CHUNK_BYTES: usize = 4096;

/// What an account holds besides the records.
#[derive(Debug)]
struct State {
    speeches: Speeches,
    used: u64,
    limit: u64,
    legacy_errors: bool,
}

/// The handle of ElevenLabs' stand-in. Cheap to clone, usable from any thread and runtime.
#[derive(Clone, Debug)]
pub struct ElevenLabs {
    options: Arc<ElevenLabsOptions>,
    base_url: Arc<str>,
    fast: bool,
    script: Script,
    state: Shared<State>,
    witness: Witness,
}

impl ElevenLabs {
    pub(crate) fn new(options: ElevenLabsOptions, base_url: &str, fast: bool, witness: Witness) -> Self {
        let state = State {
            speeches: Speeches::new(),
            used: 0,
            limit: options.characters_limit,
            legacy_errors: options.legacy_errors,
        };
        Self {
            options: Arc::new(options),
            base_url: base_url.into(),
            fast,
            script: Script::new(),
            state: Shared::new(state),
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

    /// `http://127.0.0.1:PORT`, to be used in the place of `https://api.elevenlabs.io`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The key, the voices and the models, as the product must know them.
    pub fn options(&self) -> &ElevenLabsOptions {
        &self.options
    }

    /// What goes wrong.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Characters that may still be spoken.
    pub fn characters_left(&self) -> u64 {
        self.state.read(|state| state.limit.saturating_sub(state.used))
    }

    /// From now on so many characters may be spoken. With 0 the quota is used up: 401 `quota_exceeded`.
    pub fn set_characters_left(&self, left: u64) {
        self.state.change(|state| state.limit = state.used.saturating_add(left));
    }

    /// From now on errors come in the old envelope, or in today's.
    pub fn legacy_errors(&self, legacy: bool) {
        self.state.change(|state| state.legacy_errors = legacy);
    }

    /// Looks at everything remembered.
    pub fn look<R>(&self, look: impl FnOnce(&Speeches) -> R) -> R {
        self.state.read(|state| look(&state.speeches))
    }

    /// All requests for speech so far, in order of arrival, answered or not.
    pub fn speeches(&self) -> Vec<Speech> {
        self.look(|speeches| speeches.speeches().cloned().collect())
    }

    /// Forgets the requests and the peak; the used characters stay used.
    pub fn forget(&self) {
        self.state.change(|state| {
            state.speeches.log.clear();
            state.speeches.peak = state.speeches.running;
        });
    }

    /// Waits until `seek` finds what it wants among the records.
    ///
    /// # Errors
    /// After `timeout`, with a summary of what was seen.
    pub async fn wait<R>(
        &self,
        seek: impl Fn(&Speeches) -> Option<R>,
        timeout: Duration,
    ) -> Result<R, String> {
        self.state.wait(|state| seek(&state.speeches), timeout, |state| state.speeches.summary()).await
    }

    /// Waits until at least `count` requests for speech have arrived.
    ///
    /// # Errors
    /// After [`PATIENCE`], with a summary of what was seen.
    pub async fn wait_speeches(&self, count: usize) -> Result<Vec<Speech>, String> {
        let enough = |speeches: &Speeches| {
            (speeches.speeches().count() >= count).then(|| speeches.speeches().cloned().collect())
        };
        self.wait(enough, PATIENCE).await
    }
}

/// Requests.
impl ElevenLabs {
    /// Handles a request under the script: what is answered, how much of it gets through, and what is spoken.
    async fn process(&self, number: u64, incoming: &Incoming) -> (Reply, Ending) {
        let fault = match incoming.route() {
            Some(route) => self.script.meet(route, &incoming.text).await,
            None => None,
        };
        self.change(number, |speech| speech.fault = fault.clone());
        let ending = Ending::of(fault.as_ref());
        let request_id = ids::opaque("");
        let legacy = self.state.read(|state| state.legacy_errors);
        let reply = match &fault {
            Some(Fault::Status(refusal)) => refused(refusal, legacy, &request_id),
            Some(Fault::Body(body)) => {
                let kind = incoming.voice().map_or("application/json", |_| "audio/mpeg");
                Reply::bytes(200, kind, body.clone())
            }
            _ => match self.answer(number, incoming, fault.as_ref()).await {
                Ok(reply) => reply,
                Err(error) => error.reply(legacy, &request_id),
            },
        };
        let reply = reply.with_header("request-id", request_id);
        (with_scripted_headers(reply, fault.as_ref()), ending)
    }

    async fn answer(
        &self,
        number: u64,
        incoming: &Incoming,
        fault: Option<&Fault>,
    ) -> Result<Reply, ApiError> {
        self.authorize(incoming)?;
        let read_used = |state: &State| (state.used, state.limit);
        match (incoming.method.as_str(), incoming.path.as_str()) {
            ("GET", "/v1/user/subscription") => {
                let (used, limit) = self.state.read(read_used);
                Ok(Reply::json(200, &account::subscription(used, limit)))
            }
            ("GET", "/v1/voices") => Ok(Reply::json(200, &account::voices(&self.options, false))),
            ("GET", "/v2/voices") => Ok(Reply::json(200, &account::voices(&self.options, true))),
            ("GET", "/v1/models") => Ok(Reply::json(200, &account::models(&self.options))),
            ("GET", path) if path.starts_with(VOICE) => {
                let known = account::voice(&self.options, path.trim_start_matches(VOICE));
                known.map(|voice| Reply::json(200, &voice)).ok_or_else(|| ApiError::of("voice_not_found"))
            }
            _ => match incoming.voice() {
                Some((voice, streamed)) => self.speak(number, incoming, (voice, streamed), fault).await,
                None => Err(ApiError::of("not_found").with_message("Not Found")),
            },
        }
    }

    async fn speak(
        &self,
        number: u64,
        incoming: &Incoming,
        (voice, streamed): (&str, bool),
        fault: Option<&Fault>,
    ) -> Result<Reply, ApiError> {
        let wish = Wish::read(&self.options, voice, &incoming.json, incoming.asked("output_format"))?;
        self.charge(wish.cost())?;
        if !self.fast {
            sleep(START + PER_CHAR * u32::try_from(wish.cost()).unwrap_or(u32::MAX)).await;
        }
        let audio = wish.audio(if let Some(Fault::Audio(fault)) = fault { Some(*fault) } else { None });
        self.change(number, |speech| {
            speech.sha256 = sha256_hex(&audio);
            speech.audio = audio.clone();
        });
        // The official specification names this type for every format; who trusts it is wrong.
        let mut reply = Reply::bytes(200, "audio/mpeg", audio.clone());
        if streamed {
            let chunks: Vec<_> = audio.chunks(CHUNK_BYTES).map(|chunk| audio.slice_ref(chunk)).collect();
            reply.body = Body::Stream(stream::iter(chunks).boxed_local());
        }
        Ok(reply.with_header("character-cost", wish.cost().to_string()))
    }

    /// Counts the characters, also of speech that is then cut or lost on the way.
    fn charge(&self, cost: u64) -> Result<(), ApiError> {
        self.state.change(|state| {
            let left = state.limit.saturating_sub(state.used);
            if cost > left {
                let message = format!(
                    "This request exceeds your quota of {}. You have {left} credits remaining, while {cost} \
                     credits are required for this request.",
                    state.limit
                );
                return Err(ApiError::of("quota_exceeded").with_message(message));
            }
            state.used += cost;
            Ok(())
        })
    }

    fn authorize(&self, incoming: &Incoming) -> Result<(), ApiError> {
        match incoming.headers.iter().find(|(name, _)| name == "xi-api-key") {
            Some((_, key)) if *key == self.options.api_key => Ok(()),
            Some(_) => Err(ApiError::of("invalid_api_key")),
            None => Err(ApiError::of("missing_api_key")),
        }
    }

    fn change(&self, number: u64, act: impl FnOnce(&mut Speech)) {
        self.state.change(|state| state.speeches.log.get_mut(number).map(act));
    }
}

/// A request under way. If it is dropped before it is finished, the client has hung up or the script has cut it.
struct Running {
    elevenlabs: ElevenLabs,
    number: u64,
    began_ms: u64,
    /// What is asked for, for the witness; none if it is not speech.
    query: Option<Query>,
    outcome: Outcome,
}

impl Running {
    fn begin(elevenlabs: &ElevenLabs, incoming: &Incoming) -> Self {
        let at_ms = clock::now_ms();
        let number = elevenlabs.state.change(|state| {
            let speeches = &mut state.speeches;
            speeches.running += 1;
            speeches.peak = speeches.peak.max(speeches.running);
            speeches.log.push(|number| incoming.record(number, at_ms))
        });
        let query =
            incoming.voice().and_then(|_| Some(Query::Voice { of: incoming.text_to_speak()?.into() }));
        if let Some(query) = query.clone() {
            elevenlabs.witness.tell(Happening::Asked { query });
        }
        Self { elevenlabs: elevenlabs.clone(), number, began_ms: at_ms, query, outcome: Outcome::Broken }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Broken);
        let answer = match &outcome {
            Outcome::Answered { status: 200, text } => Ok(text.clone()),
            Outcome::Answered { status, .. } => Err(Some(*status)),
            _ => Err(None),
        };
        self.elevenlabs.state.change(|state| {
            state.speeches.running -= 1;
            state.speeches.log.get_mut(self.number).map(|speech| speech.outcome = outcome)
        });
        if let Some(query) = self.query.take() {
            let took_ms = clock::now_ms().saturating_sub(self.began_ms);
            self.elevenlabs.witness.tell(Happening::Answered { query, answer, took_ms });
        }
    }
}

/// A request as it was read.
struct Incoming {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    text: String,
    json: Value,
}

impl Incoming {
    fn route(&self) -> Option<Route> {
        match (self.method.as_str(), self.path.as_str()) {
            ("GET", "/v1/user/subscription") => Some(Route::Subscription),
            ("GET", "/v1/models") => Some(Route::Models),
            ("GET", "/v1/voices" | "/v2/voices") => Some(Route::Voices),
            ("GET", path) if path.starts_with(VOICE) => Some(Route::Voices),
            _ => self.voice().map(|_| Route::Speak),
        }
    }

    /// The voice that is to speak, and whether it is to be streamed.
    fn voice(&self) -> Option<(&str, bool)> {
        let rest = self.path.strip_prefix("/v1/text-to-speech/").filter(|_| self.method == "POST")?;
        match rest.split_once('/') {
            None => Some((rest, false)),
            Some((voice, "stream")) => Some((voice, true)),
            Some(_) => None,
        }
    }

    fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn text_to_speak(&self) -> Option<&str> {
        self.json.get("text").and_then(Value::as_str)
    }

    fn record(&self, number: u64, at_ms: u64) -> Speech {
        let field = |name: &str| self.json.get(name).and_then(Value::as_str).map(String::from);
        Speech {
            number,
            at_ms,
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            json: self.json.clone(),
            route: self.route(),
            text: field("text"),
            voice: self.voice().map(|(voice, _)| voice.into()),
            model: field("model_id"),
            format: self.asked("output_format").map(String::from),
            fault: None,
            audio: Bytes::new(),
            sha256: String::new(),
            outcome: Outcome::Running,
        }
    }
}

/// The reply of a scripted refusal: its body, else the envelope of its code, else of its status.
fn refused(refusal: &Refusal, legacy: bool, request_id: &str) -> Reply {
    let error = match (&refusal.code, refusal.status) {
        (Some(code), None) => ApiError::of(code),
        (Some(code), Some(status)) => ApiError::of(code).with_status(status),
        (None, status) => ApiError::usual(status.unwrap_or(500)),
    };
    let reply = error.reply(legacy, request_id);
    match &refusal.body {
        Some(body) => Reply { body: Body::Whole(body.clone().into()), ..reply },
        None => reply,
    }
}

/// The script has the last word on headers.
fn with_scripted_headers(reply: Reply, fault: Option<&Fault>) -> Reply {
    match fault {
        Some(Fault::Status(refusal)) => {
            refusal.headers.iter().fold(reply, |reply, (name, value)| reply.with_header(name, value))
        }
        _ => reply,
    }
}

async fn handle(request: HttpRequest, body: Bytes, elevenlabs: web::Data<ElevenLabs>) -> HttpResponse {
    let query = web::Query::from_query(request.query_string()).map(web::Query::into_inner);
    let incoming = Incoming {
        method: request.method().to_string(),
        path: request.path().into(),
        query: query.unwrap_or_default(),
        headers: http::header_list(&request),
        text: String::from_utf8_lossy(&body).into_owned(),
        json: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let mut running = Running::begin(&elevenlabs, &incoming);
    // Not a task of its own: if the client hangs up, all this ends, as a voice stops that nobody listens to.
    let (reply, ending) = elevenlabs.process(running.number, &incoming).await;
    if ending == Ending::Whole {
        let spoken = reply.status == 200 && incoming.voice().is_some();
        let text = incoming.text_to_speak().filter(|_| spoken).unwrap_or_default();
        running.outcome = Outcome::Answered { status: reply.status, text: text.into() };
        drop(running);
        return http::respond(&request, reply, ending).await;
    }
    // Hanging, it is under way until the connection is gone.
    let response = http::respond(&request, reply, ending).await;
    drop(running);
    response
}

async fn scripted(request: HttpRequest, body: Bytes, elevenlabs: web::Data<ElevenLabs>) -> HttpResponse {
    http::respond(&request, script::obey(&elevenlabs.script, &body), Ending::Whole).await
}
