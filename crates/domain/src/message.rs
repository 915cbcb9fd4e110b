//! What came in, in our own words. The wire's shapes end in `parlante-wire`.

use derive_more::Display;

use crate::id::{Bsuid, MediaId, MessageId, Phone, PhoneNumberId, Tag};
use crate::time::Millis;

/// Who wrote. At least one of the two ids is present: the wire refuses an item without any.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Sender {
    /// Absent for people who hide their number.
    pub phone: Option<Phone>,
    /// Present since 2026; absent in older payloads.
    pub bsuid: Option<Bsuid>,
    /// The profile name that the person chose. Never logged.
    pub name: Option<String>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({:?}, {:?})", self.phone, self.bsuid)
    }
}

/// Meta's `type` of a message that is answered, or `voice` for a voice note; the word used in logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[display(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are Meta's own type names")]
pub enum Kind {
    Text,
    /// A voice note: `audio.voice` is true.
    Voice,
    /// An audio file.
    Audio,
    Image,
    Video,
    Document,
    Sticker,
    Location,
    Contacts,
    Interactive,
    Button,
    Order,
    Unsupported,
}

/// What the persona can make of a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Words that go to the model: a text, a button's title, a caption, a place in words.
    Words(String),
    /// Sound that has to be heard first: a voice note or an audio file.
    Sound(MediaId),
    /// Nothing that can be made sense of yet.
    Unclear,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[display(rename_all = "snake_case")]
pub enum Medium {
    /// A voice note.
    Voice,
    /// Words.
    Text,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Words(words) => write!(f, "Words({} characters)", words.chars().count()),
            Self::Sound(_) => f.write_str("Sound"),
            Self::Unclear => f.write_str("Unclear"),
        }
    }
}

/// A message that wants an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Meta's id; the key of deduplication.
    pub id: MessageId,
    /// Which of our numbers it came to.
    pub number: PhoneNumberId,
    /// Who wrote.
    pub sender: Sender,
    /// Meta's timestamp, whole seconds; the original time even on a late redelivery.
    pub sent_at: Millis,
    /// Meta's type.
    pub kind: Kind,
    /// What it says.
    pub content: Content,
}

/// Why an item is recorded but not answered; the `reason` of `item_ignored`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[display(rename_all = "snake_case")]
pub enum Noted {
    /// A reaction to one of our messages.
    Reaction,
    /// A system notice of Meta's (number changed, …).
    System,
    /// The person edited an earlier message.
    Edit,
    /// The person withdrew an earlier message.
    Revoke,
    /// It belongs to a group.
    Group,
    /// A type that nobody has told us of.
    UnknownType,
    /// It came to another number than ours.
    OtherNumber,
    /// It could not be read.
    Malformed,
}

/// How far a send has come, in rising order; `Failed` stands apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Display)]
#[display(rename_all = "snake_case")]
pub enum Status {
    /// Meta has taken it.
    Sent,
    /// It is on the person's phone.
    Delivered,
    /// The person has seen it.
    Read,
    /// The person has played our voice note.
    Played,
}

impl Status {
    /// 1 to 4; 0 is kept for "nothing heard yet".
    #[must_use]
    pub fn rank(self) -> i64 {
        match self {
            Self::Sent => 1,
            Self::Delivered => 2,
            Self::Read => 3,
            Self::Played => 4,
        }
    }
}

/// A status webhook for a send that carries our tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusUpdate {
    /// Our own mark, which settles the send even when its reply never came.
    pub tag: Tag,
    /// Meta's id of the outbound message.
    pub message_id: MessageId,
    /// How far it came, or the provider's code of the failure.
    pub outcome: Result<Status, String>,
}

/// One item of a webhook, in the order in which Meta put it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Wants an answer.
    Message(Inbound),
    /// Recorded, not answered.
    Noted {
        /// Meta's id, if it could be read.
        id: Option<MessageId>,
        /// Why it is not answered.
        reason: Noted,
    },
    /// Tells how a send of ours fared.
    Status(StatusUpdate),
}
