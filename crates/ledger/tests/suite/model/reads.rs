//! What the engine has to answer when it is asked, and what a test may pick from.

use std::cmp::Reverse;

use parlante_domain::policy::Line;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Content, MessageId, Millis, PersonId, Seq};
use parlante_ledger::{Counts, PartState, Purpose, Queue, Row, Step, Told, Wake, Which};

use super::{Entry, Model, PartOf, State};

fn is_unheard(row: &Row) -> bool {
    matches!(row.content, Content::Sound(_)) && row.heard.is_none()
}

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

    pub(crate) fn told_of(&self, seq: Seq, part: u32) -> Told {
        let row = self.rows.iter().find(|row| row.seq == seq).unwrap();
        let sent = &row.sends[&part];
        match (&sent.state, &sent.id) {
            (PartOf::Failed(code), Some(_)) => Told::Failed(code.clone()),
            (_, Some(id)) if sent.rank > 0 => Told::Sent(id.clone()),
            _ => Told::Nothing,
        }
    }

    pub(crate) fn audio(&self, seq: Seq) -> Option<Vec<u8>> {
        self.rows.iter().find(|row| row.seq == seq)?.audio.clone()
    }

    /// All rows that are kept.
    pub(crate) fn rows(&self) -> Vec<Seq> {
        self.rows.iter().map(|row| row.seq).collect()
    }

    /// How many parts a row's reply has; 0 for a row that is gone.
    pub(crate) fn parts(&self, seq: Seq) -> u32 {
        let row = self.rows.iter().find(|row| row.seq == seq);
        let reply = row.and_then(|row| row.reply.as_ref());
        reply.map_or(0, |reply| u32::try_from(reply.reply.parts().len()).unwrap())
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
            None if row.purpose == Purpose::Answer && is_unheard(row) => Some(Step::Transcribe),
            None if row.purpose == Purpose::Answer => Some(Step::Complete),
            None => Some(Step::Send(row.first_part)),
            Some(reply) if reply.is_voice && row.parts_sent == 0 && row.media.is_none() => {
                Some(if row.has_audio { Step::Upload } else { Step::Speak })
            }
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
        // What has failed, or nobody knows of, is decided before anything else goes out.
        let found = |is: fn(&PartOf) -> bool| row.current().find(|sent| is(&sent.state));
        let next = found(|state| matches!(state, PartOf::Failed(_)))
            .or_else(|| found(|state| *state == PartOf::Unknown))
            .or_else(|| found(|state| *state != PartOf::Done));
        let parts_sent = row.current().take_while(|sent| sent.state == PartOf::Done).count();
        let sent = row.current().map(|sent| sent.state == PartOf::Done).enumerate().skip(parts_sent);
        let ahead = sent.filter_map(|(part, done)| done.then_some(u32::try_from(part).unwrap()));
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
            awaited_since: row.awaited_since,
            newest_at: self.people[self.canonical(row.person)].newest_at,
            begun: row.begun,
            heard: row.heard.clone(),
            wish: self.people[self.canonical(row.person)].wish.map(|(_, wish)| wish),
            reply: row.reply.clone(),
            has_audio: row.audio.is_some(),
            media: row.media.clone(),
            speak_failed: row.speak_failed(),
            first_part: row.first_part,
            parts_sent: u32::try_from(parts_sent).unwrap(),
            parts_ahead: ahead.collect(),
            next_part: match next.map(|sent| &sent.state) {
                Some(PartOf::Intended) => PartState::Intended,
                Some(PartOf::Unknown) => PartState::Unknown,
                Some(PartOf::Failed(code)) => PartState::Failed(code.clone()),
                Some(PartOf::Postponed | PartOf::Done) | None => PartState::Fresh,
            },
            unknowns: next.map_or(0, |sent| sent.unknowns),
            holds: row.holds,
            panics: row.panics,
        }
    }

    /// Exactly those who have a head are due; what is in progress and what is not take turns.
    pub(crate) fn due(&self, now: Millis) -> Vec<Wake> {
        let heads = self.people().into_iter().filter_map(|person| self.head(person, now));
        let mut wakes: Vec<Wake> = heads.map(|row| Wake { person: row.person, seq: row.seq }).collect();
        wakes.sort_by_key(|wake| wake.seq);
        let is_running = |wake: &Wake| self.rows.iter().any(|row| row.seq == wake.seq && row.running);
        let (running, idle): (Vec<Wake>, Vec<Wake>) = wakes.into_iter().partition(is_running);
        let mut turns: Vec<(usize, bool, Wake)> = Vec::new();
        turns.extend(idle.into_iter().enumerate().map(|(turn, wake)| (turn, false, wake)));
        turns.extend(running.into_iter().enumerate().map(|(turn, wake)| (turn, true, wake)));
        turns.sort_by_key(|(turn, running, _)| (*turn, *running));
        turns.into_iter().map(|(.., wake)| wake).collect()
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
            oldest_waiting: self
                .rows
                .iter()
                .filter(|row| row.wants_answer() && !row.begun)
                .map(|row| row.awaited_since)
                .min(),
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

impl Entry {
    fn speak_failed(&self) -> Option<ErrorCode> {
        let states = [Step::Speak, Step::Upload].map(|step| self.paid.get(&step).map(|paid| &paid.state));
        states.into_iter().flatten().find_map(|state| match state {
            PartOf::Failed(code) => Some(code.clone()),
            _ => None,
        })
    }
}
