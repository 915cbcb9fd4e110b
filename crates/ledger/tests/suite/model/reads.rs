//! What the engine has to answer when it is asked, and what a test may pick from.

use std::cmp::Reverse;

use parlante_domain::policy::Line;
use parlante_domain::{MessageId, Millis, PersonId, Seq};
use parlante_ledger::{Counts, PartState, Purpose, Queue, Row, Step, Wake, Which};

use super::{Entry, Model, PartOf, State};

fn count<'a>(rows: impl Iterator<Item = &'a Entry>) -> u64 {
    u64::try_from(rows.count()).unwrap()
}

impl Model {
    /// Everyone whose id is known, those who were joined included.
    pub(crate) fn people(&self) -> Vec<PersonId> {
        self.people.iter().filter_map(|person| person.id).collect()
    }

    /// Every part of which an intent was ever recorded.
    pub(crate) fn sends(&self) -> Vec<(Seq, u32)> {
        self.rows.iter().flat_map(|row| row.sends.keys().map(|part| (row.seq, *part))).collect()
    }

    /// The number after that of the last part of a row's reply; 0 for a row that is gone.
    pub(crate) fn parts_end(&self, seq: Seq) -> u32 {
        let Some(row) = self.rows.iter().find(|row| row.seq == seq) else { return 0 };
        let parts = row.reply.as_ref().map_or(0, |reply| reply.reply.parts().len());
        row.first_part + u32::try_from(parts).unwrap()
    }

    /// The number of the first part of a row's reply.
    pub(crate) fn first_part(&self, seq: Seq) -> u32 {
        self.rows.iter().find(|row| row.seq == seq).map_or(0, |row| row.first_part)
    }

    /// The ids of all messages that are kept, and one that never came.
    pub(crate) fn messages(&self) -> Vec<MessageId> {
        let kept = self.rows.iter().map(|row| row.message.id.clone());
        kept.chain(["nobody's".into()]).collect()
    }

    /// Ids of messages that were not answered, by place.
    pub(crate) fn unanswered(&self, which: Which) -> Vec<MessageId> {
        let state = if which == Which::Dead { State::Dead } else { State::Refused };
        let listed = self.rows.iter().filter(|row| row.state == state && row.purpose == Purpose::Answer);
        listed.map(|row| row.message.id.clone()).collect()
    }

    /// The step that a conversation makes next with this row; `None` when there is nothing left to send.
    pub(crate) fn next_step(&self, row: &Row) -> Option<Step> {
        match &row.reply {
            None if row.purpose == Purpose::Answer => Some(Step::Complete),
            None => Some(Step::Send(row.first_part)),
            Some(reply) => (usize::try_from(row.parts_sent).unwrap() < reply.reply.parts().len())
                .then_some(Step::Send(row.first_part + row.parts_sent)),
        }
    }

    pub(crate) fn head(&self, person: PersonId, now: Millis) -> Option<Row> {
        let person = self.people.iter().position(|known| known.id == Some(person))?;
        let mine = self.rows.iter().filter(|row| row.is_open() && row.person == person);
        let head = mine.min_by_key(|row| (!row.begun, row.purpose == Purpose::Answer, row.seq))?;
        let joined_in_progress =
            self.rows.iter().any(|row| row.is_open() && self.people[row.person].joined == Some(person));
        (head.due <= now && !joined_in_progress).then(|| self.shown(head))
    }

    fn shown(&self, row: &Entry) -> Row {
        let next = row.current().find(|sent| sent.state != PartOf::Done);
        let leading = row.current().take_while(|sent| sent.state == PartOf::Done);
        Row {
            seq: row.seq,
            person: self.people[row.person].id.unwrap(),
            user: self.address(row.person),
            number: row.message.number.clone(),
            message_id: row.message.id.clone(),
            purpose: row.purpose,
            kind: row.message.kind,
            content: row.message.content.clone(),
            accepted_at: row.accepted_at,
            newest_at: self.people[self.canonical(row.person)].newest_at,
            begun: row.begun,
            reply: row.reply.clone(),
            first_part: row.first_part,
            parts_sent: u32::try_from(leading.count()).unwrap(),
            next_part: match next.map(|sent| &sent.state) {
                Some(PartOf::Intended) => PartState::Intended,
                Some(PartOf::Unknown) => PartState::Unknown,
                Some(PartOf::Failed(code)) => PartState::Failed(code.clone()),
                Some(PartOf::Postponed | PartOf::Done) | None => PartState::Fresh,
            },
            next_part_attempts: next.map_or(0, |sent| sent.attempts),
            unknowns: next.map_or(0, |sent| sent.unknowns),
            holds: row.holds,
            panics: row.panics,
        }
    }

    /// Exactly those who have a head are due.
    pub(crate) fn due(&self, now: Millis) -> Vec<Wake> {
        let heads = self.people().into_iter().filter_map(|person| self.head(person, now));
        let mut wakes: Vec<Wake> = heads.map(|row| Wake { person: row.person, seq: row.seq }).collect();
        wakes.sort_by_key(|wake| wake.seq);
        wakes
    }

    pub(crate) fn history(&self, person: PersonId, limit: usize) -> Vec<Line> {
        let person = self.people.iter().position(|known| known.id == Some(person)).unwrap();
        let person = self.canonical(person);
        let lines: Vec<Line> =
            self.history.iter().filter(|said| said.person == person).map(|said| said.line.clone()).collect();
        lines[lines.len().saturating_sub(limit)..].to_vec()
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut queues: Vec<(Reverse<usize>, Seq, Queue)> =
            (0..self.people.len()).filter_map(|person| self.queue(person)).collect();
        queues.sort_by_key(|(length, first, _)| (*length, *first));
        Counts {
            ids: u64::try_from(self.seen.len()).unwrap(),
            people: u64::try_from(queues.len()).unwrap(),
            queues: queues.into_iter().map(|(.., queue)| queue).collect(),
            dead: count(
                self.rows.iter().filter(|row| row.state == State::Dead && row.purpose == Purpose::Answer),
            ),
            refused: count(self.rows.iter().filter(|row| row.state == State::Refused)),
        }
    }

    fn queue(&self, person: usize) -> Option<(Reverse<usize>, Seq, Queue)> {
        let open: Vec<&Entry> = self
            .rows
            .iter()
            .filter(|row| row.wants_answer() && self.canonical(row.person) == person)
            .collect();
        let first = open.first()?.seq;
        let running = open.iter().filter(|row| row.running).count();
        let queue = Queue {
            user: self.address(person),
            waiting: u32::try_from(open.len() - running).unwrap(),
            processing: running > 0,
        };
        Some((Reverse(open.len()), first, queue))
    }
}
