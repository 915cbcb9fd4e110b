//! The sections, as the rest of the product sees them.
//!
//! A field is named like its key in `config.toml`, without the unit where its type says it. Why a default is what it
//! is stands there. The texts have passed the table's rules before they come here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::secret::Secret;
use super::value::{AmbiguousSend, AppEnv, BaseUrl, HostName, LogFormat, Network, VoicePolicy, parse_host};

/// `[app]`
#[derive(Debug, Deserialize)]
pub struct App {
    /// What kind of installation this is.
    pub env: AppEnv,
}

/// `[server]`
#[derive(Debug, Deserialize)]
pub struct Server {
    /// Address to listen on.
    #[serde(deserialize_with = "host")]
    pub host: IpAddr,
    /// Port to listen on; 0: any free one.
    pub port: u16,
    /// How long attempts in progress may run after SIGTERM.
    #[serde(rename = "drain_s", deserialize_with = "seconds")]
    pub drain: Duration,
    /// Where Meta reaches us. `None`: doctor skips its loop check.
    pub public_url: Option<BaseUrl>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

impl Server {
    /// Where it is found from its own machine.
    #[must_use]
    pub fn reachable(&self) -> SocketAddr {
        let host = match self.host {
            IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            host => host,
        };
        SocketAddr::new(host, self.port)
    }
}

/// `[whatsapp]`
#[derive(Debug, Deserialize)]
pub struct WhatsApp {
    /// Any of these may have signed a webhook. Empty, in development on a loopback address only: unsigned ones are
    /// believed.
    #[serde(rename = "app_secret", default)]
    pub app_secrets: Vec<Secret>,
    /// What Meta says when it subscribes. `None` in development only.
    pub verify_token: Option<Secret>,
    /// For every call to the Graph API. `None` in development only.
    pub access_token: Option<Secret>,
    /// The number that answers, digits. `None`, in development only: the one that the message came to.
    pub phone_number_id: Option<String>,
    /// For doctor, digits.
    pub business_account_id: Option<String>,
    /// Where the Graph API is.
    pub base_url: BaseUrl,
    /// Such as `v25.0`.
    pub api_version: String,
    /// Beside the host of `base_url`: where the access token may be sent to fetch media.
    pub media_hosts: Vec<HostName>,
    /// How long an unknown send waits for its status.
    #[serde(rename = "reconcile_ms", deserialize_with = "milliseconds")]
    pub reconcile: Duration,
    /// What then happens to it.
    #[serde(deserialize_with = "ambiguous_send")]
    pub ambiguous_send: AmbiguousSend,
    /// For one attempt, body included.
    #[serde(rename = "timeout_ms", deserialize_with = "milliseconds")]
    pub timeout: Duration,
    /// In all, 1 to 10.
    pub max_attempts: u32,
    /// Waits before attempt 1, 2, …; 1 to 10 of them, the last repeats.
    #[serde(rename = "backoff_ms", deserialize_with = "milliseconds_list")]
    pub backoff: Vec<Duration>,
    /// Failed calls in a row that open the circuit.
    pub circuit_failures: u32,
    /// How long it stays open.
    #[serde(rename = "circuit_open_ms", deserialize_with = "milliseconds")]
    pub circuit_open: Duration,
}

/// `[openai]`
#[derive(Debug, Deserialize)]
pub struct OpenAi {
    /// `None` in development only.
    pub api_key: Option<Secret>,
    /// The API's root, version included.
    pub base_url: BaseUrl,
    /// Answers.
    pub model: String,
    /// Hears voice notes.
    pub transcription_model: String,
    /// The second server, if there is one.
    #[serde(skip)]
    pub fallback: Option<Fallback>,
    /// Tokens of history sent with a message.
    pub history_tokens: usize,
    /// Tokens that an answer may have.
    pub max_answer_tokens: u32,
    /// For one attempt, body included.
    #[serde(rename = "timeout_ms", deserialize_with = "milliseconds")]
    pub timeout: Duration,
    /// In all, 1 to 10.
    pub max_attempts: u32,
    /// Waits before attempt 1, 2, …; 1 to 10 of them, the last repeats.
    #[serde(rename = "backoff_ms", deserialize_with = "milliseconds_list")]
    pub backoff: Vec<Duration>,
    /// Failed calls in a row that open the circuit.
    pub circuit_failures: u32,
    /// How long it stays open.
    #[serde(rename = "circuit_open_ms", deserialize_with = "milliseconds")]
    pub circuit_open: Duration,
}

/// The `fallback_` keys of `[openai]`: all or none.
#[derive(Debug, Deserialize)]
pub struct Fallback {
    /// The API's root, version included.
    pub base_url: BaseUrl,
    /// The key for it.
    pub api_key: Secret,
    /// Answers.
    pub model: String,
}

/// `[elevenlabs]`
#[derive(Debug, Deserialize)]
pub struct ElevenLabs {
    /// `None`: text only.
    pub api_key: Option<Secret>,
    /// Who speaks. `None`: text only.
    pub voice_id: Option<String>,
    /// Where the API is.
    pub base_url: BaseUrl,
    /// Speaks.
    pub model: String,
    /// For one attempt, body included.
    #[serde(rename = "timeout_ms", deserialize_with = "milliseconds")]
    pub timeout: Duration,
    /// In all, 1 to 10.
    pub max_attempts: u32,
    /// Waits before attempt 1, 2, …; 1 to 10 of them, the last repeats.
    #[serde(rename = "backoff_ms", deserialize_with = "milliseconds_list")]
    pub backoff: Vec<Duration>,
    /// Failed calls in a row that open the circuit.
    pub circuit_failures: u32,
    /// How long it stays open.
    #[serde(rename = "circuit_open_ms", deserialize_with = "milliseconds")]
    pub circuit_open: Duration,
}

/// `[conversation]`
#[derive(Debug, Deserialize)]
pub struct Conversation {
    /// Open messages of one person, 1 to 1000.
    pub backlog: usize,
    /// For a whole turn; waits for an operator or a status do not count.
    #[serde(rename = "turn_ms", deserialize_with = "milliseconds")]
    pub turn: Duration,
    /// How long a message waits for a paused model before the apology.
    #[serde(rename = "hold_ms", deserialize_with = "milliseconds")]
    pub hold: Duration,
    /// Messages older than this at accept are refused.
    #[serde(rename = "stale_hours", deserialize_with = "hours")]
    pub stale: Duration,
    /// After which an idle conversation leaves memory.
    #[serde(rename = "idle_s", deserialize_with = "seconds")]
    pub idle: Duration,
    /// When an answer is spoken.
    pub voice: VoicePolicy,
}

/// `[dedup]`
#[derive(Debug, Deserialize)]
pub struct Dedup {
    /// How long a message id is remembered.
    #[serde(rename = "ttl_hours", deserialize_with = "hours")]
    pub ttl: Duration,
}

/// `[ledger]`
#[derive(Debug, Deserialize)]
pub struct Ledger {
    /// The database file.
    pub path: PathBuf,
    /// How long done messages are kept.
    #[serde(rename = "done_days", deserialize_with = "days")]
    pub done: Duration,
    /// How long dead and refused messages are kept.
    #[serde(rename = "dead_days", deserialize_with = "days")]
    pub dead: Duration,
    /// How long history is kept.
    #[serde(rename = "history_days", deserialize_with = "days")]
    pub history: Duration,
}

/// `[persona]`
#[derive(Debug, Deserialize)]
pub struct Persona {
    /// A persona file; not looked at yet. `None`: the built-in one.
    pub file: Option<PathBuf>,
}

/// `[admin]`
#[derive(Debug, Deserialize)]
pub struct Admin {
    /// `None`, in development only: this machine alone is answered.
    pub token: Option<Secret>,
}

/// `[health]`
#[derive(Debug, Deserialize)]
pub struct Health {
    /// Between two probes of a provider.
    #[serde(rename = "probe_s", deserialize_with = "seconds")]
    pub probe: Duration,
}

/// `[log]`
#[derive(Debug, Deserialize)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// Which are written: directives that `tracing_subscriber::EnvFilter` accepts.
    pub filter: String,
}

fn host<'de, D: Deserializer<'de>>(text: D) -> Result<IpAddr, D::Error> {
    parse_host(&String::deserialize(text)?).map_err(serde::de::Error::custom)
}

fn ambiguous_send<'de, D: Deserializer<'de>>(text: D) -> Result<AmbiguousSend, D::Error> {
    match String::deserialize(text)?.as_str() {
        "resend" => Ok(AmbiguousSend::Resend),
        "hold" => Ok(AmbiguousSend::Hold),
        _ => Err(serde::de::Error::custom("is neither resend nor hold")),
    }
}

fn milliseconds<'de, D: Deserializer<'de>>(text: D) -> Result<Duration, D::Error> {
    u64::deserialize(text).map(Duration::from_millis)
}

fn milliseconds_list<'de, D: Deserializer<'de>>(text: D) -> Result<Vec<Duration>, D::Error> {
    Ok(Vec::<u64>::deserialize(text)?.into_iter().map(Duration::from_millis).collect())
}

fn seconds<'de, D: Deserializer<'de>>(text: D) -> Result<Duration, D::Error> {
    u64::deserialize(text).map(Duration::from_secs)
}

fn hours<'de, D: Deserializer<'de>>(text: D) -> Result<Duration, D::Error> {
    u64::deserialize(text).map(|hours| Duration::from_secs(hours * 3600))
}

fn days<'de, D: Deserializer<'de>>(text: D) -> Result<Duration, D::Error> {
    u64::deserialize(text).map(|days| Duration::from_secs(days * 86_400))
}
