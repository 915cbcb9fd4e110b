//! What is told of a provider in `/stats` and `/health`, readable from any thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Millis, Service};

use super::circuit::CircuitState;

/// One provider, as everyone may see it.
#[derive(Debug, Clone)]
pub struct ChannelStats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: Service,
    is_configured: bool,
    counts: [AtomicU64; Count::ALL],
    now: Mutex<Channel>,
}

/// Where a channel stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Channel {
    /// Its circuit.
    pub circuit: CircuitState,
    /// Since when the circuit stands so; `None`: since start.
    pub since: Option<Millis>,
    /// Why it is paused, and since when.
    pub paused: Option<(ErrorCode, Millis)>,
    /// What the last health call brought; `None`: there was none yet, or the provider has nothing to ask for.
    pub probe: Option<Probed>,
    /// What the account may still use, where a health call has told.
    pub quota: Option<Quota>,
}

/// What an account may use in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Characters that are left.
    pub left: u64,
    /// Characters of the whole period.
    pub limit: u64,
    /// It goes on when none are left.
    pub extends: bool,
}

/// What a health call brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// How long the answer took, or what came instead of one.
    pub result: Result<Duration, ErrorCode>,
    /// Since when it has been so.
    pub since: Millis,
}

/// What is counted since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Attempts made.
    Attempts,
    /// Attempts after the first of a call.
    Retries,
    /// Attempts without an answer in time.
    Timeouts,
    /// Calls that failed.
    Failures,
    /// Answers with a code that stands in no table of ours; it was treated by its status.
    UnknownCodes,
}

impl Count {
    const ALL: usize = 5;
}

impl ChannelStats {
    /// A channel of which nothing is known yet.
    #[must_use]
    pub fn new(service: Service, is_configured: bool) -> Self {
        Self(Arc::new(Inner { service, is_configured, counts: Default::default(), now: Mutex::default() }))
    }

    /// Whose.
    #[must_use]
    pub fn service(&self) -> Service {
        self.0.service
    }

    /// False: there is no key for it, and it is never called.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.0.is_configured
    }

    /// How often, since start.
    #[must_use]
    pub fn count(&self, of: Count) -> u64 {
        self.0.counts[of as usize].load(Ordering::Relaxed)
    }

    /// Where it stands.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add(&self, of: Count) {
        self.0.counts[of as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is(&self, circuit: CircuitState, paused: Option<(ErrorCode, Millis)>, at: Millis) {
        let mut now = self.0.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.circuit != circuit {
            now.since = Some(at);
        }
        now.circuit = circuit;
        now.paused = paused;
    }

    /// Nothing that the provider answers says how it is.
    pub(crate) fn cannot_be_probed(&self) {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner).probe = None;
    }

    /// `None`: the provider does not tell, or not this key.
    pub(crate) fn has_left(&self, quota: Option<Quota>) {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner).quota = quota;
    }

    pub(crate) fn probed(&self, result: Result<Duration, ErrorCode>, at: Millis) {
        let mut now = self.0.now.lock().unwrap_or_else(PoisonError::into_inner);
        let same = now.probe.as_ref().filter(|probed| match (&probed.result, &result) {
            (Ok(_), Ok(_)) => true,
            (before, after) => before == after,
        });
        let since = same.map_or(at, |probed| probed.since);
        now.probe = Some(Probed { result, since });
    }
}
