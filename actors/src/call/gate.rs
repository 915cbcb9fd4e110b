//! The gate before one provider: every call enters through it.
//!
//! It is shut while the circuit is open and while the channel is paused; then only one call at a time passes, to
//! probe. Where it is open, calls wait for room in the order of their rows. Whoever finds it shut leaves: a row that
//! waits for a provider waits in the ledger, and Dedup calls it back when the gate tells so ([`Gate::calls_back`]).

mod state;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::Instant;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Address, Clock, Millis, PhoneNumberId, Seq, Service};
use parlante_wire::outcome::{Cause, Outcome};
use tokio::sync::{oneshot, watch};

use super::circuit::{Change, Circuit};
use super::limits::Rates;
use super::stats::ChannelStats;
use crate::events;
use crate::phase::PhaseWatch;
use state::{Door, Pause, Probe, State, Waiting};

/// Rows are called back only while fewer than this wait here for room: the rest keeps waiting in the ledger.
const WAITING_MAX: usize = 500;

/// Longest wait for room. Whoever waits longer goes back into the ledger and comes again.
pub(crate) const ROOM_MAX: Duration = Duration::from_secs(60);

/// The rules of one gate.
#[derive(Debug, Clone)]
pub(crate) struct GateConfig {
    pub(crate) service: Service,
    /// Calls at the same time.
    pub(crate) calls_max: usize,
    /// Calls in a row that have to fail before the circuit opens.
    pub(crate) circuit_failures: u32,
    pub(crate) circuit_open: Duration,
    /// Between two probes of a paused channel.
    pub(crate) probe_every: Duration,
    /// Somebody probes the channel by the health call, so that a pause for a key or token ends by it.
    pub(crate) has_health_call: bool,
}

/// Why a call is not made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shut {
    /// Too many calls have failed in a row.
    CircuitOpen,
    /// An operator has to act, or the quota has to come back.
    Paused { code: ErrorCode, since: Millis },
    /// The server drains.
    Draining,
}

/// Whom Dedup has to call back from the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallsBack {
    /// The oldest row that waits, to probe.
    One,
    /// Everyone, oldest first.
    All,
}

/// Shared by everyone who calls the provider; lives on the core arbiter.
#[derive(Clone)]
pub(crate) struct Gate(Rc<Inner>);

struct Inner {
    config: GateConfig,
    clock: Arc<dyn Clock>,
    /// Tells Dedup that there may be somebody to call back.
    news: watch::Sender<()>,
    stats: ChannelStats,
    state: RefCell<State>,
}

/// A place that a conversation has for its next call. The call takes it over ([`Gate::take`]); what is not taken
/// over is given back.
pub(crate) struct Entry {
    gate: Gate,
    seq: Seq,
}

impl Drop for Entry {
    fn drop(&mut self) {
        drop(self.gate.take(self.seq));
    }
}

/// The place of a call under way.
pub(crate) struct Place {
    gate: Gate,
    pub(crate) is_probe: bool,
    /// Its end was told.
    told: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.told {
            self.gate.unproven(self.is_probe);
        }
        self.gate.0.state.borrow_mut().running -= 1;
        self.gate.admit();
    }
}

impl Place {
    /// How the call ended: `Ok`, or the outcome of its last attempt. `None`: nothing that says anything about the
    /// provider.
    pub(crate) fn ended(mut self, ended: Result<(), Option<(Outcome, &ErrorCode)>>) {
        self.told = true;
        let (gate, is_probe) = (self.gate.clone(), self.is_probe);
        match ended {
            Ok(()) => gate.worked(is_probe),
            Err(Some((Outcome::Retry | Outcome::RetryUnsure | Outcome::Unknown, _))) => gate.failed(is_probe),
            Err(Some((Outcome::Pause(cause), code))) => gate.pause(code, cause, is_probe),
            Err(Some((Outcome::GiveUp, _)) | None) => gate.unproven(is_probe),
        }
    }
}

impl Gate {
    pub(crate) fn new(
        config: GateConfig,
        clock: Arc<dyn Clock>,
        news: watch::Sender<()>,
        stats: ChannelStats,
    ) -> Self {
        let state = RefCell::new(State {
            circuit: Circuit::new(config.circuit_failures, config.circuit_open),
            pause: None,
            unproven: None,
            probe: Probe::Nobody,
            running: 0,
            placed: HashMap::new(),
            waiting: BTreeMap::new(),
            tickets: 0,
            rates: Rates::default(),
            timed: false,
            rows_wait: false,
            calling: false,
        });
        Self(Rc::new(Inner { config, clock, news, stats, state }))
    }

    pub(crate) fn service(&self) -> Service {
        self.0.config.service
    }

    pub(crate) fn stats(&self) -> &ChannelStats {
        &self.0.stats
    }

    /// Why no call of any row is made now, if so. A call that probes is made all the same.
    pub(crate) fn shut(&self) -> Option<Shut> {
        self.0.state.borrow().shut()
    }

    /// A place at once; `Ok(None)`: it has to be waited for.
    pub(crate) fn try_enter(&self, seq: Seq, number: Option<&PhoneNumberId>) -> Result<Option<Entry>, Shut> {
        let now = Instant::now();
        let mut state = self.0.state.borrow_mut();
        let is_probe = match state.door(seq, now) {
            Door::Shut(shut) => return Err(shut),
            Door::Ajar => true,
            Door::Open => {
                let has_room = state.waiting.is_empty() && state.running < self.0.config.calls_max;
                if !has_room || number.is_some_and(|number| state.rates.next(number, now) > now) {
                    return Ok(None);
                }
                false
            }
        };
        let change = if is_probe { state.begin_probe() } else { None };
        state.place(seq, number, is_probe, now);
        drop(state);
        self.tell(change);
        Ok(Some(Entry { gate: self.clone(), seq }))
    }

    /// A place, once there is room; the oldest row goes first. `Err(None)`: there was none within `longest`.
    pub(crate) async fn enter(
        &self,
        seq: Seq,
        number: Option<&PhoneNumberId>,
        longest: Duration,
        phase: &PhaseWatch,
    ) -> Result<Entry, Option<Shut>> {
        if let Some(entry) = self.try_enter(seq, number)? {
            return Ok(entry);
        }
        let (admitted, admission) = oneshot::channel();
        let ticket = {
            let mut state = self.0.state.borrow_mut();
            state.tickets += 1;
            let ticket = (seq, state.tickets);
            state.waiting.insert(ticket, Waiting { number: number.cloned(), admitted });
            ticket
        };
        // Dropped in whatever way this ends: who is not waiting any more must not be let in.
        let mut queued = Queued { gate: self.clone(), ticket, admitted: false };
        self.admit();
        let answer = tokio::select! {
            biased;
            answer = admission => answer.unwrap_or(Err(Shut::Draining)).map_err(Some),
            in_time = phase.sleep(longest) => Err((!in_time).then_some(Shut::Draining)),
        };
        queued.admitted = answer.is_ok();
        answer.map(|()| Entry { gate: self.clone(), seq })
    }

    /// The call of this row takes over the place that its conversation has.
    pub(crate) fn take(&self, seq: Seq) -> Option<Place> {
        let mut state = self.0.state.borrow_mut();
        let is_probe = state.placed.remove(&seq)?;
        let is_late = !is_probe && state.shut().is_some();
        drop(state);
        let place = Place { gate: self.clone(), is_probe, told: false };
        // The gate was shut since the place was given.
        (!is_late).then_some(place)
    }

    /// How long a message to this person has to wait; it is counted.
    pub(crate) fn pair_wait(&self, number: &PhoneNumberId, person: &Address) -> Duration {
        self.0.state.borrow_mut().rates.pair(number, person, Instant::now())
    }

    /// A further attempt counts like a first.
    pub(crate) fn count_again(&self, number: &PhoneNumberId) {
        self.0.state.borrow_mut().rates.count(number, Instant::now());
    }

    /// A call would have to wait for room now.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.state.borrow().running >= self.0.config.calls_max
    }

    /// Calls that wait here for room.
    pub(crate) fn waiting(&self) -> usize {
        self.0.state.borrow().waiting.len()
    }

    /// A row that found the gate shut waits in the ledger now.
    pub(crate) fn row_waits(&self) {
        self.0.state.borrow_mut().rows_wait = true;
        // It may have been opened meanwhile.
        self.0.news.send_replace(());
    }

    /// Whom Dedup has to call back now. It answers with [`Gate::called_back`].
    pub(crate) fn calls_back(&self) -> Option<CallsBack> {
        let mut state = self.0.state.borrow_mut();
        if !state.rows_wait || state.calling {
            return None;
        }
        let calls = if state.shut().is_none() {
            (state.waiting.len() < WAITING_MAX).then_some(CallsBack::All)
        } else {
            let now = Instant::now();
            (state.probe_is_due(now) && !state.is_elected(now)).then_some(CallsBack::One)
        };
        if calls.is_some() {
            state.calling = true;
            // Whoever comes to wait from now on says so again.
            state.rows_wait = false;
        }
        calls
    }

    /// Whoever was calling rows back is gone: they are called again.
    pub(crate) fn forget_calls(&self) {
        let mut state = self.0.state.borrow_mut();
        state.rows_wait |= std::mem::take(&mut state.calling);
    }

    /// What came of it: the oldest row that was called, and whether none is left. `None`: the ledger did not answer.
    pub(crate) fn called_back(&self, calls: CallsBack, found: Option<(Option<Seq>, bool)>) {
        let mut state = self.0.state.borrow_mut();
        state.calling = false;
        let Some((oldest, is_last)) = found else {
            state.rows_wait = true;
            return;
        };
        match (calls, oldest) {
            // The others wait on.
            (CallsBack::One, Some(seq)) => {
                state.rows_wait = true;
                if state.probe != Probe::Running {
                    state.probe = Probe::Elected(seq, Instant::now());
                }
            }
            // Nobody waits after all: the next call probes.
            (CallsBack::One, None) => {}
            (CallsBack::All, _) => state.rows_wait |= !is_last,
        }
    }

    /// The health call has worked: a pause for a key or token is over. Should the next call be refused all the same
    /// (a key that may list models and not use them), the pause goes on from where it began, and a call has to end it.
    pub(crate) fn is_healthy(&self) {
        let mut state = self.0.state.borrow_mut();
        let Some(since) = state.pause.as_ref().filter(|pause| pause.by_health).map(|pause| pause.since)
        else {
            return;
        };
        state.unproven = Some(since);
        drop(state);
        self.resume();
    }

    /// The health call was refused for another reason than the key: a call has to end a pause for it.
    pub(crate) fn health_says_nothing(&self) {
        let mut state = self.0.state.borrow_mut();
        if let Some(pause) = state.pause.as_mut().filter(|pause| pause.by_health) {
            pause.by_health = false;
            let probe_at = pause.probe_at;
            drop(state);
            self.alarm(probe_at);
        }
    }

    /// The operator has acted: whatever waits for a probe may be probed now.
    pub(crate) fn look_again(&self) {
        if let Some(pause) = &mut self.0.state.borrow_mut().pause {
            pause.probe_at = Instant::now();
        }
        self.0.news.send_replace(());
    }

    /// Pauses the channel: no call works until an operator has acted, or the quota is back.
    pub(crate) fn pause(&self, code: &ErrorCode, cause: Cause, is_probe: bool) {
        let probe_at = Instant::now() + self.0.config.probe_every;
        let mut state = self.0.state.borrow_mut();
        if is_probe {
            state.end_probe(Instant::now());
        }
        let proves_by_health = cause == Cause::Credential && self.0.config.has_health_call;
        let by_health = proves_by_health && state.unproven.is_none();
        let is_new = state.pause.is_none();
        let since = state.pause.as_ref().map(|pause| pause.since).or(state.unproven);
        let since = since.unwrap_or_else(|| self.0.clock.now());
        if is_new || is_probe {
            state.pause = Some(Pause { code: code.clone(), since, by_health, probe_at });
        }
        drop(state);
        if is_new || is_probe {
            self.alarm(probe_at);
        }
        self.changed();
        // Told last: whoever reads of it finds `/stats` and `/health` changed.
        if is_new {
            events::channel_paused(self.service(), code);
        }
    }

    fn resume(&self) {
        let pause = self.0.state.borrow_mut().pause.take();
        self.changed();
        if let Some(pause) = pause {
            events::channel_resumed(self.service(), &pause.code);
        }
    }

    fn worked(&self, is_probe: bool) {
        let mut state = self.0.state.borrow_mut();
        state.unproven = None;
        if is_probe {
            state.probe = Probe::Nobody;
        }
        let change = state.circuit.worked(is_probe);
        drop(state);
        self.tell(change);
        if is_probe {
            self.resume();
        }
    }

    fn failed(&self, is_probe: bool) {
        let now = Instant::now();
        let mut state = self.0.state.borrow_mut();
        let change = state.circuit.failed(now, is_probe);
        if is_probe {
            state.end_probe(now);
            self.probe_pause_later(&mut state, now);
        }
        let probe_at = state.circuit.probe_at();
        drop(state);
        if change.is_some() {
            probe_at.into_iter().for_each(|at| self.alarm(at));
        }
        self.tell(change);
    }

    fn unproven(&self, is_probe: bool) {
        if is_probe {
            let now = Instant::now();
            let mut state = self.0.state.borrow_mut();
            state.end_probe(now);
            self.probe_pause_later(&mut state, now);
            drop(state);
            self.changed();
        }
    }

    fn probe_pause_later(&self, state: &mut State, now: Instant) {
        if let Some(pause) = &mut state.pause {
            pause.probe_at = now + self.0.config.probe_every;
            self.alarm(pause.probe_at);
        }
    }

    fn tell(&self, change: Option<Change>) {
        if let Some(change) = change {
            self.changed();
            events::circuit(self.service(), change);
        }
    }

    /// Tells everyone who may care: those who wait here, Dedup, `/stats`.
    fn changed(&self) {
        let (circuit, pause) = {
            let state = self.0.state.borrow();
            (state.circuit.state(), state.pause.as_ref().map(|pause| (pause.code.clone(), pause.since)))
        };
        self.0.stats.is(circuit, pause, self.0.clock.now());
        self.admit();
        self.0.news.send_replace(());
    }

    /// Wakes Dedup when a probe is due.
    fn alarm(&self, at: Instant) {
        let news = self.0.news.clone();
        actix_rt::spawn(async move {
            actix_rt::time::sleep_until(at).await;
            news.send_replace(());
        });
    }

    /// Lets in whoever there is room for, oldest row first; turns everyone away if the gate is shut.
    fn admit(&self) {
        let now = Instant::now();
        let mut state = self.0.state.borrow_mut();
        if let Some(shut) = state.shut() {
            for (_, waiting) in std::mem::take(&mut state.waiting) {
                let _ = waiting.admitted.send(Err(shut.clone()));
            }
            return;
        }
        let mut soonest: Option<Instant> = None;
        let mut next = state.waiting.keys().next().copied();
        while let Some(ticket) = next.filter(|_| state.running < self.0.config.calls_max) {
            next = state.waiting.range((Excluded(ticket), Unbounded)).next().map(|(ticket, _)| *ticket);
            let number = state.waiting.get(&ticket).and_then(|waiting| waiting.number.clone());
            let at = number.as_ref().map_or(now, |number| state.rates.next(number, now));
            if at > now {
                soonest = Some(soonest.map_or(at, |other| other.min(at)));
                continue;
            }
            let Some(waiting) = state.waiting.remove(&ticket) else { continue };
            if waiting.admitted.send(Ok(())).is_ok() {
                state.place(ticket.0, number.as_ref(), false, now);
            }
        }
        if let Some(at) = soonest.filter(|_| !state.timed) {
            state.timed = true;
            let gate = self.clone();
            actix_rt::spawn(async move {
                actix_rt::time::sleep_until(at).await;
                gate.0.state.borrow_mut().timed = false;
                gate.admit();
            });
        }
    }
}

/// Somebody who waits for room.
struct Queued {
    gate: Gate,
    ticket: (Seq, u64),
    admitted: bool,
}

impl Drop for Queued {
    fn drop(&mut self) {
        let waits = self.gate.0.state.borrow_mut().waiting.remove(&self.ticket).is_some();
        if !waits && !self.admitted {
            // Let in at the very moment of leaving.
            drop(self.gate.take(self.ticket.0));
        }
    }
}

#[cfg(test)]
mod tests;
