//! A call to a provider, and all that the three clients share.
//!
//! - [`gate`]: whether a call may be made now: [`circuit`], pause, and [`limits`].
//! - [`http`]: one attempt.
//! - [`Attempts`]: the loop of attempts around it.
//! - [`client`]: the actor's frame, with single flight.
//! - [`stats`]: what `/stats` and `/health` tell of it.

pub(crate) mod circuit;
pub(crate) mod client;
pub(crate) mod gate;
pub(crate) mod http;
pub(crate) mod limits;
pub mod stats;

use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::{Instant, timeout};
use parlante_domain::policy::{RETRY_AFTER_MAX, Retry};
use parlante_domain::ports::jittered;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Clock, Faults, MessageId, Random};
use parlante_ledger::Ledger;
use parlante_wire::outcome::{Outcome, Refusal};
use tokio::sync::watch;

pub use circuit::CircuitState;
pub use http::tls;

use crate::events;
use crate::metrics::Metrics;
use crate::phase::PhaseWatch;
use crate::supervise::Restarts;
use gate::{Gate, GateConfig, Place};
use http::Broken;
use stats::{ChannelStats, Count};

/// How one provider is called, whichever it is.
#[derive(Debug, Clone)]
pub struct CallConfig {
    /// One attempt, body included.
    pub timeout: Duration,
    /// Attempts and the waits between them.
    pub retry: Retry,
    /// Calls in a row that have to fail before the circuit opens.
    pub circuit_failures: u32,
    /// How long an open circuit waits before one call may try.
    pub circuit_open: Duration,
    /// Between two health calls, and between two probes of a paused channel.
    pub probe_every: Duration,
}

/// What the clients are handed at start.
pub(crate) struct Shared {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) faults: Arc<dyn Faults>,
    pub(crate) restarts: Restarts,
    pub(crate) phase: PhaseWatch,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    /// Tells Dedup that a gate may want rows called back.
    pub(crate) news: watch::Sender<()>,
    pub(crate) credentials: watch::Receiver<Arc<Credentials>>,
    pub(crate) metrics: Metrics,
}

/// What the providers know us by; empty where there is none. Read anew at every attempt, so that a new one takes
/// effect at once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The Graph API's bearer token.
    pub whatsapp: String,
    /// OpenAI's key.
    pub openai: String,
    /// The key of the fallback model's server.
    pub openai_fallback: String,
    /// ElevenLabs' key.
    pub elevenlabs: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// A failed attempt.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) outcome: Outcome,
    pub(crate) code: ErrorCode,
    pub(crate) retry_after: Option<Duration>,
    /// The provider says that a further attempt is useless (`x-should-retry: false`).
    pub(crate) stop: bool,
    /// Its code stands in a table of ours.
    is_known: bool,
}

impl Trouble {
    pub(crate) fn new(outcome: Outcome, code: ErrorCode) -> Self {
        Self { outcome, code, retry_after: None, stop: false, is_known: true }
    }

    fn is_final(&self) -> bool {
        self.stop || !matches!(self.outcome, Outcome::Retry | Outcome::RetryUnsure)
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self {
            outcome: refusal.outcome,
            code: refusal.code(),
            retry_after: refusal.retry_after,
            stop: refusal.stop,
            is_known: refusal.is_known,
        }
    }
}

/// Asking twice costs, but is never visible: whatever broke may be tried again. A send is another matter.
impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Self::new(Outcome::Retry, broken.code())
    }
}

/// How a call ended.
#[derive(Debug, Clone)]
pub(crate) enum Ended<T> {
    /// It worked.
    Done { value: T, attempts: u32 },
    /// It failed for good, or for now.
    Failed { trouble: Trouble, attempts: u32 },
    /// The server drains; no further attempt was made.
    Drained { attempts: u32 },
}

/// For whom a call is made, and until when.
pub(crate) struct Call<'a> {
    /// For the log.
    pub(crate) message_id: &'a MessageId,
    /// When the turn's time is over; no attempt goes on after that.
    pub(crate) until: Option<Instant>,
}

/// How often and how long a provider is tried.
#[derive(Clone)]
pub(crate) struct Attempts {
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
    pub(crate) retry: Retry,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) phase: PhaseWatch,
}

impl Attempts {
    /// Those of a provider, through a gate that lets in `calls_max` calls at once.
    pub(crate) fn new(
        config: &CallConfig,
        calls_max: usize,
        has_health_call: bool,
        stats: ChannelStats,
        shared: &Shared,
    ) -> Self {
        let gate = GateConfig {
            service: stats.service(),
            calls_max,
            circuit_failures: config.circuit_failures,
            circuit_open: config.circuit_open,
            probe_every: config.probe_every,
            has_health_call,
        };
        Self {
            gate: Gate::new(gate, shared.clock.clone(), shared.news.clone(), stats),
            metrics: shared.metrics.clone(),
            retry: config.retry.clone(),
            random: shared.random.clone(),
            phase: shared.phase.clone(),
        }
    }

    /// The longest that a whole call takes: every attempt to its end, and the longest waits between them.
    pub(crate) fn longest(&self, timeout: Duration) -> Duration {
        (1..=self.retry.max_attempts)
            .map(|attempt| {
                timeout + self.retry.wait_before(attempt, Some(RETRY_AFTER_MAX)).unwrap_or_default()
            })
            .sum::<Duration>()
            .mul_f64(1.1)
    }

    /// Makes attempts until one works, fails for good, or the last has been made; the provider's gate is told how it
    /// went. A call that probes has one attempt.
    pub(crate) async fn run<T>(
        &self,
        place: Place,
        call: &Call<'_>,
        attempt: impl AsyncFnMut() -> Result<T, Trouble>,
    ) -> Ended<T> {
        let ended = self.attempts(true, call, attempt).await;
        place.ended(match &ended {
            Ended::Done { .. } => Ok(()),
            Ended::Failed { trouble, .. } => Err(Some((trouble.outcome, &trouble.code))),
            Ended::Drained { .. } => Err(None),
        });
        ended
    }

    /// As [`Attempts::run`], at another server than the one behind the gate.
    pub(crate) async fn run_beside<T>(
        &self,
        call: &Call<'_>,
        attempt: impl AsyncFnMut() -> Result<T, Trouble>,
    ) -> Ended<T> {
        self.attempts(false, call, attempt).await
    }

    async fn attempts<T>(
        &self,
        heeds_gate: bool,
        call: &Call<'_>,
        mut attempt: impl AsyncFnMut() -> Result<T, Trouble>,
    ) -> Ended<T> {
        let started = Instant::now();
        let (mut made, mut last) = (0, None);
        let mut wait = self.retry.wait_before(1, None).unwrap_or_default();
        loop {
            if self.phase.draining() || !(wait.is_zero() || self.phase.sleep(wait).await) {
                return Ended::Drained { attempts: made };
            }
            // It may have been shut during the wait. The attempt was told of when it failed.
            if let Some(trouble) = last.take_if(|_| heeds_gate && self.gate.shut().is_some()) {
                self.gate.stats().add(Count::Failures);
                return Ended::Failed { trouble, attempts: made };
            }
            made += 1;
            let asked = Instant::now();
            let result = within(call.until, attempt()).await;
            let trouble = match self.count(made, asked.elapsed(), result) {
                Ok(value) => return Ended::Done { value, attempts: made },
                Err(trouble) => trouble,
            };
            let next = (!trouble.is_final())
                .then(|| self.retry.wait_before(made + 1, trouble.retry_after))
                .flatten()
                .map(|wait| jittered(wait, &*self.random));
            // A gate that is shut ends the attempts: those of a probe after the first, and so does the turn's end.
            let Some(next) = next.filter(|_| !heeds_gate || self.gate.shut().is_none()) else {
                self.tell_failure(call, made, started, &trouble);
                return Ended::Failed { trouble, attempts: made };
            };
            if call.until.is_some_and(|until| Instant::now() + next >= until) {
                self.tell_failure(call, made, started, &trouble);
                return Ended::Failed { trouble: turn_deadline(), attempts: made };
            }
            wait = next;
            events::http_retry(&self.attempt(call, made, &trouble), wait);
            last = Some(trouble);
        }
    }

    fn attempt<'a>(&self, call: &Call<'a>, attempt: u32, trouble: &'a Trouble) -> events::Attempt<'a> {
        let (service, message_id) = (self.gate.service(), call.message_id);
        events::Attempt { service, message_id, attempt, code: &trouble.code }
    }

    fn tell_failure(&self, call: &Call<'_>, made: u32, started: Instant, trouble: &Trouble) {
        events::http_failed(&self.attempt(call, made, trouble), started.elapsed());
        self.gate.stats().add(Count::Failures);
    }

    fn count<T>(&self, made: u32, took: Duration, result: Result<T, Trouble>) -> Result<T, Trouble> {
        let (stats, service) = (self.gate.stats(), self.gate.service());
        match &result {
            Ok(_) => self.metrics.attempt(service, "done", took),
            Err(trouble) => self.metrics.attempt(service, trouble.outcome.to_string(), took),
        }
        stats.add(Count::Attempts);
        if made > 1 {
            stats.add(Count::Retries);
        }
        if let Err(trouble) = &result {
            if trouble.code == ErrorCode::TIMEOUT {
                stats.add(Count::Timeouts);
            }
            if !trouble.is_known {
                stats.add(Count::UnknownCodes);
            }
        }
        result
    }
}

/// The turn's time is over. That says nothing of the provider.
fn turn_deadline() -> Trouble {
    Trouble::new(Outcome::GiveUp, ErrorCode::TURN_DEADLINE)
}

async fn within<T>(
    until: Option<Instant>,
    attempt: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    match until {
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            timeout(left, attempt).await.unwrap_or_else(|_| Err(turn_deadline()))
        }
        None => attempt.await,
    }
}
