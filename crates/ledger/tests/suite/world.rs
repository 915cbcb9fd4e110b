//! The verbs of the cases: a ledger, a clock that is moved by hand, and a runtime to wait for answers.

use std::sync::Arc;
use std::time::Duration;

use parlante_domain::turn::{ErrorCode, Failure};
use parlante_domain::{CustomerReply, Item, Millis, PersonId, Sender, Seq, Service, Status, Tag};
use parlante_ledger::{
    Accept, AcceptRules, Accepted, Advance, Answer, Begin, Counts, Ending, Finish, Finished, Held, Hold,
    Intent, Ledger, LedgerError, Purpose, QUEUES_MAX, Recorded, Recover, Recovered, Reply, Row, Settle, Step,
    StepOutcome, Usage, Verdict, Wake,
};
use tokio::runtime::Runtime;

use super::Engine;
use super::items::{status, text};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long a send may be under way, in these tests.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(8);
/// How long an unknown send waits for its status, in these tests.
pub(crate) const RECONCILE: Duration = Duration::from_secs(30);
/// An answer that takes longer than this will never come; the test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// The rules as the settings have them by default.
pub(crate) const RULES: AcceptRules = AcceptRules {
    backlog: 10,
    stale_after: Duration::from_secs(24 * 3600),
    remember: Duration::from_secs(192 * 3600),
    is_channel_fault: |code| code == LOCKED,
    is_media_fault: |code| code == UNPLAYABLE,
};

/// WhatsApp has locked our account: no fault of any message.
pub(crate) const LOCKED: &str = "131031";
/// WhatsApp could make nothing of the file.
pub(crate) const UNPLAYABLE: &str = "131053";

pub(crate) struct World {
    engine: Box<dyn Engine>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) now: Millis,
    pub(crate) rules: AcceptRules,
    runtime: Runtime,
}

impl World {
    pub(crate) fn new(engine: Box<dyn Engine>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let ledger = engine.open();
        Self { engine, ledger, now: Millis(1_780_000_000_000), rules: RULES, runtime }
    }

    // ---- time and processes

    pub(crate) fn later(&mut self, wait: Duration) {
        self.now = self.now + wait;
    }

    /// Waits for an answer.
    pub(crate) fn outcome<T>(&self, answer: Answer<T>) -> Result<T, LedgerError> {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, answer).await })
            .expect("the ledger never answered")
    }

    /// Waits for an answer that must be a good one.
    pub(crate) fn wait<T>(&self, answer: Answer<T>) -> T {
        self.outcome(answer).expect("the ledger refused a command")
    }

    /// A graceful stop and a start.
    pub(crate) fn restart(&mut self) -> Recovered {
        self.wait(self.ledger.close());
        self.ledger = self.engine.open();
        self.recover()
    }

    /// A sudden death and a start.
    pub(crate) fn crash(&mut self) -> Recovered {
        self.engine.crash();
        self.ledger = self.engine.open();
        self.recover()
    }

    pub(crate) fn recover(&self) -> Recovered {
        let recover = Recover { now: self.now, reconcile_until: self.now + RECONCILE };
        self.wait(self.ledger.recover(recover))
    }

    // ---- webhooks

    pub(crate) fn accept(&self, items: Vec<Item>) -> Accepted {
        self.wait(self.ledger.accept(Accept { items, now: self.now, rules: self.rules }))
    }

    /// A text that was sent now.
    pub(crate) fn text(&self, sender: &Sender, id: &str) -> Item {
        Item::Message(text(id, sender, self.now))
    }

    /// One webhook with these texts.
    pub(crate) fn write(&self, sender: &Sender, ids: &[&str]) -> Accepted {
        self.accept(ids.iter().map(|id| self.text(sender, id)).collect())
    }

    /// One webhook with one text.
    pub(crate) fn verdict(&self, sender: &Sender, id: &str) -> Verdict {
        self.write(sender, &[id]).verdicts.remove(0)
    }

    /// One webhook with these texts, all taken; answers whom it woke.
    pub(crate) fn arrive(&self, sender: &Sender, ids: &[&str]) -> PersonId {
        let accepted = self.write(sender, ids);
        assert!(accepted.verdicts.iter().all(|v| matches!(v, Verdict::Accepted { .. })), "{accepted:?}");
        accepted.wakes[0].person
    }

    /// The same, with the disclosure already made.
    pub(crate) fn arrive_known(&self, sender: &Sender, ids: &[&str]) -> PersonId {
        let person = self.arrive(sender, ids);
        assert_eq!(self.head(person).purpose, Purpose::Disclosure);
        self.serve(person);
        person
    }

    pub(crate) fn tag(&self, seq: Seq, part: u32) -> Tag {
        Tag { ledger: self.ledger.id().to_owned(), seq, part }
    }

    /// One webhook with one status.
    pub(crate) fn tell(&self, seq: Seq, part: u32, outcome: Result<Status, &str>) -> Accepted {
        self.accept(vec![status(self.tag(seq, part), outcome)])
    }

    // ---- reads

    pub(crate) fn next(&self, person: PersonId) -> Option<Row> {
        self.wait(self.ledger.head(person, self.now))
    }

    pub(crate) fn head(&self, person: PersonId) -> Row {
        self.next(person).expect("the person has nothing to take up")
    }

    pub(crate) fn due(&self) -> Vec<Wake> {
        self.wait(self.ledger.due(self.now, 100))
    }

    pub(crate) fn counts(&self) -> Counts {
        self.wait(self.ledger.counts(QUEUES_MAX))
    }

    /// The lines of a person, each with who said it: `>` the person, `<` the persona.
    pub(crate) fn history(&self, person: PersonId) -> Vec<String> {
        let lines = self.wait(self.ledger.history(person, 100));
        lines.iter().map(super::reads::shown).collect()
    }

    // ---- the steps of a turn

    pub(crate) fn intent(&self, step: Step) -> Option<Intent> {
        Some(Intent { step, deadline: self.now + ATTEMPT })
    }

    /// Takes up a row that is open.
    pub(crate) fn begin(&self, row: &Row, step: Step) {
        assert_eq!(self.try_begin(row, step), Recorded::Yes);
    }

    pub(crate) fn try_begin(&self, row: &Row, step: Step) -> Recorded {
        let (seq, person, now) = (row.seq, row.person, self.now);
        self.wait(self.ledger.begin(Begin { seq, person, now, reply: None, intent: self.intent(step) }))
    }

    /// Takes up a row of which the reply is known from the start, and begins to send it.
    pub(crate) fn begin_saying(&self, row: &Row, said: Reply) {
        let (seq, person, now) = (row.seq, row.person, self.now);
        let intent = self.intent(Step::Send(row.first_part));
        let begin = Begin { seq, person, now, reply: Some(said), intent };
        assert_eq!(self.wait(self.ledger.begin(begin)), Recorded::Yes);
    }

    pub(crate) fn advance(&self, seq: Seq, settle: Settle, reply: Option<Reply>, next: Option<Step>) {
        assert_eq!(self.try_advance(seq, settle, reply, next), Recorded::Yes);
    }

    pub(crate) fn try_advance(
        &self,
        seq: Seq,
        settle: Settle,
        reply: Option<Reply>,
        next: Option<Step>,
    ) -> Recorded {
        let intent = next.and_then(|step| self.intent(step));
        self.wait(self.ledger.advance(Advance { seq, now: self.now, settle, reply, intent }))
    }

    pub(crate) fn finish(&self, seq: Seq, settle: Option<Settle>, ending: Ending) -> Finished {
        self.wait(self.ledger.finish(Finish { seq, now: self.now, settle, ending }))
    }

    pub(crate) fn hold(&self, seq: Seq, wait: Duration, settle: Option<Settle>) -> Held {
        let until = self.now + wait;
        self.wait(self.ledger.hold(Hold { seq, now: self.now, until, waits_for: None, settle }))
    }

    /// Gives a row back until this channel opens, or an hour is over.
    pub(crate) fn hold_for(&self, seq: Seq, service: Service, settle: Option<Settle>) -> Held {
        let until = self.now + HOUR;
        self.wait(self.ledger.hold(Hold { seq, now: self.now, until, waits_for: Some(service), settle }))
    }

    pub(crate) fn release(&self, service: Service, most: usize) -> Vec<Wake> {
        self.wait(self.ledger.release(service, self.now, most))
    }

    // ---- whole turns

    /// Takes up a person's next row and asks the model; the first part is about to be sent.
    pub(crate) fn send_first_part(&self, person: PersonId, said: Reply) -> Row {
        let row = self.head(person);
        self.begin(&row, Step::Complete);
        self.advance(row.seq, answered(), Some(said), Some(Step::Send(row.first_part)));
        row
    }

    /// Serves a person's next row to its end; answers the row as it was taken up, and how it ended.
    pub(crate) fn serve(&self, person: PersonId) -> (Row, Finished) {
        let row = self.head(person);
        match row.purpose {
            Purpose::Answer => {
                self.begin(&row, Step::Complete);
                let said = reply(&[&format!("re: {}", row.message_id)]);
                self.advance(row.seq, answered(), Some(said), Some(Step::Send(row.first_part)));
            }
            Purpose::Disclosure | Purpose::Overflow => self.begin_saying(&row, persona("by the way")),
        }
        let finished = self.finish(row.seq, Some(sent(row.seq, row.first_part)), DONE);
        (row, finished)
    }

    /// Serves all that a person can take up now; answers what it was, in order.
    pub(crate) fn serve_all(&self, person: PersonId) -> Vec<String> {
        std::iter::from_fn(|| self.next(person).map(|_| name(&self.serve(person).0))).collect()
    }
}

pub(crate) const DONE: Ending = Ending::Done { failed: None };

/// A row in a word: a message by its id, a row of ours by its purpose.
pub(crate) fn name(row: &Row) -> String {
    match row.purpose {
        Purpose::Answer => row.message_id.to_string(),
        Purpose::Disclosure => "disclosure".to_owned(),
        Purpose::Overflow => "notice".to_owned(),
    }
}

/// An answer of the model in these parts.
pub(crate) fn reply(parts: &[&str]) -> Reply {
    let words = Some(parts.concat());
    Reply {
        reply: CustomerReply::recorded(parts.iter().map(|&part| part.to_owned()).collect()),
        words,
        is_voice: false,
        failed: None,
    }
}

/// The same, as a voice note.
pub(crate) fn spoken(parts: &[&str]) -> Reply {
    Reply { is_voice: true, ..reply(parts) }
}

/// Why an apology was made.
pub(crate) fn failure(code: ErrorCode) -> Failure {
    Failure { code, is_dead: false }
}

/// A text of the persona.
pub(crate) fn persona(words: &str) -> Reply {
    Reply { words: None, ..reply(&[words]) }
}

pub(crate) fn settled(step: Step, outcome: StepOutcome) -> Settle {
    Settle { step, attempts: 1, outcome }
}

pub(crate) fn answered() -> Settle {
    settled(Step::Complete, StepOutcome::Answered(Usage { prompt_tokens: 20, completion_tokens: 5 }))
}

pub(crate) fn sent(seq: Seq, part: u32) -> Settle {
    settled(Step::Send(part), StepOutcome::Accepted(format!("wamid.out.{seq}.{part}").into()))
}

pub(crate) fn unknown(part: u32) -> Option<Settle> {
    Some(settled(Step::Send(part), StepOutcome::Unknown(ErrorCode::TIMEOUT)))
}

pub(crate) fn postponed(part: u32) -> Option<Settle> {
    Some(settled(Step::Send(part), StepOutcome::Postponed(ErrorCode::status(503))))
}

pub(crate) fn refused(part: u32, code: &str) -> Settle {
    settled(Step::Send(part), StepOutcome::Failed(ErrorCode::recorded(code)))
}
