//! One question over HTTP: within a deadline, bounded, and with what to say where no usable answer comes.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap};
use bytes::Bytes;
use derive_more::Display;
use parlante_actors::call::tls;
use parlante_domain::Clock;
use parlante_wire::date::unix_seconds;
use parlante_wire::outcome::{Cause, Outcome, Refusal, RetryHints, retry_hints};

use super::check::Check;
use crate::real::SystemClock;

/// For one question, from connect to the last byte. A person is waiting, and a provider that needs longer is in trouble.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);
/// For a connection, so that "no connection" stays apart from "no answer".
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Largest answer: the longest, a list of some thousand models, has some hundred bytes for each.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Asks, and remembers what time it was where the answers came from.
pub(super) struct Asker {
    client: awc::Client,
    clock: SystemClock,
    dates: RefCell<Vec<Dated>>,
}

/// A clock elsewhere, seen once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dated {
    /// Whose.
    pub(super) provider: Provider,
    /// Seconds by which ours is ahead of it; less than 0: behind.
    pub(super) ahead_s: i64,
}

/// Who is asked. Meta first: what is too old to be answered is decided by its time and ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Display)]
pub(super) enum Provider {
    /// The Graph API.
    #[display("Meta")]
    Meta,
    /// The model.
    #[display("OpenAI")]
    OpenAi,
    /// The voice.
    ElevenLabs,
    /// Our own server, whose clock proves nothing.
    #[display("our server")]
    Own,
}

/// How a question proves who asks.
#[derive(Clone, Copy)]
pub(super) enum Auth<'a> {
    /// Not at all.
    Nobody,
    /// `Authorization: Bearer …`
    Bearer(&'a str),
    /// `xi-api-key: …`
    ElevenLabs(&'a str),
    /// `X-Hub-Signature-256: …`
    Meta(&'a str),
}

/// An answer, whatever it says.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
    hints: RetryHints,
}

/// Why there is none. Said in words of ours: awc's own may quote an address, and an address may hold a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
pub(super) enum Silence {
    /// No connection, or none within [`CONNECT_MAX`].
    #[display("no connection")]
    Unreachable,
    /// The name stands for no address.
    #[display("no such host")]
    NoHost,
    /// The other side is not who it should be.
    #[display("no TLS connection: the certificate is not valid for that name, or it does not speak TLS")]
    Tls,
    /// The connection ended before an answer.
    #[display("the connection broke")]
    Broken,
    /// Nothing for [`ANSWER_MAX`].
    #[display("no answer within 10 s")]
    Late,
}

/// Why a question brought nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
pub(super) enum Trouble {
    /// No answer.
    Silent(Silence),
    /// An error of the provider's.
    #[display("{}", said(_0))]
    Refused(Refusal),
    /// A success whose body is not what it should be.
    #[display("an answer that is not understood")]
    Foreign,
}

fn said(refusal: &Refusal) -> String {
    match &refusal.provider_code {
        Some(code) => format!("refused with {} ({code})", refusal.status),
        None => format!("refused with {}", refusal.status),
    }
}

impl Trouble {
    /// Whether the key or token is not accepted.
    pub(super) fn is_credential(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.outcome == Outcome::Pause(Cause::Credential))
    }

    /// Whether the account, a right or what was asked for stands in the way.
    pub(super) fn is_account(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.outcome == Outcome::Pause(Cause::Account))
    }

    /// Whether the provider has this code for it.
    pub(super) fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.provider_code.as_deref() == Some(code))
    }

    /// Whether the answer says that there is no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == 404)
    }

    /// A failed check, for trouble that is not about what was asked: the network, the provider, the address.
    pub(super) fn fails(&self, check: &'static str, variable: &str, consequence: &str) -> Check {
        let (why, mend) = match self {
            Self::Silent(_) => (
                "it cannot be reached from this machine",
                format!("look at network, name server, proxy and firewall, and at {variable}"),
            ),
            Self::Refused(refusal) if refusal.outcome != Outcome::GiveUp => (
                "it limits us, or is in trouble itself",
                format!(
                    "ask again in a minute; if it stays so, look at the provider's status page and {variable}"
                ),
            ),
            Self::Refused(_) | Self::Foreign => {
                ("it does not know the question", format!("see whether {variable} leads to the right API"))
            }
        };
        Check::failed(check, self.to_string(), format!("{why}: {consequence}"), mend)
    }
}

impl Asker {
    pub(super) fn new(clock: SystemClock) -> Self {
        let connector =
            awc::Connector::new().rustls_0_23(tls()).timeout(CONNECT_MAX).handshake_timeout(CONNECT_MAX);
        // Our own deadline spans the whole question; awc's would end at the headers.
        let client = awc::Client::builder().connector(connector).disable_redirects().disable_timeout();
        Self { client: client.finish(), clock, dates: RefCell::default() }
    }

    /// The clocks that were seen so far, in the order of the answers.
    pub(super) fn dates(&self) -> Vec<Dated> {
        self.dates.borrow().clone()
    }

    pub(super) async fn get(&self, of: Provider, url: &str, auth: Auth<'_>) -> Result<Answer, Silence> {
        self.ask(of, sign(self.client.get(url), auth).send()).await
    }

    pub(super) async fn post(
        &self,
        of: Provider,
        url: &str,
        auth: Auth<'_>,
        body: Vec<u8>,
    ) -> Result<Answer, Silence> {
        let request = self.client.post(url).insert_header((CONTENT_TYPE, "application/json"));
        self.ask(of, sign(request, auth).send_body(body)).await
    }

    async fn ask(&self, of: Provider, sent: awc::SendClientRequest) -> Result<Answer, Silence> {
        let asked = async {
            let mut answer = sent.await.map_err(|error| silence(&error))?;
            self.see(of, answer.headers());
            let body = answer.body().limit(ANSWER_BYTES_MAX).await.map_err(|_| Silence::Broken)?;
            let hints = retry_hints(|name| text(answer.headers(), name).map(str::to_owned));
            Ok(Answer { status: answer.status().as_u16(), body, hints })
        };
        actix_rt::time::timeout(ANSWER_MAX, asked).await.unwrap_or(Err(Silence::Late))
    }

    fn see(&self, provider: Provider, headers: &HeaderMap) {
        let Some(theirs) = text(headers, DATE.as_str()).and_then(unix_seconds) else { return };
        let ahead_s = self.clock.now().0.div_euclid(1000) - i64::try_from(theirs).unwrap_or(i64::MAX);
        self.dates.borrow_mut().push(Dated { provider, ahead_s });
    }
}

/// Reads an answer: what it says, or why it says nothing.
pub(super) fn read<T>(
    answer: Result<Answer, Silence>,
    classify: fn(u16, &[u8], RetryHints) -> Refusal,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, Trouble> {
    let answer = answer.map_err(Trouble::Silent)?;
    if (200..300).contains(&answer.status) {
        return read(&answer.body).ok_or(Trouble::Foreign);
    }
    Err(Trouble::Refused(classify(answer.status, &answer.body, answer.hints)))
}

fn sign(request: awc::ClientRequest, auth: Auth<'_>) -> awc::ClientRequest {
    match auth {
        Auth::Nobody => request,
        Auth::Bearer(token) => request.insert_header((AUTHORIZATION, format!("Bearer {token}"))),
        Auth::ElevenLabs(key) => request.insert_header(("xi-api-key", key)),
        Auth::Meta(signature) => request.insert_header(("x-hub-signature-256", signature)),
    }
}

fn silence(error: &SendRequestError) -> Silence {
    match error {
        SendRequestError::Connect(ConnectError::Resolver(_) | ConnectError::NoRecords) => Silence::NoHost,
        // This is how rustls says that the other side is not to be believed.
        SendRequestError::Connect(ConnectError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
            Silence::Tls
        }
        SendRequestError::Connect(ConnectError::Disconnected) => Silence::Broken,
        SendRequestError::Connect(_) | SendRequestError::Url(_) => Silence::Unreachable,
        _ => Silence::Broken,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
