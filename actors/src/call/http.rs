//! One attempt over HTTP/1.1 with awc, and a guard for each of its traps.
//!
//! awc's own timeout ends at the headers, so one deadline of ours spans connect, request and body. A body that is
//! cut comes back as complete, so its length is compared with what the head promised. Redirects would resend a
//! POST, so none is followed. Bodies are bounded while they are read. An answer that is only announced (1xx) is taken
//! for the answer, and a connection of HTTP/1.0 for one that stays.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::Version;
use awc::http::header::{self, HeaderMap};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use parlante_domain::turn::ErrorCode;
use parlante_wire::outcome::{RetryHints, retry_hints};

/// Connections to one provider, over all its hosts. More than any gate lets in at once, so that nobody waits here
/// within an attempt's deadline: whoever has to wait waits at the gate.
const CONNECTIONS_MAX: usize = 1024;
/// Longest wait for a connection. Kept under the attempt's own deadline, so that "could not connect" (surely not
/// sent) stays apart from "no answer" (perhaps sent).
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// An error body is read this far; every provider's envelope fits.
pub(crate) const ERROR_BODY_MAX: usize = 64 * 1024;

/// Why an attempt brought no usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// No connection: surely not sent.
    Unsent,
    /// The connection broke before a head came: perhaps sent.
    Lost,
    /// Neither head nor body within the attempt's deadline: perhaps sent.
    Timeout,
    /// A head came, but the body is cut.
    Truncated,
    /// A head came, but the body is larger than its bound.
    TooLarge,
}

impl Broken {
    pub(crate) fn code(self) -> ErrorCode {
        match self {
            Self::Unsent | Self::Lost => ErrorCode::NETWORK,
            Self::Timeout => ErrorCode::TIMEOUT,
            Self::Truncated | Self::TooLarge => ErrorCode::TRUNCATED,
        }
    }
}

/// A client for one provider. Lives on one arbiter.
#[derive(Clone)]
pub(crate) struct Http {
    client: Rc<RefCell<awc::Client>>,
    timeout: Duration,
    tls: Arc<rustls::ClientConfig>,
}

/// A head, with its body still to come.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) hints: RetryHints,
    /// Where a redirect leads. None is followed here.
    pub(crate) location: Option<String>,
    length: Option<usize>,
    /// Bytes of the body so far.
    pub(crate) received: usize,
    /// The connection is not used again.
    closes: bool,
    body: awc::ClientResponse,
}

impl Http {
    /// A client whose attempts end after `timeout`, body included.
    pub(crate) fn new(timeout: Duration, tls: Arc<rustls::ClientConfig>) -> Self {
        let client = Rc::new(RefCell::new(client(timeout, tls.clone())));
        Self { client, timeout, tls }
    }

    /// Runs one attempt, from connect to the last byte of the body, within the deadline.
    pub(crate) async fn attempt<T, E: From<Broken>>(
        &self,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        actix_rt::time::timeout(self.timeout, attempt).await.unwrap_or_else(|_| Err(Broken::Timeout.into()))
    }

    /// Posts a body and waits for the head of the answer.
    pub(crate) async fn post(
        &self,
        url: &str,
        auth: &Auth,
        content_type: &str,
        body: Bytes,
    ) -> Result<Response, Broken> {
        let request = self.client.borrow().post(url).insert_header((header::CONTENT_TYPE, content_type));
        self.read(auth.sign(request).send_body(body).await)
    }

    /// Posts JSON.
    pub(crate) async fn post_json(&self, url: &str, auth: &Auth, body: Bytes) -> Result<Response, Broken> {
        self.post(url, auth, "application/json", body).await
    }

    /// Asks, and waits for the head of the answer.
    pub(crate) async fn get(&self, url: &str, auth: &Auth) -> Result<Response, Broken> {
        let request = auth.sign(self.client.borrow().get(url));
        self.read(request.send().await)
    }

    fn read(&self, answer: Result<awc::ClientResponse, SendRequestError>) -> Result<Response, Broken> {
        let body = answer.map_err(|error| broken(&error))?;
        if body.status().is_informational() {
            // awc has put the connection back, and the answer proper would come to whoever takes it next. It goes
            // with its pool.
            self.client.replace(client(self.timeout, self.tls.clone()));
            return Err(Broken::Lost);
        }
        Ok(Response {
            status: body.status().as_u16(),
            hints: hints(body.headers()),
            location: text(body.headers(), &header::LOCATION).map(str::to_owned),
            length: text(body.headers(), &header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            received: 0,
            closes: body.version() < Version::HTTP_11 && !stays(body.headers()),
            body,
        })
    }
}

fn client(timeout: Duration, tls: Arc<rustls::ClientConfig>) -> awc::Client {
    let connect = CONNECT_MAX.min(timeout / 2);
    let connector = awc::Connector::new()
        .rustls_0_23(tls)
        .limit(CONNECTIONS_MAX)
        .timeout(connect)
        .handshake_timeout(connect);
    // Our own deadline spans the whole attempt; awc's would end at the headers.
    awc::Client::builder().connector(connector).disable_redirects().disable_timeout().finish()
}

/// How a request proves who sends it.
pub(crate) enum Auth {
    /// `Authorization: Bearer …`
    Bearer(String),
    /// `xi-api-key: …`
    ElevenLabs(String),
}

impl Auth {
    fn sign(&self, request: awc::ClientRequest) -> awc::ClientRequest {
        match self {
            Self::Bearer(token) => request.insert_header((header::AUTHORIZATION, format!("Bearer {token}"))),
            Self::ElevenLabs(key) => request.insert_header(("xi-api-key", key.as_str())),
        }
    }
}

impl Response {
    /// The next piece of the body; `None` after the last.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Broken> {
        // A body that is not read past its last byte does not give its connection back.
        if self.closes && self.length == Some(self.received) {
            return Ok(None);
        }
        match self.body.next().await {
            Some(Ok(piece)) => {
                self.received += piece.len();
                Ok(Some(piece))
            }
            Some(Err(_)) => Err(Broken::Truncated),
            None if self.length.is_some_and(|length| self.received < length) => Err(Broken::Truncated),
            None => Ok(None),
        }
    }

    /// The whole body, up to `limit` bytes.
    pub(crate) async fn whole(&mut self, limit: usize) -> Result<Bytes, Broken> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > limit {
                return Err(Broken::TooLarge);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

/// What is known of a request that got no head. `Disconnected` also stands for a server that read the request and
/// closed, so only the other connect errors prove that nothing was sent.
fn broken(error: &SendRequestError) -> Broken {
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => Broken::Lost,
        SendRequestError::Connect(_) | SendRequestError::Url(_) => Broken::Unsent,
        _ => Broken::Lost,
    }
}

/// Whether a connection of HTTP/1.0 is kept all the same.
fn stays(headers: &HeaderMap) -> bool {
    text(headers, &header::CONNECTION).is_some_and(|value| value.eq_ignore_ascii_case("keep-alive"))
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn hints(headers: &HeaderMap) -> RetryHints {
    retry_hints(|name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned))
}

/// TLS for all providers: ring, HTTP/1.1 only (timeouts stay per connection), Mozilla's roots and the system's own.
#[must_use]
pub fn tls() -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = match versions {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        // ring supports TLS 1.2 and 1.3; with neither there would be nothing to talk.
        Err(error) => unreachable!("ring lost its TLS versions: {error}"),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
