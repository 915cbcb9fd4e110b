//! What the tests of all stand-ins need: requests with awc, requests byte by byte, and a webhook that listens.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::Method;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use awc::Client;
use bytes::Bytes;
use parlante_sandbox::{Meta, PATIENCE};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// An answer as awc saw it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// The body as text; what is no text is replaced.
    pub(crate) text: String,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) async fn post(url: &str, token: &str, body: &Value) -> Answer {
    let request = Client::default().post(url).bearer_auth(token).timeout(PATIENCE);
    read(request.send_json(body).await.unwrap()).await
}

pub(crate) async fn get(url: &str, token: &str) -> Answer {
    read(Client::default().get(url).bearer_auth(token).timeout(PATIENCE).send().await.unwrap()).await
}

pub(crate) async fn delete(url: &str, token: &str) -> Answer {
    read(Client::default().delete(url).bearer_auth(token).timeout(PATIENCE).send().await.unwrap()).await
}

/// Any request with a header of its own; redirects are not followed.
pub(crate) async fn request(method: Method, url: &str, header: (&str, &str), body: Option<&Value>) -> Answer {
    let client = Client::builder().disable_redirects().finish();
    let request = client.request(method, url).insert_header(header).timeout(PATIENCE);
    read(match body {
        Some(body) => request.send_json(body).await.unwrap(),
        None => request.send().await.unwrap(),
    })
    .await
}

/// A file for a form: its name, its type, its bytes.
pub(crate) type Upload<'a> = (&'a str, &'a str, &'a [u8]);

/// Posts `multipart/form-data` with these fields and this file.
pub(crate) async fn upload(
    url: &str,
    token: &str,
    fields: &[(&str, &str)],
    file: Option<Upload<'_>>,
) -> Answer {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--b17\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    if let Some((name, kind, bytes)) = file {
        let head = format!(
            "--b17\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: {kind}\r\n\r\n"
        );
        body.extend_from_slice(&[head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend_from_slice(b"--b17--\r\n");
    let request = Client::default().post(url).bearer_auth(token).timeout(PATIENCE);
    let request = request.content_type("multipart/form-data; boundary=b17");
    read(request.send_body(body).await.unwrap()).await
}

async fn read<S>(mut response: awc::ClientResponse<S>) -> Answer
where
    S: futures_util::Stream<Item = Result<bytes::Bytes, awc::error::PayloadError>> + Unpin,
{
    let text = response.body().limit(32 * 1024 * 1024).await.unwrap();
    let value = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap().to_owned();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().iter().map(|(name, text)| (name.to_string(), value(text))).collect(),
        text: String::from_utf8_lossy(&text).into_owned(),
        bytes: text,
    }
}

/// How a connection was left by the other side.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Open,
}

/// What a test expects of a connection, and so how long it listens before it takes silence for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// That it is closed, sooner or later.
    Closing,
    /// Some bytes, then silence.
    Stalling,
    /// Silence.
    Silence,
}

impl Expect {
    fn patience(self, something_came: bool) -> Duration {
        match self {
            Self::Closing => PATIENCE,
            Self::Stalling if !something_came => PATIENCE,
            // Long enough to notice whatever a stand-in would send at once.
            Self::Stalling | Self::Silence => Duration::from_millis(300),
        }
    }
}

/// Posts `body` byte by byte and returns every byte that comes back, and whether the connection was closed.
pub(crate) async fn wire(url: &str, token: &str, body: &Value, expect: Expect) -> (String, End) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let body = body.to_string();
    let length = body.len();
    let request = format!(
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        match tokio::time::timeout(expect.patience(!bytes.is_empty()), stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return (String::from_utf8(bytes).unwrap(), End::Closed),
            Ok(Ok(count)) => bytes.extend_from_slice(&buffer[..count]),
            Err(_) => return (String::from_utf8(bytes).unwrap(), End::Open),
        }
    }
}

/// The part of a reply after its head.
pub(crate) fn body_of(reply: &str) -> &str {
    reply.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

pub(crate) fn text_to(to: &str, body: &str, tag: &str) -> Value {
    json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": format!("+{to}"), "type": "text",
        "text": {"body": body}, "biz_opaque_callback_data": tag})
}

pub(crate) fn read_and_type(id: &str) -> Value {
    json!({"messaging_product": "whatsapp", "status": "read", "message_id": id, "typing_indicator": {"type": "text"}})
}

pub(crate) fn messages_url(meta: &Meta) -> String {
    format!("{}/v25.0/{}/messages", meta.base_url(), meta.options().phone_number_id)
}

pub(crate) async fn send(meta: &Meta, body: &Value) -> Answer {
    post(&messages_url(meta), &meta.options().access_token, body).await
}

/// A product's webhook: keeps what it gets and answers as told.
#[derive(Clone, Default)]
pub(crate) struct Webhook {
    got: Arc<Mutex<Vec<Got>>>,
    refusals: Arc<Mutex<Vec<u16>>>,
    arrived: Arc<Notify>,
}

/// A webhook request.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) signature: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The value of its only change.
    pub(crate) fn value(&self) -> Value {
        self.json()["entry"][0]["changes"][0]["value"].clone()
    }
}

impl Webhook {
    /// Listens on a port of its own; the URL is for `Meta::set_webhook`.
    pub(crate) fn start() -> (Self, String) {
        let webhook = Self::default();
        let data = web::Data::new(webhook.clone());
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(take)))
                .workers(1)
                .disable_signals()
                .bind("127.0.0.1:0")
                .unwrap();
        let url = format!("http://{}/webhook", server.addrs()[0]);
        actix_rt::spawn(server.run());
        (webhook, url)
    }

    /// The next requests are answered with these statuses, later ones with 200.
    pub(crate) fn refuse(&self, statuses: &[u16]) {
        self.refusals.lock().unwrap().extend(statuses);
    }

    pub(crate) async fn wait(&self, count: usize) -> Vec<Got> {
        let enough = async {
            loop {
                let arrived = self.arrived.notified();
                let got = self.got.lock().unwrap().clone();
                if got.len() >= count {
                    return got;
                }
                arrived.await;
            }
        };
        let got = tokio::time::timeout(PATIENCE, enough).await;
        assert!(got.is_ok(), "{count} webhooks never came; {:?}", self.got.lock().unwrap());
        got.unwrap()
    }

    /// The texts of all messages so far.
    pub(crate) fn texts(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|got| got.value()["messages"][0]["text"]["body"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

async fn take(request: HttpRequest, body: web::Bytes, webhook: web::Data<Webhook>) -> HttpResponse {
    if request.method() == "GET" {
        let query =
            web::Query::<std::collections::BTreeMap<String, String>>::from_query(request.query_string())
                .unwrap();
        return match query["hub.verify_token"].as_str() {
            "sandbox-verify-token" => HttpResponse::Ok().body(query["hub.challenge"].clone()),
            _ => HttpResponse::Forbidden().finish(),
        };
    }
    let signature =
        request.headers().get("x-hub-signature-256").map(|value| value.to_str().unwrap().to_owned());
    webhook.got.lock().unwrap().push(Got { signature, body: body.to_vec() });
    webhook.arrived.notify_waiters();
    let status = {
        let mut refusals = webhook.refusals.lock().unwrap();
        if refusals.is_empty() { 200 } else { refusals.remove(0) }
    };
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).finish()
}
