//! The OpenAI client: owns timeout, attempts and back-off of the model and of the ear.

mod actor;

use std::time::Duration;

use actix_rt::time::Instant;
use bytes::Bytes;
use parlante_domain::policy::Line;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{MessageId, Millis, ModelAnswer, Seq};
use parlante_ledger::{Step, Usage};
use parlante_wire::Sound;

use crate::call::client::ClientHandle;
use crate::call::gate::{Entry, ROOM_MAX, Shut};
use crate::call::stats::ChannelStats;
use crate::call::{CallConfig, Shared};
use crate::phase::PhaseWatch;
use actor::{Call, OpenAi, Outcome};

/// How the model is reached.
#[derive(Clone)]
pub struct OpenAiConfig {
    /// Without a slash at the end.
    pub base_url: String,
    /// The model that answers.
    pub model: String,
    /// The model that hears.
    pub transcription_model: String,
    /// Longest answer, in tokens.
    pub max_answer_tokens: u32,
    /// Asked when the first is shut or has failed for good.
    pub fallback: Option<Fallback>,
    /// Time, attempts, circuit.
    pub call: CallConfig,
}

/// A second server that speaks the chat completions API.
#[derive(Clone)]
pub struct Fallback {
    /// Without a slash at the end.
    pub base_url: String,
    /// Its model.
    pub model: String,
}

/// What the model is asked.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) seq: Seq,
    pub(crate) message_id: MessageId,
    pub(crate) system: String,
    pub(crate) history: Vec<Line>,
    pub(crate) words: String,
    /// When the turn's time is over.
    pub(crate) until: Instant,
}

/// A voice note to be heard.
#[derive(Clone)]
pub(crate) struct Recording {
    pub(crate) seq: Seq,
    pub(crate) message_id: MessageId,
    pub(crate) audio: Bytes,
    pub(crate) sound: Sound,
    /// When the turn's time is over.
    pub(crate) until: Instant,
}

/// What came of asking the model or the ear.
#[derive(Debug, Clone)]
pub(crate) enum Asked<T> {
    /// A whole answer.
    Answered { answer: T, usage: Usage, attempts: u32 },
    /// None, for good.
    Failed { code: ErrorCode, attempts: u32 },
    /// None until an operator has acted.
    Paused { code: ErrorCode, since: Millis, attempts: u32 },
    /// None now: the server drains.
    Drained { attempts: u32 },
}

/// Whether the model may be asked.
pub(crate) enum Entered {
    /// Yes. Held until the call is made.
    First { _entry: Entry },
    /// The fallback alone.
    Fallback,
    /// No.
    Shut(Shut),
    /// There was no room for long.
    NoRoom,
}

/// The only way to the OpenAI client.
#[derive(Clone)]
pub struct OpenAiHandle {
    pub(crate) client: ClientHandle<OpenAi>,
    deadline: Duration,
    has_fallback: bool,
    phase: PhaseWatch,
}

impl OpenAiHandle {
    /// Starts the client on the current arbiter.
    pub(crate) fn start(config: OpenAiConfig, stats: ChannelStats, shared: &Shared) -> Self {
        let (call, has_fallback) = (config.call.clone(), config.fallback.is_some());
        let provider = OpenAi::new(config, stats, shared);
        let deadline = provider.longest();
        let client = ClientHandle::start(provider, &call, shared);
        Self { client, deadline, has_fallback, phase: shared.phase.clone() }
    }

    /// A place for the next call of this row, once there is room.
    pub(crate) async fn enter(&self, seq: Seq) -> Entered {
        match self.client.gate().enter(seq, None, ROOM_MAX, &self.phase).await {
            Ok(_entry) => Entered::First { _entry },
            Err(Some(Shut::CircuitOpen | Shut::Paused { .. })) if self.has_fallback => Entered::Fallback,
            Err(Some(shut)) => Entered::Shut(shut),
            Err(None) => Entered::NoRoom,
        }
    }

    /// Whether a call would have to wait for room now.
    pub(crate) fn is_busy(&self) -> bool {
        self.client.gate().is_busy()
    }

    /// Whether a call of this row is under way, or its result is kept.
    pub(crate) async fn attach(&self, seq: Seq) -> Option<Asked<ModelAnswer>> {
        match self.client.attach((seq, Step::Complete)).await {
            Some(Outcome::Asked(asked)) => Some(asked),
            _ => None,
        }
    }

    /// As [`OpenAiHandle::attach`], of a voice note that is being heard.
    pub(crate) async fn attach_heard(&self, seq: Seq) -> Option<Asked<String>> {
        match self.client.attach((seq, Step::Transcribe)).await {
            Some(Outcome::Heard(heard)) => Some(heard),
            _ => None,
        }
    }

    /// Asks the model, or attaches to the call already under way for this row.
    pub(crate) async fn ask(&self, question: Question) -> Asked<ModelAnswer> {
        match self.make(Call::Ask(question)).await {
            Some(Outcome::Asked(asked)) => asked,
            _ => lost(),
        }
    }

    /// Has a voice note heard, or attaches to the call already under way for this row.
    pub(crate) async fn hear(&self, recording: Recording) -> Asked<String> {
        match self.make(Call::Hear(recording)).await {
            Some(Outcome::Heard(heard)) => heard,
            _ => lost(),
        }
    }

    async fn make(&self, call: Call) -> Option<Outcome> {
        match self.client.make(call.clone()).await {
            // The client panicked over it. Its supervisor has it up again; once more, then it has failed.
            None => self.client.make(call).await,
            made => made,
        }
    }

    /// The longest that a whole call takes, all attempts and waits included.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }
}

/// The call was lost to a panic of the client.
fn lost<T>() -> Asked<T> {
    Asked::Failed { code: ErrorCode::PANIC, attempts: 1 }
}
