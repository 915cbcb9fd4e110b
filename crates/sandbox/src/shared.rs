//! State that two worlds look at: the stand-in's own thread, and tests that wait for something to happen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// A value behind a lock, and a signal at each change. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    value: Arc<Mutex<T>>,
    changes: Arc<watch::Sender<u64>>,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), changes: Arc::clone(&self.changes) }
    }
}

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Arc::new(Mutex::new(value)), changes: Arc::new(watch::Sender::new(0)) }
    }

    pub(crate) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    /// Changes the value, then wakes everyone who waits for a change.
    pub(crate) fn change<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        let result = act(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    /// Waits until `seek` finds what it wants.
    ///
    /// # Errors
    /// After `timeout`: what `describe` says about the value at that moment.
    pub(crate) async fn wait<R>(
        &self,
        seek: impl Fn(&T) -> Option<R>,
        timeout: Duration,
        describe: impl Fn(&T) -> String,
    ) -> Result<R, String> {
        // Subscribed before the first look, so that no change falls between the look and the wait.
        let mut changes = self.changes.subscribe();
        let found = async {
            loop {
                if let Some(found) = self.read(&seek) {
                    return found;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(timeout, found).await {
            Ok(found) => Ok(found),
            Err(_) => Err(format!("not within {timeout:?}; {}", self.read(describe))),
        }
    }

    /// A panic in a test's predicate must not take the stand-in with it, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record of what happened, in order: each entry has a number, and the oldest leave when it is full.
#[derive(Debug)]
pub(crate) struct Log<T> {
    entries: VecDeque<T>,
    /// The number of the oldest entry still here.
    first: u64,
    capacity: usize,
}

impl<T> Log<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), first: 0, capacity }
    }

    /// Appends the entry that `make` makes of its number, and returns the number.
    pub(crate) fn push(&mut self, make: impl FnOnce(u64) -> T) -> u64 {
        if self.entries.len() >= self.capacity && self.entries.pop_front().is_some() {
            self.first += 1;
        }
        let number = self.first + self.entries.len() as u64;
        self.entries.push_back(make(number));
        number
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.entries.get_mut(index)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.entries.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.first += self.entries.len() as u64;
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_forgets_its_oldest_and_keeps_its_numbers() {
        let mut log = Log::new(2);
        for expected in 0..3 {
            assert_eq!(log.push(|number| number * 10), expected);
        }
        assert_eq!(log.get_mut(0), None);
        assert_eq!(log.get_mut(2), Some(&mut 20));
        log.clear();
        assert_eq!(log.push(|number| number), 3);
    }

    #[actix_rt::test]
    async fn a_wait_sees_a_change_made_by_another_thread() {
        let shared = Shared::new(0);
        let other = shared.clone();
        let thread = std::thread::spawn(move || other.change(|value| *value = 7));
        let found = shared
            .wait(|value| (*value == 7).then_some(*value), Duration::from_secs(5), |_| String::new())
            .await;
        assert_eq!(found, Ok(7));
        thread.join().unwrap();
    }

    #[actix_rt::test]
    async fn a_wait_in_vain_says_what_it_saw() {
        let shared = Shared::new(3);
        let found = shared.wait(|_| None::<()>, Duration::ZERO, |value| format!("saw {value}")).await;
        assert_eq!(found, Err("not within 0ns; saw 3".into()));
    }
}
