//! What an operator orders: replay and forget.

use parlante_domain::{MessageId, Millis};
use parlante_ledger::{Purpose, Replay, Replayed, RowState, Step, Wake};

use super::{Entry, Model, PartOf, State};

impl Model {
    /// What has to be answered; `wakes` are those of the engine.
    pub(crate) fn replay(&mut self, replay: &Replay, now: Millis, wakes: &[Wake]) -> Replayed {
        let message = match replay {
            Replay::AllDead => {
                let dead = |row: &Entry| row.state == State::Dead && row.purpose == Purpose::Answer;
                let rows: Vec<usize> = (0..self.rows.len()).filter(|at| dead(&self.rows[*at])).collect();
                return self.reopen(rows, now, wakes);
            }
            Replay::One(message) => message,
        };
        match self.answer_row(message) {
            None if self.seen.contains_key(message) => Replayed::NotKept,
            None => Replayed::Unknown,
            Some(at) => match self.rows[at].state {
                State::Open | State::Dropped => Replayed::Wrong(RowState::Open),
                State::Done => Replayed::Wrong(RowState::Done),
                State::Dead | State::Refused => self.reopen(vec![at], now, wakes),
            },
        }
    }

    fn answer_row(&self, message: &MessageId) -> Option<usize> {
        self.rows.iter().rposition(|row| row.message.id == *message && row.purpose == Purpose::Answer)
    }

    fn reopen(&mut self, rows: Vec<usize>, now: Millis, wakes: &[Wake]) -> Replayed {
        let replayed = u32::try_from(rows.len()).unwrap();
        let mut given = wakes.iter().copied();
        let mut told = Vec::new();
        for at in rows {
            let (person, message) = (self.canonical(self.rows[at].person), self.rows[at].message.clone());
            if !std::mem::replace(&mut self.people[person].disclosed, true) {
                told.extend(given.clone().next());
                self.insert(person, &message, Purpose::Disclosure, now, &mut given);
            }
            let wake = given.next().expect("a wake is missing");
            self.meet(person, wake.person);
            let row = &mut self.rows[at];
            row.person = person;
            row.open_again(now);
            row.awaited_since = now;
            told.push(Wake { person: wake.person, seq: row.seq });
        }
        Replayed::Reopened { replayed, wakes: told }
    }

    /// How many messages go, and how many people; `None` for a stranger.
    pub(crate) fn forget(&mut self, alias: &str) -> Option<(u32, usize)> {
        let person = self.find(alias)?;
        let theirs: Vec<usize> =
            (0..self.people.len()).filter(|one| self.canonical(*one) == person).collect();
        let messages =
            self.rows.iter().filter(|row| theirs.contains(&row.person) && row.purpose == Purpose::Answer);
        let messages = messages.filter(|row| row.state != State::Dropped).count();
        self.rows.retain(|row| !theirs.contains(&row.person));
        self.history.retain(|said| !theirs.contains(&said.person));
        for one in &theirs {
            let one = &mut self.people[*one];
            (one.id, one.joined, one.wish) = (None, None, None);
            one.aliases.clear();
        }
        Some((u32::try_from(messages).unwrap(), theirs.len()))
    }
}

impl Entry {
    fn open_again(&mut self, now: Millis) {
        if self.reply.as_ref().is_some_and(|reply| reply.failed.is_some()) {
            self.reply = None;
            self.first_part = self.sends.keys().max().map_or(self.first_part, |last| last + 1);
            (self.audio, self.media) = (None, None);
        }
        for (step, paid) in &mut self.paid {
            let is_kept = *step == Step::Transcribe || self.reply.is_some();
            if paid.state != PartOf::Done || !is_kept {
                paid.state = PartOf::Postponed;
            }
        }
        for sent in self.sends.range_mut(self.first_part..).map(|(_, sent)| sent) {
            if sent.state != PartOf::Done {
                (sent.state, sent.unknowns, sent.rank) = (PartOf::Postponed, 0, 0);
            }
        }
        (self.state, self.due, self.begun, self.running) = (State::Open, now, false, false);
        (self.holds, self.panics, self.deaths, self.waits_for, self.reopened) = (0, 0, 0, None, false);
    }
}
