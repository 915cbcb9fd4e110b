//! The HTTP side that all listeners share: a small server, a reply as a value, and the ways a reply can end.

use std::any::Any;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use actix_rt::time::sleep;
use actix_web::body::{BodyStream, SizedStream};
use actix_web::dev::{Extensions, Server};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use futures_util::stream::{self, LocalBoxStream, StreamExt};

use crate::script::Fault;

/// The largest request body: beyond what any provider takes (25 MB of sound), so that the stand-ins can refuse in
/// their own words; and a mistake must not fill the memory.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long a hanging reply keeps its connection: longer than any client's patience, short enough to be given back.
const HANG_MAX: Duration = Duration::from_secs(600);

/// An answer as a value, before it is decided how much of it gets through.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Whole(Bytes),
    Stream(LocalBoxStream<'static, Bytes>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::bytes(status, "application/json", body.to_string())
    }

    pub(crate) fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            body: Body::Whole(body.into()),
        }
    }

    /// Sets a header, in the place of one of the same name.
    pub(crate) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// How much of a reply reaches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Whole,
    /// This many bytes of the body, then the connection is closed.
    Cut(usize),
    /// This many bytes of the body, then silence.
    Stall(usize),
    /// Closed without a byte.
    Close,
    /// Silence without a byte.
    Hang,
}

impl Ending {
    pub(crate) fn of(fault: Option<&Fault>) -> Self {
        match fault {
            Some(Fault::Cut { after, .. }) => Self::Cut(*after),
            Some(Fault::Stall { after, .. }) => Self::Stall(*after),
            Some(Fault::Close { .. }) => Self::Close,
            Some(Fault::Hang { .. }) => Self::Hang,
            _ => Self::Whole,
        }
    }
}

/// Sends `reply` as far as `ending` lets it.
pub(crate) async fn respond(request: &HttpRequest, reply: Reply, ending: Ending) -> HttpResponse {
    match ending {
        Ending::Whole => {
            let mut response = head(&reply);
            match reply.body {
                Body::Whole(body) => response.body(body),
                Body::Stream(body) => response.streaming(body.map(Ok::<_, Infallible>)),
            }
        }
        Ending::Cut(after) => broken(reply, after, cut()),
        Ending::Stall(after) => broken(reply, after, silence()),
        Ending::Hang => {
            sleep(HANG_MAX).await;
            close(request)
        }
        Ending::Close => close(request),
    }
}

fn head(reply: &Reply) -> actix_web::HttpResponseBuilder {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
            response.insert_header((name, value));
        }
    }
    response
}

/// The head as of the whole reply, its announced length included; `after` bytes of the body; then `end`.
fn broken(reply: Reply, after: usize, end: LocalBoxStream<'static, io::Result<Bytes>>) -> HttpResponse {
    let mut response = head(&reply);
    match reply.body {
        Body::Whole(body) => {
            let length = body.len() as u64;
            let beginning = stream::iter([Ok(body.slice(..after.min(body.len())))]);
            response.body(SizedStream::new(length, beginning.chain(end)))
        }
        Body::Stream(body) => {
            let beginning = body.scan(after, |left, chunk| {
                let part = chunk.slice(..chunk.len().min(*left));
                *left -= part.len();
                std::future::ready((!part.is_empty()).then_some(Ok(part)))
            });
            response.body(BodyStream::new(beginning.chain(end)))
        }
    }
}

/// An error in the body closes the connection. The pause lets actix flush what came before it, which it does
/// only when the body has nothing ready.
fn cut() -> LocalBoxStream<'static, io::Result<Bytes>> {
    let error = async {
        sleep(Duration::from_millis(1)).await;
        Err(io::Error::other("cut by the script"))
    };
    stream::once(error).boxed_local()
}

fn silence() -> LocalBoxStream<'static, io::Result<Bytes>> {
    stream::once(sleep(HANG_MAX)).flat_map(|()| cut()).boxed_local()
}

/// The connection's socket, kept so that it can be closed before a head is written: actix itself has no way to.
struct Socket(TcpStream);

fn close(request: &HttpRequest) -> HttpResponse {
    if let Some(Socket(stream)) = request.conn_data() {
        // Fails only if the client has gone already.
        let _ = stream.shutdown(Shutdown::Both);
    }
    // Never seen: the socket takes no more bytes.
    HttpResponse::InternalServerError().finish()
}

fn remember_socket(connection: &dyn Any, data: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>()
        && let Ok(socket) = stream.as_fd().try_clone_to_owned()
    {
        data.insert(Socket(socket.into()));
    }
}

/// Binds 127.0.0.1, on a free port if none is given.
pub(crate) fn bind(port: Option<u16>) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)))
}

/// Serves `routes` on `listener` until the server is stopped.
pub(crate) fn serve<F>(listener: TcpListener, routes: F) -> io::Result<Server>
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let app = move || {
        let body_limit = web::PayloadConfig::new(BODY_BYTES_MAX);
        App::new().app_data(body_limit).configure(routes.clone())
    };
    let server = HttpServer::new(app)
        // One worker carries thousands of requests a second, and one keeps the order of arrival.
        .workers(1)
        .disable_signals()
        .shutdown_timeout(0)
        // A client that hangs up is noticed at once, so that what hangs for it ends with it.
        .h1_allow_half_closed(false)
        .on_connect(remember_socket)
        .listen(listener)?;
    Ok(server.run())
}

/// The headers of a request as text; a value that is not text shows as it can.
pub(crate) fn header_list(request: &HttpRequest) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &[(String, String)]) -> Option<&str> {
    let (_, value) = headers.iter().find(|(name, _)| name == "authorization")?;
    value.strip_prefix("Bearer ")
}

/// Builds a response header for replies that are not made of a [`Reply`].
pub(crate) fn content_type(value: &'static str) -> (HeaderName, HeaderValue) {
    (CONTENT_TYPE, HeaderValue::from_static(value))
}
