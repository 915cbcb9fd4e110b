//! The answers to an operator, as JSON has them. A person appears only masked; texts and names never do.

use parlante_ledger::{RowState, Step, StepState, TracedRow, TracedStep, Unanswered};
use serde::{Deserialize, Serialize};

use super::when::Time;

/// `GET /admin/trace?message_id=…`: all that is known of a message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(crate) enum Trace {
    /// `"record": "kept"`: the message with all its steps.
    Kept {
        /// Meta's id.
        message_id: String,
        /// The message itself.
        message: Row,
        /// The disclosure or notice that was made with it.
        beside: Vec<Row>,
    },
    /// `"record": "not_kept"`: the id is known and its redelivery would be a duplicate, but nothing else is kept: it
    /// wanted no answer (a reaction), its person was forgotten, or its time is over.
    NotKept {
        /// Meta's id.
        message_id: String,
        /// When it was taken.
        known_since: Time,
    },
}

/// A message, or a text of ours that was made with it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// `answer`, `disclosure` or `overflow`.
    pub(crate) purpose: Purpose,
    /// The person, masked.
    pub(crate) user_id: String,
    /// Meta's `type`, or `voice`.
    pub(crate) kind: String,
    /// `open`, `done`, `dead` or `refused`.
    pub(crate) state: State,
    /// Why it ended so; on a done one: why the answer was an apology.
    pub(crate) reason: Option<String>,
    /// Meta's timestamp.
    pub(crate) sent_at: Time,
    /// When it became durable.
    pub(crate) accepted_at: Time,
    /// When its conversation first took it up.
    pub(crate) started_at: Option<Time>,
    /// When it ended.
    pub(crate) ended_at: Option<Time>,
    /// When an open one may be taken up.
    pub(crate) due_at: Option<Time>,
    /// How often its conversation panicked over it.
    pub(crate) panics: u32,
    /// How often the process died over it.
    pub(crate) deaths: u32,
    /// How often in a row it was held because WhatsApp would not take it.
    pub(crate) holds: u32,
    /// How often an operator had it tried again.
    pub(crate) replays: u32,
    /// Parts of its reply; 0 while there is none.
    pub(crate) parts: u32,
    /// Its paid or visible steps, in order.
    pub(crate) steps: Vec<StepLine>,
}

/// What a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    Answer,
    Disclosure,
    Overflow,
}

/// How far a row has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Open,
    Done,
    Dead,
    Refused,
}

/// A step of a row.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StepLine {
    /// `complete` (the model is asked) or `send`.
    pub(crate) step: String,
    /// Which part is sent, from 1; `null` for the model.
    pub(crate) part: Option<u32>,
    /// `intended` (begun, no result), `done`, `failed`, `postponed` or `unknown`.
    pub(crate) state: Progress,
    /// Attempts made.
    pub(crate) attempts: u32,
    /// How often nobody could say whether it had happened.
    pub(crate) unknowns: u32,
    /// When it was begun.
    pub(crate) intended_at: Time,
    /// When its result was known.
    pub(crate) settled_at: Option<Time>,
    /// The last failure, also of a step that went well later.
    pub(crate) error_code: Option<String>,
    /// The provider's own code of that failure, where its answer had one.
    pub(crate) provider_code: Option<String>,
    /// Meta's id of what was sent.
    pub(crate) outbound_id: Option<String>,
    /// How far it came: `sent`, `delivered`, `read` or `played`; `null` while no status was heard.
    pub(crate) status: Option<String>,
    /// What the model counted.
    pub(crate) usage: Option<Tokens>,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    Intended,
    Done,
    Failed,
    Postponed,
    Unknown,
}

/// What the model counted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
}

/// `GET /admin/dead`: one page of messages without an answer, oldest first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    /// At most 100.
    pub(crate) messages: Vec<DeadMessage>,
    /// `after` of the next page; `null` on the last.
    pub(crate) next: Option<i64>,
}

/// A message without an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeadMessage {
    /// Meta's id.
    pub(crate) message_id: String,
    /// The person, masked.
    pub(crate) user_id: String,
    /// Meta's `type`, or `voice`.
    pub(crate) kind: String,
    /// When it became durable.
    pub(crate) accepted_at: Time,
    /// When it was given up or refused.
    pub(crate) ended_at: Time,
    /// Why.
    pub(crate) reason: String,
    /// The provider's own code, where its answer had one.
    pub(crate) provider_code: Option<String>,
    /// Attempts made for it, all steps together.
    pub(crate) attempts: u32,
    /// What its steps failed with.
    pub(crate) errors: Vec<StepError>,
}

/// What a step failed with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StepError {
    pub(crate) step: String,
    pub(crate) part: Option<u32>,
    pub(crate) error_code: String,
    pub(crate) provider_code: Option<String>,
}

/// `POST /admin/replay`: how many messages were opened again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reopened {
    /// They are answered from now on.
    pub(crate) replayed: u32,
}

/// `POST /admin/forget`: what was erased.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Erased {
    /// Messages, answered and open.
    pub(crate) messages: u32,
    /// The bytes are wiped from the file too; `false`: the next cleaning does it.
    pub(crate) scrubbed: bool,
}

/// `POST /admin/backup`: the copy is complete.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Copied {
    /// Its absolute path, on the machine that holds the ledger.
    pub(crate) file: String,
}

impl Trace {
    pub(super) fn kept(message_id: &str, trace: parlante_ledger::Trace) -> Self {
        Self::Kept {
            message_id: message_id.to_owned(),
            message: trace.message.into(),
            beside: trace.beside.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<TracedRow> for Row {
    fn from(row: TracedRow) -> Self {
        Self {
            purpose: row.purpose.into(),
            user_id: row.user.masked(),
            kind: row.kind.to_string(),
            state: row.state.into(),
            reason: row.reason.map(|reason| reason.to_string()),
            sent_at: row.sent_at.into(),
            accepted_at: row.accepted_at.into(),
            started_at: row.started_at.map(Into::into),
            ended_at: row.ended_at.map(Into::into),
            due_at: row.due.map(Into::into),
            panics: row.panics,
            deaths: row.deaths,
            holds: row.holds,
            replays: row.replays,
            parts: row.parts,
            steps: row.steps.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<parlante_ledger::Purpose> for Purpose {
    fn from(purpose: parlante_ledger::Purpose) -> Self {
        match purpose {
            parlante_ledger::Purpose::Answer => Self::Answer,
            parlante_ledger::Purpose::Disclosure => Self::Disclosure,
            parlante_ledger::Purpose::Overflow => Self::Overflow,
        }
    }
}

impl From<RowState> for State {
    fn from(state: RowState) -> Self {
        match state {
            RowState::Open => Self::Open,
            RowState::Done => Self::Done,
            RowState::Dead => Self::Dead,
            RowState::Refused => Self::Refused,
        }
    }
}

impl From<StepState> for Progress {
    fn from(state: StepState) -> Self {
        match state {
            StepState::Intended => Self::Intended,
            StepState::Done => Self::Done,
            StepState::Failed => Self::Failed,
            StepState::Postponed => Self::Postponed,
            StepState::Unknown => Self::Unknown,
        }
    }
}

/// A step's name and the part that it is of, from 1.
fn name(step: Step) -> (String, Option<u32>) {
    match step {
        Step::Transcribe => ("transcribe".to_owned(), None),
        Step::Complete => ("complete".to_owned(), None),
        Step::Speak => ("speak".to_owned(), None),
        Step::Upload => ("upload".to_owned(), None),
        Step::Send(part) => ("send".to_owned(), Some(part.saturating_add(1))),
    }
}

impl From<TracedStep> for StepLine {
    fn from(traced: TracedStep) -> Self {
        let (step, part) = name(traced.step);
        Self {
            step,
            part,
            state: traced.state.into(),
            attempts: traced.attempts,
            unknowns: traced.unknowns,
            intended_at: traced.intended_at.into(),
            settled_at: traced.settled_at.map(Into::into),
            error_code: traced.code.as_ref().map(ToString::to_string),
            provider_code: traced.code.as_ref().and_then(|code| code.provider()).map(str::to_owned),
            outbound_id: traced.outbound.map(|id| id.to_string()),
            status: traced.status.map(|status| status.to_string()),
            usage: traced.usage.map(|usage| Tokens {
                prompt_tokens: usage.prompt_tokens,
                completion_tokens: usage.completion_tokens,
            }),
        }
    }
}

impl From<Unanswered> for DeadMessage {
    fn from(message: Unanswered) -> Self {
        let error = |(step, code): (Step, parlante_domain::turn::ErrorCode)| {
            let (step, part) = name(step);
            let provider_code = code.provider().map(str::to_owned);
            StepError { step, part, error_code: code.to_string(), provider_code }
        };
        Self {
            message_id: message.message_id.to_string(),
            user_id: message.user.masked(),
            kind: message.kind.to_string(),
            accepted_at: message.accepted_at.into(),
            ended_at: message.ended_at.into(),
            reason: message.reason.to_string(),
            provider_code: message.reason.provider().map(str::to_owned),
            attempts: message.attempts,
            errors: message.errors.into_iter().map(error).collect(),
        }
    }
}
