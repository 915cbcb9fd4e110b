//! Dedup: asks whether a message is new, and wakes whom it concerns.
//!
//! - [`hot`]: ids that were just seen, so that a storm of redeliveries does not reach the ledger.
//! - [`directory`]: the conversations in memory. Only it starts and passivates them.
//! - [`recall`]: the rows that wait for a provider are called back.
//! - [`start`]: who is woken first after a start.
//! - a sweep: every 2 s it wakes whoever has a due row that no live turn holds.
//!
//! The ledger decides. Acknowledgement, counters, log events and hot ids all follow its commit.

mod actor;
mod directory;
mod hot;
mod recall;
mod start;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use actix::Addr;
use parlante_domain::{Item, Millis, PersonId};
use parlante_ledger::{AcceptRules, Wake};

use crate::conversation::Desk;
use crate::events;
use crate::load::Load;
use crate::supervise::{self, Post};
use actor::{Accept, Dedup, LetGo, LookAgain, WakeUp};

/// Webhooks that may wait for Dedup. They hold their bodies; the HTTP surface bounds them before.
const MAILBOX: usize = 4096;
/// Longest wait of a webhook for its commit. Meta gives up at a time it does not publish; after this it is told to
/// come again.
const ACCEPT_DEADLINE: Duration = Duration::from_secs(10);

/// The items could not be made durable in time; Meta delivers them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotDurable;

/// What Dedup decides by.
#[derive(Debug, Clone)]
pub struct DedupConfig {
    /// Handed to the accept transaction.
    pub rules: AcceptRules,
    /// An idle conversation leaves memory after this.
    pub idle: Duration,
    /// How often due rows are looked for.
    pub sweep: Duration,
    /// Rows over which the process died more than once, oldest first: they run alone at start.
    pub suspects: Vec<Wake>,
}

/// Numbers since start, for `/stats`.
#[derive(Debug, Clone, Default)]
pub struct DedupStats(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    hits: AtomicU64,
    misses: AtomicU64,
    conversations: AtomicUsize,
    /// 0: never.
    overflowed: AtomicI64,
}

impl DedupStats {
    /// Ids that were known.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::Relaxed)
    }

    /// Ids that were new.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.0.misses.load(Ordering::Relaxed)
    }

    /// Conversation actors in memory.
    #[must_use]
    pub fn conversations(&self) -> usize {
        self.0.conversations.load(Ordering::Relaxed)
    }

    /// When somebody last wrote more than may wait.
    #[must_use]
    pub fn overflowed(&self) -> Option<Millis> {
        let at = self.0.overflowed.load(Ordering::Relaxed);
        (at != 0).then_some(Millis(at))
    }

    fn overflow(&self, now: Millis) {
        self.0.overflowed.store(now.0, Ordering::Relaxed);
    }

    fn hit(&self) {
        self.0.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn miss(&self) {
        self.0.misses.fetch_add(1, Ordering::Relaxed);
    }

    fn set_conversations(&self, count: usize) {
        self.0.conversations.store(count, Ordering::Relaxed);
    }
}

/// The only way to Dedup.
#[derive(Clone)]
pub struct DedupHandle {
    addr: Addr<Dedup>,
    load: Load,
    stats: DedupStats,
}

impl DedupHandle {
    /// Starts Dedup on the current arbiter.
    pub(crate) fn start(config: DedupConfig, desk: Desk) -> Self {
        let (load, stats) = (Load::default(), DedupStats::default());
        let post = Post {
            actor: "dedup",
            user_id: supervise::UserId::default(),
            load: load.clone(),
            mailbox: MAILBOX,
            vital: true,
            restarts: desk.restarts.clone(),
        };
        Self { addr: supervise::start(post, Dedup::new(config, desk, stats.clone())), load, stats }
    }

    /// Takes the items of one webhook. Answers after their commit.
    ///
    /// # Errors
    /// [`NotDurable`]; what Meta delivers again is then answered once all the same.
    pub async fn accept(&self, items: Vec<Item>) -> Result<(), NotDurable> {
        let accept = Accept { items, _ticket: self.load.enter() };
        match actix_rt::time::timeout(ACCEPT_DEADLINE, self.addr.send(accept)).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(failure))) => {
                events::ledger_unavailable(&failure);
                Err(NotDurable)
            }
            // A panic of Dedup, which has told of itself: Meta delivers again.
            Ok(Err(_)) => Err(NotDurable),
            Err(_) => {
                events::commit_too_slow();
                Err(NotDurable)
            }
        }
    }

    /// Wakes people whose messages an operator had opened again. A wake-up that is lost is made up for by the sweep.
    pub async fn wake(&self, wakes: Vec<Wake>) {
        let request = WakeUp { wakes, _ticket: self.load.enter() };
        let _ = actix_rt::time::timeout(ACCEPT_DEADLINE, self.addr.send(request)).await;
    }

    /// Lets go of the conversations of people who were forgotten, and of every id in memory. Where it fails, the
    /// conversations find nothing and leave memory when they have been idle for long enough.
    pub async fn let_go(&self, people: Vec<PersonId>) {
        let request = LetGo { people, _ticket: self.load.enter() };
        let _ = actix_rt::time::timeout(ACCEPT_DEADLINE, self.addr.send(request)).await;
    }

    /// An operator has acted: whatever is paused is probed at once.
    pub(crate) fn look_again(&self) {
        // Full or gone: the next probe comes by itself.
        let _ = self.addr.try_send(LookAgain);
    }

    /// Webhooks that wait for Dedup, of how many that may.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        (self.load.count(), MAILBOX)
    }

    /// Numbers for `/stats`.
    #[must_use]
    pub fn stats(&self) -> &DedupStats {
        &self.stats
    }
}
