//! Single flight by (row, step): a restarted conversation attaches to the call under way, or takes up its kept
//! result, instead of paying again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use parlante_domain::Seq;
use parlante_ledger::Step;
use tokio::sync::watch;

/// Which call it is.
pub(crate) type Key = (Seq, Step);

/// The result of a call; `None` if it was lost to a panic.
pub(crate) type Landing<T> = Pin<Box<dyn Future<Output = Option<T>>>>;

/// Calls under way and results that no conversation has acknowledged yet.
///
/// Bounded by the open rows that were begun in this process: a key is landed when its result is in the ledger.
pub(crate) struct Flights<T> {
    calls: Rc<RefCell<HashMap<Key, watch::Receiver<Option<T>>>>>,
}

impl<T> Clone for Flights<T> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone() }
    }
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { calls: Rc::default() }
    }
}

impl<T: Clone + 'static> Flights<T> {
    /// Attaches to the call of this key, or makes it.
    pub(crate) fn join<F>(&self, key: Key, call: impl FnOnce() -> F) -> Landing<T>
    where
        F: Future<Output = T> + 'static,
    {
        if let Some(landing) = self.attach(key) {
            return landing;
        }
        let (done, result) = watch::channel(None);
        let call = call();
        self.calls.borrow_mut().insert(key, result.clone());
        // A task of its own: it goes on when the conversation that asked is gone.
        actix_rt::spawn(async move {
            done.send_replace(Some(call.await));
        });
        self.wait(key, result)
    }

    /// Attaches to the call of this key, if there is one.
    pub(crate) fn attach(&self, key: Key) -> Option<Landing<T>> {
        let result = self.calls.borrow().get(&key).cloned()?;
        Some(self.wait(key, result))
    }

    /// The result is in the ledger: forget it.
    pub(crate) fn land(&self, key: Key) {
        self.calls.borrow_mut().remove(&key);
    }

    /// The row is closed: forget whatever was kept for it.
    pub(crate) fn land_row(&self, seq: Seq) {
        self.calls.borrow_mut().retain(|(of, _), _| *of != seq);
    }

    fn wait(&self, key: Key, mut result: watch::Receiver<Option<T>>) -> Landing<T> {
        let flights = self.clone();
        Box::pin(async move {
            let result = result.wait_for(Option::is_some).await.ok().and_then(|result| result.clone());
            if result.is_none() {
                flights.land(key);
            }
            result
        })
    }
}
