//! What is counted and timed, in the terms of Prometheus. Never by person: no label holds anything that a person sent or
//! is.
//!
//! Gauges are not kept here: whoever is asked for them looks at that moment.

use std::sync::Arc;
use std::time::Duration;

use parlante_domain::Service;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// From a lucky millisecond to an answer that nobody waits for any more.
const SECONDS: [f64; 14] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0];
/// Waits may last until the window closes.
const WAITS: [f64; 10] = [0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 86_400.0];

/// Counters and histograms of the actors. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    accepted: Counter,
    duplicates: Counter,
    refused: Family<ByReason, Counter>,
    ignored: Counter,
    turns: Family<ByEnding, Counter>,
    waits: Histogram,
    turn_time: Histogram,
    attempts: Family<ByOutcome, Counter>,
    latency: Family<ByService, Histogram>,
    fallbacks: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEnding {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    service: &'static str,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByService {
    service: &'static str,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Overflow,
    Stale,
}

impl Refused {
    const ALL: [Self; 2] = [Self::Overflow, Self::Stale];

    fn label(self) -> ByReason {
        let reason = match self {
            Self::Overflow => "overflow",
            Self::Stale => "stale",
        };
        ByReason { reason }
    }
}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Completed,
    Failed,
    Dead,
}

impl Ended {
    const ALL: [Self; 3] = [Self::Completed, Self::Failed, Self::Dead];

    fn label(self) -> ByEnding {
        let outcome = match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Dead => "dead",
        };
        ByEnding { outcome }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(SECONDS);
        Self(Arc::new(Inner {
            accepted: Counter::default(),
            duplicates: Counter::default(),
            refused: Family::default(),
            ignored: Counter::default(),
            turns: Family::default(),
            waits: Histogram::new(WAITS),
            turn_time: seconds(),
            attempts: Family::default(),
            latency: Family::new_with_constructor(seconds),
            fallbacks: Counter::default(),
        }))
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Adds every family to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let own = &*self.0;
        // Every label value is there from the start: a counter that appears with its first event has no rate for it.
        for reason in Refused::ALL {
            drop(own.refused.get_or_create(&reason.label()));
        }
        for ended in Ended::ALL {
            drop(own.turns.get_or_create(&ended.label()));
        }
        for service in Service::ALL.map(name) {
            drop(own.attempts.get_or_create(&ByOutcome { service, outcome: "done".to_owned() }));
            drop(own.latency.get_or_create(&ByService { service }));
        }
        registry.register(
            "messages_accepted",
            "Messages that are durable and will be answered",
            own.accepted.clone(),
        );
        registry.register(
            "messages_duplicate",
            "Deliveries of a message that was known",
            own.duplicates.clone(),
        );
        registry.register("messages_refused", "Messages that were not taken", own.refused.clone());
        registry.register("messages_ignored", "Items that want no answer", own.ignored.clone());
        registry.register("turns", "Messages that ended, by how", own.turns.clone());
        let queue = "From the acceptance of a message to the start of its turn";
        registry.register_with_unit("queue_wait", queue, Unit::Seconds, own.waits.clone());
        let turn = "A whole turn, without waits for an operator or a status";
        registry.register_with_unit("turn", turn, Unit::Seconds, own.turn_time.clone());
        registry.register(
            "provider_attempts",
            "Attempts at a provider, by what came of them",
            own.attempts.clone(),
        );
        let latency = "One attempt at a provider, body included";
        registry.register_with_unit("provider_attempt", latency, Unit::Seconds, own.latency.clone());
        registry.register(
            "voice_fallbacks",
            "Answers that went out as text in place of a voice note",
            own.fallbacks.clone(),
        );
    }

    pub(crate) fn accepted(&self) {
        self.0.accepted.inc();
    }

    pub(crate) fn duplicate(&self) {
        self.0.duplicates.inc();
    }

    pub(crate) fn refused(&self, reason: Refused) {
        self.0.refused.get_or_create(&reason.label()).inc();
    }

    pub(crate) fn ignored(&self) {
        self.0.ignored.inc();
    }

    pub(crate) fn started(&self, waited: Duration) {
        self.0.waits.observe(waited.as_secs_f64());
    }

    pub(crate) fn ended(&self, ended: Ended) {
        self.0.turns.get_or_create(&ended.label()).inc();
    }

    pub(crate) fn turn_took(&self, took: Duration) {
        self.0.turn_time.observe(took.as_secs_f64());
    }

    pub(crate) fn attempt(&self, service: Service, outcome: impl Into<String>, took: Duration) {
        let (service, outcome) = (name(service), outcome.into());
        self.0.attempts.get_or_create(&ByOutcome { service, outcome }).inc();
        self.0.latency.get_or_create(&ByService { service }).observe(took.as_secs_f64());
    }

    pub(crate) fn fell_back(&self) {
        self.0.fallbacks.inc();
    }
}

/// As in logs and settings.
#[must_use]
pub fn name(service: Service) -> &'static str {
    match service {
        Service::WhatsApp => "whatsapp",
        Service::OpenAi => "openai",
        Service::ElevenLabs => "elevenlabs",
    }
}
