//! Waits, windows and budgets: the rules that are numbers.

use std::time::Duration;

use crate::time::Millis;

/// The longest wait that a provider may ask for; a longer one ends the attempts.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// First wait of a message that WhatsApp would not take; doubled up to [`HOLD_MAX`].
pub const HOLD_FIRST: Duration = Duration::from_secs(5);
/// Longest wait between two tries of a held message.
pub const HOLD_MAX: Duration = Duration::from_secs(60);
/// How long after a person's newest message Meta lets us answer freely.
pub const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a call is tried and how long is waited before each attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// Wait before attempt 1, 2, 3, …; the last repeats.
    pub backoff: Vec<Duration>,
}

impl Retry {
    /// The wait before attempt `attempt` (from 1), given what the provider asked for after the one before.
    /// `None`: no further attempt.
    #[must_use]
    pub fn wait_before(&self, attempt: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if attempt > self.max_attempts || retry_after.is_some_and(|wait| wait > RETRY_AFTER_MAX) {
            return None;
        }
        let at = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let own = self.backoff.get(at).or(self.backoff.last()).copied().unwrap_or_default();
        Some(own.max(retry_after.unwrap_or_default()))
    }
}

/// How long a held message waits after its `held`-th try in a row (from 0).
#[must_use]
pub fn hold_wait(held: u32) -> Duration {
    HOLD_FIRST.saturating_mul(2_u32.saturating_pow(held)).min(HOLD_MAX)
}

/// When a message is too old to be answered, by Meta's timestamp.
#[must_use]
pub fn is_stale(sent_at: Millis, now: Millis, limit: Duration) -> bool {
    now.since(sent_at) > limit
}

/// One line of the conversation so far.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// Who said it.
    pub speaker: Speaker,
    /// The words.
    pub words: String,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {} characters", self.speaker, self.words.chars().count())
    }
}

/// Who said a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The person on WhatsApp.
    Person,
    /// The persona.
    Persona,
}

/// A rough count of tokens: three characters each, which is on the safe side for Latin scripts, and four
/// for the frame of a message.
#[must_use]
pub fn tokens(words: &str) -> usize {
    words.chars().count().div_ceil(3) + 4
}

/// The newest lines that fit into `budget` tokens, oldest first; they begin with the person's.
#[must_use]
pub fn fit(history: Vec<Line>, budget: usize) -> Vec<Line> {
    let mut used = 0;
    let mut kept: Vec<Line> = history
        .into_iter()
        .rev()
        .take_while(|line| {
            used += tokens(&line.words);
            used <= budget
        })
        .collect();
    kept.reverse();
    let first = kept.iter().position(|line| line.speaker == Speaker::Person).unwrap_or(kept.len());
    kept.split_off(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry() -> Retry {
        Retry { max_attempts: 3, backoff: [0, 1000, 2000].map(Duration::from_millis).to_vec() }
    }

    #[test]
    fn three_attempts_with_their_waits() {
        let waits: Vec<_> = (1..=4).map(|attempt| retry().wait_before(attempt, None)).collect();
        assert_eq!(waits, [Some(0), Some(1000), Some(2000), None].map(|w| w.map(Duration::from_millis)));
    }

    #[test]
    fn the_last_wait_repeats() {
        let retry = Retry { max_attempts: 9, ..retry() };
        assert_eq!(retry.wait_before(7, None), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_longer_wait_of_the_provider_wins_up_to_ten_seconds() {
        let after = |secs| retry().wait_before(2, Some(Duration::from_secs(secs)));
        assert_eq!(after(0), Some(Duration::from_secs(1)));
        assert_eq!(after(7), Some(Duration::from_secs(7)));
        assert_eq!(after(10), Some(Duration::from_secs(10)));
        assert_eq!(after(11), None);
    }

    #[test]
    fn holds_double_up_to_a_minute() {
        let waits: Vec<u64> = (0..6).map(|held| hold_wait(held).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert_eq!(hold_wait(u32::MAX), HOLD_MAX);
    }

    #[test]
    fn the_history_keeps_the_newest_and_begins_with_the_person() {
        let line = |speaker, words: &str| Line { speaker, words: words.into() };
        let history = vec![
            line(Speaker::Person, "aaa"),
            line(Speaker::Persona, "bbb"),
            line(Speaker::Person, "ccc"),
            line(Speaker::Persona, "ddd"),
        ];
        let words = |budget| fit(history.clone(), budget).iter().map(|l| l.words.clone()).collect::<Vec<_>>();
        assert_eq!(words(20), ["aaa", "bbb", "ccc", "ddd"]);
        assert_eq!(words(19), ["ccc", "ddd"]);
        assert_eq!(words(5), Vec::<String>::new());
    }
}
