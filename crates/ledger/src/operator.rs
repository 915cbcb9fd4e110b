//! What an operator asks the ledger and orders it to do: why was this message (not) answered, answer it after all,
//! forget this person, keep things no longer than this.

use std::time::Duration;

use derive_more::Display;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Address, Kind, MessageId, Millis, PersonId, Seq, Service, Status};

use crate::contract::{Purpose, Step, Usage, Wake};

/// See [`crate::Ledger::trace`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Traced {
    /// No such id has ever come, or it is forgotten by now.
    Unknown,
    /// The id is known, but nothing else: it was recorded only (a reaction, …), its person was forgotten, or its
    /// time is over.
    NotKept {
        /// When it came.
        known_since: Millis,
    },
    /// All there is.
    Kept(Box<Trace>),
}

/// One message's way through the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The message itself.
    pub message: TracedRow,
    /// The disclosure or notice that was made with it, by place.
    pub beside: Vec<TracedRow>,
}

/// A row as an operator sees it: everything but its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedRow {
    /// Its place.
    pub seq: Seq,
    /// What it is for.
    pub purpose: Purpose,
    /// Who wrote; shown masked only.
    pub user: Address,
    /// Meta's type.
    pub kind: Kind,
    /// How it stands.
    pub state: RowState,
    /// Why it is dead or refused, or why its answer was an apology.
    pub reason: Option<ErrorCode>,
    /// Meta's timestamp.
    pub sent_at: Millis,
    /// When it was accepted or refused.
    pub accepted_at: Millis,
    /// When a conversation first took it up, since its last replay.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// When it may be taken up; open rows only.
    pub due: Option<Millis>,
    /// The channel that has to open first; `due` is the latest time then.
    pub waits_for: Option<Service>,
    /// Panics of its conversation.
    pub panics: u32,
    /// Processes that died over it.
    pub deaths: u32,
    /// How often in a row WhatsApp would not take it.
    pub holds: u32,
    /// How often it was replayed.
    pub replays: u32,
    /// Parts of its reply; 0 while there is none.
    pub parts: u32,
    /// Its steps in the order in which they are made, the parts by number.
    pub steps: Vec<TracedStep>,
}

/// How a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[display(rename_all = "lowercase")]
pub enum RowState {
    /// It will be answered.
    Open,
    /// It was answered.
    Done,
    /// It was not answered.
    Dead,
    /// It was not taken.
    Refused,
}

/// A paid or visible step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedStep {
    /// Which.
    pub step: Step,
    /// How it stands.
    pub state: StepState,
    /// Attempts made.
    pub attempts: u32,
    /// How often nobody could say whether it happened.
    pub unknowns: u32,
    /// When it was last begun.
    pub intended_at: Millis,
    /// When its last result was recorded.
    pub settled_at: Option<Millis>,
    /// Its last failure, also of a step that went well later.
    pub code: Option<ErrorCode>,
    /// Meta's id of the part.
    pub outbound: Option<MessageId>,
    /// How far the part has come.
    pub status: Option<Status>,
    /// What the model counted.
    pub usage: Option<Usage>,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[display(rename_all = "lowercase")]
pub enum StepState {
    /// Begun, and no result yet.
    Intended,
    /// It went well.
    Done,
    /// It failed for good.
    Failed,
    /// It surely did not happen and may be tried again.
    Postponed,
    /// Nobody can say whether it happened.
    Unknown,
}

/// Which messages [`crate::Ledger::unanswered`] lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Accepted, and not answered.
    Dead,
    /// Not taken.
    Refused,
}

/// A message that was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// Its place.
    pub seq: Seq,
    /// Meta's id.
    pub message_id: MessageId,
    /// Who wrote; shown masked only.
    pub user: Address,
    /// Meta's type.
    pub kind: Kind,
    /// When it was accepted or refused.
    pub accepted_at: Millis,
    /// When it was given up; for a refused one, when it was refused.
    pub ended_at: Millis,
    /// Why: the code of a failure; `stale` or `overflow` for a refused one.
    pub reason: ErrorCode,
    /// Attempts made for it in all.
    pub attempts: u32,
    /// What the providers said last, for each step that ever failed.
    pub errors: Vec<(Step, ErrorCode)>,
}

/// The longest page of [`crate::Ledger::unanswered`].
pub const UNANSWERED_MAX: usize = 1000;

/// What [`crate::Ledger::replay`] opens again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// This message.
    One(MessageId),
    /// Every dead message.
    AllDead,
}

/// What [`crate::Ledger::replay`] found.
///
/// What was paid for is kept: a reply of the model and those of its parts that WhatsApp accepted. An apology is
/// dropped, and the model asked again. Whatever was not accepted is sent under the tag that it had, so that a late
/// status still settles it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// No such message.
    Unknown,
    /// The id is known, but its message is not kept.
    NotKept,
    /// It is neither dead nor refused, but this.
    Wrong(RowState),
    /// They are open, and end a second time like any other.
    Reopened {
        /// How many.
        replayed: u32,
        /// Whom to wake; at most [`REPLAY_WAKES_MAX`], the sweep finds the others.
        wakes: Vec<Wake>,
    },
}

/// The most wake-ups of one replay: more would only fill mailboxes faster than conversations empty them.
pub const REPLAY_WAKES_MAX: usize = 1000;

/// What [`crate::Ledger::forget`] erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Such a person was known.
    pub found: bool,
    /// Their messages.
    pub messages: u32,
    /// What the ledger called them; their conversations have nothing left to do.
    pub people: Vec<PersonId>,
    /// Not a byte of theirs is left. False if something stood in the way (a backup that reads, a full disk); then
    /// the next [`crate::Ledger::retain`] sees to it.
    pub scrubbed: bool,
}

/// How long things are kept, each from its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Answered messages with their steps, from their end.
    pub done: Duration,
    /// Dead and refused ones, from their end.
    pub dead: Duration,
    /// Lines of the conversation, from when they were said. A person of whom nothing else is left goes too when
    /// they have been silent for as long; should they come back, they are told anew that an AI speaks.
    pub history: Duration,
    /// Hashes of ids, from when they came.
    pub remember: Duration,
}

/// What [`crate::Ledger::retain`] deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retained {
    /// Rows, of whatever sort.
    pub deleted: u32,
    /// There is more to delete: call again, after others had their turn.
    pub more: bool,
}
