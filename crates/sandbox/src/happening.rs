//! What the stand-ins notice, told to whoever wants to show it (the phone page), without knowing who that is.

use std::fmt;
use std::sync::Arc;

/// One thing that a stand-in saw or did. Ids of messages are wamids.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A person wrote; the webhook is queued.
    Written { id: String, phone: String, text: String },
    /// A webhook with these messages is queued once more.
    Again { ids: Vec<String> },
    /// A webhook was posted: its answer's status or why there was none.
    Posted { ids: Vec<String>, attempt: usize, answer: Result<u16, String>, took_ms: u64 },
    /// The product marked a message as read, perhaps with a typing indicator.
    Read { id: String, typing: bool },
    /// A send was answered; `id` if it was accepted, `status` if an answer got out whole.
    Sent { phone: Option<String>, text: String, id: Option<String>, status: Option<u16> },
    /// A status webhook about one of our own messages was answered with 200.
    StatusTold { id: String, status: String },
    /// The model was asked about this message of a person.
    Asked { text: String },
    /// The model's answer to that got out whole, or it did not.
    Answered { text: String, whole: bool, took_ms: u64 },
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
