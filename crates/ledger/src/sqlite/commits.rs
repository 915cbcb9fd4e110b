//! How commits go, for whoever asks and for whoever waits for it to turn.
//!
//! A commit that hangs tells nobody: the thread that could is the one that hangs. So the writer says when it begins,
//! and whoever looks does the sum.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// A commit that takes longer hangs. A webhook is answered 503 once it has waited for 10 s: whoever decides where
/// webhooks go should know before. A disk that is merely slow stays far below it.
pub(super) const HANGS_AFTER: Duration = Duration::from_secs(5);

/// How commits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// The last one that wrote anything went well.
    Well,
    /// The last one failed.
    Failed,
    /// One has run for so long that it hangs (more than 5 s), or what is done between commits has.
    Hang(Duration),
}

#[derive(Debug, Clone, Copy)]
struct State {
    went_well: bool,
    /// When that began which is under way.
    began: Option<Instant>,
    /// Always the same.
    hangs_after: Duration,
}

impl State {
    /// For how long that has hung which is under way.
    fn hung(&self) -> Option<Duration> {
        self.began.map(|began| began.elapsed()).filter(|took| *took >= self.hangs_after)
    }
}

/// The writer's end.
pub(super) struct Progress(watch::Sender<State>);

/// Tells how commits go: [`Sqlite::commits`](super::Sqlite::commits).
#[derive(Debug, Clone)]
pub struct CommitsWatch {
    state: watch::Receiver<State>,
    told: Discriminant<Commits>,
}

/// Both ends. All is well to begin with.
pub(super) fn progress(hangs_after: Duration) -> (Progress, CommitsWatch) {
    let (sender, state) = watch::channel(State { went_well: true, began: None, hangs_after });
    (Progress(sender), CommitsWatch { state, told: discriminant(&Commits::Well) })
}

impl Progress {
    /// Something begins on the disk. Nobody is woken: it may be any of thousands a second.
    pub(super) fn begins(&self) {
        self.0.send_if_modified(|state| {
            state.began = Some(Instant::now());
            false
        });
    }

    /// It has ended. `went_well`: what it shows of commits; `None` if nothing.
    pub(super) fn ended(&self, went_well: Option<bool>) {
        self.0.send_if_modified(|state| {
            let (hung, before) = (state.hung().is_some(), state.went_well);
            state.began = None;
            state.went_well = went_well.unwrap_or(before);
            hung || before != state.went_well
        });
    }
}

impl CommitsWatch {
    /// How they go now.
    #[must_use]
    pub fn now(&self) -> Commits {
        // The state stays borrowed while the clock is read: whoever ends what is seen to hang here then sees it too.
        let state = self.state.borrow();
        match (state.hung(), state.went_well) {
            (Some(hung), _) => Commits::Hang(hung),
            (None, true) => Commits::Well,
            (None, false) => Commits::Failed,
        }
    }

    /// Waits until they go otherwise than this handle was told last (well, to begin with), and tells how. `None`: the
    /// writer is gone. Safe to cancel. Must be awaited within a tokio runtime.
    pub async fn turned(&mut self) -> Option<Commits> {
        loop {
            let now = self.now();
            if discriminant(&now) != self.told {
                self.told = discriminant(&now);
                return Some(now);
            }
            let (look, hangs) = (self.next_look(), matches!(now, Commits::Hang(_)));
            tokio::select! {
                changed = self.state.changed() => changed.ok()?,
                // The end of a hang is told; its beginning is not.
                () = sleep_until(look), if !hangs => {}
            }
        }
    }

    /// The earliest moment at which something may be found to hang that does not yet.
    fn next_look(&self) -> Instant {
        let state = self.state.borrow();
        state.began.unwrap_or_else(Instant::now) + state.hangs_after
    }
}
