//! The first wake-ups after a start: rows over which the process died more than once run alone, one after the other;
//! then everyone else, oldest first, with a ramp, so that a restart does not stampede the providers.

use std::collections::VecDeque;

use parlante_domain::PersonId;
use parlante_ledger::Wake;

/// People woken by the first sweep after a start; doubled with each up to [`SWEEP_MAX`].
const RAMP_FIRST: usize = 32;
/// Wake-ups in one sweep; more would only fill mailboxes faster than the conversations empty them.
const SWEEP_MAX: usize = 1000;

/// What the start still has to do.
pub(super) struct Start {
    suspects: VecDeque<Wake>,
    alone: Option<PersonId>,
    ramp: usize,
}

impl Start {
    /// `suspects`: rows over which the process died more than once, oldest first.
    pub(super) fn new(suspects: Vec<Wake>) -> Self {
        Self { suspects: suspects.into(), alone: None, ramp: RAMP_FIRST }
    }

    /// Nobody but a suspect may be woken.
    pub(super) fn is_alone(&self) -> bool {
        self.alone.is_some() || !self.suspects.is_empty()
    }

    /// The next suspect to wake, once the one before is through. `is_idle`: nothing waits for this person's
    /// conversation and nothing is in progress.
    pub(super) fn suspect(&mut self, is_idle: impl Fn(PersonId) -> bool) -> Option<Wake> {
        if self.alone.is_some_and(|person| !is_idle(person)) {
            return None;
        }
        let suspect = self.suspects.pop_front();
        self.alone = suspect.map(|suspect| suspect.person);
        suspect
    }

    /// The suspects that are left go on beside everyone else.
    pub(super) fn end(&mut self) {
        self.suspects.clear();
        self.alone = None;
    }

    /// How many people a sweep may wake; `None` while suspects run.
    pub(super) fn everyone(&mut self) -> Option<usize> {
        if self.is_alone() {
            return None;
        }
        let limit = self.ramp;
        self.ramp = (self.ramp * 2).min(SWEEP_MAX);
        Some(limit)
    }
}

#[cfg(test)]
mod tests {
    use parlante_domain::Seq;

    use super::*;

    fn suspect(number: i64) -> Wake {
        Wake { person: PersonId(number), seq: Seq(number) }
    }

    #[test]
    fn suspects_run_one_after_the_other_before_everyone_else() {
        let mut start = Start::new(vec![suspect(1), suspect(2)]);
        assert_eq!(start.everyone(), None);
        assert_eq!(start.suspect(|_| true), Some(suspect(1)));
        assert_eq!(start.suspect(|person| person != PersonId(1)), None, "the first is in progress");
        assert_eq!(start.suspect(|_| true), Some(suspect(2)));
        assert_eq!(start.suspect(|_| false), None);
        assert_eq!(start.everyone(), None);
        assert_eq!(start.suspect(|_| true), None);
        assert_eq!(start.everyone(), Some(RAMP_FIRST));
    }

    #[test]
    fn the_ramp_doubles_up_to_its_limit() {
        let mut start = Start::new(vec![]);
        let limits: Vec<_> = (0..7).map(|_| start.everyone()).collect();
        assert_eq!(limits, [32, 64, 128, 256, 512, 1000, 1000].map(Some));
    }
}
