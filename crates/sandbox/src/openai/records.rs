//! What the stand-in of OpenAI remembers of each request.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::script::{Fault, Route};
use crate::shared::Log;

/// Each has its whole history in it, some 10 kB: 200 MB at most. Older ones are forgotten.
const ENTRIES_MAX: usize = 20_000;

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its place in the order of arrival.
    pub number: u64,
    /// When it had been read, in milliseconds since 1970.
    pub at_ms: u64,
    /// `GET` or `POST`.
    pub method: String,
    /// The path.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body; null if it is not JSON.
    pub json: Value,
    /// What kind of request it is; none for an unknown path.
    pub route: Option<Route>,
    /// The text of the last message of role `user`.
    pub last_user: Option<String>,
    /// How many messages it has, system ones included.
    pub messages: usize,
    /// Whether it asked for a stream.
    pub stream: bool,
    /// For a transcription, the form.
    pub transcription: Option<Transcription>,
    /// The fault it met.
    pub fault: Option<Fault>,
    /// What became of it.
    pub outcome: Outcome,
}

/// The form of a transcription, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcription {
    /// The file's name, from which OpenAI takes the format; empty if there is none.
    pub file_name: String,
    /// The content type of the file's part; empty if there is none.
    pub content_type: String,
    /// Bytes of the file.
    pub size: usize,
    /// The SHA-256 of the file in lower-case hex.
    pub sha256: String,
    /// All other fields, such as `model`, `language` and `response_format`.
    pub fields: BTreeMap<String, String>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is being handled, stands at a gate or hangs.
    Running,
    /// Answered in whole, up to `[DONE]` if streamed.
    Answered {
        /// The HTTP status.
        status: u16,
        /// What the model said or heard; empty for an error or for another route.
        text: String,
    },
    /// It got part of an answer or none, by the script's will or because the client hung up.
    Broken,
}

/// Everything remembered, oldest first.
#[derive(Debug)]
pub struct Calls {
    pub(super) log: Log<Call>,
    pub(super) running: usize,
    pub(super) peak: usize,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self { log: Log::new(ENTRIES_MAX), running: 0, peak: 0 }
    }

    /// All requests, in order of arrival.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Call> {
        self.log.iter()
    }

    /// The chat completions.
    pub fn chats(&self) -> impl DoubleEndedIterator<Item = &Call> {
        self.all().filter(|call| call.route == Some(Route::Chat))
    }

    /// The transcriptions.
    pub fn transcriptions(&self) -> impl DoubleEndedIterator<Item = &Call> {
        self.all().filter(|call| call.route == Some(Route::Transcribe))
    }

    /// How many requests were under way at once, at most.
    pub fn peak(&self) -> usize {
        self.peak
    }

    /// How many requests are under way.
    pub fn running(&self) -> usize {
        self.running
    }

    pub(super) fn summary(&self) -> String {
        let chats: Vec<_> =
            self.chats().map(|call| (call.last_user.as_deref().unwrap_or_default(), &call.outcome)).collect();
        let last = chats.len().saturating_sub(20);
        let heard = self.transcriptions().count();
        format!("{} chats seen, the last {:?}; {heard} transcriptions", chats.len(), &chats[last..])
    }
}
