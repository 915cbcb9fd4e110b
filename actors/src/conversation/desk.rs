//! What every conversation works with: the ledger, the clients, the persona, the rules.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use parlante_domain::turn::AmbiguousSend;
use parlante_domain::{Clock, Faults, Persona, Seq, Service};
use parlante_ledger::Ledger;
use tokio::sync::{Semaphore, watch};

use crate::call::gate::Gate;
use crate::elevenlabs::ElevenLabsHandle;
use crate::metrics::Metrics;
use crate::openai::OpenAiHandle;
use crate::phase::PhaseWatch;
use crate::supervise::Restarts;
use crate::whatsapp::WhatsAppHandle;

/// The rules of a turn.
#[derive(Debug, Clone)]
pub struct ConversationConfig {
    /// A whole turn, from `task_started`; waits of a held row do not count.
    pub turn: Duration,
    /// How long a message waits for a paused model before the apology.
    pub hold: Duration,
    /// How long an unknown send waits for its status.
    pub reconcile: Duration,
    /// What happens after that.
    pub ambiguous_send: AmbiguousSend,
    /// Tokens of the conversation so far that are sent to the model.
    pub history_tokens: usize,
    /// When an answer is spoken.
    pub voice: VoicePolicy,
}

/// When an answer is spoken, unless the person has asked for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoicePolicy {
    /// Voice for voice, text for text.
    Mirror,
    /// Whenever it can be.
    Always,
    /// Not even if a person asks for it.
    Never,
}

/// Sounds in memory at once: 16 of 16 MiB, and as much again for the form in which each is sent, are 512 MiB at the
/// very worst.
pub(crate) const SOUNDS_MAX: usize = 16;

/// Shared by all conversations; lives on the core arbiter.
#[derive(Clone)]
pub struct Desk {
    pub(crate) config: Rc<ConversationConfig>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) faults: Arc<dyn Faults>,
    pub(crate) persona: watch::Receiver<Arc<Persona>>,
    pub(crate) openai: OpenAiHandle,
    pub(crate) whatsapp: WhatsAppHandle,
    /// `None`: answers are text only.
    pub(crate) elevenlabs: Option<ElevenLabsHandle>,
    pub(crate) phase: PhaseWatch,
    pub(crate) restarts: Restarts,
    pub(crate) working: Working,
    pub(crate) started: Started,
    pub(crate) metrics: Metrics,
    /// A place for each sound in memory.
    pub(crate) sounds: Rc<Semaphore>,
    /// A gate may want rows called back.
    pub(crate) news: watch::Receiver<()>,
}

impl Desk {
    /// Who speaks now.
    pub(crate) fn persona(&self) -> Arc<Persona> {
        self.persona.borrow().clone()
    }

    /// People who wait for room at the busiest provider.
    pub(crate) fn waiting(&self) -> usize {
        Service::ALL.iter().filter_map(|service| self.gate(*service)).map(Gate::waiting).max().unwrap_or(0)
    }

    /// The gate before `service`; `None` where it is not configured.
    pub(crate) fn gate(&self, service: Service) -> Option<&Gate> {
        match service {
            Service::WhatsApp => Some(self.whatsapp.client.gate()),
            Service::OpenAi => Some(self.openai.client.gate()),
            Service::ElevenLabs => self.elevenlabs.as_ref().map(|voice| voice.client.gate()),
        }
    }
}

/// How many turns are in progress, for the drain.
#[derive(Debug, Clone, Default)]
pub struct Working(watch::Sender<usize>);

impl Working {
    /// Counts one in until the guard is dropped.
    pub(crate) fn enter(&self) -> AtWork {
        self.0.send_modify(|count| *count += 1);
        AtWork(self.0.clone())
    }

    /// Turns in progress now.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Resolves when no turn is in progress.
    pub async fn none(&self) {
        // The sender lives in `self`, so this never fails.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

pub(crate) struct AtWork(watch::Sender<usize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Turns that this process has started and not ended: how much of their time is used up. `task_started` is told
/// once per message and process.
///
/// Bounded by the open rows; an ended row is taken out.
#[derive(Clone, Default)]
pub(crate) struct Started(Rc<RefCell<HashMap<Seq, Duration>>>);

impl Started {
    /// The time used so far, or `None` the first time.
    pub(crate) fn used(&self, seq: Seq) -> Option<Duration> {
        self.0.borrow().get(&seq).copied()
    }

    pub(crate) fn use_up(&self, seq: Seq, used: Duration) {
        self.0.borrow_mut().insert(seq, used);
    }

    pub(crate) fn end(&self, seq: Seq) {
        self.0.borrow_mut().remove(&seq);
    }
}
