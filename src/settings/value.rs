//! The types of single values: each can hold only what passed its check.

use std::net::IpAddr;

use actix_web::http::Uri;
use derive_more::Display;
use serde::Deserialize;

pub use parlante_domain::turn::AmbiguousSend;

/// What is wrong with a value, as the rest of a sentence: "has an empty label". Fixed words, so that no value can
/// slip into an error.
pub(super) type Problem = &'static str;

/// What kind of installation this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppEnv {
    /// Runs with what there is.
    Development,
    /// Refuses to start while a secret it needs is missing.
    Production,
}

/// When an answer is spoken, unless the person says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VoicePolicy {
    /// A voice note for a voice note, text for anything else.
    Mirror,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `Pretty` if standard output is a terminal, else `Json`.
    Auto,
    /// One JSON object a line.
    Json,
    /// For human eyes.
    Pretty,
}

/// An `http` or `https` address to which paths are appended: no user, query or fragment, no slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Display, Deserialize)]
#[display("{text}")]
#[serde(try_from = "String")]
pub struct BaseUrl {
    text: String,
    host: String,
    port: u16,
    https: bool,
}

impl BaseUrl {
    /// The address, ready for a path that begins with a slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host in lower case; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, given or implied by the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether it is this machine, told from the name alone, without asking a name server.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        parse_host(self.host.trim_matches(['[', ']'])).is_ok_and(is_loopback)
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = Problem;

    fn try_from(value: String) -> Result<Self, Problem> {
        let uri: Uri = value.parse().map_err(|_| "is not a URL")?;
        let (scheme, https) = match uri.scheme_str() {
            Some("https") => ("https", true),
            Some("http") => ("http", false),
            _ => return Err("does not begin with https:// or http://"),
        };
        if value.contains(['?', '#']) {
            return Err("has a query or a fragment");
        }
        let authority = uri.authority().ok_or("has no host")?.as_str();
        if authority.contains('@') {
            return Err("holds a user name or a password");
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("has no host")?;
        let port = match authority.strip_prefix(host).unwrap_or_default() {
            "" if https => 443,
            "" => 80,
            given => given.trim_start_matches(':').parse().map_err(|_| "has a port that is none")?,
        };
        let authority = authority.to_ascii_lowercase();
        let text = format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/'));
        Ok(Self { text, host: host.to_ascii_lowercase(), port, https })
    }
}

/// A host name in lower case, without scheme, port or path.
#[derive(Debug, Clone, PartialEq, Eq, Display, Deserialize)]
#[serde(try_from = "String")]
pub struct HostName(String);

impl HostName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HostName {
    type Error = Problem;

    fn try_from(value: String) -> Result<Self, Problem> {
        if value.contains([':', '/']) {
            return Err("has a scheme, a port or a path in it");
        }
        // The bounds of RFC 1035, 2.3.4.
        if value.len() > 253 || value.split('.').any(|label| label.is_empty() || label.len() > 63) {
            return Err("has an empty or too long part between its dots");
        }
        if !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.') {
            return Err("has characters that a host name cannot have");
        }
        Ok(Self(value.to_ascii_lowercase()))
    }
}

/// An IP address, or a network in CIDR notation such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Deserialize)]
#[display("{address}/{prefix}")]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `ip` belongs to it. An IPv4 address that a dual-stack socket reports as IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let differing = match (self.address, ip.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(32 - u32::from(self.prefix)).map(u128::from)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(128 - u32::from(self.prefix))
            }
            _ => return false,
        };
        // A prefix of 0 shifts everything out: nothing is left to differ.
        differing.unwrap_or(0) == 0
    }
}

impl TryFrom<String> for Network {
    type Error = Problem;

    fn try_from(value: String) -> Result<Self, Problem> {
        let (address, prefix) = match value.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (value.as_str(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| "is not an IP address or network")?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(prefix) => prefix.parse().map_err(|_| "has a prefix that is not a number")?,
        };
        if prefix > longest {
            return Err("has a prefix longer than its address");
        }
        Ok(Self { address, prefix })
    }
}

/// An address to listen on. `localhost` is taken for 127.0.0.1; other names are not looked up, since they may
/// change their meaning.
pub(super) fn parse_host(value: &str) -> Result<IpAddr, Problem> {
    match value {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        _ => value.parse().map_err(|_| "is not an IP address"),
    }
}

/// Whether only this machine can reach `ip`.
pub(super) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
