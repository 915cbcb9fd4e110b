//! Ids that were just seen. A first look only: the ledger decides.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use lru_time_cache::LruCache;
use parlante_domain::{MessageId, Millis};

/// `remove` and eviction are O(n) in the size of one cache, so the ids are spread over many small ones.
const SHARDS: usize = 64;
/// 131,072 ids in all: at Meta's highest rate the last two minutes, which is when redeliveries come thickest.
const SHARD_IDS: usize = 2048;

pub(super) struct HotIds {
    shards: Vec<LruCache<MessageId, Millis>>,
    remember: Duration,
}

impl HotIds {
    pub(super) fn new(remember: Duration) -> Self {
        let shards =
            (0..SHARDS).map(|_| LruCache::with_expiry_duration_and_capacity(remember, SHARD_IDS)).collect();
        Self { shards, remember }
    }

    /// True if the id was taken less than its time ago.
    pub(super) fn knows(&mut self, id: &MessageId, now: Millis) -> bool {
        let remember = self.remember;
        self.shard(id).peek(id).is_some_and(|at| now.since(*at) <= remember)
    }

    /// Remembers an id that the ledger has just committed.
    pub(super) fn insert(&mut self, id: MessageId, now: Millis) {
        let shard = self.shard(&id);
        // Re-inserting a known key is O(n) and would leave its old age in place.
        if shard.contains_key(&id) {
            shard.remove(&id);
        }
        shard.insert(id, now);
    }

    /// After a panic nobody knows in which state a shard was left.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.remember);
    }

    fn shard(&mut self, id: &MessageId) -> &mut LruCache<MessageId, Millis> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or(0);
        &mut self.shards[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_until_its_time_is_over() {
        let mut hot = HotIds::new(Duration::from_secs(60));
        let id = MessageId::from("wamid.1");
        assert!(!hot.knows(&id, Millis(0)));
        hot.insert(id.clone(), Millis(0));
        assert!(hot.knows(&id, Millis(60_000)));
        assert!(!hot.knows(&id, Millis(60_001)));
        hot.insert(id.clone(), Millis(60_001));
        assert!(hot.knows(&id, Millis(60_001)));
        hot.clear();
        assert!(!hot.knows(&id, Millis(60_001)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut hot = HotIds::new(Duration::from_secs(60));
        for n in 0..200_000 {
            hot.insert(MessageId::from(format!("wamid.{n}")), Millis(0));
        }
        assert!(hot.shards.iter().all(|shard| shard.len() <= SHARD_IDS));
    }
}
