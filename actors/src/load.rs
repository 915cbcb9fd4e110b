//! Counting what waits for an actor. actix does not tell the length of a mailbox, so each message carries a
//! ticket that counts itself out when the message has been handled, dropped, or lost to a panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many messages an actor has been given and not yet handled.
#[derive(Debug, Clone, Default)]
pub struct Load(Arc<AtomicUsize>);

impl Load {
    /// Counts one in.
    #[must_use]
    pub fn enter(&self) -> Ticket {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ticket(self.clone())
    }

    /// Messages waiting or in progress.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One counted message. Dropping it counts it out.
#[derive(Debug)]
pub struct Ticket(Load);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
