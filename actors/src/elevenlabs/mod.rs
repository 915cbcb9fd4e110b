//! The ElevenLabs client: owns timeout, attempts and back-off of the voice.
//!
//! Whatever goes wrong here costs the person nothing: the same answer goes out as text.

mod actor;

use std::time::Duration;

use actix_rt::time::Instant;
use bytes::Bytes;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{MessageId, Seq};
use parlante_ledger::Step;

use crate::call::client::ClientHandle;
use crate::call::gate::{Entry, Shut};
use crate::call::stats::ChannelStats;
use crate::call::{CallConfig, Shared};
use crate::phase::PhaseWatch;
use actor::ElevenLabs;

/// How the voice is reached.
#[derive(Clone)]
pub struct ElevenLabsConfig {
    /// Without a slash at the end.
    pub base_url: String,
    /// Whose voice it is.
    pub voice_id: String,
    /// The model that speaks.
    pub model: String,
    /// Time, attempts, circuit.
    pub call: CallConfig,
}

/// Words to be spoken.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) seq: Seq,
    pub(crate) message_id: MessageId,
    pub(crate) words: String,
    /// When the turn's time is over.
    pub(crate) until: Instant,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) enum Spoken {
    /// A whole voice note: mono Ogg Opus, under the size that WhatsApp plays in place.
    Audio { audio: Bytes, attempts: u32 },
    /// None, for good or for now: the answer goes out as text.
    Failed { code: ErrorCode, attempts: u32 },
    /// None now: the server drains.
    Drained { attempts: u32 },
}

/// The only way to the ElevenLabs client.
#[derive(Clone)]
pub struct ElevenLabsHandle {
    pub(crate) client: ClientHandle<ElevenLabs>,
    deadline: Duration,
    phase: PhaseWatch,
}

impl ElevenLabsHandle {
    /// Starts the client on the current arbiter.
    pub(crate) fn start(config: ElevenLabsConfig, stats: ChannelStats, shared: &Shared) -> Self {
        let call = config.call.clone();
        let provider = ElevenLabs::new(config, stats, shared);
        let deadline = provider.longest();
        let client = ClientHandle::start(provider, &call, shared);
        Self { client, deadline, phase: shared.phase.clone() }
    }

    /// A place for the next call of this row; waited for up to `longest`. `Err(None)`: there was no room in time.
    pub(crate) async fn enter(&self, seq: Seq, longest: Duration) -> Result<Entry, Option<Shut>> {
        self.client.gate().enter(seq, None, longest, &self.phase).await
    }

    /// Takes up the call under way for this row, or its kept result.
    pub(crate) async fn attach(&self, seq: Seq) -> Option<Spoken> {
        self.client.attach((seq, Step::Speak)).await
    }

    /// Has the words spoken, or attaches to the call already under way for this row.
    pub(crate) async fn speak(&self, script: Script) -> Spoken {
        let lost = Spoken::Failed { code: ErrorCode::PANIC, attempts: 1 };
        self.client.make(script).await.unwrap_or(lost)
    }

    /// The longest that a whole call takes, all attempts and waits included.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }
}
