//! How many calls at once, and how fast. Pure: time comes in as an argument.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use actix_rt::time::Instant;
use parlante_domain::{Address, PhoneNumberId};

/// Messages that one of our numbers may send in [`SECOND`] (Meta's standard throughput; more gives 130429).
const PER_SECOND: usize = 80;
/// The second that [`PER_SECOND`] is counted over, with a margin for the network's unevenness.
const SECOND: Duration = Duration::from_millis(1050);
/// Messages in a row to one person that are not delayed (Meta's burst; more gives 131056).
const BURST: u32 = 45;
/// One message to one person per this time, in the long run.
const PAIR_INTERVAL: Duration = Duration::from_secs(6);
/// Pairs that are remembered before those with nothing to remember are dropped.
const PAIRS_SWEPT: usize = 1024;

/// The rates of one of our numbers and of the people it writes to.
#[derive(Default)]
pub(crate) struct Rates {
    recent: HashMap<PhoneNumberId, VecDeque<Instant>>,
    /// When each pair will have nothing to make up for. A burst borrows from the future.
    pairs: HashMap<(PhoneNumberId, Address), Instant>,
}

impl Rates {
    /// When this number may send next; at once if that is not after `now`.
    pub(crate) fn next(&mut self, number: &PhoneNumberId, now: Instant) -> Instant {
        let Some(recent) = self.recent.get_mut(number) else { return now };
        while recent.front().is_some_and(|sent| *sent + SECOND <= now) {
            recent.pop_front();
        }
        let full = recent.len().checked_sub(PER_SECOND).and_then(|at| recent.get(at));
        full.map_or(now, |sent| *sent + SECOND)
    }

    /// This number sends now.
    pub(crate) fn count(&mut self, number: &PhoneNumberId, now: Instant) {
        self.recent.entry(number.clone()).or_default().push_back(now);
    }

    /// How long a message to this person has to wait; it is counted.
    pub(crate) fn pair(&mut self, number: &PhoneNumberId, person: &Address, now: Instant) -> Duration {
        if self.pairs.len() >= PAIRS_SWEPT {
            self.pairs.retain(|_, made_up| *made_up > now);
        }
        let made_up = self.pairs.entry((number.clone(), person.clone())).or_insert(now);
        let debt = made_up.saturating_duration_since(now);
        let wait = debt.saturating_sub(PAIR_INTERVAL * (BURST - 1));
        *made_up = now + debt + PAIR_INTERVAL;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number() -> PhoneNumberId {
        "1".into()
    }

    fn person(name: &str) -> Address {
        Address::Phone(name.into())
    }

    #[test]
    fn eighty_a_second_and_no_more() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let mut now = start;
        let mut sent = Vec::new();
        for _ in 0..240 {
            now = now.max(rates.next(&number(), now));
            rates.count(&number(), now);
            sent.push(now);
        }
        assert_eq!(sent[79], start);
        for window in sent.windows(PER_SECOND + 1) {
            assert!(window[PER_SECOND] - window[0] >= Duration::from_secs(1));
        }
        assert_eq!(sent[239], start + 2 * SECOND);
        assert_eq!(rates.next(&"2".into(), now), now, "another number has a rate of its own");
    }

    #[test]
    fn a_burst_to_one_person_is_not_delayed_and_then_one_in_six_seconds() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        let waits: Vec<u64> = (0..48).map(|_| rates.pair(&number(), &person("1"), now).as_secs()).collect();
        assert_eq!(waits[..45], [0; 45]);
        assert_eq!(waits[45..], [6, 12, 18]);
        assert_eq!(rates.pair(&number(), &person("2"), now), Duration::ZERO, "nobody waits for another");
        let later = now + PAIR_INTERVAL * 48;
        assert_eq!(rates.pair(&number(), &person("1"), later), Duration::ZERO);
    }

    #[test]
    fn what_is_made_up_for_is_forgotten() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        for index in 0..PAIRS_SWEPT {
            rates.pair(&number(), &person(&index.to_string()), now);
        }
        rates.pair(&number(), &person("new"), now + PAIR_INTERVAL);
        assert_eq!(rates.pairs.len(), 1);
    }
}
