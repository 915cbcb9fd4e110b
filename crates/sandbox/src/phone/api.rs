//! The page's API.

use std::convert::Infallible;
use std::net::TcpListener;
use std::time::Duration;

use actix_rt::time::interval;
use actix_web::dev::Server;
use actix_web::guard::{GuardContext, fn_guard};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::board::{Board, PHONES_MAX};
use super::sounds::Recording;
use super::switches::{Switch, Switches};
use super::{events, files};
use crate::clock;
use crate::elevenlabs::ElevenLabs;
use crate::http::{content_type, header_list, serve};
use crate::meta::{Inbound, Meta};
use crate::multipart::Form;
use crate::openai::OpenAi;

/// Characters of a message, as on a real phone.
const TEXT_CHARS_MAX: usize = 4096;

/// Characters of a phone's name: one line of the list.
const NAME_CHARS_MAX: usize = 40;

/// How often it is looked whether a typing indicator is over.
const TYPING_CHECK: Duration = Duration::from_secs(1);

/// The phone page: its listener serves the files and the API.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    board: Board,
    meta: Meta,
    switches: Switches,
    kill: mpsc::Sender<()>,
}

impl Page {
    pub(crate) fn new(
        board: Board,
        (meta, openai, elevenlabs): (Meta, OpenAi, ElevenLabs),
        kill: mpsc::Sender<()>,
    ) -> Self {
        let switches = Switches::new(meta.clone(), openai, elevenlabs);
        Self { board, meta, switches, kill }
    }

    pub(crate) fn start(self, listener: TcpListener) -> std::io::Result<Server> {
        let board = self.board.clone();
        let data = web::Data::new(self);
        let server = serve(listener, move |app| {
            app.app_data(data.clone()).service(web::scope("").guard(fn_guard(is_own_page)).configure(routes));
        })?;
        actix_rt::spawn(async move {
            let mut ticks = interval(TYPING_CHECK);
            loop {
                ticks.tick().await;
                board.expire_typing(clock::now_ms());
            }
        });
        Ok(server)
    }
}

/// Only a page of this very listener may use it: not one of another site that happens to be open in the same browser.
fn is_own_page(context: &GuardContext<'_>) -> bool {
    let header = |name| context.head().headers().get(name).and_then(|value| value.to_str().ok());
    let Some(host) = header(HOST) else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_loopback = matches!(name, "127.0.0.1" | "localhost" | "[::1]");
    is_loopback && header(ORIGIN).is_none_or(|origin| origin == format!("http://{host}"))
}

fn routes(app: &mut web::ServiceConfig) {
    app.configure(files::routes)
        .route("/api/state", web::get().to(state))
        .route("/api/events", web::get().to(changes))
        .route("/api/phones", web::post().to(add_phone))
        .route("/api/phones/{phone}/messages", web::post().to(write))
        .route("/api/phones/{phone}/sounds", web::post().to(send_sound))
        .route("/api/sounds/{media}", web::get().to(sound))
        .route("/api/played", web::post().to(played))
        .route("/api/drawer/twice", web::post().to(deliver_twice))
        .route("/api/drawer/kill", web::post().to(kill))
        .route("/api/drawer/switch", web::post().to(switch));
}

async fn state(page: web::Data<Page>) -> HttpResponse {
    page.board.read(|state| HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(state))
}

async fn changes(page: web::Data<Page>) -> HttpResponse {
    let events = events::stream(&page.board).map(Ok::<_, Infallible>);
    HttpResponse::Ok()
        .insert_header(content_type("text/event-stream; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(events)
}

#[derive(Deserialize)]
struct NewPhone {
    name: String,
}

async fn add_phone(page: web::Data<Page>, body: web::Json<NewPhone>) -> HttpResponse {
    let name = body.name.trim();
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        return refused(400, &format!("a name has 1 to {NAME_CHARS_MAX} characters"));
    }
    match page.board.new_phone(name) {
        Some(phone) => HttpResponse::Ok().json(phone),
        None => refused(409, &format!("there are {PHONES_MAX} phones already")),
    }
}

#[derive(Deserialize)]
struct NewMessage {
    text: String,
}

async fn write(page: web::Data<Page>, phone: web::Path<String>, body: web::Json<NewMessage>) -> HttpResponse {
    let Some(name) = page.board.name_of(&phone) else { return refused(404, "no such phone") };
    if body.text.trim().is_empty() || body.text.chars().count() > TEXT_CHARS_MAX {
        return refused(400, &format!("a message has 1 to {TEXT_CHARS_MAX} characters"));
    }
    let id = page.meta.deliver(Inbound::text(&phone, &body.text).name(&name));
    HttpResponse::Ok().json(json!({"id": id}))
}

/// A voice note or an audio file, as multipart/form-data: see [`Recording::read`].
async fn send_sound(
    page: web::Data<Page>,
    phone: web::Path<String>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let Some(name) = page.board.name_of(&phone) else { return refused(404, "no such phone") };
    match Recording::read(Form::read(&header_list(&request), &body)) {
        Ok(recording) => {
            let kind = if matches!(recording, Recording::Voice(_)) { "voice" } else { "audio" };
            let id = page.meta.deliver(recording.message(&phone).name(&name));
            HttpResponse::Ok().json(json!({"id": id, "kind": kind}))
        }
        Err((status, reason)) => refused(status, &reason),
    }
}

/// The bytes of a sound that a person or the persona sent.
async fn sound(page: web::Data<Page>, media: web::Path<String>) -> HttpResponse {
    let Some(media) = page.meta.media(&media) else { return refused(404, "this sound is not kept any more") };
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, media.mime))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(media.bytes)
}

#[derive(Deserialize)]
struct OfMessage {
    id: String,
}

/// The person plays a voice note of the persona: the server is told, the first time.
async fn played(page: web::Data<Page>, body: web::Json<OfMessage>) -> HttpResponse {
    if page.board.play(&body.id) && page.meta.status(&body.id, "played", None).is_err() {
        return refused(404, "this message is not remembered any more");
    }
    done()
}

#[derive(Deserialize)]
struct OfPhone {
    phone: String,
}

async fn deliver_twice(page: web::Data<Page>, body: web::Json<OfPhone>) -> HttpResponse {
    match page.board.last_written(&body.phone) {
        Some(id) if page.meta.redeliver(&id) => HttpResponse::Ok().json(json!({"id": id})),
        _ => refused(404, "nothing has been written on this phone yet"),
    }
}

async fn kill(page: web::Data<Page>) -> HttpResponse {
    // Full means that the wish is known already.
    let _ = page.kill.try_send(());
    done()
}

#[derive(Deserialize)]
struct Switching {
    name: Switch,
    on: bool,
}

async fn switch(page: web::Data<Page>, body: web::Json<Switching>) -> HttpResponse {
    page.switches.set(body.name, body.on);
    page.board.switched(body.name, body.on);
    done()
}

fn done() -> HttpResponse {
    HttpResponse::Ok().json(json!({"ok": true}))
}

fn refused(status: u16, reason: &str) -> HttpResponse {
    let body: Value = json!({"error": reason});
    let status =
        actix_web::http::StatusCode::from_u16(status).unwrap_or(actix_web::http::StatusCode::BAD_REQUEST);
    HttpResponse::build(status).json(body)
}
