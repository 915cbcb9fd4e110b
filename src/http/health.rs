//! `GET /health`: live, ready, and how it goes. Nothing is asked of a provider here; a timer does that.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use derive_more::Display;
use parlante_actors::call::CircuitState;
use parlante_actors::call::stats::ChannelStats;
use parlante_domain::time::as_millis;
use parlante_domain::{Millis, Service};
use serde::{Serialize, Serializer};

use super::App;
use crate::operator::when::Time;

/// How something is, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Display)]
#[display(rename_all = "snake_case")]
enum Status {
    /// Not configured.
    Off,
    /// Not probed yet.
    Unknown,
    Ok,
    Degraded,
    Down,
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Serialize)]
struct Health {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<BTreeMap<String, Check>>,
}

#[derive(Serialize)]
struct Check {
    status: Status,
    /// RFC 3339; missing: since start.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Check {
    fn new(status: Status, since: Option<Millis>, reason: Option<String>) -> Self {
        Self { status, since: since.map(Time), latency_ms: None, reason }
    }

    fn of(stats: &ChannelStats) -> (String, Self) {
        (stats.service().to_string(), Self::of_channel(stats))
    }

    fn of_channel(stats: &ChannelStats) -> Self {
        // Nothing goes out without WhatsApp; without the others people are told so, or get text.
        let broken = if stats.service() == Service::WhatsApp { Status::Down } else { Status::Degraded };
        let channel = stats.channel();
        if !stats.is_configured() {
            return Self::new(Status::Off, None, None);
        }
        if let Some((code, since)) = channel.paused {
            return Self::new(broken, Some(since), Some(format!("paused: {}", code.as_str())));
        }
        if channel.circuit != CircuitState::Closed {
            return Self::new(broken, channel.since, Some(format!("circuit {}", channel.circuit)));
        }
        match channel.probe {
            None => Self::new(Status::Unknown, None, None),
            Some(probed) => match probed.result {
                Ok(took) => {
                    let check = Self::new(Status::Ok, Some(probed.since), None);
                    Self { latency_ms: Some(as_millis(took)), ..check }
                }
                Err(code) => Self::new(Status::Degraded, Some(probed.since), Some(code.as_str().to_owned())),
            },
        }
    }
}

/// A message that nobody has begun for so long waits too long, whatever the reason.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// 200 `ok` or `degraded`, or 503 `down`. What is off or unknown degrades nothing. The detail is for operators.
pub(super) async fn health(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let mut checks: BTreeMap<String, Check> = app.channels.iter().map(Check::of).collect();
    checks.insert("ledger".to_owned(), ledger(&app));
    checks.insert("dedup".to_owned(), dedup(&app));
    checks.insert("queue".to_owned(), queue(&app).await);
    checks.insert("webhook".to_owned(), webhook(&app));
    let status = checks.values().map(|check| check.status).max().unwrap_or(Status::Ok).max(Status::Ok);
    let checks = app.doors().guard.admit(&request).is_ok().then_some(checks);
    let mut answer =
        if status == Status::Down { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() };
    answer.json(Health { status, checks })
}

fn ledger(app: &App) -> Check {
    if app.is_durable() {
        Check::new(Status::Ok, None, None)
    } else {
        Check::new(Status::Down, None, Some("the last commit failed".to_owned()))
    }
}

fn dedup(app: &App) -> Check {
    let (waiting, room) = app.dedup.waiting();
    if waiting < room / 2 {
        return Check::new(Status::Ok, None, None);
    }
    Check::new(Status::Degraded, None, Some(format!("{waiting} webhooks wait, of {room} that may")))
}

async fn queue(app: &App) -> Check {
    let Some(oldest) = app.oldest_waiting().await else {
        return Check::new(Status::Unknown, None, Some("the ledger did not answer".to_owned()));
    };
    let waited = oldest.map_or(Duration::ZERO, |since| app.clock.now().since(since));
    if waited < WAIT_MAX {
        return Check::new(Status::Ok, None, None);
    }
    let reason = format!("the oldest message has waited for {} s", waited.as_secs());
    Check::new(Status::Degraded, oldest, Some(reason))
}

fn webhook(app: &App) -> Check {
    if app.signatures.is_secret_suspect() {
        return Check::new(Status::Degraded, None, Some("app_secret_suspect".to_owned()));
    }
    Check::new(Status::Ok, None, None)
}

/// The process runs.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// Webhooks are taken.
pub(super) async fn ready(app: web::Data<App>) -> HttpResponse {
    if app.takes_webhooks() && app.is_durable() {
        HttpResponse::Ok().finish()
    } else {
        HttpResponse::ServiceUnavailable().finish()
    }
}
