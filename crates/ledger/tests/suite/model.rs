//! The ledger in the plainest way: vectors, searched from the front, decided rule by rule.
//!
//! It knows no places ([`Seq`]) and no ids of people; it learns them from the wakes that the engine answers, and
//! from then on the engine has to keep to them. Which of two joined people stays is part of what it decides: the
//! one who was known first.
//!
//! - [`commands`]: statuses, the steps of a turn, recovery.
//! - [`reads`]: what the engine has to answer when it is asked.

mod commands;
mod reads;

use std::collections::{BTreeMap, HashMap};

use parlante_domain::policy::Line;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Address, Inbound, Item, MessageId, Millis, PersonId, Sender, Seq};
use parlante_ledger::{
    Accept, AcceptRules, Intent, Purpose, Reply, Settle, Step, StepOutcome, Verdict, Wake,
};

#[derive(Default)]
pub(crate) struct Model {
    people: Vec<Person>,
    rows: Vec<Entry>,
    seen: HashMap<MessageId, Millis>,
    history: Vec<(usize, Line)>,
    refused: u64,
}

#[derive(Default)]
struct Person {
    id: Option<PersonId>,
    aliases: Vec<String>,
    latest: Sender,
    newest_at: Millis,
    disclosed: bool,
    overflow_told: bool,
    /// The one that this one turned out to be.
    joined: Option<usize>,
}

struct Entry {
    seq: Seq,
    person: usize,
    message: Inbound,
    purpose: Purpose,
    accepted_at: Millis,
    state: State,
    due: Millis,
    begun: bool,
    running: bool,
    holds: u32,
    panics: u32,
    deaths: u32,
    reply: Option<Reply>,
    model: Option<Sent>,
    sends: BTreeMap<u32, Sent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Done,
    Dead,
    /// A disclosure or notice that a join made superfluous.
    Dropped,
}

#[derive(Default)]
struct Sent {
    state: PartOf,
    attempts: u32,
    unknowns: u32,
    rank: i64,
}

#[derive(Default, Clone, PartialEq, Eq)]
enum PartOf {
    #[default]
    Intended,
    Done,
    Failed(ErrorCode),
    Postponed,
    Unknown,
}

impl PartOf {
    fn is_settled(&self) -> bool {
        matches!(self, Self::Done | Self::Failed(_))
    }
}

impl Entry {
    fn is_open(&self) -> bool {
        self.state == State::Open
    }

    fn wants_answer(&self) -> bool {
        self.is_open() && self.purpose == Purpose::Answer
    }

    fn attempts(&self) -> u32 {
        self.model.iter().chain(self.sends.values()).map(|sent| sent.attempts).sum()
    }

    fn step(&mut self, step: Step) -> Option<&mut Sent> {
        match step {
            Step::Complete => self.model.as_mut(),
            Step::Send(part) => self.sends.get_mut(&part),
        }
    }

    fn failed_part(&self) -> Option<ErrorCode> {
        self.sends.values().find_map(|sent| match &sent.state {
            PartOf::Failed(code) => Some(code.clone()),
            _ => None,
        })
    }

    fn intend(&mut self, intent: Option<Intent>) {
        let Some(Intent { step, .. }) = intent else { return };
        let sent = match step {
            Step::Complete => self.model.get_or_insert_default(),
            Step::Send(part) => self.sends.entry(part).or_default(),
        };
        if !sent.state.is_settled() {
            sent.state = PartOf::Intended;
        }
    }

    fn settle(&mut self, settle: &Settle) {
        if matches!(settle.outcome, StepOutcome::Accepted(_)) {
            self.holds = 0;
        }
        let Some(sent) = self.step(settle.step) else { return };
        sent.attempts += settle.attempts;
        if sent.state.is_settled() {
            return;
        }
        sent.state = match &settle.outcome {
            StepOutcome::Answered(_) | StepOutcome::Accepted(_) => PartOf::Done,
            StepOutcome::Failed(code) => PartOf::Failed(code.clone()),
            StepOutcome::Postponed(_) => PartOf::Postponed,
            StepOutcome::Unknown(_) => PartOf::Unknown,
        };
        sent.unknowns += u32::from(sent.state == PartOf::Unknown);
    }
}

// ---- accept

impl Model {
    /// The verdicts that the engine has to give, and the wakes; `answered` are the wakes that it gave.
    pub(crate) fn accept(&mut self, accept: &Accept, ledger: &str, answered: &[Wake]) -> Vec<Verdict> {
        let mut wakes = answered.iter().copied();
        let verdicts = accept
            .items
            .iter()
            .map(|item| match item {
                Item::Message(message) => self.take(message, accept.now, &accept.rules, &mut wakes),
                Item::Noted { id, reason } => match id {
                    Some(id) if !self.remember(id, accept.now, &accept.rules) => Verdict::Duplicate,
                    _ => Verdict::Noted(*reason),
                },
                Item::Status(update) if update.tag.ledger != ledger => Verdict::Unmatched,
                Item::Status(update) => self.status(update, accept.now, &mut wakes),
            })
            .collect();
        assert_eq!(wakes.next(), None, "a wake too many");
        verdicts
    }

    fn take(
        &mut self,
        message: &Inbound,
        now: Millis,
        rules: &AcceptRules,
        wakes: &mut impl Iterator<Item = Wake>,
    ) -> Verdict {
        if !self.remember(&message.id, now, rules) {
            return Verdict::Duplicate;
        }
        let person = self.resolve(message);
        let user = self.address(person);
        if now.since(message.sent_at) > rules.stale_after {
            self.refused += 1;
            return Verdict::Stale { user };
        }
        let backlog = self.backlog(person);
        if backlog >= rules.backlog {
            self.refused += 1;
            if !std::mem::replace(&mut self.people[person].overflow_told, true) {
                self.insert(person, message, Purpose::Overflow, now, wakes);
            }
            return Verdict::Overflow { user, backlog };
        }
        if !std::mem::replace(&mut self.people[person].disclosed, true) {
            self.insert(person, message, Purpose::Disclosure, now, wakes);
        }
        let seq = self.insert(person, message, Purpose::Answer, now, wakes);
        Verdict::Accepted { seq, user }
    }

    /// Takes over the ids of people whom no webhook has woken: those whose only own messages were refused, and who
    /// then turned out to be someone who has more.
    pub(crate) fn learn(&mut self, due: &[Wake]) {
        for wake in due {
            let Some(row) = self.rows.iter().find(|row| row.seq == wake.seq) else { continue };
            self.people[row.person].id.get_or_insert(wake.person);
        }
    }

    fn remember(&mut self, id: &MessageId, now: Millis, rules: &AcceptRules) -> bool {
        if self.seen.get(id).is_some_and(|at| now.since(*at) <= rules.remember) {
            return false;
        }
        self.seen.insert(id.clone(), now);
        true
    }

    fn insert(
        &mut self,
        person: usize,
        message: &Inbound,
        purpose: Purpose,
        now: Millis,
        wakes: &mut impl Iterator<Item = Wake>,
    ) -> Seq {
        let wake = wakes.next().expect("a wake is missing");
        assert!(self.rows.last().is_none_or(|last| last.seq < wake.seq), "places grow");
        assert_eq!(
            *self.people[person].id.get_or_insert(wake.person),
            wake.person,
            "a person keeps their id"
        );
        self.rows.push(Entry {
            seq: wake.seq,
            person,
            message: message.clone(),
            purpose,
            accepted_at: now,
            state: State::Open,
            due: now,
            begun: false,
            running: false,
            holds: 0,
            panics: 0,
            deaths: 0,
            reply: None,
            model: None,
            sends: BTreeMap::new(),
        });
        wake.seq
    }

    fn resolve(&mut self, message: &Inbound) -> usize {
        let Sender { phone, bsuid, .. } = message.sender.clone();
        let aliases = [
            phone.as_ref().map(|phone| format!("p:{}", phone.as_ref() as &str)),
            bsuid.as_ref().map(|bsuid| format!("b:{}", bsuid.as_ref() as &str)),
        ];
        let aliases: Vec<String> = aliases.into_iter().flatten().collect();
        let known: Vec<usize> = aliases
            .iter()
            .filter_map(|alias| self.people.iter().position(|person| person.aliases.contains(alias)))
            .map(|person| self.canonical(person))
            .collect();
        let person = match known[..] {
            [one, other] if one != other => self.join(one.min(other), one.max(other)),
            [one, ..] => one,
            [] => {
                self.people.push(Person { newest_at: message.sent_at, ..Person::default() });
                self.people.len() - 1
            }
        };
        let entry = &mut self.people[person];
        entry.aliases.extend(aliases);
        entry.latest.phone = phone.or(entry.latest.phone.take());
        entry.latest.bsuid = bsuid.or(entry.latest.bsuid.take());
        entry.newest_at = entry.newest_at.max(message.sent_at);
        person
    }

    /// The younger turns out to be the elder: what nobody has begun moves over, what is owed twice is owed once.
    fn join(&mut self, elder: usize, younger: usize) -> usize {
        for row in self.rows.iter_mut().filter(|row| row.person == younger && row.is_open() && !row.begun) {
            row.person = elder;
        }
        for (person, _) in self.history.iter_mut().filter(|(person, _)| *person == younger) {
            *person = elder;
        }
        for person in &mut self.people {
            if person.joined == Some(younger) {
                person.joined = Some(elder);
            }
        }
        let twice = |flag: fn(&Person) -> bool| flag(&self.people[elder]) && flag(&self.people[younger]);
        let twice = [
            (Purpose::Disclosure, twice(|person| person.disclosed)),
            (Purpose::Overflow, twice(|person| person.overflow_told)),
        ];
        for purpose in twice.into_iter().filter_map(|(purpose, twice)| twice.then_some(purpose)) {
            let unbegun = |row: &&mut Entry| {
                row.person == elder && row.is_open() && !row.begun && row.purpose == purpose
            };
            if let Some(newest) = self.rows.iter_mut().rev().find(unbegun) {
                newest.state = State::Dropped;
            }
        }
        let joined = Person { id: self.people[younger].id, joined: Some(elder), ..Person::default() };
        let younger = std::mem::replace(&mut self.people[younger], joined);
        let elder_entry = &mut self.people[elder];
        elder_entry.aliases.extend(younger.aliases);
        elder_entry.newest_at = elder_entry.newest_at.max(younger.newest_at);
        elder_entry.disclosed |= younger.disclosed;
        elder_entry.overflow_told |= younger.overflow_told;
        elder
    }

    fn canonical(&self, person: usize) -> usize {
        self.people[person].joined.unwrap_or(person)
    }

    fn address(&self, person: usize) -> Address {
        let Sender { phone, bsuid, .. } = self.people[self.canonical(person)].latest.clone();
        Address::choose(phone, bsuid).expect("a person has an id")
    }

    /// Open messages of all that this person is.
    fn backlog(&self, person: usize) -> u32 {
        let person = self.canonical(person);
        let open = self.rows.iter().filter(|row| row.wants_answer() && self.canonical(row.person) == person);
        u32::try_from(open.count()).unwrap()
    }
}
