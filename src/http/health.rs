//! `GET /health`: live, ready, and how it goes. Nothing is asked of a provider here; a timer does that.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use derive_more::Display;
use parlante_actors::call::CircuitState;
use parlante_actors::call::stats::{ChannelStats, Probed, Quota};
use parlante_actors::metrics::name;
use parlante_domain::time::as_millis;
use parlante_domain::{Millis, Service};
use parlante_ledger::Commits;
use serde::{Serialize, Serializer};

use super::App;
use crate::operator::when::Time;

/// How something is, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Display)]
#[display(rename_all = "snake_case")]
enum Status {
    /// Not configured.
    Off,
    /// Not probed yet, or there is nothing to ask for.
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
    checks: Option<BTreeMap<&'static str, Check>>,
}

#[derive(Serialize)]
struct Check {
    status: Status,
    /// When it became so, RFC 3339. Where nobody was told of the moment: when it was first seen.
    since: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    characters_left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What a look at one thing brings; the best if nothing is said against it.
struct Look {
    status: Status,
    since: Option<Millis>,
    latency: Option<Duration>,
    characters_left: Option<u64>,
    reason: Option<String>,
}

impl Look {
    const OK: Self =
        Self { status: Status::Ok, since: None, latency: None, characters_left: None, reason: None };

    fn bad(status: Status, since: Option<Millis>, reason: impl Into<String>) -> Self {
        Self { status, since, reason: Some(reason.into()), ..Self::OK }
    }

    fn of_channel(stats: &ChannelStats) -> Self {
        let quota = stats.channel().quota;
        let look = match quota {
            Some(Quota { left: 0, extends: false, .. }) => {
                Self::of_calls(stats).or(Some(Self::bad(Status::Degraded, None, "no characters are left")))
            }
            _ => Self::of_calls(stats),
        };
        Self { characters_left: quota.map(|quota| quota.left), ..look }
    }

    fn of_calls(stats: &ChannelStats) -> Self {
        // Nothing goes out without WhatsApp; without the others people are told so, or get text.
        let broken = if stats.service() == Service::WhatsApp { Status::Down } else { Status::Degraded };
        let channel = stats.channel();
        if !stats.is_configured() {
            return Self { status: Status::Off, ..Self::OK };
        }
        if let Some((code, since)) = channel.paused {
            return Self::bad(broken, Some(since), format!("paused: {}", code.as_str()));
        }
        if channel.circuit != CircuitState::Closed {
            return Self::bad(broken, channel.since, format!("circuit {}", channel.circuit));
        }
        match channel.probe {
            None => Self { status: Status::Unknown, ..Self::OK },
            Some(Probed { result: Ok(took), since }) => {
                Self { since: Some(since), latency: Some(took), ..Self::OK }
            }
            Some(Probed { result: Err(code), since }) => {
                Self::bad(Status::Degraded, Some(since), code.as_str())
            }
        }
    }

    /// The worse of the two; this one where they are alike.
    fn or(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.status > self.status => {
                Self { characters_left: self.characters_left, ..other }
            }
            _ => self,
        }
    }
}

/// Since when each check says what it says.
pub(crate) struct Turned {
    started: Millis,
    by_check: Mutex<BTreeMap<&'static str, (Status, Millis)>>,
}

impl Turned {
    pub(crate) fn new(started: Millis) -> Self {
        Self { started, by_check: Mutex::default() }
    }

    /// `known`: the moment, where the check was told of it. One before the last turn is not that of this turn: a paused
    /// provider's health calls may have gone well all along.
    fn since(&self, check: &'static str, status: Status, known: Option<Millis>, now: Millis) -> Millis {
        let mut by_check = self.by_check.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match by_check.get(check) {
            Some((before, since)) => {
                known.filter(|known| known > since).unwrap_or(if *before == status { *since } else { now })
            }
            None => known.unwrap_or(if status <= Status::Ok { self.started } else { now }),
        };
        by_check.insert(check, (status, since));
        since
    }
}

/// A message that nobody has begun for so long waits too long, whatever the reason.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// What went wrong once and is over is told for so long: whoever looks every few minutes sees it.
const RECENT: Duration = Duration::from_secs(300);

/// 200 `ok` or `degraded`, or 503 `down`. What is off or unknown degrades nothing. The detail is for operators.
pub(super) async fn health(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let channels = app.channels.iter().map(|stats| {
        let name = name(stats.service());
        (name, Look::of_channel(stats).or(restarted(&app, name)))
    });
    let own = [
        ("ledger", ledger(&app)),
        ("dedup", dedup(&app).or(restarted(&app, "dedup"))),
        ("queue", queue(&app).await.or(overflowed(&app)).or(restarted(&app, "conversation"))),
        ("webhook", webhook(&app).or(restarted(&app, "ingress"))),
    ];
    let checks: BTreeMap<_, _> =
        channels.chain(own).map(|(name, look)| (name, check(&app, name, look))).collect();
    let status = checks.values().map(|check| check.status).max().unwrap_or(Status::Ok).max(Status::Ok);
    let checks = app.doors().guard.admit(&request).is_ok().then_some(checks);
    let mut answer =
        if status == Status::Down { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() };
    answer.json(Health { status, checks })
}

fn check(app: &App, name: &'static str, look: Look) -> Check {
    let Look { status, since, latency, characters_left, reason } = look;
    let since = Time(app.turned.since(name, status, since, app.clock.now()));
    Check { status, since, latency_ms: latency.map(as_millis), characters_left, reason }
}

/// Sees each turn of the ledger's as it comes, so that `since` is exact.
pub(super) async fn watch_ledger(app: web::Data<App>) {
    let mut commits = app.ledger_commits.clone();
    while commits.turned().await.is_some() {
        check(&app, "ledger", ledger(&app));
    }
}

fn ledger(app: &App) -> Look {
    match app.ledger_commits.now() {
        Commits::Well => Look::OK,
        Commits::Failed => Look::bad(Status::Down, None, "the last commit failed"),
        Commits::Hang(hung) => {
            Look::bad(Status::Down, None, format!("nothing has been committed for {} s", hung.as_secs()))
        }
    }
}

fn dedup(app: &App) -> Look {
    let (waiting, room) = app.dedup.waiting();
    if waiting < room / 2 {
        return Look::OK;
    }
    Look::bad(Status::Degraded, None, format!("{waiting} webhooks wait, of {room} that may"))
}

async fn queue(app: &App) -> Look {
    let Some(oldest) = app.oldest_waiting().await else {
        return Look {
            status: Status::Unknown,
            reason: Some("the ledger did not answer".to_owned()),
            ..Look::OK
        };
    };
    let waited = oldest.map_or(Duration::ZERO, |since| app.clock.now().since(since));
    if waited < WAIT_MAX {
        return Look::OK;
    }
    let reason = format!("the oldest message has waited for {} s", waited.as_secs());
    Look::bad(Status::Degraded, oldest.map(|since| since + WAIT_MAX), reason)
}

fn overflowed(app: &App) -> Option<Look> {
    let at = app.dedup.stats().overflowed().filter(|at| app.clock.now().since(*at) < RECENT)?;
    let reason = "messages were refused: somebody wrote more than may wait (event user_queue_overflow)";
    Some(Look::bad(Status::Degraded, Some(at), reason))
}

fn restarted(app: &App, actor: &str) -> Option<Look> {
    let restarted = *app.restarts.by_actor().get(actor)?;
    let reason = format!("{actor} was restarted after a panic (event actor_restarted)");
    let is_recent = app.clock.now().since(restarted.last) < RECENT;
    is_recent.then(|| Look::bad(Status::Degraded, Some(restarted.last), reason))
}

fn webhook(app: &App) -> Look {
    match app.doors().signatures.suspect_since() {
        Some(since) => Look::bad(Status::Degraded, Some(since), "app_secret_suspect"),
        None => Look::OK,
    }
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
