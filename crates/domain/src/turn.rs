//! The state machine of one message: `Accepted → Listening → Thinking → Speaking → Sending → Done`, or `Dead`.
//!
//! Pure. The conversation performs the [`Effect`] of each step and feeds the outcome back as the next
//! [`Event`]. Every step ends in exactly one thing to do, so there is no order of effects to get wrong.

use std::borrow::Cow;

use derive_more::{Display, Error};

use crate::message::Medium;
use crate::reply::{CustomerReply, ModelAnswer};

/// What a failure is called in logs and the ledger: an HTTP status, a word of ours, or a provider's code; beside a
/// status, the provider's own code where its answer had one. Recorded as `400` or `400/131026`, shown as `400`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Display)]
#[display("{}", self.parts().0)]
pub struct ErrorCode(Cow<'static, str>);

impl ErrorCode {
    /// No answer within the attempt's own time.
    pub const TIMEOUT: Self = Self(Cow::Borrowed("timeout"));
    /// No head of an answer: refused, reset, unreachable.
    pub const NETWORK: Self = Self(Cow::Borrowed("network"));
    /// A head, but the body is cut, does not parse, or ends without its end.
    pub const TRUNCATED: Self = Self(Cow::Borrowed("truncated"));
    /// The window for free answers closed while the message was held.
    pub const WINDOW_CLOSED: Self = Self(Cow::Borrowed("window_closed"));
    /// A send of which nobody can say whether it happened.
    pub const UNCERTAIN: Self = Self(Cow::Borrowed("uncertain"));
    /// The answer is too long for a voice note.
    pub const TOO_LONG: Self = Self(Cow::Borrowed("too_long"));
    /// A file lies where our token must not be shown.
    pub const FORBIDDEN_HOST: Self = Self(Cow::Borrowed("forbidden_host"));
    /// What should have been a voice note is something else.
    pub const NOT_VOICE: Self = Self(Cow::Borrowed("not_voice"));
    /// The whole turn took too long.
    pub const TURN_DEADLINE: Self = Self(Cow::Borrowed("turn_deadline"));
    /// Not tried: the provider's circuit is open.
    pub const CIRCUIT_OPEN: Self = Self(Cow::Borrowed("circuit_open"));
    /// Not tried, since the server drains.
    pub const DRAINED: Self = Self(Cow::Borrowed("drained"));
    /// The message made its conversation panic too often.
    pub const PANIC: Self = Self(Cow::Borrowed("panic"));

    /// The status of an answer.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self(Cow::Owned(status.to_string()))
    }

    /// A code as the provider or the ledger wrote it.
    #[must_use]
    pub fn recorded(code: impl Into<String>) -> Self {
        Self(Cow::Owned(code.into()))
    }

    /// The same, with the provider's own code beside it.
    #[must_use]
    pub fn with_provider(self, code: Option<&str>) -> Self {
        match code {
            Some(code) => Self(Cow::Owned(format!("{self}/{code}"))),
            None => self,
        }
    }

    /// As it is recorded, the provider's own code included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The provider's own code, if its answer had one.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.parts().1
    }

    fn parts(&self) -> (&str, Option<&str>) {
        match self.0.split_once('/') {
            Some((code, provider)) => (code, Some(provider)),
            None => (&self.0, None),
        }
    }
}

/// What a row wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Words that the model answers.
    Ask,
    /// Sound that is heard first.
    Listen,
    /// A text of the persona: a disclosure, a notice, or an answer to what cannot be understood.
    Say(CustomerReply),
}

/// Why a reply is an apology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What failed.
    pub code: ErrorCode,
    /// The apology is no answer: the message is a dead letter once it is out.
    pub is_dead: bool,
}

/// What happens when nobody can say whether a send arrived and no status came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmbiguousSend {
    /// Send once more: the person may get it twice.
    Resend,
    /// Do not: the person may not get it at all.
    Hold,
}

/// Where a message stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// In the ledger, not begun.
    Accepted(Plan),
    /// The sound is fetched and heard.
    Listening,
    /// The model is asked.
    Thinking,
    /// An answer exists; it becomes a voice note.
    Speaking(Speaking),
    /// An answer exists; its parts go out one after the other.
    Sending(Sending),
    /// Every part was accepted. `failed`: the answer was an apology, and why.
    Done {
        /// Why the persona apologised.
        failed: Option<ErrorCode>,
    },
    /// Not answered; listed with the reason.
    Dead(ErrorCode),
}

/// The answer on its way to a voice note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaking {
    /// The same answer as text, for whatever goes wrong.
    pub reply: CustomerReply,
    /// The voice note exists; WhatsApp does not have it yet.
    pub is_spoken: bool,
}

/// The answer on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// What the person will receive; the same as text, if it goes out as a voice note.
    pub reply: CustomerReply,
    /// It goes out as one voice note.
    pub is_voice: bool,
    /// The part that goes next, from 0; equal to the number of parts when all were accepted.
    pub part: usize,
    /// How often this part's send became unknown.
    pub unknowns: u32,
    /// The part's send is unknown now, and its status is waited for.
    pub awaiting: bool,
    /// Later parts that WhatsApp has accepted already: one before them failed afterwards and goes again.
    pub ahead: Vec<usize>,
    /// Why the reply is an apology.
    pub failed: Option<Failure>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A conversation has taken up the message, for the first time or again.
    Begun,
    /// The sound has become words.
    Heard,
    /// Nothing could be heard, or the sound could not be had or understood; the persona says so.
    NotHeard(CustomerReply),
    /// The model has answered.
    Answered(ModelAnswer, Medium),
    /// The model has failed for good; the persona apologises.
    ModelFailed(Failure, CustomerReply),
    /// The answer is a voice note.
    Spoken,
    /// WhatsApp has the voice note.
    Uploaded,
    /// There will be no voice note.
    VoiceFailed,
    /// The step cannot be made now; it surely was not.
    Postponed,
    /// WhatsApp has accepted the part.
    PartAccepted,
    /// Nobody can say whether the part arrived.
    PartUnknown,
    /// An unknown part's status did not come in time.
    PartMissing(AmbiguousSend),
    /// WhatsApp will never take the part.
    PartRefused(ErrorCode),
    /// It is given up without another try: the window has closed, or it keeps making us panic.
    GivenUp(ErrorCode),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Fetch the sound and have it heard.
    Listen,
    /// Ask the model.
    Ask,
    /// Have the answer spoken.
    Speak,
    /// Hand the voice note to WhatsApp.
    Upload,
    /// Turn the recorded answer back to text, and send that.
    FallBack,
    /// Send this part.
    Send(usize),
    /// Hold the row until its status has come or the wait is over.
    AwaitStatus,
    /// Hold the row until the provider may be asked.
    Postpone,
    /// Close the row.
    Finish,
}

/// An event that cannot happen in this state: a fault of ours, never of the person.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[display("{event:?} cannot happen to {turn:?}")]
pub struct IllegalTransition {
    turn: Box<Turn>,
    event: Box<Event>,
}

impl Turn {
    /// Every allowed transition, in one place.
    ///
    /// # Errors
    /// [`IllegalTransition`] for every pair that is not listed here.
    pub fn step(self, event: Event) -> Result<(Self, Effect), IllegalTransition> {
        match (self, event) {
            (Self::Accepted(Plan::Listen) | Self::Listening, Event::Begun) => {
                Ok((Self::Listening, Effect::Listen))
            }
            (Self::Accepted(Plan::Ask) | Self::Thinking, Event::Begun) => Ok((Self::Thinking, Effect::Ask)),
            (Self::Accepted(Plan::Say(reply)), Event::Begun) => Ok(Sending::start(reply, None)),
            (Self::Listening, Event::Heard) => Ok((Self::Thinking, Effect::Ask)),
            (Self::Listening, Event::NotHeard(reply)) => Ok(Sending::start(reply, None)),
            (Self::Thinking, Event::Answered(answer, Medium::Text)) => {
                Ok(Sending::start(CustomerReply::from(&answer), None))
            }
            (Self::Thinking, Event::Answered(answer, Medium::Voice)) => {
                let reply = CustomerReply::from(&answer);
                Ok((Self::Speaking(Speaking { reply, is_spoken: false }), Effect::Speak))
            }
            (Self::Thinking, Event::ModelFailed(failure, apology)) => {
                Ok(Sending::start(apology, Some(failure)))
            }
            (turn @ (Self::Listening | Self::Thinking | Self::Speaking(_)), Event::Postponed) => {
                Ok((turn, Effect::Postpone))
            }
            (Self::Speaking(speaking), event) if speaking.knows(&event) => Ok(speaking.step(&event)),
            (Self::Sending(sending), Event::Begun) if !sending.awaiting => Ok(sending.go_on()),
            (turn, Event::GivenUp(code)) if !turn.has_ended() => Ok((Self::Dead(code), Effect::Finish)),
            (Self::Sending(sending), event) if sending.has_more() => sending.step(event),
            (turn, event) => Err(IllegalTransition { turn: Box::new(turn), event: Box::new(event) }),
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Dead(_))
    }
}

impl Speaking {
    fn knows(&self, event: &Event) -> bool {
        match event {
            Event::Begun | Event::VoiceFailed => true,
            Event::Spoken => !self.is_spoken,
            Event::Uploaded => self.is_spoken,
            _ => false,
        }
    }

    fn step(self, event: &Event) -> (Turn, Effect) {
        match event {
            Event::Uploaded => {
                let (turn, effect) = Sending::start(self.reply, None);
                let Turn::Sending(sending) = turn else { return (turn, effect) };
                (Turn::Sending(Sending { is_voice: true, ..sending }), effect)
            }
            Event::VoiceFailed => Sending::start(self.reply, None),
            _ => {
                let is_spoken = self.is_spoken || *event == Event::Spoken;
                let effect = if is_spoken { Effect::Upload } else { Effect::Speak };
                (Turn::Speaking(Self { is_spoken, ..self }), effect)
            }
        }
    }
}

impl Sending {
    fn start(reply: CustomerReply, failed: Option<Failure>) -> (Turn, Effect) {
        Self { reply, is_voice: false, part: 0, unknowns: 0, awaiting: false, ahead: Vec::new(), failed }
            .go_on()
    }

    fn has_more(&self) -> bool {
        self.part < if self.is_voice { 1 } else { self.reply.parts().len() }
    }

    fn go_on(mut self) -> (Turn, Effect) {
        while self.ahead.contains(&self.part) {
            self.part += 1;
        }
        if self.has_more() {
            let part = self.part;
            return (Turn::Sending(self), Effect::Send(part));
        }
        let ended = match self.failed {
            Some(Failure { code, is_dead: true }) => Turn::Dead(code),
            failed => Turn::Done { failed: failed.map(|failure| failure.code) },
        };
        (ended, Effect::Finish)
    }

    fn step(mut self, event: Event) -> Result<(Turn, Effect), IllegalTransition> {
        match event {
            Event::PartAccepted => {
                Ok(Self { part: self.part + 1, unknowns: 0, awaiting: false, ..self }.go_on())
            }
            Event::PartUnknown if !self.awaiting => {
                self.unknowns += 1;
                self.awaiting = true;
                Ok((Turn::Sending(self), Effect::AwaitStatus))
            }
            Event::PartMissing(AmbiguousSend::Resend) if self.awaiting && self.unknowns == 1 => {
                Ok(Self { awaiting: false, ..self }.go_on())
            }
            Event::PartMissing(_) if self.awaiting => Ok((Turn::Dead(ErrorCode::UNCERTAIN), Effect::Finish)),
            Event::Postponed if !self.awaiting => Ok((Turn::Sending(self), Effect::Postpone)),
            Event::VoiceFailed if self.is_voice => {
                let text = Self { is_voice: false, part: 0, unknowns: 0, awaiting: false, ..self };
                Ok((Turn::Sending(text), Effect::FallBack))
            }
            Event::PartRefused(code) => Ok((Turn::Dead(code), Effect::Finish)),
            event => Err(IllegalTransition { turn: Box::new(Turn::Sending(self)), event: Box::new(event) }),
        }
    }
}

#[cfg(test)]
mod tests;
