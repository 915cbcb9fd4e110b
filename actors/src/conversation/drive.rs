//! One row, from where the journal says it stands to its end or its next wait.
//!
//! The turn decides, the drive does: it performs the effect of each step and feeds the outcome back. Before every
//! paid or visible step its intent is committed together with the result of the step before.

use std::rc::Rc;
use std::time::Duration;

use actix_rt::time::Instant;
use parlante_domain::policy::{self, WINDOW, fit, hold_wait};
use parlante_domain::turn::{Effect, ErrorCode, Event, Plan, Sending, Turn};
use parlante_domain::{Content, CustomerReply, Millis, Tag};
use parlante_ledger::{
    Advance, Begin, Ending, Finish, Finished, Held, Hold, Intent, LedgerError, PartState, Purpose, Recorded,
    Reply, Row, Settle, Step, StepOutcome,
};

use super::desk::Desk;
use crate::events;
use crate::openai::{Asked, Question};
use crate::whatsapp::{Outgoing, Sent};

/// Typing is shown for 25 s at most; renewed a little before.
const TYPING_RENEWED: Duration = Duration::from_secs(20);
/// Lines of history that are read before the token budget chooses among them.
const HISTORY_LINES: usize = 200;
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
            row,
        };
        if used.is_none() {
            desk.started.use_up(drive.row.seq, Duration::ZERO);
            if drive.is_answer() {
                let waited = drive.now().since(drive.row.accepted_at);
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
                    next = self.hold(self.now()).await?;
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
                Effect::Ask => self.ask().await?,
                Effect::Send(part) => self.send(&turn, part).await?,
                Effect::AwaitStatus => self.hold(self.now() + self.desk.config.reconcile).await?,
                Effect::Postpone => self.hold(self.postponed_until()).await?,
                Effect::Finish => self.finish(&turn).await?,
            };
        }
    }

    /// Where the journal says the row stands.
    fn resume(&self) -> Turn {
        match &self.row.reply {
            _ if self.is_poisoned() && self.is_answer() => Turn::Sending(Sending {
                reply: CustomerReply::from(&self.desk.persona.texts.apology),
                part: 0,
                unknowns: self.row.unknowns,
                awaiting: false,
                failed: Some(ErrorCode::PANIC),
            }),
            Some(reply) if !self.is_poisoned() => Turn::Sending(Sending {
                reply: reply.reply.clone(),
                part: usize::try_from(self.row.parts_sent).unwrap_or(usize::MAX),
                unknowns: self.row.unknowns,
                awaiting: self.row.next_part == PartState::Unknown,
                failed: reply.failed.clone(),
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
        let texts = &self.desk.persona.texts;
        let say = |text| Plan::Say(CustomerReply::from(text));
        match (self.row.purpose, &self.row.content) {
            (Purpose::Disclosure, _) => say(&texts.disclosure),
            (Purpose::Overflow, _) => say(&texts.overflow),
            (Purpose::Answer, Content::Words(_)) => Plan::Ask,
            (Purpose::Answer, Content::Sound) => say(&texts.please_write),
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
                self.sent(part, sent)
            }
            _ => Next::Event(Event::Begun),
        }
    }

    async fn ask(&mut self) -> Result<Next, LedgerError> {
        let words = self.words();
        if let Some(paused) = self.intend(Step::Complete, self.desk.openai.deadline()).await? {
            return Ok(Next::Stop(paused));
        }
        let lines = self.desk.ledger.history(self.row.person, HISTORY_LINES).await?;
        let question = Question {
            seq: self.row.seq,
            message_id: self.row.message_id.clone(),
            system: self.desk.persona.prompt.clone(),
            history: fit(lines, self.desk.config.history_tokens.saturating_sub(policy::tokens(&words))),
            words,
        };
        self.desk.faults.at("conversation.ask");
        let left = self.desk.config.turn.saturating_sub(self.elapsed());
        let asked = self.while_typing(left, self.desk.openai.ask(question)).await;
        self.desk.faults.at("conversation.asked");
        Ok(self.asked(asked))
    }

    /// Waits for the model and shows the person that the persona is typing. `None`: the turn's time is over.
    async fn while_typing(&self, left: Duration, asked: impl Future<Output = Asked>) -> Option<Asked> {
        let mut asked = std::pin::pin!(asked);
        let over = actix_rt::time::sleep(left);
        let mut over = std::pin::pin!(over);
        let mut typing = actix_rt::time::interval_at(Instant::now() + TYPING_RENEWED, TYPING_RENEWED);
        loop {
            tokio::select! {
                biased;
                asked = &mut asked => return Some(asked),
                () = &mut over => return None,
                _ = typing.tick() => self.desk.whatsapp.show_typing(&self.row.number, &self.row.message_id),
            }
        }
    }

    fn asked(&mut self, asked: Option<Asked>) -> Next {
        let settled = |attempts, outcome| Some(Settle { step: Step::Complete, attempts, outcome });
        match asked {
            Some(Asked::Answered { answer, usage, attempts }) => {
                self.settle = settled(attempts, StepOutcome::Answered(usage));
                self.reply = Some(Reply {
                    reply: CustomerReply::from(&answer),
                    words: Some(answer.words().to_owned()),
                    failed: None,
                });
                Next::Event(Event::Answered(answer))
            }
            Some(Asked::Failed { code, attempts }) => {
                self.settle = settled(attempts, StepOutcome::Failed(code.clone()));
                Next::Event(self.apologise(code))
            }
            Some(Asked::Drained { attempts }) => {
                self.settle = settled(attempts, StepOutcome::Postponed(ErrorCode::DRAINED));
                Next::GiveBack
            }
            None => {
                self.settle = settled(1, StepOutcome::Failed(ErrorCode::TURN_DEADLINE));
                Next::Event(self.apologise(ErrorCode::TURN_DEADLINE))
            }
        }
    }

    fn apologise(&mut self, code: ErrorCode) -> Event {
        let apology = CustomerReply::from(&self.desk.persona.texts.apology);
        self.reply = Some(Reply { reply: apology.clone(), words: None, failed: Some(code.clone()) });
        Event::ModelFailed(code, apology)
    }

    async fn send(&mut self, turn: &Turn, part: usize) -> Result<Next, LedgerError> {
        let Turn::Sending(sending) = turn else { return Ok(Next::Stop(Paused::Held)) };
        let index = u32::try_from(part).unwrap_or(u32::MAX);
        let number = self.row.first_part.saturating_add(index);
        let step = Step::Send(number);
        let unrecorded = self.row.reply.is_none() || self.is_poisoned();
        if unrecorded && part == 0 && self.reply.is_none() {
            let (reply, failed) = (sending.reply.clone(), sending.failed.clone());
            self.reply = Some(Reply { reply, words: None, failed });
        }
        if let Some(paused) = self.intend(step, self.desk.whatsapp.deadline()).await? {
            return Ok(Next::Stop(paused));
        }
        self.desk.faults.at("conversation.send");
        let outgoing = Outgoing {
            seq: self.row.seq,
            part: index,
            number: self.row.number.clone(),
            to: self.row.user.clone(),
            message_id: self.row.message_id.clone(),
            reply: sending.reply.clone(),
            tag: Tag { ledger: self.desk.ledger.id().to_owned(), seq: self.row.seq, part: number },
        };
        let sent = self.desk.whatsapp.send(outgoing).await;
        self.desk.faults.at("conversation.sent");
        Ok(self.sent(number, sent))
    }

    fn sent(&mut self, part: u32, sent: Sent) -> Next {
        let (event, outcome) = match sent.outcome {
            StepOutcome::Accepted(id) => (Event::PartAccepted, StepOutcome::Accepted(id)),
            StepOutcome::Postponed(code) => (Event::PartPostponed, StepOutcome::Postponed(code)),
            StepOutcome::Failed(code) => (Event::PartRefused(code.clone()), StepOutcome::Failed(code)),
            other => (Event::PartUnknown, other),
        };
        self.settle = Some(Settle { step: Step::Send(part), attempts: sent.attempts, outcome });
        if sent.drained { Next::GiveBack } else { Next::Event(event) }
    }

    /// Commits the intent of `step`, and with it the result of the step before. The step is not to be made when the
    /// row is not ours any more (its person was joined with another, or forgotten), or when the server drains: then
    /// the row is given back.
    async fn intend(&mut self, step: Step, within: Duration) -> Result<Option<Paused>, LedgerError> {
        let (seq, person, now) = (self.row.seq, self.row.person, self.now());
        let draining = self.desk.phase.draining();
        let intent = (!draining).then_some(Intent { step, deadline: now + within });
        let reply = self.reply.take();
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
            // What nobody had begun lives on with the person that this one was joined with.
            if self.row.begun {
                self.closed();
            }
            return Ok(Some(Paused::GoOn));
        }
        if draining {
            self.desk.ledger.hold(Hold { seq, now, until: now, settle: None }).await?;
            return Ok(Some(Paused::Held));
        }
        Ok(None)
    }

    /// Gives the row back until `until`, with the result of its last step.
    async fn hold(&mut self, until: Millis) -> Result<Next, LedgerError> {
        let settle = self.settle.take();
        let settled = settle.as_ref().map(|settle| settle.step);
        let held = self.desk.ledger.hold(Hold { seq: self.row.seq, now: self.now(), until, settle }).await?;
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
            Turn::Done { failed: Some(code) } if *code == ErrorCode::PANIC => Ending::Dead(code.clone()),
            Turn::Done { failed } => Ending::Done { failed: failed.clone() },
            Turn::Dead(code) => Ending::Dead(code.clone()),
            _ => return Ok(Next::Stop(Paused::Held)),
        };
        let settle = self.settle.take();
        let finish = Finish { seq: self.row.seq, now: self.now(), settle, ending };
        let finished = self.desk.ledger.finish(finish).await?;
        self.closed();
        // What had ended before was told before.
        if !finished.repeated {
            self.tell(&finished);
        }
        Ok(Next::Stop(Paused::GoOn))
    }

    /// Nothing more will come of this row: whatever was kept for it in memory goes.
    fn closed(&self) {
        self.desk.openai.land_row(self.row.seq);
        self.desk.whatsapp.land_row(self.row.seq);
        self.desk.started.end(self.row.seq);
    }

    /// The result of a step is in the ledger; its client need not keep it any longer.
    fn land(&self, step: Step) {
        match step {
            Step::Complete => self.desk.openai.land((self.row.seq, step)),
            Step::Send(_) => self.desk.whatsapp.land((self.row.seq, step)),
        }
    }

    fn tell(&self, finished: &Finished) {
        if !self.is_answer() {
            return;
        }
        let (id, user, took) = (&self.row.message_id, self.row.user.masked(), self.elapsed());
        match &finished.ending {
            Ending::Done { failed: None } => events::task_completed(id, &user, took, finished.remaining),
            Ending::Done { failed: Some(code) } => {
                events::task_failed(id, &user, took, finished.remaining, code)
            }
            Ending::Dead(code) => events::message_dead_lettered(id, &user, code, finished.attempts),
        }
    }

    fn words(&self) -> String {
        match &self.row.content {
            Content::Words(words) => words.clone(),
            Content::Sound | Content::Unclear => String::new(),
        }
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

    /// The window closed while the message waited here. One that came too late for it is WhatsApp's to refuse; what
    /// may have been sent already is settled by its status.
    fn has_missed_its_window(&self) -> bool {
        let untried = self.row.next_part == PartState::Fresh;
        untried && self.row.accepted_at < self.window_end() && self.window_end() <= self.now()
    }

    fn window_end(&self) -> Millis {
        self.row.newest_at + WINDOW
    }

    fn postponed_until(&self) -> Millis {
        let until = self.now() + hold_wait(self.row.holds);
        until.min(self.window_end().max(self.now()))
    }
}
