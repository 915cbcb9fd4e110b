//! Statuses, the steps of a turn, recovery.

use parlante_domain::policy::{Line, Speaker};
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Content, Medium, Millis, PersonId, Seq, Service, Status, StatusUpdate};
use parlante_ledger::{
    AcceptRules, Advance, Begin, DeadLetter, Ending, Finish, Finished, Held, Hold, Intent, Purpose, Recorded,
    Recover, Recovered, Settle, Step, StepOutcome, Verdict, Wake,
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
        rules: &AcceptRules,
        wakes: &mut impl Iterator<Item = Wake>,
    ) -> Verdict {
        let (seq, part, told) = (update.tag.seq, update.tag.part, &update.message_id);
        let Some(at) = self.rows.iter().position(|row| row.seq == seq) else { return Verdict::Unmatched };
        let row = &mut self.rows[at];
        let Some(sent) = row.sends.get_mut(&part) else { return Verdict::Unmatched };
        let before = sent.state.clone();
        let is_current = part >= row.first_part;
        // What is told of a send that failed, while the next one is on its way.
        let is_replayed = sent.id.as_ref() == Some(told) && !before.is_settled();
        let is_outlived = before.is_settled() && sent.id.as_ref().is_some_and(|known| known != told);
        match &update.outcome {
            Ok(status) if status.rank() <= sent.rank => return Verdict::Unmatched,
            Ok(status) if is_replayed && *status < Status::Delivered => return Verdict::Unmatched,
            Err(_) if is_replayed || is_outlived => return Verdict::Unmatched,
            Ok(status) => {
                sent.rank = status.rank();
                sent.id = sent.id.take().filter(|_| before.is_settled()).or(Some(told.clone()));
                if *status >= Status::Delivered || !matches!(before, PartOf::Failed(_)) {
                    sent.state = PartOf::Done;
                    row.holds *= u32::from(!is_current);
                }
            }
            Err(_) if sent.rank >= Status::Delivered.rank() || matches!(before, PartOf::Failed(_)) => {
                return Verdict::Unmatched;
            }
            Err(code) => {
                sent.id = Some(told.clone());
                sent.state = PartOf::Failed(ErrorCode::recorded(code));
            }
        }
        let code = update.outcome.as_ref().err().filter(|_| is_current);
        let channel = code.filter(|code| (rules.is_channel_fault)(code));
        let channel = channel.filter(|_| matches!(row.state, State::Open | State::Done));
        let is_spoken = part == row.first_part && row.reply.as_ref().is_some_and(|reply| reply.is_voice);
        let media = code.filter(|code| (rules.is_media_fault)(code) && is_spoken);
        if let Some(code) = media.filter(|_| matches!(row.state, State::Open | State::Done)) {
            return self.say_in_words(at, code, now, wakes);
        }
        if channel.is_some() {
            (sent.state, sent.rank, sent.unknowns, sent.only_deaths) = (PartOf::Postponed, 0, 0, false);
        }
        let held = is_current && matches!(before, PartOf::Unknown | PartOf::Postponed);
        if channel.is_some() && row.state == State::Done {
            self.open_again(at, now, wakes);
        } else if row.is_open() && held {
            (row.due, row.waits_for) = (now, None);
            let person = row.person;
            let woken = wakes.next().expect("the row that goes on is woken");
            assert_eq!((Some(woken.person), woken.seq), (self.people[person].id, seq));
        }
        match (channel, code) {
            (Some(code), _) => Verdict::ChannelFault { code: ErrorCode::recorded(code) },
            (None, Some(code)) => self.undo(at, code).map_or(Verdict::Settled, Verdict::Undone),
            (None, None) => Verdict::Settled,
        }
    }

    /// The voice note that could not be delivered goes as text.
    fn say_in_words(
        &mut self,
        at: usize,
        code: &str,
        now: Millis,
        wakes: &mut impl Iterator<Item = Wake>,
    ) -> Verdict {
        let row = &mut self.rows[at];
        row.turn_to_text();
        if row.state == State::Done {
            self.open_again(at, now, wakes);
        } else if !row.running {
            (row.due, row.waits_for) = (now, None);
            let (person, seq) = (row.person, row.seq);
            let woken = wakes.next().expect("the row that is held is woken");
            assert_eq!((Some(woken.person), woken.seq), (self.people[person].id, seq));
        }
        let (message_id, person) = (self.rows[at].message.id.clone(), self.rows[at].person);
        Verdict::VoiceFailed { message_id, user: self.address(person), code: ErrorCode::recorded(code) }
    }

    /// What was done is open as something that was begun.
    fn open_again(&mut self, at: usize, now: Millis, wakes: &mut impl Iterator<Item = Wake>) {
        let person = self.canonical(self.rows[at].person);
        let row = &mut self.rows[at];
        (row.person, row.state, row.due, row.holds, row.reopened) = (person, State::Open, now, 0, true);
        let seq = row.seq;
        let wake = wakes.next().expect("the row that is open again is woken");
        assert_eq!(wake.seq, seq);
        self.meet(person, wake.person);
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
        let Some(row) =
            self.open(begin.seq).filter(|row| Some(row.person) == whose && row.knows(begin.intent))
        else {
            return Recorded::No;
        };
        (row.begun, row.running, row.waits_for) = (true, true, None);
        row.reply = begin.reply.clone().or(row.reply.take());
        row.intend(begin.intent)
    }

    pub(crate) fn advance(&mut self, advance: &Advance) -> Recorded {
        let Some(row) = self.open(advance.seq) else { return Recorded::No };
        row.settle(&advance.settle);
        if !row.knows(advance.intent) {
            return Recorded::No;
        }
        row.reply = advance.reply.clone().or(row.reply.take());
        row.intend(advance.intent)
    }

    pub(crate) fn hold(&mut self, hold: &Hold) -> Held {
        let Some(row) = self.open(hold.seq) else { return Held::Closed };
        if let Some(settle) = &hold.settle {
            row.settle(settle);
            if row.step(settle.step).is_some_and(|sent| sent.state.is_settled()) {
                return Held::Settled;
            }
        }
        (row.due, row.waits_for, row.running) = (hold.until, hold.waits_for, false);
        let postponed = StepOutcome::Postponed(ErrorCode::NETWORK);
        if let Some(Settle { step: Step::Send(_) | Step::Upload, outcome, .. }) = &hold.settle {
            let counts = std::mem::discriminant(outcome) == std::mem::discriminant(&postponed);
            row.holds += u32::from(counts && hold.waits_for.is_none());
        }
        Held::Waiting
    }

    pub(crate) fn fall_back(&mut self, seq: Seq, now: Millis) -> Recorded {
        let Some(row) = self.open(seq) else { return Recorded::No };
        if row.reply.as_ref().is_some_and(|reply| reply.is_voice) {
            row.turn_to_text();
            (row.due, row.waits_for) = (row.due.min(now), None);
        }
        Recorded::Yes
    }

    pub(crate) fn prefer(&mut self, person: PersonId, wish: Medium) {
        let Some(person) = self.people.iter().position(|known| known.id == Some(person)) else { return };
        let person = self.canonical(person);
        self.wishes += 1;
        self.people[person].wish = Some((self.wishes, wish));
    }

    /// As many as are wanted of those who can go on then; who is behind another goes along.
    pub(crate) fn release(&mut self, service: Service, now: Millis, most: usize) -> Vec<Wake> {
        let mut wakes = Vec::new();
        for at in 0..self.rows.len() {
            let row = &self.rows[at];
            if wakes.len() == most || !row.is_open() || row.waits_for != Some(service) {
                continue;
            }
            let wake = Wake { person: self.people[row.person].id.unwrap(), seq: row.seq };
            (self.rows[at].due, self.rows[at].waits_for) = (now, None);
            let head = self.head(wake.person, now);
            wakes.extend(head.filter(|head| head.seq == wake.seq).map(|_| wake));
        }
        wakes
    }

    /// Only rows that are gone are ever closed in the middle of a turn here.
    pub(crate) fn finish(&mut self, finish: &Finish) -> Finished {
        let Some(row) = self.open(finish.seq) else {
            let ending = Some(Ending::Dead(ErrorCode::recorded("forgotten")));
            return Finished { ending, repeated: true, told: false, remaining: 0, attempts: 0 };
        };
        if let Some(settle) = &finish.settle {
            row.settle(settle);
        }
        let (attempts, told) = (row.attempts(), row.reopened);
        let ending = match (row.failed_part(), &finish.ending) {
            (Some(code), _) => Some(Ending::Dead(code)),
            (None, Ending::Done { .. }) if row.goes_again() => None,
            (None, ending) => Some(ending.clone()),
        };
        let remaining = if let Some(ending) = &ending {
            self.end(finish.seq, ending)
        } else {
            (row.running, row.due, row.waits_for) = (false, finish.now, None);
            let person = row.person;
            self.backlog(person)
        };
        Finished { ending, repeated: false, told, remaining, attempts }
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
        (row.running, row.waits_for) = (false, None);
        let (purpose, person) = (row.purpose, row.person);
        let asked = match &row.message.content {
            Content::Words(words) => Some(words.clone()),
            Content::Sound(_) => row.heard.clone().filter(|heard| !heard.is_empty()),
            Content::Unclear => None,
        };
        row.audio = row.audio.take().filter(|_| !is_done);
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
            if row.waits_for.take().is_some() {
                row.due = recover.now;
            }
            if row.deaths >= DEATHS_MAX {
                poisoned.push(row.seq);
            }
            for paid in row.paid.values_mut().filter(|paid| paid.state == PartOf::Intended) {
                paid.state = PartOf::Postponed;
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

impl Entry {
    /// A part of a reply that has been turned to text meanwhile is not sent any more.
    fn knows(&self, intent: Option<Intent>) -> bool {
        !matches!(intent, Some(Intent { step: Step::Send(part), .. }) if part < self.first_part)
    }
}
