//! Stand-ins that do no more than answer: WhatsApp takes every message, and the model says back what it was told.
//! Unlike the sandbox's they serve any number of ours, tell no statuses, and keep nothing but the order of the answers.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_rt::time::timeout;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

/// What the model puts before the words.
const ECHO: &str = "echo: ";
/// Longest wait for one more answer: a server that hangs must not hang the bench.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The numbers of the messages that were answered, in the order of the answers.
#[derive(Clone)]
struct Answers {
    numbers: Arc<Mutex<Vec<usize>>>,
    count: watch::Sender<usize>,
    sends: Arc<AtomicU64>,
}

pub(crate) struct Providers {
    pub(crate) address: SocketAddr,
    answers: Answers,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// What somebody writes; no two write the same.
pub(crate) fn words(number: usize) -> String {
    format!("{number}: ehi Joe, perché il caffè qui costa più della benzina? Non è giusto")
}

impl Providers {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let answers =
            Answers { numbers: Arc::default(), count: watch::Sender::new(0), sends: Arc::default() };
        let (stop, stopped) = oneshot::channel();
        let kept = answers.clone();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let app = move || {
                    App::new()
                        .app_data(web::Data::new(kept.clone()))
                        .route("/v1/chat/completions", web::post().to(complete))
                        .route("/{version}/{number}/messages", web::post().to(send))
                };
                let server = HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run();
                tokio::select! {
                    ended = server => ended,
                    _ = stopped => Ok(()),
                }
            })
        });
        Ok(Self { address, answers, stop: Some(stop), thread: Some(thread) })
    }

    /// Waits for so many answers; how many there are by then.
    ///
    /// # Errors
    /// If none comes any more.
    pub(crate) async fn answered(&self, wanted: usize) -> Result<usize, Box<dyn Error>> {
        let mut count = self.answers.count.subscribe();
        loop {
            let answered = *count.borrow_and_update();
            if answered >= wanted {
                return Ok(answered);
            }
            let more = timeout(ANSWER_MAX, count.changed()).await;
            more.map_err(|_| format!("no answer came any more after {answered} of {wanted}"))??;
        }
    }

    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.answers.numbers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Providers {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn complete(body: web::Bytes) -> HttpResponse {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let last = asked["messages"].as_array().and_then(|messages| messages.last());
    let words = last.and_then(|message| message["content"].as_str()).unwrap_or_default();
    let chunk = |delta: Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        format!("data: {}\n\n", json!({"object": "chat.completion.chunk", "choices": choices}))
    };
    let said = chunk(json!({"role": "assistant", "content": format!("{ECHO}{words}")}), Value::Null);
    let end = chunk(json!({}), json!("stop"));
    HttpResponse::Ok().content_type("text/event-stream").body(format!("{said}{end}data: [DONE]\n\n"))
}

async fn send(answers: web::Data<Answers>, body: web::Bytes) -> HttpResponse {
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = sent["text"]["body"].as_str().and_then(|text| text.strip_prefix(ECHO));
    if let Some(number) = answer.and_then(|words| words.split_once(':')?.0.parse().ok()) {
        let mut numbers = answers.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.push(number);
        answers.count.send_replace(numbers.len());
    }
    let id = format!("wamid.{:016X}", answers.sends.fetch_add(1, Ordering::Relaxed));
    HttpResponse::Ok().json(json!({"messaging_product": "whatsapp", "messages": [{"id": id}]}))
}
