//! One row, from where the journal says it stands to its end or its next wait.
//!
//! The turn decides, the drive does: it performs the effect of each step and feeds the outcome back. Before every
//! paid or visible step its intent is committed together with the result of the step before.
//!
//! - [`voice`]: hearing a voice note, and answering with one.
//! - [`model`]: asking the model.
//! - [`send`]: sending the parts of an answer.

mod model;
mod send;
mod voice;

use std::rc::Rc;
use std::time::Duration;

use actix_rt::time::Instant;
use bytes::Bytes;
use parlante_domain::policy::WINDOW;
use parlante_domain::turn::{Effect, ErrorCode, Event, Failure, Plan, Sending, Turn};
use parlante_domain::{Content, CustomerReply, Millis, Service};
use parlante_ledger::{
    Advance, Begin, Ending, Finish, Finished, Held, Hold, Intent, LedgerError, PartState, Purpose, Recorded,
    Reply, Row, Settle, Step,
};

use super::desk::Desk;
use crate::events;
use crate::metrics::Ended;
use crate::whatsapp::Sent;

/// At this many panics the persona apologises and the message is given up; at one more not even that is tried.
const PANICS_MAX: u32 = 3;

/// Why a drive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paused {
    /// The row is closed, or a status changed it: look for the next.
    GoOn,
    /// The row is held, or the server drains.
    Held,
}

/// What comes after a step.
enum Next {
    Event(Event),
    /// The server drains: the row goes back as it is.
    GiveBack,
    Stop(Paused),
}

pub(super) struct Drive {
    desk: Rc<Desk>,
    row: Row,
    begun: Instant,
    used: Duration,
    /// The result of the last step, to be committed with the next intent.
    settle: Option<Settle>,
    /// The reply that the last step brought.
    reply: Option<Reply>,
    /// The voice note that the last step brought.
    audio: Option<Bytes>,
    /// Until when a postponed step waits at the latest, and for whom.
    postponed: Option<(Millis, Option<Service>)>,
}

impl Drive {
    pub(super) fn new(desk: &Rc<Desk>, row: Row) -> Self {
        let used = desk.started.used(row.seq);
        let drive = Self {
            desk: desk.clone(),
            begun: Instant::now(),
            used: used.unwrap_or_default(),
            settle: None,
            reply: None,
            audio: None,
            postponed: None,
            row,
        };
        if used.is_none() {
            desk.started.use_up(drive.row.seq, Duration::ZERO);
            if drive.is_answer() {
                let waited = drive.now().since(drive.row.accepted_at);
                desk.metrics.started(waited);
                events::task_started(&drive.row.message_id, &drive.row.user.masked(), waited);
                desk.whatsapp.show_typing(&drive.row.number, &drive.row.message_id);
            }
        }
        drive
    }

    pub(super) async fn run(mut self) -> Result<Paused, LedgerError> {
        self.desk.faults.at("conversation.take_up");
        let mut turn = self.resume();
        let mut next = self.first_event(&turn).await;
        loop {
            let event = match next {
                Next::Event(event) => event,
                Next::GiveBack => {
                    next = self.hold(self.now(), None).await?;
                    continue;
                }
                Next::Stop(paused) => return Ok(paused),
            };
            let effect;
            (turn, effect) = match turn.step(event) {
                Ok(step) => step,
                // A fault of ours. It counts as a panic of this row, so the row is given up before it does harm.
                Err(illegal) => unreachable!("{illegal}"),
            };
            next = match effect {
                Effect::Listen => self.listen().await?,
                Effect::Speak => self.speak().await?,
                Effect::Upload => self.upload().await?,
                Effect::FallBack => self.fall_back().await?,
                Effect::Ask => self.ask().await?,
                Effect::Send(part) => self.send(&turn, part).await?,
                Effect::AwaitStatus => self.hold(self.now() + self.desk.config.reconcile, None).await?,
                Effect::Postpone => {
                    let (until, waits_for) = self.postponed.take().unwrap_or((self.now(), None));
                    self.hold(until, waits_for).await?
                }
                Effect::Finish => self.finish(&turn).await?,
            };
        }
    }

    /// Where the journal says the row stands.
    fn resume(&self) -> Turn {
        match &self.row.reply {
            _ if self.is_poisoned() && self.is_answer() => Turn::Sending(Sending {
                reply: CustomerReply::from(&self.desk.persona().texts.apology),
                is_voice: false,
                part: 0,
                unknowns: self.row.unknowns,
                awaiting: false,
                ahead: Vec::new(),
                failed: Some(Failure { code: ErrorCode::PANIC, is_dead: true }),
            }),
            Some(reply) if !self.is_poisoned() => self.resume_voice(reply).unwrap_or_else(|| {
                Turn::Sending(Sending {
                    reply: reply.reply.clone(),
                    is_voice: reply.is_voice,
                    part: index(self.row.parts_sent),
                    unknowns: self.row.unknowns,
                    awaiting: self.row.next_part == PartState::Unknown,
                    ahead: self.row.parts_ahead.iter().copied().map(index).collect(),
                    failed: reply.failed.clone(),
                })
            }),
            _ => Turn::Accepted(self.plan()),
        }
    }

    /// It made its conversation panic too often, and nothing of its answer can have reached the person.
    fn is_poisoned(&self) -> bool {
        let untold = self.row.parts_sent == 0 && self.row.next_part == PartState::Fresh;
        self.row.panics >= PANICS_MAX && untold
    }

    fn plan(&self) -> Plan {
        let persona = self.desk.persona();
        let texts = &persona.texts;
        let say = |text| Plan::Say(CustomerReply::from(text));
        match (self.row.purpose, &self.row.content) {
            (Purpose::Disclosure, _) => say(&texts.disclosure),
            (Purpose::Overflow, _) => say(&texts.overflow),
            (Purpose::Answer, Content::Words(_)) => Plan::Ask,
            (Purpose::Answer, Content::Sound(_)) if self.row.heard.is_some() => Plan::Ask,
            (Purpose::Answer, Content::Sound(_)) => Plan::Listen,
            (Purpose::Answer, Content::Unclear) => say(&texts.not_understood),
        }
    }

    async fn first_event(&mut self, turn: &Turn) -> Next {
        if self.row.panics > PANICS_MAX {
            return Next::Event(Event::GivenUp(ErrorCode::PANIC));
        }
        if self.has_missed_its_window() {
            return Next::Event(Event::GivenUp(ErrorCode::WINDOW_CLOSED));
        }
        match (turn, &self.row.next_part) {
            (Turn::Sending(_), PartState::Failed(code)) => Next::Event(Event::PartRefused(code.clone())),
            (Turn::Sending(_), PartState::Unknown) => {
                Next::Event(Event::PartMissing(self.desk.config.ambiguous_send))
            }
            // An intent of this process without a result: the call is under way, or was lost with its actor.
            (Turn::Sending(_), PartState::Intended) => {
                let part = self.row.first_part + self.row.parts_sent;
                let sent = match self.desk.whatsapp.attach((self.row.seq, Step::Send(part))).await {
                    Some(sent) => sent,
                    None => Sent::lost(),
                };
                self.sent(part, sent, matches!(turn, Turn::Sending(sending) if sending.is_voice))
            }
            _ => Next::Event(Event::Begun),
        }
    }

    /// The reply that the last step brought, about to be recorded: from here on it is the row's.
    fn take_reply(&mut self) -> Option<Reply> {
        let reply = self.reply.take();
        if reply.is_some() {
            self.row.reply.clone_from(&reply);
        }
        reply
    }

    /// Commits the result of the step before, if there is one, without a step that follows.
    async fn record(&mut self) -> Result<Option<Paused>, LedgerError> {
        let Some(settle) = self.settle.take() else { return Ok(None) };
        let (seq, now, reply, settled) = (self.row.seq, self.now(), self.take_reply(), settle.step);
        let recorded = self.desk.ledger.advance(Advance { seq, now, settle, reply, intent: None }).await?;
        self.land(settled);
        if recorded == Recorded::No {
            self.changed_meanwhile();
            return Ok(Some(Paused::GoOn));
        }
        self.row.begun = true;
        Ok(None)
    }

    /// Takes up a row before its first step, where that has to wait or may kill the process: the death is counted.
    async fn take_up(&mut self) -> Result<Option<Paused>, LedgerError> {
        if self.settle.is_some() {
            return self.record().await;
        }
        let (seq, person, now) = (self.row.seq, self.row.person, self.now());
        let begin = Begin { seq, person, now, reply: None, intent: None };
        if self.desk.ledger.begin(begin).await? == Recorded::No {
            self.changed_meanwhile();
            return Ok(Some(Paused::GoOn));
        }
        self.row.begun = true;
        Ok(None)
    }

    /// The ledger knows better what becomes of this row: gone, another person's, settled by a status. It is read again.
    fn changed_meanwhile(&self) {
        self.forget_calls();
        self.desk.started.use_up(self.row.seq, self.elapsed());
    }

    /// Commits the intent of `step`, and with it the result of the step before. The step is not to be made when the
    /// row is not ours any more (its person was joined with another, or forgotten), or when the server drains: then
    /// the row is given back.
    async fn intend(&mut self, step: Step, within: Duration) -> Result<Option<Paused>, LedgerError> {
        let (seq, person, now) = (self.row.seq, self.row.person, self.now());
        let draining = self.desk.phase.draining();
        let intent = (!draining).then_some(Intent { step, deadline: now + within });
        let reply = self.take_reply();
        let recorded = match self.settle.take() {
            Some(settle) => {
                self.row.begun = true;
                let settled = settle.step;
                let recorded = self.desk.ledger.advance(Advance { seq, now, settle, reply, intent }).await?;
                self.land(settled);
                recorded
            }
            None => self.desk.ledger.begin(Begin { seq, person, now, reply, intent }).await?,
        };
        if recorded == Recorded::No {
            self.changed_meanwhile();
            return Ok(Some(Paused::GoOn));
        }
        if draining {
            self.desk.ledger.hold(Hold { seq, now, until: now, settle: None, waits_for: None }).await?;
            return Ok(Some(Paused::Held));
        }
        Ok(None)
    }

    /// Gives the row back until `until`, with the result of its last step. A row that waits for a provider is called
    /// back when that may be asked again.
    async fn hold(&mut self, until: Millis, waits_for: Option<Service>) -> Result<Next, LedgerError> {
        let settle = self.settle.take();
        let settled = settle.as_ref().map(|settle| settle.step);
        let hold = Hold { seq: self.row.seq, now: self.now(), until, settle, waits_for };
        let held = self.desk.ledger.hold(hold).await?;
        if let Some(gate) = waits_for.and_then(|service| self.desk.gate(service)) {
            gate.row_waits();
        }
        if let Some(step) = settled {
            self.land(step);
        }
        if held == Held::Closed {
            self.closed();
        } else {
            self.desk.started.use_up(self.row.seq, self.elapsed());
        }
        Ok(Next::Stop(match held {
            Held::Waiting => Paused::Held,
            Held::Settled | Held::Closed => Paused::GoOn,
        }))
    }

    async fn finish(&mut self, turn: &Turn) -> Result<Next, LedgerError> {
        let ending = match turn {
            Turn::Done { failed } => Ending::Done { failed: failed.clone() },
            Turn::Dead(code) => Ending::Dead(code.clone()),
            _ => return Ok(Next::Stop(Paused::Held)),
        };
        let settle = self.settle.take();
        let finish = Finish { seq: self.row.seq, now: self.now(), settle, ending };
        let finished = self.desk.ledger.finish(finish).await?;
        self.closed();
        self.tell(&finished);
        Ok(Next::Stop(Paused::GoOn))
    }

    /// Nothing more will come of this row: whatever was kept for it in memory goes.
    fn closed(&self) {
        self.forget_calls();
        self.desk.started.end(self.row.seq);
    }

    fn forget_calls(&self) {
        self.desk.openai.client.land_row(self.row.seq);
        self.desk.whatsapp.client.land_row(self.row.seq);
        self.desk.elevenlabs.iter().for_each(|voice| voice.client.land_row(self.row.seq));
    }

    /// The result of a step is in the ledger; its client need not keep it any longer.
    fn land(&self, step: Step) {
        let key = (self.row.seq, step);
        match step {
            Step::Transcribe | Step::Complete => self.desk.openai.client.land(key),
            Step::Speak => self.desk.elevenlabs.iter().for_each(|elevenlabs| elevenlabs.client.land(key)),
            Step::Upload | Step::Send(_) => self.desk.whatsapp.client.land(key),
        }
    }

    fn tell(&self, finished: &Finished) {
        // What had ended before was told before; so was an answer of which a part went once more.
        if !self.is_answer() || finished.repeated {
            return;
        }
        let (id, user, took) = (&self.row.message_id, self.row.user.masked(), self.elapsed());
        let ended = match &finished.ending {
            None => return,
            Some(Ending::Done { .. }) if finished.told => return,
            Some(Ending::Done { failed: None }) => {
                events::task_completed(id, &user, took, finished.remaining);
                Ended::Completed
            }
            Some(Ending::Done { failed: Some(code) }) => {
                events::task_failed(id, &user, took, finished.remaining, code);
                Ended::Failed
            }
            Some(Ending::Dead(code)) => {
                events::message_dead_lettered(id, &user, code, finished.attempts);
                Ended::Dead
            }
        };
        self.desk.metrics.ended(ended);
        self.desk.metrics.turn_took(took);
    }

    fn is_answer(&self) -> bool {
        self.row.purpose == Purpose::Answer
    }

    fn now(&self) -> Millis {
        self.desk.clock.now()
    }

    /// Time used by this turn, in this process, without its waits.
    fn elapsed(&self) -> Duration {
        self.used + self.begun.elapsed()
    }

    /// When the turn's time is over.
    fn turn_ends(&self) -> Instant {
        Instant::now() + self.desk.config.turn.saturating_sub(self.elapsed())
    }

    /// The window closed while the message waited here. One that came too late for it is WhatsApp's to refuse; what
    /// may have been sent already is settled by its status.
    fn has_missed_its_window(&self) -> bool {
        let untried = self.row.next_part == PartState::Fresh;
        untried && self.row.accepted_at < self.window_end() && self.window_end() <= self.now()
    }

    fn window_end(&self) -> Millis {
        self.row.newest_at + WINDOW
    }
}

fn index(part: u32) -> usize {
    usize::try_from(part).unwrap_or(usize::MAX)
}
