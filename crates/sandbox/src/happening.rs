//! What the stand-ins notice, told to whoever wants to show it (the phone page), without knowing who that is.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// One thing that a stand-in saw or did. Ids of messages are wamids. A `status` is an HTTP status, if an answer got
/// out whole.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A person wrote; the webhook is queued.
    Written { id: String, phone: String, text: String, sound: Option<Sound> },
    /// A webhook with these messages is queued once more.
    Again { ids: Vec<String> },
    /// A webhook was posted: its answer's status or why there was none.
    Posted { ids: Vec<String>, attempt: usize, answer: Result<u16, String>, took_ms: u64 },
    /// The product marked a message as read, perhaps with a typing indicator.
    Read { id: String, typing: bool },
    /// The product asked where the file of this id is.
    LookedUp { media: String, status: Option<u16> },
    /// The product fetched the file of this id.
    Fetched { media: String, status: Option<u16> },
    /// The product uploaded this file.
    Uploaded { bytes: Bytes, status: Option<u16> },
    /// A send was answered; `id` if it was accepted.
    Sent {
        phone: Option<String>,
        text: String,
        sound: Option<Sound>,
        id: Option<String>,
        status: Option<u16>,
    },
    /// A status webhook about one of our own messages was answered with 200.
    StatusTold { id: String, status: String },
    /// A provider was asked for something.
    Asked { query: Query },
    /// A provider's answer to that got out whole: what it said, or the status of its refusal. None: it did not.
    Answered { query: Query, answer: Result<String, Option<u16>>, took_ms: u64 },
}

/// A sound as it lies at Meta.
#[derive(Clone, Debug)]
pub(crate) struct Sound {
    /// Its id there.
    pub(crate) media: String,
    /// Whether it is a voice note and not a file.
    pub(crate) is_voice: bool,
    /// Whether WhatsApp can play it.
    pub(crate) is_playable: bool,
    pub(crate) bytes: Bytes,
}

/// What a provider is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// An answer to this message of a person.
    Answer { to: String },
    /// The words of the recording with this SHA-256, in hex.
    Words { of: String },
    /// This text, spoken.
    Voice { of: String },
}

/// Whoever looks on. Called on the stand-ins' threads; must be quick and must not call back.
#[derive(Clone, Default)]
pub(crate) struct Witness(Option<Arc<dyn Fn(Happening) + Send + Sync>>);

impl Witness {
    pub(crate) fn new(look: impl Fn(Happening) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(look)))
    }

    pub(crate) fn tell(&self, happening: Happening) {
        if let Some(look) = &self.0 {
            look(happening);
        }
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Witness").field(&self.0.is_some()).finish()
    }
}
