//! The contract that every engine fulfils.
//!
//! Commands change the ledger and answer after the commit; reads see every commit that was answered before.
//! Time comes in as an argument; an engine has no clock.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use parlante_domain::policy::Line;
use parlante_domain::turn::{ErrorCode, Failure};
use parlante_domain::{
    Address, Content, CustomerReply, Item, Kind, MediaId, Medium, MessageId, Millis, Noted, PersonId,
    PhoneNumberId, Seq, Service, Tag,
};

use crate::audio::Audio;
use crate::error::LedgerError;
use crate::operator::{Forgotten, Replay, Replayed, Retained, Retention, Traced, Unanswered, Which};

/// The answer to a command or a read.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send>>;

/// The ledger, whatever engine keeps it. Cheap to call from any thread; never blocks its caller.
pub trait Ledger: Send + Sync + 'static {
    /// Random id of this ledger, 16 hex digits; part of every [`Tag`].
    fn id(&self) -> &str;

    /// Takes in one webhook: all of its items in one transaction, in their order.
    fn accept(&self, accept: Accept) -> Answer<Accepted>;
    /// Takes up a row and records the intent of its first step.
    fn begin(&self, begin: Begin) -> Answer<Recorded>;
    /// Records the result of a step, and the intent of the next.
    fn advance(&self, advance: Advance) -> Answer<Recorded>;
    /// Records the result of the last step and closes the row; one of which a part goes once more stays open. A row
    /// that has ended stays as it is.
    fn finish(&self, finish: Finish) -> Answer<Finished>;
    /// Gives the row back until a later time, or until a channel opens. It keeps its place.
    fn hold(&self, hold: Hold) -> Answer<Held>;
    /// Lets the `most` oldest rows go on that wait for this channel: they are due at once, and wait for nothing. One
    /// wake for each, oldest first. A row behind another of its person's is let go with those before it, without a
    /// wake and beyond `most`.
    fn release(&self, service: Service, now: Millis, most: usize) -> Answer<Vec<Wake>>;
    /// Turns a spoken reply into a written one; one that is written already stays as it is. All of its parts go out
    /// under numbers of their own, so the row has to be read again; what was spoken and uploaded is dropped.
    fn fall_back(&self, seq: Seq, now: Millis) -> Answer<Recorded>;
    /// Keeps the form in which a person wants to be answered. The newest wish counts, also where two people turn out
    /// to be one.
    fn prefer(&self, person: PersonId, wish: Medium) -> Answer<()>;
    /// Counts a panic of the row's conversation; answers how many there have been, 0 for a row that is gone.
    fn panicked(&self, seq: Seq) -> Answer<u32>;
    /// Once at start, before anything else: finds what the last process left. Every channel is open in a new process,
    /// so what waited for one is due at once.
    fn recover(&self, recover: Recover) -> Answer<Recovered>;
    /// Once, when the server is ready: statuses are listened for from here on, so a send found without its result
    /// waits for its own no longer than `until`.
    fn reconcile(&self, until: Millis) -> Answer<()>;

    /// The row that a person's conversation has to take up now; `None` if it has none or must wait.
    fn head(&self, person: PersonId, now: Millis) -> Answer<Option<Row>>;
    /// People whose next row is due, longest waiting first. Rows that nobody has in progress and rows in progress, of
    /// which a conversation may have been lost, take turns: neither sort uses up the limit before the other.
    fn due(&self, now: Millis, limit: usize) -> Answer<Vec<Wake>>;
    /// The spoken answer of a row; kept from [`StepOutcome::Spoken`] until the row is done, turned to text or erased.
    fn audio(&self, seq: Seq) -> Answer<Option<Vec<u8>>>;
    /// The newest lines of a person's conversation, oldest first.
    fn history(&self, person: PersonId, limit: usize) -> Answer<Vec<Line>>;
    /// What statuses have told of this part.
    fn told_of(&self, tag: Tag) -> Answer<Told>;
    /// Numbers for operators, with at most so many queues: listing them costs as much as all the rest.
    fn counts(&self, queues: usize) -> Answer<Counts>;

    /// What became of a message, on one page.
    fn trace(&self, message: MessageId) -> Answer<Traced>;
    /// Messages that were not answered, oldest first. The next page begins `after` the last place of this one.
    fn unanswered(&self, which: Which, limit: usize, after: Option<Seq>) -> Answer<Vec<Unanswered>>;
    /// Opens dead or refused messages again, due at once, beyond any backlog.
    fn replay(&self, replay: Replay, now: Millis) -> Answer<Replayed>;
    /// Erases a person: their number (digits, a `+`, blanks and hyphens allowed) or BSUID, and all that they are
    /// and have written, open messages too. Hashes of ids stay, so that a redelivery is a duplicate still.
    fn forget(&self, person: &str) -> Answer<Forgotten>;
    /// Deletes what has been kept for its time, at most `batch` rows of a sort; call it again while there is more.
    fn retain(&self, now: Millis, keep: Retention, batch: u32) -> Answer<Retained>;
    /// Writes a consistent copy to `to` while the ledger is in use. Answers when it is on the disk.
    ///
    /// [`LedgerError::Refused`] if there is such a file or none can be made.
    fn backup(&self, to: &Path) -> Answer<()>;

    /// Writes what is queued and lets go of the file. Later calls answer [`LedgerError::Closed`]. Rows
    /// that this process has in progress are given back: a stop in order is no death.
    fn close(&self) -> Answer<()>;
}

/// One webhook.
#[derive(Debug, Clone)]
pub struct Accept {
    /// Its items, in Meta's order.
    pub items: Vec<Item>,
    /// The time of acceptance.
    pub now: Millis,
    /// The rules to decide by.
    pub rules: AcceptRules,
}

/// What the accept transaction decides by.
#[derive(Debug, Clone, Copy)]
pub struct AcceptRules {
    /// Open messages that one person may have.
    pub backlog: u32,
    /// A message older than this by Meta's timestamp is refused.
    pub stale_after: Duration,
    /// An id is remembered this long.
    pub remember: Duration,
    /// Whether the code of a `failed` status speaks of our own channel (its token, its account), not of this send: then
    /// the part goes once more when the channel works again.
    pub is_channel_fault: fn(&str) -> bool,
    /// Whether the code of a `failed` status speaks of the file that was sent: then a voice note goes once more, as text.
    pub is_media_fault: fn(&str) -> bool,
}

/// What became of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// One verdict per item, in their order.
    pub verdicts: Vec<Verdict>,
    /// Whom to wake: one per new row, per row that a status let go on, and per join that moved rows.
    pub wakes: Vec<Wake>,
}

/// A wake-up: this person has a row to take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wake {
    /// Whose.
    pub person: PersonId,
    /// Which; for the log and for counting only. The conversation asks the ledger for its head.
    pub seq: Seq,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable and will be answered.
    Accepted {
        /// Its place.
        seq: Seq,
        /// Who wrote.
        user: Address,
    },
    /// Its id is known.
    Duplicate,
    /// Too many messages of this person are open.
    Overflow {
        /// Who wrote.
        user: Address,
        /// How many are open.
        backlog: u32,
    },
    /// It is too old to be answered.
    Stale {
        /// Who wrote.
        user: Address,
    },
    /// Recorded only.
    Noted(Noted),
    /// A status that settled a send or raised its rank.
    Settled,
    /// A status that changes nothing.
    Unmatched,
    /// A status that says an answered message did not arrive after all.
    Undone(DeadLetter),
    /// A status that says the channel is at fault. The part goes once more, and its row is open, again or still.
    ChannelFault {
        /// The provider's code.
        code: ErrorCode,
    },
    /// A status that says a voice note could not be delivered as such. The same answer goes as text, and its row is
    /// open, again or still.
    VoiceFailed {
        /// Meta's id of the person's message.
        message_id: MessageId,
        /// Who wrote it.
        user: Address,
        /// The provider's code.
        code: ErrorCode,
    },
}

/// A message that turned out not to be answered, other than by its own turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Meta's id of the person's message.
    pub message_id: MessageId,
    /// Who wrote it.
    pub user: Address,
    /// The provider's code, or `crash`.
    pub code: ErrorCode,
    /// Attempts made for it in all.
    pub attempts: u32,
}

/// A paid or visible step of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A voice note or an audio file is heard.
    Transcribe,
    /// The model is asked.
    Complete,
    /// The answer is spoken.
    Speak,
    /// What was spoken is uploaded.
    Upload,
    /// This part is sent. The parts of a reply are numbered from [`Row::first_part`].
    Send(u32),
}

/// A step that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// Which.
    pub step: Step,
    /// Until when it may still be under way.
    pub deadline: Millis,
}

/// The result of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// Which.
    pub step: Step,
    /// Attempts made.
    pub attempts: u32,
    /// What came of it.
    pub outcome: StepOutcome,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// It was heard.
    Heard {
        /// What was said; empty where nobody spoke.
        words: String,
        /// What the model counted, where it tells.
        usage: Option<Usage>,
    },
    /// The model answered.
    Answered(Usage),
    /// The answer is spoken.
    Spoken(Audio),
    /// The spoken answer has this id at Meta's.
    Uploaded(MediaId),
    /// WhatsApp accepted the part under this id.
    Accepted(MessageId),
    /// It failed for good.
    Failed(ErrorCode),
    /// It surely did not happen and may be tried again later.
    Postponed(ErrorCode),
    /// Nobody can say whether it happened.
    Unknown(ErrorCode),
}

/// What the model counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens sent.
    pub prompt_tokens: u64,
    /// Tokens received.
    pub completion_tokens: u64,
}

/// The reply that a row will send, recorded before its first part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its parts.
    pub reply: CustomerReply,
    /// The model's own words, for the history; `None` for a text of the persona.
    pub words: Option<String>,
    /// Its first part goes out as a voice note.
    pub is_voice: bool,
    /// Why it is an apology.
    pub failed: Option<Failure>,
}

/// See [`Ledger::begin`].
#[derive(Debug, Clone)]
pub struct Begin {
    /// The row.
    pub seq: Seq,
    /// Whose it is believed to be.
    pub person: PersonId,
    /// Now.
    pub now: Millis,
    /// The reply, where it is known from the start.
    pub reply: Option<Reply>,
    /// The first step.
    pub intent: Option<Intent>,
}

/// Whether a command found the row as its caller believed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// Yes; it is in the ledger.
    Yes,
    /// The row is not this person's open row any more, and nothing was recorded; or its reply has been turned to text
    /// meanwhile, or a status has settled the part that was to be sent, and only the result of the last step was. Look for the head again.
    No,
}

/// See [`Ledger::advance`].
#[derive(Debug, Clone)]
pub struct Advance {
    /// The row.
    pub seq: Seq,
    /// Now.
    pub now: Millis,
    /// The step that ended.
    pub settle: Settle,
    /// The reply, if this step brought it.
    pub reply: Option<Reply>,
    /// The step that begins; `None` when the server is draining.
    pub intent: Option<Intent>,
}

/// See [`Ledger::finish`].
#[derive(Debug, Clone)]
pub struct Finish {
    /// The row.
    pub seq: Seq,
    /// Now.
    pub now: Millis,
    /// The last step; `None` if it was settled before.
    pub settle: Option<Settle>,
    /// How the row ends.
    pub ending: Ending,
}

/// How a row ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every part was accepted.
    Done {
        /// Why the answer was an apology.
        failed: Option<ErrorCode>,
    },
    /// Not answered.
    Dead(ErrorCode),
}

/// What [`Ledger::finish`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How the row really ended: a part that a status called failed makes it dead. A row that is gone because its
    /// person was forgotten is dead of `forgotten`. `None`: it is open and due, since a part of it goes once more
    /// (see [`Verdict::ChannelFault`]); look for the head again.
    pub ending: Option<Ending>,
    /// It had ended before, and nothing was changed.
    pub repeated: bool,
    /// The row had ended as done before a late status opened it again, and that was told: a second `Done` is no news.
    pub told: bool,
    /// The person's open messages that still wait; this one too, if it is open.
    pub remaining: u32,
    /// Attempts made for this row, all steps together.
    pub attempts: u32,
}

/// See [`Ledger::hold`].
#[derive(Debug, Clone)]
pub struct Hold {
    /// The row.
    pub seq: Seq,
    /// Now.
    pub now: Millis,
    /// When it is due again.
    pub until: Millis,
    /// The channel that has to open first. Then `until` is only the latest time: see [`Ledger::release`].
    pub waits_for: Option<Service>,
    /// The step that ended without success; `None` to give the row back as it is (drain).
    pub settle: Option<Settle>,
}

/// What [`Ledger::hold`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The row waits.
    Waiting,
    /// A status has settled the part meanwhile: read the row again and go on at once.
    Settled,
    /// The row is not open any more: look for the head again.
    Closed,
}

/// What [`Ledger::told_of`] knows of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// No status has come, or none that says how its last send fared.
    Nothing,
    /// WhatsApp took it, under this id.
    Sent(MessageId),
    /// It failed with this code.
    Failed(ErrorCode),
}

/// See [`Ledger::recover`].
#[derive(Debug, Clone, Copy)]
pub struct Recover {
    /// Now.
    pub now: Millis,
    /// Until when a send found without its result waits for its status.
    pub reconcile_until: Millis,
}

/// What [`Ledger::recover`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Messages still open.
    pub resumed: u64,
    /// Intents without a result.
    pub reconciled: u64,
    /// Messages given up because the process died over them too often.
    pub given_up: Vec<DeadLetter>,
    /// Open rows over which the process has died twice or more, oldest first: each runs alone, so that the next
    /// death tells which of them it was.
    pub suspects: Vec<Wake>,
}

/// What a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Says that an AI speaks. Not an answer; goes before the first.
    Disclosure,
    /// Says that a message was not taken. Not an answer; goes between two turns.
    Overflow,
    /// Answers a message.
    Answer,
}

/// A row with all that a conversation needs to go on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its place.
    pub seq: Seq,
    /// Whose.
    pub person: PersonId,
    /// Where the answer goes.
    pub user: Address,
    /// Which of our numbers answers.
    pub number: PhoneNumberId,
    /// Meta's id of the person's message.
    pub message_id: MessageId,
    /// What it is for.
    pub purpose: Purpose,
    /// Meta's type.
    pub kind: Kind,
    /// What it says.
    pub content: Content,
    /// When it was accepted.
    pub accepted_at: Millis,
    /// Since when its answer is waited for: its acceptance, or its last replay.
    pub awaited_since: Millis,
    /// Meta's timestamp of the person's newest message; the window for free answers counts from it.
    pub newest_at: Millis,
    /// A conversation has taken it up before.
    pub begun: bool,
    /// What was heard of it; empty where nobody spoke.
    pub heard: Option<String>,
    /// The form in which the person wants to be answered, if they said so.
    pub wish: Option<Medium>,
    /// Its reply, once known.
    pub reply: Option<Reply>,
    /// The reply is spoken: see [`Ledger::audio`].
    pub has_audio: bool,
    /// Meta's id of the spoken reply, once uploaded.
    pub media: Option<MediaId>,
    /// Why the reply could not be spoken or uploaded.
    pub speak_failed: Option<ErrorCode>,
    /// The number of the reply's first part, in [`Step::Send`] and in its tag. Above 0 once an apology was sent and
    /// the message replayed, or a voice note turned to text: a late status of what was sent before must not settle it.
    pub first_part: u32,
    /// Leading parts of the reply that WhatsApp has accepted.
    pub parts_sent: u32,
    /// Parts beyond the next one that WhatsApp has accepted, from 0 within the reply, rising: one before them failed
    /// afterwards and goes once more.
    pub parts_ahead: Vec<u32>,
    /// Where the next part stands. If a later one has failed or is unknown, it is that which stands here: it decides
    /// whether anything is sent at all.
    pub next_part: PartState,
    /// How often that part became unknown; however often the process died over it, that is one.
    pub unknowns: u32,
    /// How often in a row it was held because WhatsApp would not take a part or an upload. Waits for a channel do not
    /// count.
    pub holds: u32,
    /// Panics of its conversation so far.
    pub panics: u32,
}

/// Where a part of a reply stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartState {
    /// Not sent; surely not under way.
    Fresh,
    /// An intent of this process without a result: the call may be under way.
    Intended,
    /// Nobody can say whether it arrived; the wait for its status is over.
    Unknown,
    /// A status called it failed.
    Failed(ErrorCode),
}

/// Numbers for operators, as they are in the ledger now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Remembered ids.
    pub ids: u64,
    /// People with open messages.
    pub people: u64,
    /// When the oldest message was accepted that nobody has begun.
    pub oldest_waiting: Option<Millis>,
    /// The longest queues, longest first.
    pub queues: Vec<Queue>,
    /// Messages that were not answered.
    pub dead: u64,
    /// Messages that were not taken.
    pub refused: u64,
}

/// One person's open messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Whose.
    pub user: Address,
    /// Open ones that wait; the one in progress is not counted.
    pub waiting: u32,
    /// One is in progress.
    pub processing: bool,
}

/// The longest list of queues in [`Counts`] that is worth asking for: a page, not an export.
pub const QUEUES_MAX: usize = 100;
