//! Bodies on their way in: how long one may take, and how many may come from one address.
//!
//! Whoever sends slowly holds a place that others need, and nothing is known of a sender before the body's last byte.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A body may take this long before its pace counts: a lost packet comes again within a second.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes that have to come in each second after that. Meta's usual body has a few thousand in all.
const PACE: usize = 64 * 1024;
/// The longest that any body may take: long enough for 3 MiB over a poor line.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Bodies on their way from one address: half of all places, so that one address alone never shuts the door. Meta's
/// come at once, head and body, and are on their way for no time.
pub(super) const PER_ADDRESS_MAX: usize = super::BODIES_MAX / 2;

/// How long after its beginning a body may go on, by what has come of it.
pub(super) fn time_for(received: usize) -> Duration {
    let earned = Duration::from_secs(1).mul_f64(received as f64 / PACE as f64);
    TIME_MAX.min(GRACE + earned)
}

/// How many bodies are on their way, by address.
#[derive(Clone, Default)]
pub(crate) struct Arriving(Arc<Mutex<HashMap<String, usize>>>);

/// A body on its way.
pub(super) struct Arrival {
    arriving: Arriving,
    ip: String,
}

impl Arriving {
    /// Counts a body that begins; `None` if its address has too many.
    pub(super) fn begin(&self, ip: &str) -> Option<Arrival> {
        let mut counts = self.counts();
        let count = counts.entry(ip.to_owned()).or_default();
        if *count >= PER_ADDRESS_MAX {
            return None;
        }
        *count += 1;
        Some(Arrival { arriving: self.clone(), ip: ip.to_owned() })
    }

    /// No more addresses than there are places.
    fn counts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut counts = self.arriving.counts();
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_earns_its_time_by_what_it_brings() {
        assert_eq!(time_for(0), GRACE);
        assert_eq!(time_for(1), GRACE + Duration::from_secs(1).mul_f64(1.0 / 65536.0));
        assert_eq!(time_for(PACE), Duration::from_secs(3));
        assert_eq!(time_for(4 * PACE), Duration::from_secs(6));
        assert_eq!(time_for(3 * 1024 * 1024), TIME_MAX);
        // A line of half the pace is given up after four seconds, one of the pace never before the bound.
        let is_in_time = |second: usize, pace: usize| {
            let now = Duration::from_secs(u64::try_from(second).unwrap());
            now < time_for(second * pace)
        };
        assert!((1..4).all(|second| is_in_time(second, PACE / 2)) && !is_in_time(4, PACE / 2));
        assert!((1..10).all(|second| is_in_time(second, PACE)));
    }

    #[test]
    fn an_address_has_half_of_all_places_and_gets_them_back() {
        let arriving = Arriving::default();
        let mut held: Vec<_> = (0..PER_ADDRESS_MAX).map(|_| arriving.begin("10.0.0.1").unwrap()).collect();
        assert!(arriving.begin("10.0.0.1").is_none());
        assert!(arriving.begin("10.0.0.2").is_some());
        held.pop();
        held.push(arriving.begin("10.0.0.1").unwrap());
        assert!(arriving.begin("10.0.0.1").is_none());
        drop(held);
        assert!(arriving.counts().is_empty());
    }
}
