//! The circuit of one provider: after so many calls in a row that failed, all others are spared the wait.
//!
//! Pure: time comes in as an argument.

use std::time::Duration;

use actix_rt::time::Instant;
use derive_more::Display;

/// Where a circuit stands, as it is called in `/stats`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Display)]
#[display(rename_all = "snake_case")]
pub enum CircuitState {
    /// Calls are made.
    #[default]
    Closed,
    /// No call is made.
    Open,
    /// One call tries whether the provider is back.
    HalfOpen,
}

/// What changed, for the log. `failures`: calls in a row that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Opened { failures: u32 },
    HalfOpened { failures: u32 },
    Closed { failures: u32 },
}

pub(crate) struct Circuit {
    /// Calls in a row that have to fail.
    threshold: u32,
    open_for: Duration,
    failures: u32,
    state: State,
}

enum State {
    Closed,
    Open { until: Instant },
    Probing,
}

impl Circuit {
    pub(crate) fn new(threshold: u32, open_for: Duration) -> Self {
        Self { threshold, open_for, failures: 0, state: State::Closed }
    }

    pub(crate) fn state(&self) -> CircuitState {
        match self.state {
            State::Closed => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::Probing => CircuitState::HalfOpen,
        }
    }

    /// When an open circuit may be tried; `None` if it is not open.
    pub(crate) fn probe_at(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed | State::Probing => None,
        }
    }

    /// One call tries an open circuit.
    pub(crate) fn probe(&mut self) -> Option<Change> {
        matches!(self.state, State::Open { .. }).then(|| {
            self.state = State::Probing;
            Change::HalfOpened { failures: self.failures }
        })
    }

    /// A call ended in a failure that counts. What was under way when the circuit opened changes nothing.
    pub(crate) fn failed(&mut self, now: Instant, was_probe: bool) -> Option<Change> {
        let opens = match self.state {
            State::Closed => self.failures + 1 >= self.threshold,
            State::Probing => was_probe,
            State::Open { .. } => false,
        };
        if opens || matches!(self.state, State::Closed) {
            self.failures = self.failures.saturating_add(1);
        }
        opens.then(|| {
            self.state = State::Open { until: now + self.open_for };
            Change::Opened { failures: self.failures }
        })
    }

    /// A call worked.
    pub(crate) fn worked(&mut self, was_probe: bool) -> Option<Change> {
        let failures = self.failures;
        match self.state {
            State::Closed => {
                self.failures = 0;
                None
            }
            // The probe of a pause is as good as one of its own.
            State::Probing | State::Open { .. } if was_probe => {
                self.failures = 0;
                self.state = State::Closed;
                Some(Change::Closed { failures })
            }
            State::Open { .. } | State::Probing => None,
        }
    }

    /// The probe proved nothing: it was refused for a reason of its own, or given up. The next call is the probe.
    pub(crate) fn unproven(&mut self, now: Instant) {
        if matches!(self.state, State::Probing) {
            self.state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Duration = Duration::from_secs(30);

    fn after(failures: u32, now: Instant) -> Circuit {
        let mut circuit = Circuit::new(5, OPEN);
        for _ in 0..failures {
            circuit.failed(now, false);
        }
        circuit
    }

    #[test]
    fn it_opens_after_so_many_failures_in_a_row() {
        let now = Instant::now();
        let mut circuit = after(4, now);
        assert_eq!(circuit.state(), CircuitState::Closed);
        assert_eq!(circuit.failed(now, false), Some(Change::Opened { failures: 5 }));
        assert_eq!(circuit.probe_at(), Some(now + OPEN));
    }

    #[test]
    fn a_call_that_works_begins_the_count_anew() {
        let now = Instant::now();
        let mut circuit = after(4, now);
        assert_eq!(circuit.worked(false), None);
        for _ in 0..4 {
            assert_eq!(circuit.failed(now, false), None);
        }
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[test]
    fn one_probe_closes_it_or_opens_it_for_as_long_again() {
        let now = Instant::now();
        let mut circuit = after(5, now);
        assert_eq!(circuit.probe(), Some(Change::HalfOpened { failures: 5 }));
        assert_eq!(circuit.probe(), None, "there is one at a time");
        let later = now + OPEN;
        assert_eq!(circuit.failed(later, true), Some(Change::Opened { failures: 6 }));
        assert_eq!(circuit.probe_at(), Some(later + OPEN));
        circuit.probe();
        assert_eq!(circuit.worked(true), Some(Change::Closed { failures: 6 }));
        assert_eq!(circuit.failed(later, false), None, "and the count begins anew");
    }

    #[test]
    fn what_was_under_way_when_it_opened_decides_nothing() {
        let now = Instant::now();
        let mut circuit = after(5, now);
        assert_eq!((circuit.failed(now + OPEN, false), circuit.worked(false)), (None, None));
        assert_eq!(circuit.probe_at(), Some(now + OPEN), "the wait is not prolonged");
        circuit.probe();
        assert_eq!((circuit.failed(now, false), circuit.worked(false)), (None, None));
        assert_eq!(circuit.state(), CircuitState::HalfOpen);
    }

    #[test]
    fn after_a_probe_that_proves_nothing_the_next_call_is_the_probe() {
        let now = Instant::now();
        let mut circuit = after(5, now);
        circuit.probe();
        circuit.unproven(now + OPEN);
        assert_eq!(circuit.probe_at(), Some(now + OPEN));
        assert!(circuit.probe().is_some());
    }
}
