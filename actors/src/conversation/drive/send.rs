//! Sending the parts of an answer.

use parlante_domain::policy::{HOLD_MAX, WINDOW, hold_wait};
use parlante_domain::turn::{ErrorCode, Event, Sending, Turn};
use parlante_domain::{Millis, Service, Tag};
use parlante_ledger::{LedgerError, Recorded, Reply, Settle, Step, StepOutcome};
use parlante_wire::graph::is_media_fault;

use super::{Drive, Next, Paused};
use crate::call::gate::{Entry, Shut};
use crate::events;
use crate::whatsapp::{Entering, Outgoing, Sent};

impl Drive {
    pub(super) async fn send(&mut self, turn: &Turn, part: usize) -> Result<Next, LedgerError> {
        let Turn::Sending(sending) = turn else { return Ok(Next::Stop(Paused::Held)) };
        let index = u32::try_from(part).unwrap_or(u32::MAX);
        let number = self.row.first_part.saturating_add(index);
        self.record_reply(sending, part);
        let _entry = match self.enter_whatsapp().await? {
            Ok(entry) => entry,
            Err(next) => return Ok(next),
        };
        if let Some(paused) = self.intend(Step::Send(number), self.desk.whatsapp.deadline()).await? {
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
            voice: self.row.media.clone().filter(|_| sending.is_voice),
            tag: Tag { ledger: self.desk.ledger.id().to_owned(), seq: self.row.seq, part: number },
        };
        let sent = self.desk.whatsapp.send(outgoing).await;
        self.desk.faults.at("conversation.sent");
        Ok(self.sent(number, sent, sending.is_voice))
    }

    /// A text of the persona's own is recorded with its first part.
    fn record_reply(&mut self, sending: &Sending, part: usize) {
        let unrecorded = self.row.reply.is_none() || self.is_poisoned();
        if unrecorded && part == 0 && self.reply.is_none() {
            let (reply, failed) = (sending.reply.clone(), sending.failed.clone());
            self.reply = Some(Reply { reply, words: None, failed, is_voice: false });
        }
    }

    /// A place for the next send, before its intent: what waits for room surely was not sent. An answer that was paid
    /// for is durable before the wait.
    async fn enter_whatsapp(&mut self) -> Result<Result<Entry, Next>, LedgerError> {
        let desk = self.desk.clone();
        let (seq, number, to) = (self.row.seq, self.row.number.clone(), self.row.user.clone());
        let shut = match desk.whatsapp.try_enter(seq, &number, &to) {
            Entering::Entered(entry) => return Ok(Ok(entry)),
            Entering::Shut(shut) => {
                if let Some(paused) = self.record().await? {
                    return Ok(Err(Next::Stop(paused)));
                }
                Some(shut)
            }
            Entering::Wait(wait) => {
                if let Some(paused) = self.record().await? {
                    return Ok(Err(Next::Stop(paused)));
                }
                match desk.whatsapp.enter(seq, &number, wait).await {
                    Ok(entry) => return Ok(Ok(entry)),
                    Err(shut) => shut,
                }
            }
        };
        Ok(Err(self.kept_out(shut)))
    }

    /// WhatsApp's gate did not let the row in: `None`, there was no room for long.
    pub(super) fn kept_out(&mut self, shut: Option<Shut>) -> Next {
        match shut {
            Some(shut @ (Shut::CircuitOpen | Shut::Paused { .. })) => {
                self.postponed = Some(self.postponed_for(Some(&shut)));
                Next::Event(Event::Postponed)
            }
            Some(Shut::Draining) | None => Next::GiveBack,
        }
    }

    pub(super) fn sent(&mut self, part: u32, sent: Sent, is_voice: bool) -> Next {
        let (event, outcome) = match sent.outcome {
            StepOutcome::Accepted(id) => (Event::PartAccepted, StepOutcome::Accepted(id)),
            StepOutcome::Postponed(code) => (Event::Postponed, StepOutcome::Postponed(code)),
            StepOutcome::Failed(code) if is_voice && code.provider().is_some_and(is_media_fault) => {
                self.tell_fallback(&code);
                (Event::VoiceFailed, StepOutcome::Failed(code))
            }
            StepOutcome::Failed(code) => (Event::PartRefused(code.clone()), StepOutcome::Failed(code)),
            other => (Event::PartUnknown, other),
        };
        self.settle = Some(Settle { step: Step::Send(part), attempts: sent.attempts, outcome });
        self.postponed = Some(self.postponed_for(sent.unsent.as_ref()));
        if sent.unsent == Some(Shut::Draining) { Next::GiveBack } else { Next::Event(event) }
    }

    /// The voice note was refused: the same answer goes out as text, in parts of their own numbers.
    pub(super) async fn fall_back(&mut self) -> Result<Next, LedgerError> {
        // First, so that a death in between still sends the text.
        let recorded = self.desk.ledger.fall_back(self.row.seq, self.now()).await?;
        if recorded == Recorded::No {
            self.changed_meanwhile();
            return Ok(Next::Stop(Paused::GoOn));
        }
        let paused = self.record().await?.unwrap_or(Paused::GoOn);
        self.desk.started.use_up(self.row.seq, self.elapsed());
        Ok(Next::Stop(paused))
    }

    pub(super) fn tell_fallback(&self, code: &ErrorCode) {
        self.desk.metrics.fell_back();
        events::voice_fallback_to_text(&self.row.message_id, &self.row.user.masked(), code);
    }

    /// Until when a send waits that WhatsApp would not take, and for what: for its gate, or for a time.
    pub(super) fn postponed_for(&self, shut: Option<&Shut>) -> (Millis, Option<Service>) {
        let now = self.now();
        let (longest, waits_for) = match shut {
            Some(_) => (WINDOW, Some(Service::WhatsApp)),
            None => (hold_wait(self.row.holds), None),
        };
        // What came too late for its window is WhatsApp's to refuse.
        let end = if self.window_end() > now { self.window_end() } else { now + HOLD_MAX };
        (end.min(now + longest), waits_for)
    }
}
