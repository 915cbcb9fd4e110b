//! Whether the app secret may be another app's.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use parlante_domain::Millis;

/// More than a scanner that happens by sends, fewer than Meta does in a minute.
const SUSPECT: u64 = 20;

/// Signatures since the secrets were read.
#[derive(Debug, Default)]
pub(crate) struct Signatures {
    any_good: AtomicBool,
    bad: AtomicU64,
    /// When so many were bad; 0: they were not.
    suspect_since: AtomicI64,
}

impl Signatures {
    pub(crate) fn was_good(&self) {
        self.any_good.store(true, Ordering::Relaxed);
    }

    pub(crate) fn was_bad(&self, now: Millis) {
        if self.bad.fetch_add(1, Ordering::Relaxed) + 1 == SUSPECT {
            self.suspect_since.store(now.0, Ordering::Relaxed);
        }
    }

    /// So many bad ones and none good: rather our secret is wrong than everybody else's.
    pub(crate) fn suspect_since(&self) -> Option<Millis> {
        let since = self.suspect_since.load(Ordering::Relaxed);
        (since != 0 && !self.any_good.load(Ordering::Relaxed)).then_some(Millis(since))
    }
}
