//! Our own supervisor. actix's stock one does not survive a panic and restarts without back-off.
//!
//! It wraps each poll of the actor's context in `catch_unwind`, then restarts the context: the address and the
//! queued messages survive, the message in progress and all futures in flight are lost. What they stood for is in
//! the ledger, and the sweep finds it.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use actix::dev::ContextFut;
use actix::{Actor, Addr, Context, Supervised};
use actix_rt::time::{Instant, Sleep};
use parlante_domain::{Clock, Millis};
use tokio::sync::watch;

use crate::events;
use crate::load::Load;

/// Restarts within [`BUDGET_WINDOW`] before the supervisor gives up: a fault that ten restarts did not mend will
/// not be mended by the eleventh.
pub const BUDGET: usize = 10;
/// See [`BUDGET`].
pub const BUDGET_WINDOW: Duration = Duration::from_secs(60);
/// Wait before the second restart in a window, doubled with each up to [`BACKOFF_MAX`]; the first is at once.
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Restarts of the whole system, for operators, and the word of the first actor that had to be given up.
#[derive(Clone)]
pub struct Restarts {
    clock: Arc<dyn Clock>,
    by_actor: Arc<Mutex<BTreeMap<&'static str, Restarted>>>,
    gave_up: watch::Sender<Option<&'static str>>,
}

/// The restarts of the actors of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restarted {
    /// Since start.
    pub count: u64,
    /// When it was last.
    pub last: Millis,
}

impl Restarts {
    /// None yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, by_actor: Arc::default(), gave_up: watch::Sender::new(None) }
    }

    /// Who was restarted since start.
    #[must_use]
    pub fn by_actor(&self) -> BTreeMap<&'static str, Restarted> {
        self.by_actor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Resolves with the name of an actor without which the process cannot go on, when it is given up.
    pub async fn gave_up(&self) -> &'static str {
        let mut gave_up = self.gave_up.subscribe();
        loop {
            if let Some(actor) = *gave_up.borrow_and_update() {
                return actor;
            }
            // The sender lives in `self`, so this never fails.
            let _ = gave_up.changed().await;
        }
    }

    fn count(&self, actor: &'static str) {
        let last = self.clock.now();
        let mut by_actor = self.by_actor.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_actor.get(actor).map_or(0, |restarted| restarted.count) + 1;
        by_actor.insert(actor, Restarted { count, last });
    }
}

/// The masked person of a conversation, told by its first row.
#[derive(Debug, Clone, Default)]
pub struct UserId(Rc<RefCell<Option<String>>>);

impl UserId {
    /// Tells who it is.
    pub fn set(&self, masked: String) {
        self.0.replace(Some(masked));
    }

    pub(crate) fn get(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}

/// What the supervisor knows of the actor it keeps.
pub struct Post {
    /// Its name in logs and `/stats`.
    pub actor: &'static str,
    /// The masked person, for conversations.
    pub user_id: UserId,
    /// What waits for it.
    pub load: Load,
    /// Messages that may wait in its mailbox.
    pub mailbox: usize,
    /// The process cannot go on without it.
    pub vital: bool,
    /// Where restarts are counted.
    pub restarts: Restarts,
}

/// Starts `actor` under supervision on the current arbiter.
///
/// The mailbox bound holds only as long as the returned address is not cloned and only `try_send` is used.
pub fn start<A: Actor<Context = Context<A>> + Supervised>(post: Post, actor: A) -> Addr<A> {
    let mut context = Context::new();
    context.set_mailbox_capacity(post.mailbox);
    let future = context.into_future(actor);
    let address = future.address();
    actix_rt::spawn(Keeper { future, post, recent: VecDeque::new(), pause: None });
    address
}

struct Keeper<A: Actor<Context = Context<A>>> {
    future: ContextFut<A, Context<A>>,
    post: Post,
    recent: VecDeque<Instant>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<A: Actor<Context = Context<A>> + Supervised> Future for Keeper<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<()> {
        let keeper = self.get_mut();
        loop {
            if let Some(pause) = &mut keeper.pause {
                if pause.as_mut().poll(task).is_pending() {
                    return Poll::Pending;
                }
                keeper.pause = None;
            }
            match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut keeper.future).poll(task))) {
                Ok(ended) => return ended,
                Err(_panic) => {
                    if !keeper.restart() {
                        return Poll::Ready(());
                    }
                }
            }
        }
    }
}

impl<A: Actor<Context = Context<A>> + Supervised> Keeper<A> {
    /// False when the actor is given up or nobody holds its address any more.
    fn restart(&mut self) -> bool {
        let now = Instant::now();
        while self.recent.front().is_some_and(|at| now.duration_since(*at) > BUDGET_WINDOW) {
            self.recent.pop_front();
        }
        let reason = reason();
        let given_up = self.recent.len() >= BUDGET;
        let backoff = if given_up { Duration::ZERO } else { backoff(self.recent.len()) };
        if !given_up {
            self.recent.push_back(now);
        }
        let said = events::Restart {
            actor: self.post.actor,
            user_id: self.post.user_id.get(),
            reason: &reason,
            restarts: self.recent.len(),
            backoff,
            mailbox: self.post.load.count(),
        };
        if given_up {
            events::actor_gave_up(&said);
            if self.post.vital {
                self.post.restarts.gave_up.send_replace(Some(self.post.actor));
            }
            return false;
        }
        self.post.restarts.count(self.post.actor);
        events::actor_restarted(&said);
        // A panic in the actor's own `restarting` counts like any other.
        let restarted = catch_unwind(AssertUnwindSafe(|| self.future.restart())).unwrap_or(true);
        self.pause = (restarted && !backoff.is_zero()).then(|| Box::pin(actix_rt::time::sleep(backoff)));
        restarted
    }
}

fn backoff(earlier: usize) -> Duration {
    match u32::try_from(earlier).unwrap_or(u32::MAX) {
        0 => Duration::ZERO,
        n => BACKOFF.saturating_mul(2_u32.saturating_pow(n - 1)).min(BACKOFF_MAX),
    }
}

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes every panic leave its place in the log, and for the restart log; never its own words, which may hold what a
/// person wrote.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
        events::panicked(place.as_deref().unwrap_or_default());
        PLACE.with_borrow_mut(|last| *last = place);
    }));
}

/// Where the panic that was just caught came from.
fn reason() -> String {
    let place = PLACE.with_borrow_mut(Option::take);
    place.map_or_else(|| "panic".to_owned(), |place| format!("panic at {place}"))
}

#[cfg(test)]
mod tests;
