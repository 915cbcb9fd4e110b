//! Whether the server takes work, told to everyone through one watch channel.

use tokio::sync::watch;

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Webhooks are taken and attempts start.
    Running,
    /// No new attempt starts; what runs may end.
    Draining,
}

/// A view of the phase that everyone holds.
#[derive(Debug, Clone)]
pub struct PhaseWatch(watch::Receiver<Phase>);

impl PhaseWatch {
    /// A phase that starts as running, and the sender that changes it.
    #[must_use]
    pub fn new() -> (watch::Sender<Phase>, Self) {
        let (sender, receiver) = watch::channel(Phase::Running);
        (sender, Self(receiver))
    }

    /// True once the server drains.
    #[must_use]
    pub fn draining(&self) -> bool {
        *self.0.borrow() == Phase::Draining
    }

    /// Resolves when the server drains.
    pub async fn drain(&self) {
        // An ended sender is an ended server.
        let _ = self.0.clone().wait_for(|phase| *phase == Phase::Draining).await;
    }

    /// Sleeps for `wait`; false if the drain began before it was over.
    pub async fn sleep(&self, wait: std::time::Duration) -> bool {
        let mut phase = self.0.clone();
        tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase == Phase::Draining) => false,
            () = actix_rt::time::sleep(wait) => true,
        }
    }
}
