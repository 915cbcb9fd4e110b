//! One attempt over HTTP/1.1 with awc, and a guard for each of its traps.
//!
//! awc's own timeout ends at the headers, so one deadline of ours spans connect, request and body. A body that is
//! cut comes back as complete, so its length is compared with what the head promised. Redirects would resend a
//! POST, so none is followed. Bodies are bounded while they are read.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
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
    client: awc::Client,
    timeout: Duration,
}

/// A head, with its body still to come.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) hints: RetryHints,
    /// Where a redirect leads. None is followed here.
    pub(crate) location: Option<String>,
    length: Option<usize>,
    received: usize,
    body: awc::ClientResponse,
}

impl Http {
    /// A client whose attempts end after `timeout`, body included.
    pub(crate) fn new(timeout: Duration, tls: Arc<rustls::ClientConfig>) -> Self {
        let connect = CONNECT_MAX.min(timeout / 2);
        let connector = awc::Connector::new()
            .rustls_0_23(tls)
            .limit(CONNECTIONS_MAX)
            .timeout(connect)
            .handshake_timeout(connect);
        // Our own deadline spans the whole attempt; awc's would end at the headers.
        let client =
            awc::Client::builder().connector(connector).disable_redirects().disable_timeout().finish();
        Self { client, timeout }
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
        let request = self.client.post(url).insert_header((header::CONTENT_TYPE, content_type));
        read(auth.sign(request).send_body(body).await)
    }

    /// Posts JSON.
    pub(crate) async fn post_json(&self, url: &str, auth: &Auth, body: Bytes) -> Result<Response, Broken> {
        self.post(url, auth, "application/json", body).await
    }

    /// Asks, and waits for the head of the answer.
    pub(crate) async fn get(&self, url: &str, auth: &Auth) -> Result<Response, Broken> {
        read(auth.sign(self.client.get(url)).send().await)
    }
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

fn read(answer: Result<awc::ClientResponse, SendRequestError>) -> Result<Response, Broken> {
    let body = answer.map_err(|error| broken(&error))?;
    Ok(Response {
        status: body.status().as_u16(),
        hints: hints(body.headers()),
        location: body
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        length: length(body.headers()),
        received: 0,
        body,
    })
}

impl Response {
    /// The next piece of the body; `None` after the last.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Broken> {
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

fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn hints(headers: &HeaderMap) -> RetryHints {
    retry_hints(|name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned))
}

/// TLS for all providers: ring, HTTP/1.1 only (timeouts stay per connection), Mozilla's roots and the system's own.
pub(crate) fn tls() -> Arc<rustls::ClientConfig> {
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
