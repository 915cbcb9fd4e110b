//! The ledger in the plainest way: vectors, searched from the front, decided rule by rule.
//!
//! It knows no places ([`Seq`]) and no ids of people; it learns them from the wakes that the engine answers, and
//! from then on the engine has to keep to them. The places of refused messages it learns from their list. Which of two joined people stays is part of what it decides: the
//! one who was known first.
//!
//! - [`commands`]: statuses, the steps of a turn, recovery.
//! - [`orders`]: replay and forget.
//! - [`reads`]: what the engine has to answer when it is asked.

mod commands;
mod orders;
mod reads;

use std::collections::{BTreeMap, HashMap};

use parlante_domain::policy::Line;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{
    Address, Inbound, Item, MediaId, Medium, MessageId, Millis, PersonId, Phone, Sender, Seq, Service,
};
use parlante_ledger::{
    Accept, AcceptRules, Intent, Purpose, Recorded, Reply, Settle, Step, StepOutcome, Unanswered, Verdict,
    Wake,
};

#[derive(Default)]
pub(crate) struct Model {
    people: Vec<Person>,
    rows: Vec<Entry>,
    /// Refused messages of which the place is not known yet.
    unplaced: Vec<Entry>,
    seen: HashMap<MessageId, Millis>,
    history: Vec<Said>,
    wishes: u32,
}

/// A line of the history, with the message that it belongs to.
struct Said {
    person: usize,
    seq: Seq,
    line: Line,
}

#[derive(Default)]
struct Person {
    id: Option<PersonId>,
    aliases: Vec<String>,
    latest: Sender,
    newest_at: Millis,
    disclosed: bool,
    overflow_told: bool,
    /// With its place among all wishes.
    wish: Option<(u32, Medium)>,
    /// The one that this one turned out to be.
    joined: Option<usize>,
}

struct Entry {
    seq: Seq,
    person: usize,
    message: Inbound,
    purpose: Purpose,
    accepted_at: Millis,
    awaited_since: Millis,
    state: State,
    due: Millis,
    waits_for: Option<Service>,
    /// It was done before.
    reopened: bool,
    begun: bool,
    running: bool,
    holds: u32,
    panics: u32,
    deaths: u32,
    first_part: u32,
    heard: Option<String>,
    reply: Option<Reply>,
    audio: Option<Vec<u8>>,
    media: Option<MediaId>,
    /// Every step but the sends.
    paid: BTreeMap<Step, Sent>,
    sends: BTreeMap<u32, Sent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Done,
    Dead,
    Refused,
    /// A disclosure or notice that a join made superfluous.
    Dropped,
}

#[derive(Default)]
struct Sent {
    state: PartOf,
    attempts: u32,
    unknowns: u32,
    /// Nothing but the process's deaths has made it unknown.
    only_deaths: bool,
    rank: i64,
    /// The id that WhatsApp gave it last, by its answer or by a status.
    id: Option<MessageId>,
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
    fn new(seq: Seq, person: usize, message: &Inbound, purpose: Purpose, now: Millis) -> Self {
        Self {
            seq,
            person,
            message: message.clone(),
            purpose,
            accepted_at: now,
            awaited_since: now,
            state: State::Open,
            due: now,
            waits_for: None,
            reopened: false,
            begun: false,
            running: false,
            holds: 0,
            panics: 0,
            deaths: 0,
            first_part: 0,
            heard: None,
            reply: None,
            audio: None,
            media: None,
            paid: BTreeMap::new(),
            sends: BTreeMap::new(),
        }
    }

    fn is_open(&self) -> bool {
        self.state == State::Open
    }

    fn wants_answer(&self) -> bool {
        self.is_open() && self.purpose == Purpose::Answer
    }

    fn attempts(&self) -> u32 {
        self.paid.values().chain(self.sends.values()).map(|sent| sent.attempts).sum()
    }

    fn step(&mut self, step: Step) -> Option<&mut Sent> {
        match step {
            Step::Send(part) => self.sends.get_mut(&part),
            paid => self.paid.get_mut(&paid),
        }
    }

    /// The parts of the reply that the row has now.
    fn current(&self) -> impl Iterator<Item = &Sent> {
        self.sends.range(self.first_part..).map(|(_, sent)| sent)
    }

    fn failed_part(&self) -> Option<ErrorCode> {
        self.current().find_map(|sent| match &sent.state {
            PartOf::Failed(code) => Some(code.clone()),
            _ => None,
        })
    }

    fn goes_again(&self) -> bool {
        let waits = self.current().any(|sent| sent.state == PartOf::Postponed);
        self.reply.is_some() && (waits || self.current().next().is_none())
    }

    /// The answer goes as text, under new numbers.
    fn turn_to_text(&mut self) {
        let reply = self.reply.as_mut().unwrap();
        reply.is_voice = false;
        self.first_part += u32::try_from(reply.reply.parts().len()).unwrap();
        (self.audio, self.media) = (None, None);
    }

    fn intend(&mut self, intent: Option<Intent>) -> Recorded {
        let Some(Intent { step, .. }) = intent else { return Recorded::Yes };
        let sent = match step {
            Step::Send(part) => self.sends.entry(part).or_default(),
            paid => self.paid.entry(paid).or_default(),
        };
        if !sent.state.is_settled() {
            sent.state = PartOf::Intended;
        } else if matches!(step, Step::Send(_)) {
            return Recorded::No;
        }
        Recorded::Yes
    }

    fn settle(&mut self, settle: &Settle) {
        if matches!(settle.outcome, StepOutcome::Accepted(_) | StepOutcome::Uploaded(_)) {
            self.holds = 0;
        }
        let Some(sent) = self.step(settle.step) else { return };
        sent.attempts += settle.attempts;
        let accepted = match &settle.outcome {
            StepOutcome::Accepted(id) => Some(id.clone()),
            _ => None,
        };
        // A status has told of this very send that it failed for the channel's sake.
        let goes_again = sent.state == PartOf::Postponed
            && sent.id.is_some()
            && (accepted.is_none() || accepted == sent.id)
            && !matches!(settle.outcome, StepOutcome::Failed(_));
        sent.id = accepted.or(sent.id.take());
        if goes_again || sent.state.is_settled() {
            return;
        }
        sent.only_deaths = false;
        sent.state = match &settle.outcome {
            StepOutcome::Failed(code) => PartOf::Failed(code.clone()),
            StepOutcome::Postponed(_) => PartOf::Postponed,
            StepOutcome::Unknown(_) => PartOf::Unknown,
            _ => PartOf::Done,
        };
        sent.unknowns += u32::from(sent.state == PartOf::Unknown);
        match &settle.outcome {
            StepOutcome::Heard { words, .. } => self.heard = Some(words.clone()),
            StepOutcome::Spoken(audio) => self.audio = Some(audio.bytes().to_vec()),
            StepOutcome::Uploaded(media) => self.media = Some(media.clone()),
            _ => {}
        }
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
                Item::Status(update) => self.status(update, accept.now, &accept.rules, &mut wakes),
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
        let person = self.resolve(message, now, wakes);
        let user = self.address(person);
        if now.since(message.sent_at) > rules.stale_after {
            self.refuse(person, message, now);
            return Verdict::Stale { user };
        }
        let backlog = self.backlog(person);
        if backlog >= rules.backlog {
            self.refuse(person, message, now);
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

    /// Takes over the places of the messages that were refused last.
    pub(crate) fn learn(&mut self, refused: &[Unanswered]) {
        assert_eq!(refused.len(), self.unplaced.len());
        for (mut entry, listed) in std::mem::take(&mut self.unplaced).into_iter().zip(refused) {
            assert_eq!((&entry.message.id, entry.accepted_at), (&listed.message_id, listed.accepted_at));
            entry.seq = listed.seq;
            let at = self.rows.partition_point(|row| row.seq < entry.seq);
            self.rows.insert(at, entry);
        }
    }

    fn refuse(&mut self, person: usize, message: &Inbound, now: Millis) {
        let entry = Entry::new(Seq(0), person, message, Purpose::Answer, now);
        self.unplaced.push(Entry { state: State::Refused, ..entry });
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
        self.meet(person, wake.person);
        self.rows.push(Entry::new(wake.seq, person, message, purpose, now));
        wake.seq
    }

    fn meet(&mut self, person: usize, id: PersonId) {
        assert_eq!(*self.people[person].id.get_or_insert(id), id, "a person keeps their id");
    }

    fn resolve(&mut self, message: &Inbound, now: Millis, wakes: &mut impl Iterator<Item = Wake>) -> usize {
        let Sender { phone, bsuid, .. } = message.sender.clone();
        let aliases = [
            phone.as_ref().map(|phone| format!("p:{}", phone.as_ref() as &str)),
            bsuid.as_ref().map(|bsuid| format!("b:{}", bsuid.as_ref() as &str)),
        ];
        let [by_phone, by_bsuid] = aliases.clone().map(|alias| alias.and_then(|alias| self.find(&alias)));
        let mut by_phone = by_phone;
        if let (Some(holder), Some(number), Some(own)) = (by_phone, &phone, &bsuid)
            && self.people[holder].latest.bsuid.as_ref().is_some_and(|theirs| theirs != own)
        {
            self.take_number(holder, number);
            by_phone = None;
        }
        let person = match (by_phone, by_bsuid) {
            (Some(one), Some(other)) if one != other => self.join(one.min(other), one.max(other), now, wakes),
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => {
                self.people.push(Person { newest_at: message.sent_at, ..Person::default() });
                self.people.len() - 1
            }
        };
        let entry = &mut self.people[person];
        entry.aliases.extend(aliases.into_iter().flatten());
        entry.latest.phone = phone.or(entry.latest.phone.take());
        entry.latest.bsuid = bsuid.or(entry.latest.bsuid.take());
        entry.newest_at = entry.newest_at.max(message.sent_at);
        person
    }

    fn find(&self, alias: &str) -> Option<usize> {
        self.people.iter().position(|person| person.aliases.iter().any(|known| known == alias))
    }

    /// Someone with another BSUID has the number now.
    fn take_number(&mut self, holder: usize, number: &Phone) {
        let holder = &mut self.people[holder];
        let alias = format!("p:{}", number.as_ref() as &str);
        holder.aliases.retain(|known| *known != alias);
        if holder.latest.phone.as_ref() == Some(number) {
            holder.latest.phone = None;
        }
    }

    /// The younger turns out to be the elder: what nobody has begun moves over, what is owed twice is owed once.
    fn join(
        &mut self,
        elder: usize,
        younger: usize,
        now: Millis,
        wakes: &mut impl Iterator<Item = Wake>,
    ) -> usize {
        let mut moved = false;
        for row in self.rows.iter_mut().filter(|row| row.person == younger && row.is_open() && !row.begun) {
            row.person = elder;
            moved = true;
        }
        for said in self.history.iter_mut().filter(|said| said.person == younger) {
            said.person = elder;
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
        let wishes = [elder_entry.wish, younger.wish];
        elder_entry.wish = wishes.into_iter().flatten().max_by_key(|(place, _)| *place);
        let open = self.rows.iter().filter(|row| row.is_open() && row.person == elder && row.due <= now);
        if let Some(first) = open.map(|row| row.seq).min().filter(|_| moved) {
            let wake = wakes.next().expect("the elder is woken for what has moved");
            assert_eq!(wake.seq, first);
            self.meet(elder, wake.person);
        }
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
