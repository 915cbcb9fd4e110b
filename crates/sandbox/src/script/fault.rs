//! What can go wrong with one request, as it shows on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One fault. Each is really there on the socket: a cut reply is a closed connection, a hang is silence.
///
/// As JSON (`POST /__script`): `{"latency_ms": 500}`, `{"status": {"status": 503, "code": "131016", "headers":
/// {"retry-after": "2"}, "body": "…", "accepted": false}}`, `{"body": "…"}`, `{"close": {"accepted": true}}`,
/// `{"cut": {"after": 10, "accepted": true}}`, `{"stall": {"after": 10}}`, `{"hang": {"accepted": true}}`,
/// `{"gate": "name"}`, `{"cut_stream": {"after": 3}}`, `{"audio": "stereo"}`; fields other than `after` may be left out.
///
/// `accepted` means for a send that it counts in spite of the fault: the person gets it and its statuses follow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The request is read, waits this long, and is then handled. Meta does so even if the client has hung up.
    #[serde(rename = "latency_ms", deserialize_with = "milliseconds")]
    Latency(Duration),
    /// Another answer than the client hoped for.
    Status(Refusal),
    /// 200 with exactly these bytes as the body.
    Body(String),
    /// The request is read, then the connection is closed without a byte of reply.
    Close {
        /// Whether a send counts all the same.
        #[serde(default)]
        accepted: bool,
    },
    /// The reply's head, `after` bytes of its body, then the connection is closed.
    Cut {
        /// Bytes of the body that get through.
        after: usize,
        /// Whether a send counts all the same.
        #[serde(default)]
        accepted: bool,
    },
    /// The reply's head, `after` bytes of its body, then silence on an open connection.
    Stall {
        /// Bytes of the body that get through.
        after: usize,
        /// Whether a send counts all the same.
        #[serde(default)]
        accepted: bool,
    },
    /// The request is read and never answered; the connection stays open.
    Hang {
        /// Whether a send counts all the same.
        #[serde(default)]
        accepted: bool,
    },
    /// The request is read and waits at the gate of this name until it is opened, then is handled. Meta does so
    /// even if the client has hung up.
    Gate(String),
    /// A chat's stream ends in good order after this many tokens, but without finish reason and `[DONE]`.
    CutStream {
        /// Tokens that get through.
        after: usize,
    },
    /// Speech comes with 200, but not as it was asked for.
    Audio(AudioFault),
}

/// What can be wrong with speech that a provider sends as if all were well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioFault {
    /// Ogg Opus with two channels.
    Stereo,
    /// Ogg Opus that ends in the middle of a page, in a reply of the right length.
    Truncated,
    /// An MP3.
    Mp3,
    /// No bytes.
    Empty,
    /// A good voice note of 600 kB, more than WhatsApp plays as one.
    Huge,
    /// Opus packets without a container.
    RawOpus,
}

/// An answer that is scripted: an error in the provider's own envelope, or any bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Refusal {
    /// The HTTP status; if not given, the usual one of the code.
    pub status: Option<u16>,
    /// The provider's own code (Graph's number, OpenAI's or ElevenLabs' word); if not given, the usual one of the status.
    #[serde(deserialize_with = "word_or_number")]
    pub code: Option<String>,
    /// Headers beside the usual ones, such as `retry-after`.
    pub headers: BTreeMap<String, String>,
    /// The body's exact bytes instead of the envelope.
    pub body: Option<String>,
    /// Whether a send counts all the same.
    pub accepted: bool,
}

impl Fault {
    /// This HTTP status, with the envelope that usually comes with it.
    pub fn status(status: u16) -> Self {
        Self::Status(Refusal { status: Some(status), ..Refusal::default() })
    }

    /// This provider code (`131056`, `insufficient_quota`), with its usual HTTP status and envelope.
    pub fn code(code: impl ToString) -> Self {
        Self::Status(Refusal { code: Some(code.to_string()), ..Refusal::default() })
    }

    /// The reply cut after `after` bytes of its body.
    pub fn cut(after: usize) -> Self {
        Self::Cut { after, accepted: false }
    }

    /// The connection closed without a byte of reply.
    pub fn close() -> Self {
        Self::Close { accepted: false }
    }

    /// No answer, ever.
    pub fn hang() -> Self {
        Self::Hang { accepted: false }
    }

    /// The reply stuck after `after` bytes of its body.
    pub fn stall(after: usize) -> Self {
        Self::Stall { after, accepted: false }
    }

    /// The same fault, but a send counts all the same.
    #[must_use]
    pub fn accepted(mut self) -> Self {
        match &mut self {
            Self::Status(refusal) => refusal.accepted = true,
            Self::Close { accepted }
            | Self::Cut { accepted, .. }
            | Self::Stall { accepted, .. }
            | Self::Hang { accepted } => *accepted = true,
            Self::Latency(_) | Self::Body(_) | Self::Gate(_) | Self::CutStream { .. } | Self::Audio(_) => {}
        }
        self
    }

    /// The same refusal with this HTTP status; other faults stay as they are.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        if let Self::Status(refusal) = &mut self {
            refusal.status = Some(status);
        }
        self
    }

    /// The same refusal with this header; other faults stay as they are.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl ToString) -> Self {
        if let Self::Status(refusal) = &mut self {
            refusal.headers.insert(name.into(), value.to_string());
        }
        self
    }

    /// The same refusal with exactly this body; other faults stay as they are.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<String>) -> Self {
        if let Self::Status(refusal) = &mut self {
            refusal.body = Some(body.into());
        }
        self
    }

    /// Whether the request takes effect under this fault.
    pub(crate) fn takes_effect(&self) -> bool {
        match self {
            Self::Latency(_) | Self::Gate(_) | Self::CutStream { .. } | Self::Audio(_) => true,
            Self::Body(_) => false,
            Self::Status(refusal) => refusal.accepted,
            Self::Close { accepted }
            | Self::Cut { accepted, .. }
            | Self::Stall { accepted, .. }
            | Self::Hang { accepted } => *accepted,
        }
    }
}

fn milliseconds<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    u64::deserialize(input).map(Duration::from_millis)
}

/// Graph's codes are numbers and OpenAI's are words; a script may write either as either.
fn word_or_number<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(input)? {
        Value::Null => None,
        Value::String(word) => Some(word),
        other => Some(other.to_string()),
    })
}
