//! The stand-in of Meta's WhatsApp Cloud API.
//!
//! It takes sends, read receipts, files and the question for the number's record, with Graph's own validation and
//! errors; it posts signed webhooks and insists until they are answered 200; it tells what became of each
//! accepted send. [`Meta`] is the handle by which tests make people write, look at what arrived, and wait.

mod account;
mod delivery;
mod errors;
mod handle;
mod inbound;
mod media;
mod number;
mod records;
mod send;
mod status;

use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::sleep;
use actix_web::dev::Server;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

pub use delivery::Order;
pub use inbound::{Attachment, Inbound};
pub use media::{Media, MediaHost, SentAudio};
pub use records::{Answer, Attempt, Delivery, Records, Request};

use crate::clock;
use crate::happening::{Happening, Witness};
use crate::http::{self, Body, Ending, Reply};
use crate::options::MetaOptions;
use crate::script::{self, Fault, Refusal, Route, Script};
use crate::shared::Shared;
use delivery::{Command, Waiting};
use errors::GraphError;
use media::{Origins, Store};
use send::{Call, Judge, Verdict};
use status::Outgoing;

/// Handshakes asked for and not yet begun; tests ask for one at a time.
const COMMANDS_MAX: usize = 16;

/// The handle of Meta's stand-in. Cheap to clone, usable from any thread and runtime.
#[derive(Clone, Debug)]
pub struct Meta {
    options: Arc<MetaOptions>,
    origins: Arc<Origins>,
    fast: bool,
    script: Script,
    state: Shared<State>,
    /// Wakes the one task that posts webhooks.
    ready: Arc<Notify>,
    commands: mpsc::Sender<Command>,
    witness: Witness,
}

#[derive(Debug)]
struct State {
    /// The only one that is taken.
    access_token: String,
    records: Records,
    store: Store,
    webhook: Option<String>,
    /// Ready to be posted.
    queue: VecDeque<Waiting>,
    /// Not yet settled: in the queue, under way, or sitting out the wait before the next attempt.
    unsettled: usize,
    held: bool,
}

/// What the sandbox's thread must run for this stand-in.
pub(crate) struct Engine {
    meta: Meta,
    commands: mpsc::Receiver<Command>,
}

impl Engine {
    /// Starts serving, on the stand-in's own port and on that of the other host of media, and posting. All ends with
    /// the thread.
    pub(crate) fn start(self, own: TcpListener, other: TcpListener) -> std::io::Result<[Server; 2]> {
        let data = web::Data::new(self.meta.clone());
        let own = http::serve(own, move |app| {
            app.app_data(data.clone())
                .route("/__script", web::post().to(scripted))
                .default_service(web::to(handle));
        })?;
        let data = web::Data::new(self.meta.clone());
        let other = http::serve(other, move |app| {
            app.app_data(data.clone()).default_service(web::to(handle_at_other_host));
        })?;
        actix_rt::spawn(delivery::run(self.meta, self.commands));
        Ok([own, other])
    }
}

impl Meta {
    /// `own` and `other`: the origins of the stand-in and of the other host of media.
    pub(crate) fn new(
        options: MetaOptions,
        (own, other): (String, String),
        fast: bool,
        witness: Witness,
    ) -> (Self, Engine) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let state = State {
            access_token: options.access_token.clone(),
            records: Records::new(),
            store: Store::default(),
            webhook: None,
            queue: VecDeque::new(),
            unsettled: 0,
            held: false,
        };
        let meta = Self {
            options: Arc::new(options),
            origins: Arc::new(Origins { own, other }),
            fast,
            script: Script::new(),
            state: Shared::new(state),
            ready: Arc::new(Notify::new()),
            commands: sender,
            witness,
        };
        (meta.clone(), Engine { meta, commands })
    }

    fn arrived(&self, call: &Call, other_host: bool) -> u64 {
        let route = call.route();
        let separator = if call.query.is_empty() { "" } else { "?" };
        self.state.change(|state| {
            state.records.requests.push(|number| Request {
                number,
                at_ms: clock::now_ms(),
                method: call.method.clone(),
                path: format!("{}{separator}{}", call.path, call.query),
                headers: call.headers.clone(),
                other_host,
                json: call.json.clone(),
                route,
                person: (route == Some(Route::Send)).then(|| call.person()).flatten(),
                text: call.body_text().map(String::from),
                audio: None,
                unplayable: false,
                tag: call.field("biz_opaque_callback_data").map(String::from),
                message_id: call.field("message_id").map(String::from),
                typing: call.json.get("typing_indicator").is_some(),
                fault: None,
                accepted: None,
                accepted_number: None,
                answer: Answer::Pending,
            })
        })
    }

    /// Handles a request under the script: what is answered, and how much of it gets through.
    async fn process(&self, number: u64, call: Call, other: bool) -> (Reply, Ending) {
        let fault = match call.route() {
            Some(route) => self.script.meet(route, &call.text).await,
            None => None,
        };
        let effective = fault.as_ref().is_none_or(Fault::takes_effect);
        let verdict = self.judge(&call, other, effective);
        let accepted = verdict.accepted.filter(|_| effective);
        let audio = verdict.audio.filter(|_| effective);
        let reply = match &fault {
            Some(Fault::Status(refusal)) => send::dressed(refused(refusal), &call),
            Some(Fault::Body(body)) => send::dressed(Reply::bytes(200, "", body.clone()), &call),
            _ => verdict.reply,
        };
        let reply = with_scripted_headers(reply, fault.as_ref());
        let ending = Ending::of(fault.as_ref());
        let status = (ending == Ending::Whole).then_some(reply.status);
        self.notice(&call, accepted.as_ref(), audio.as_ref(), status, effective);
        self.answered(number, fault, &reply, ending, accepted.as_ref().zip(Some(audio)));
        if let Some(message) = accepted.filter(|_| self.options.statuses) {
            actix_rt::spawn(self.clone().tell_statuses(message));
        }
        (reply, ending)
    }

    /// Judges a request, and does with files what it asks for if it takes effect.
    fn judge(&self, call: &Call, other: bool, effective: bool) -> Verdict {
        self.state.change(|state| {
            let (options, origins) = (&self.options, &self.origins);
            let (token, store) = (&state.access_token, &mut state.store);
            let mut verdict = send::judge(Judge { options, token, store, origins, other }, call);
            if let Some(change) = verdict.change.take_if(|_| effective) {
                state.store.apply(change);
            }
            verdict
        })
    }

    fn answered(
        &self,
        number: u64,
        fault: Option<Fault>,
        reply: &Reply,
        ending: Ending,
        accepted: Option<(&Outgoing, Option<SentAudio>)>,
    ) {
        let answer = match (ending, &reply.body) {
            (Ending::Whole, Body::Whole(body)) => {
                let text = || Value::String(String::from_utf8_lossy(body).into_owned());
                Answer::Whole {
                    status: reply.status,
                    body: serde_json::from_slice(body).unwrap_or_else(|_| text()),
                }
            }
            _ => Answer::Broken,
        };
        self.state.change(|state| {
            let records = &mut state.records;
            if accepted.is_some() {
                records.accepted += 1;
            }
            if let Some(request) = records.requests.get_mut(number) {
                request.fault = fault;
                request.answer = answer;
                if let Some((message, audio)) = accepted {
                    request.accepted = Some(message.id.clone());
                    request.accepted_number = Some(records.accepted);
                    request.unplayable = message.course.code().is_some();
                    request.audio = audio;
                }
            }
        });
    }

    fn notice(
        &self,
        call: &Call,
        accepted: Option<&Outgoing>,
        audio: Option<&SentAudio>,
        status: Option<u16>,
        effective: bool,
    ) {
        let segment = || call.segments().get(1).copied().unwrap_or_default().to_owned();
        match call.route() {
            Some(Route::Media) if call.method == "GET" => {
                self.witness.tell(Happening::LookedUp { media: segment(), status });
            }
            Some(Route::Download) => {
                let media = call.query.split('&').find_map(|pair| pair.strip_prefix("mid="));
                self.witness.tell(Happening::Fetched { media: media.unwrap_or_default().into(), status });
            }
            Some(Route::Upload) => {
                let file = call.form.as_ref().and_then(|form| form.file.as_ref());
                let bytes = file.map(|file| file.bytes.clone()).unwrap_or_default();
                self.witness.tell(Happening::Uploaded { bytes, status });
            }
            Some(Route::Send) => self.witness.tell(Happening::Sent {
                phone: call.person(),
                sound: audio.zip(accepted).map(|(audio, message)| audio.happening(message.course)),
                text: match (call.body_text(), audio) {
                    (Some(text), _) => text.into(),
                    (None, Some(audio)) => audio.shown(),
                    (None, None) => "[not a text]".into(),
                },
                id: accepted.map(|message| message.id.clone()),
                status,
            }),
            Some(Route::Read) if effective => {
                let id = call.field("message_id").unwrap_or_default().into();
                self.witness
                    .tell(Happening::Read { id, typing: call.json.get("typing_indicator").is_some() });
            }
            _ => {}
        }
    }

    async fn tell_statuses(self, message: Outgoing) {
        let delay = if self.fast { Duration::ZERO } else { self.options.status_delay };
        let plays = |status: &&&str| self.options.plays || **status != "played";
        for status in message.course.statuses().iter().filter(plays) {
            sleep(delay).await;
            self.queue_status(&message, status, message.course.code());
        }
    }
}

/// The reply of a scripted refusal: its body, else the envelope of its code, else of its status.
fn refused(refusal: &Refusal) -> Reply {
    let code = refusal.code.as_ref().and_then(|code| code.parse().ok());
    let code = code.or(refusal.status.map(errors::usual_code)).unwrap_or(1);
    let mut reply = GraphError::of(code).reply();
    reply.status = refusal.status.unwrap_or(reply.status);
    if let Some(body) = &refusal.body {
        reply.body = Body::Whole(Bytes::from(body.clone()));
    }
    reply
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

async fn handle(request: HttpRequest, body: Bytes, meta: web::Data<Meta>) -> HttpResponse {
    take(request, body, &meta, false).await
}

async fn handle_at_other_host(request: HttpRequest, body: Bytes, meta: web::Data<Meta>) -> HttpResponse {
    take(request, body, &meta, true).await
}

async fn take(request: HttpRequest, body: Bytes, meta: &Meta, other_host: bool) -> HttpResponse {
    let meta = meta.clone();
    let what = (request.method().as_str(), request.path(), request.query_string());
    let call = Call::new(&meta.options, what, http::header_list(&request), &body);
    let number = meta.arrived(&call, other_host);
    // A task of its own: what a request set going takes its course even if the product hangs up, as at Meta.
    let processing = actix_rt::spawn(async move { meta.process(number, call, other_host).await });
    match processing.await {
        Ok((reply, ending)) => http::respond(&request, reply, ending).await,
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn scripted(request: HttpRequest, body: Bytes, meta: web::Data<Meta>) -> HttpResponse {
    http::respond(&request, script::obey(&meta.script, &body), Ending::Whole).await
}
