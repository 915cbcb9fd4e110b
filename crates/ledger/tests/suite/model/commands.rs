//! Statuses, the steps of a turn, recovery.

use parlante_domain::policy::{Line, Speaker};
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Content, Millis, Seq, Status, StatusUpdate};
use parlante_ledger::{
    Advance, Begin, DeadLetter, Ending, Finish, Finished, Held, Hold, Purpose, Recorded, Recover, Recovered,
    Settle, Step, StepOutcome, Verdict, Wake,
};

use super::{Entry, Model, PartOf, Said, State};

/// How often a process may die over a row.
const DEATHS_MAX: u32 = 20;
/// From this many deaths on it is suspected.
const SUSPECT_DEATHS: u32 = 2;

impl Model {
    pub(super) fn entry(&mut self, seq: Seq) -> &mut Entry {
        self.rows.iter_mut().find(|row| row.seq == seq).expect("the model has this row")
    }

    fn open(&mut self, seq: Seq) -> Option<&mut Entry> {
        self.rows.iter_mut().find(|row| row.seq == seq && row.is_open())
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
        let is_current = part >= row.first_part;
        // What failed before a replay is told again; it will be sent anew.
        let is_replayed = sent.has_id && !before.is_settled();
        match &update.outcome {
            Ok(status) if status.rank() <= sent.rank => return Verdict::Unmatched,
            Ok(status) if is_replayed && *status < Status::Delivered => return Verdict::Unmatched,
            Err(_) if is_replayed => return Verdict::Unmatched,
            Ok(status) => {
                sent.rank = status.rank();
                if *status >= Status::Delivered || !matches!(before, PartOf::Failed(_)) {
                    sent.state = PartOf::Done;
                    row.holds *= u32::from(!is_current);
                }
            }
            Err(_) if sent.rank >= Status::Delivered.rank() || matches!(before, PartOf::Failed(_)) => {
                return Verdict::Unmatched;
            }
            Err(code) => sent.state = PartOf::Failed(ErrorCode::recorded(code)),
        }
        sent.has_id = true;
        if row.is_open() && is_current && matches!(before, PartOf::Unknown | PartOf::Postponed) {
            row.due = now;
            let person = row.person;
            let woken = wakes.next().expect("the row that goes on is woken");
            assert_eq!((Some(woken.person), woken.seq), (self.people[person].id, seq));
        }
        match &update.outcome {
            Err(code) if is_current => self.undo(at, code).map_or(Verdict::Settled, Verdict::Undone),
            Ok(_) | Err(_) => Verdict::Settled,
        }
    }

    fn undo(&mut self, at: usize, code: &str) -> Option<DeadLetter> {
        let user = self.address(self.rows[at].person);
        let row = &mut self.rows[at];
        if row.state != State::Done {
            return None;
        }
        row.state = State::Dead;
        let (purpose, person) = (row.purpose, row.person);
        let undone = DeadLetter {
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

    pub(crate) fn begin(&mut self, begin: &Begin) -> Recorded {
        let whose = self.people.iter().position(|person| person.id == Some(begin.person));
        let Some(row) = self.open(begin.seq).filter(|row| Some(row.person) == whose) else {
            return Recorded::No;
        };
        (row.begun, row.running) = (true, true);
        row.reply = begin.reply.clone().or(row.reply.take());
        row.intend(begin.intent);
        Recorded::Yes
    }

    pub(crate) fn advance(&mut self, advance: &Advance) -> Recorded {
        let Some(row) = self.open(advance.seq) else { return Recorded::No };
        row.settle(&advance.settle);
        row.reply = advance.reply.clone().or(row.reply.take());
        row.intend(advance.intent);
        Recorded::Yes
    }

    pub(crate) fn hold(&mut self, hold: &Hold) -> Held {
        let Some(row) = self.open(hold.seq) else { return Held::Closed };
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

    /// Only rows that are gone are ever closed in the middle of a turn here.
    pub(crate) fn finish(&mut self, finish: &Finish) -> Finished {
        let Some(row) = self.open(finish.seq) else {
            let ending = Ending::Dead(ErrorCode::recorded("forgotten"));
            return Finished { ending, repeated: true, remaining: 0, attempts: 0 };
        };
        if let Some(settle) = &finish.settle {
            row.settle(settle);
        }
        let ending = row.failed_part().map_or(finish.ending.clone(), Ending::Dead);
        let attempts = row.attempts();
        let remaining = self.end(finish.seq, &ending);
        Finished { ending, repeated: false, remaining, attempts }
    }

    pub(crate) fn panicked(&mut self, seq: Seq) -> u32 {
        let Some(row) = self.open(seq) else { return 0 };
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
            self.history.retain(|said| said.seq != seq);
            for (speaker, words) in [(Speaker::Person, asked), (Speaker::Persona, answered)] {
                self.history.extend(words.map(|words| Said { person, seq, line: Line { speaker, words } }));
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

    /// A stop in order is no death.
    pub(crate) fn close(&mut self) {
        for row in &mut self.rows {
            row.running = false;
        }
    }

    pub(crate) fn recover(&mut self, recover: &Recover) -> Recovered {
        let mut found = Recovered::default();
        let mut poisoned = Vec::new();
        for row in self.rows.iter_mut().filter(|row| row.is_open()) {
            row.deaths += u32::from(std::mem::take(&mut row.running));
            if row.deaths >= DEATHS_MAX {
                poisoned.push(row.seq);
            }
            if let Some(asked) = row.model.as_mut().filter(|asked| asked.state == PartOf::Intended) {
                asked.state = PartOf::Postponed;
                found.reconciled += 1;
            }
            for (part, sent) in &mut row.sends {
                if sent.state == PartOf::Intended {
                    sent.state = PartOf::Unknown;
                    let again = sent.only_deaths && sent.unknowns == 1;
                    sent.unknowns += u32::from(!again);
                    sent.only_deaths = true;
                    found.reconciled += 1;
                }
                if sent.state == PartOf::Unknown && *part >= row.first_part {
                    row.due = row.due.max(recover.reconcile_until);
                }
            }
        }
        let code = ErrorCode::recorded("crash");
        for seq in poisoned {
            self.end(seq, &Ending::Dead(code.clone()));
            let (purpose, attempts, person) =
                (self.entry(seq).purpose, self.entry(seq).attempts(), self.entry(seq).person);
            let (message_id, user) = (self.entry(seq).message.id.clone(), self.address(person));
            let letter = DeadLetter { message_id, user, code: code.clone(), attempts };
            found.given_up.extend((purpose == Purpose::Answer).then_some(letter));
        }
        let suspects = self.rows.iter().filter(|row| row.is_open() && row.deaths >= SUSPECT_DEATHS);
        let wake = |row: &Entry| Wake { person: self.people[row.person].id.unwrap(), seq: row.seq };
        found.suspects = suspects.map(wake).collect();
        found.resumed = u64::try_from(self.rows.iter().filter(|row| row.wants_answer()).count()).unwrap();
        found
    }
}
