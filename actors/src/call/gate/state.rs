//! What a gate knows, and whom it lets in. Pure: time comes in as an argument.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use actix_rt::time::Instant;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Millis, PhoneNumberId, Seq};
use tokio::sync::oneshot;

use super::Shut;
use crate::call::circuit::{Change, Circuit, CircuitState};
use crate::call::limits::Rates;

/// A row that was called to probe and does not come within this time is not waited for any longer.
pub(super) const ELECTION_MAX: Duration = Duration::from_secs(10);

pub(super) struct State {
    pub(super) circuit: Circuit,
    pub(super) pause: Option<Pause>,
    /// A pause from then on was ended by the health call, and no call has worked since.
    pub(super) unproven: Option<Millis>,
    pub(super) probe: Probe,
    /// Calls under way, and places taken for one.
    pub(super) running: usize,
    /// Rows that have a place and have not begun their call; true: to probe.
    pub(super) placed: HashMap<Seq, bool>,
    pub(super) waiting: BTreeMap<(Seq, u64), Waiting>,
    pub(super) tickets: u64,
    pub(super) rates: Rates,
    /// A timer will let the next one in.
    pub(super) timed: bool,
    /// Rows wait in the ledger for this gate.
    pub(super) rows_wait: bool,
    /// Dedup is calling rows back right now.
    pub(super) calling: bool,
}

pub(super) struct Pause {
    pub(super) code: ErrorCode,
    pub(super) since: Millis,
    /// The health call probes, not a call of its own.
    pub(super) by_health: bool,
    pub(super) probe_at: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Nobody,
    /// This row was called to probe.
    Elected(Seq, Instant),
    Running,
}

pub(super) enum Door {
    Open,
    /// For one call.
    Ajar,
    Shut(Shut),
}

pub(super) struct Waiting {
    pub(super) number: Option<PhoneNumberId>,
    pub(super) admitted: oneshot::Sender<Result<(), Shut>>,
}

impl State {
    pub(super) fn shut(&self) -> Option<Shut> {
        if let Some(Pause { code, since, .. }) = &self.pause {
            return Some(Shut::Paused { code: code.clone(), since: *since });
        }
        (self.circuit.state() != CircuitState::Closed).then_some(Shut::CircuitOpen)
    }

    pub(super) fn door(&self, seq: Seq, now: Instant) -> Door {
        let Some(shut) = self.shut() else { return Door::Open };
        let is_its_turn = match self.probe {
            Probe::Elected(row, _) if row == seq => true,
            Probe::Running => false,
            // Rows that wait are called back by Dedup, the oldest first.
            Probe::Elected(..) | Probe::Nobody => !self.rows_wait && !self.calling && !self.is_elected(now),
        };
        if is_its_turn && self.probe_is_due(now) { Door::Ajar } else { Door::Shut(shut) }
    }

    pub(super) fn probe_is_due(&self, now: Instant) -> bool {
        let at = match &self.pause {
            Some(pause) => (!pause.by_health).then_some(pause.probe_at),
            None => self.circuit.probe_at(),
        };
        self.probe != Probe::Running && at.is_some_and(|at| at <= now)
    }

    pub(super) fn is_elected(&self, now: Instant) -> bool {
        matches!(self.probe, Probe::Elected(_, at) if now.duration_since(at) < ELECTION_MAX)
    }

    pub(super) fn begin_probe(&mut self) -> Option<Change> {
        self.probe = Probe::Running;
        if self.pause.is_some() { None } else { self.circuit.probe() }
    }

    pub(super) fn end_probe(&mut self, now: Instant) {
        self.probe = Probe::Nobody;
        self.circuit.unproven(now);
    }

    pub(super) fn place(&mut self, seq: Seq, number: Option<&PhoneNumberId>, is_probe: bool, now: Instant) {
        self.running += 1;
        self.placed.insert(seq, is_probe);
        if let Some(number) = number {
            self.rates.count(number, now);
        }
    }
}
