//! A call to a provider: one attempt over HTTP ([`http`]), and the loop of attempts around it.

pub(crate) mod http;

use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::Instant;
use parlante_domain::policy::{RETRY_AFTER_MAX, Retry};
use parlante_domain::ports::jittered;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Faults, MessageId, Random};
use parlante_ledger::Ledger;
use parlante_wire::outcome::{Outcome, Refusal};

use crate::events::{self, Service};
use crate::phase::PhaseWatch;
use crate::supervise::Restarts;

/// What the clients are handed at start.
pub(crate) struct Shared {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) faults: Arc<dyn Faults>,
    pub(crate) restarts: Restarts,
    pub(crate) phase: PhaseWatch,
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

/// What a failed attempt asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It surely did not happen; try again.
    Retry,
    /// It may have happened; look for it, then try again.
    RetryUnsure,
    /// It may have happened and must not be tried again blindly.
    Unknown,
    /// It will never work for this message.
    GiveUp,
    /// It will work for no message until an operator has acted.
    Pause,
}

/// A failed attempt.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) fate: Fate,
    pub(crate) code: ErrorCode,
    pub(crate) retry_after: Option<Duration>,
    /// The provider says that a further attempt is useless (`x-should-retry: false`).
    pub(crate) stop: bool,
}

impl Trouble {
    pub(crate) fn new(fate: Fate, code: ErrorCode) -> Self {
        Self { fate, code, retry_after: None, stop: false }
    }

    fn is_final(&self) -> bool {
        self.stop || !matches!(self.fate, Fate::Retry | Fate::RetryUnsure)
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self {
            fate: match refusal.outcome {
                Outcome::Retry => Fate::Retry,
                Outcome::RetryUnsure => Fate::RetryUnsure,
                Outcome::GiveUp => Fate::GiveUp,
                Outcome::Pause => Fate::Pause,
            },
            code: refusal.code(),
            retry_after: refusal.retry_after,
            stop: refusal.stop,
        }
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

/// How often and how long a provider is tried.
#[derive(Clone)]
pub(crate) struct Attempts {
    pub(crate) service: Service,
    pub(crate) retry: Retry,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) phase: PhaseWatch,
}

impl Attempts {
    /// The longest that a whole call takes: every attempt to its end, and the longest waits between them.
    pub(crate) fn longest(&self, timeout: Duration) -> Duration {
        (1..=self.retry.max_attempts)
            .map(|attempt| {
                timeout + self.retry.wait_before(attempt, Some(RETRY_AFTER_MAX)).unwrap_or_default()
            })
            .sum::<Duration>()
            .mul_f64(1.1)
    }

    /// Makes attempts until one works, fails for good, or the last has been made. `message_id` is for the log.
    pub(crate) async fn run<T>(
        &self,
        message_id: &MessageId,
        mut attempt: impl AsyncFnMut() -> Result<T, Trouble>,
    ) -> Ended<T> {
        let started = Instant::now();
        let mut made = 0;
        let mut wait = self.retry.wait_before(1, None).unwrap_or_default();
        loop {
            if self.phase.draining() || !(wait.is_zero() || self.phase.sleep(wait).await) {
                return Ended::Drained { attempts: made };
            }
            made += 1;
            let trouble = match attempt().await {
                Ok(value) => return Ended::Done { value, attempts: made },
                Err(trouble) => trouble,
            };
            let said =
                events::Attempt { service: self.service, message_id, attempt: made, code: &trouble.code };
            let next =
                if trouble.is_final() { None } else { self.retry.wait_before(made + 1, trouble.retry_after) };
            let Some(next) = next else {
                events::http_failed(&said, started.elapsed());
                return Ended::Failed { trouble, attempts: made };
            };
            wait = jittered(next, &*self.random);
            events::http_retry(&said, wait);
        }
    }
}
