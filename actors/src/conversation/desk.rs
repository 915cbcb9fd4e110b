//! What every conversation works with: the ledger, the clients, the persona, the rules.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use parlante_domain::turn::AmbiguousSend;
use parlante_domain::{Clock, Faults, Persona, Seq};
use parlante_ledger::Ledger;
use tokio::sync::watch;

use crate::openai::OpenAiHandle;
use crate::phase::PhaseWatch;
use crate::supervise::Restarts;
use crate::whatsapp::WhatsAppHandle;

/// The rules of a turn.
#[derive(Debug, Clone)]
pub struct ConversationConfig {
    /// A whole turn, from `task_started`; waits of a held row do not count.
    pub turn: Duration,
    /// How long an unknown send waits for its status.
    pub reconcile: Duration,
    /// What happens after that.
    pub ambiguous_send: AmbiguousSend,
    /// Tokens of the conversation so far that are sent to the model.
    pub history_tokens: usize,
}

/// Shared by all conversations; lives on the core arbiter.
#[derive(Clone)]
pub struct Desk {
    pub(crate) config: Rc<ConversationConfig>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) faults: Arc<dyn Faults>,
    pub(crate) persona: Arc<Persona>,
    pub(crate) openai: OpenAiHandle,
    pub(crate) whatsapp: WhatsAppHandle,
    pub(crate) phase: PhaseWatch,
    pub(crate) restarts: Restarts,
    pub(crate) working: Working,
    pub(crate) started: Started,
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
