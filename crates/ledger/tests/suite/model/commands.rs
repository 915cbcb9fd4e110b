//! Statuses, the steps of a turn, recovery.

use parlante_domain::policy::{Line, Speaker};
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Content, Millis, Seq, Status, StatusUpdate};
use parlante_ledger::{
    Advance, Begin, Ending, Finish, Finished, Held, Hold, Purpose, Recover, Recovered, Settle, Step,
    StepOutcome, Undone, Verdict, Wake,
};

use super::{Entry, Model, PartOf, State};

/// How often a process may die over a row.
const DEATHS_MAX: u32 = 20;

impl Model {
    pub(super) fn entry(&mut self, seq: Seq) -> &mut Entry {
        self.rows.iter_mut().find(|row| row.seq == seq).expect("the model has this row")
    }

    // ---- statuses

    pub(super) fn status(
        &mut self,
        update: &StatusUpdate,
        now: Millis,
        wakes: &mut impl Iterator<Item = Wake>,
    ) -> Verdict {
        let (seq, part) = (update.tag.seq, update.tag.part);
        let Some(at) = self.rows.iter().position(|row| row.seq == seq) else { return Verdict::Unmatched };
        let row = &mut self.rows[at];
        let Some(sent) = row.sends.get_mut(&part) else { return Verdict::Unmatched };
        let before = sent.state.clone();
        match &update.outcome {
            Ok(status) if status.rank() <= sent.rank => return Verdict::Unmatched,
            Ok(status) => {
                sent.rank = status.rank();
                if *status >= Status::Delivered || !matches!(before, PartOf::Failed(_)) {
                    sent.state = PartOf::Done;
                    row.holds = 0;
                }
            }
            Err(_) if sent.rank >= Status::Delivered.rank() || matches!(before, PartOf::Failed(_)) => {
                return Verdict::Unmatched;
            }
            Err(code) => sent.state = PartOf::Failed(ErrorCode::recorded(code)),
        }
        if row.is_open() && matches!(before, PartOf::Unknown | PartOf::Postponed) {
            row.due = now;
            let person = row.person;
            let woken = wakes.next().expect("the row that goes on is woken");
            assert_eq!((Some(woken.person), woken.seq), (self.people[person].id, seq));
        }
        match &update.outcome {
            Err(code) => self.undo(at, code).map_or(Verdict::Settled, Verdict::Undone),
            Ok(_) => Verdict::Settled,
        }
    }

    fn undo(&mut self, at: usize, code: &str) -> Option<Undone> {
        let user = self.address(self.rows[at].person);
        let row = &mut self.rows[at];
        if row.state != State::Done {
            return None;
        }
        row.state = State::Dead;
        let (purpose, person) = (row.purpose, row.person);
        let undone = Undone {
            message_id: row.message.id.clone(),
            user,
            code: ErrorCode::recorded(code),
            attempts: row.attempts(),
        };
        if purpose == Purpose::Disclosure {
            let person = self.canonical(person);
            self.people[person].disclosed = false;
        }
        (purpose == Purpose::Answer).then_some(undone)
    }

    // ---- a turn

    pub(crate) fn begin(&mut self, begin: &Begin) {
        let row = self.entry(begin.seq);
        (row.begun, row.running) = (true, true);
        row.reply = begin.reply.clone().or(row.reply.take());
        row.intend(begin.intent);
    }

    pub(crate) fn advance(&mut self, advance: &Advance) {
        let row = self.entry(advance.seq);
        row.settle(&advance.settle);
        row.reply = advance.reply.clone().or(row.reply.take());
        row.intend(advance.intent);
    }

    pub(crate) fn hold(&mut self, hold: &Hold) -> Held {
        let row = self.entry(hold.seq);
        if let Some(settle) = &hold.settle {
            row.settle(settle);
            if row.step(settle.step).is_some_and(|sent| sent.state.is_settled()) {
                return Held::Settled;
            }
        }
        row.due = hold.until;
        row.running = false;
        let postponed = StepOutcome::Postponed(ErrorCode::NETWORK);
        if let Some(Settle { step: Step::Send(_), outcome, .. }) = &hold.settle {
            row.holds += u32::from(std::mem::discriminant(outcome) == std::mem::discriminant(&postponed));
        }
        Held::Waiting
    }

    pub(crate) fn finish(&mut self, finish: &Finish) -> Finished {
        let row = self.entry(finish.seq);
        if let Some(settle) = &finish.settle {
            row.settle(settle);
        }
        let ending = row.failed_part().map_or(finish.ending.clone(), Ending::Dead);
        let attempts = row.attempts();
        let remaining = self.end(finish.seq, &ending);
        Finished { ending, remaining, attempts }
    }

    pub(crate) fn panicked(&mut self, seq: Seq) -> u32 {
        let row = self.entry(seq);
        row.panics += 1;
        row.panics
    }

    /// Closes a row, with all that hangs on it; answers how many messages still wait.
    fn end(&mut self, seq: Seq, ending: &Ending) -> u32 {
        let row = self.entry(seq);
        let is_done = matches!(ending, Ending::Done { .. });
        row.state = if is_done { State::Done } else { State::Dead };
        row.running = false;
        let (purpose, person) = (row.purpose, row.person);
        let asked = match &row.message.content {
            Content::Words(words) => Some(words.clone()),
            Content::Sound | Content::Unclear => None,
        };
        let answered = row.reply.as_ref().and_then(|reply| reply.words.clone());
        let person = self.canonical(person);
        if purpose == Purpose::Answer && is_done {
            for (speaker, words) in [(Speaker::Person, asked), (Speaker::Persona, answered)] {
                self.history.extend(words.map(|words| (person, Line { speaker, words })));
            }
        }
        if purpose == Purpose::Disclosure && !is_done && *ending != Ending::Dead(ErrorCode::UNCERTAIN) {
            self.people[person].disclosed = false;
        }
        let remaining = self.backlog(person);
        if remaining == 0 {
            self.people[person].overflow_told = false;
        }
        remaining
    }

    // ---- recovery

    pub(crate) fn recover(&mut self, recover: &Recover) -> Recovered {
        let mut found = Recovered::default();
        let mut given_up = Vec::new();
        for row in self.rows.iter_mut().filter(|row| row.is_open()) {
            row.deaths += u32::from(std::mem::take(&mut row.running));
            if row.deaths >= DEATHS_MAX {
                given_up.push(row.seq);
            }
            if let Some(asked) = row.model.as_mut().filter(|asked| asked.state == PartOf::Intended) {
                asked.state = PartOf::Postponed;
                found.reconciled += 1;
            }
            for sent in row.sends.values_mut() {
                if sent.state == PartOf::Intended {
                    sent.state = PartOf::Unknown;
                    sent.unknowns += 1;
                    found.reconciled += 1;
                }
                if sent.state == PartOf::Unknown {
                    row.due = row.due.max(recover.reconcile_until);
                }
            }
        }
        found.dead = u64::try_from(given_up.len()).unwrap();
        for seq in given_up {
            self.end(seq, &Ending::Dead(ErrorCode::recorded("crash")));
        }
        found.resumed = u64::try_from(self.rows.iter().filter(|row| row.wants_answer()).count()).unwrap();
        found
    }
}
