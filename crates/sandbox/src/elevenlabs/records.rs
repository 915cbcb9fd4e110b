//! What the stand-in of ElevenLabs remembers of each request.

use bytes::Bytes;
use serde_json::Value;

use crate::openai::Outcome;
use crate::script::{Fault, Route};
use crate::shared::Log;

/// With its audio each is some 20 kB: 200 MB at most. Older ones are forgotten.
const ENTRIES_MAX: usize = 10_000;

/// One request.
#[derive(Clone, Debug)]
pub struct Speech {
    /// Its place in the order of arrival.
    pub number: u64,
    /// When it had been read, in milliseconds since 1970.
    pub at_ms: u64,
    /// `GET` or `POST`.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// The query's names and values, decoded.
    pub query: Vec<(String, String)>,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body; null if it is not JSON.
    pub json: Value,
    /// What kind of request it is; none for voices and for an unknown path.
    pub route: Option<Route>,
    /// The text to be spoken.
    pub text: Option<String>,
    /// The id of the voice.
    pub voice: Option<String>,
    /// The model that was asked for; none if it is left to ElevenLabs.
    pub model: Option<String>,
    /// The output format that was asked for; none if it is left to ElevenLabs.
    pub format: Option<String>,
    /// The fault it met.
    pub fault: Option<Fault>,
    /// The audio of the answer, of which the client may have got less if the fault says so; empty for an error.
    pub audio: Bytes,
    /// The SHA-256 of that audio in lower-case hex; empty for an error.
    pub sha256: String,
    /// What became of it; an answer's `text` is what was spoken.
    pub outcome: Outcome,
}

/// A request without its values: what two clients must have in common to ask for the same thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// `GET` or `POST`.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// The query's names and values, sorted.
    pub query: Vec<(String, String)>,
    /// The names of the body's fields, sorted; those of a nested object as `outer.inner`.
    pub fields: Vec<String>,
}

impl Speech {
    /// Its shape, to compare it with the same request of another client.
    pub fn shape(&self) -> Shape {
        let mut query = self.query.clone();
        query.sort();
        let mut fields = Vec::new();
        name_fields(&self.json, "", &mut fields);
        fields.sort();
        Shape { method: self.method.clone(), path: self.path.clone(), query, fields }
    }
}

fn name_fields(json: &Value, prefix: &str, names: &mut Vec<String>) {
    for (name, value) in json.as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        name_fields(value, &format!("{name}."), names);
        names.push(name);
    }
}

/// Everything remembered, oldest first.
#[derive(Debug)]
pub struct Speeches {
    pub(super) log: Log<Speech>,
    pub(super) running: usize,
    pub(super) peak: usize,
}

impl Speeches {
    pub(super) fn new() -> Self {
        Self { log: Log::new(ENTRIES_MAX), running: 0, peak: 0 }
    }

    /// All requests, in order of arrival.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Speech> {
        self.log.iter()
    }

    /// The requests for speech, answered or not.
    pub fn speeches(&self) -> impl DoubleEndedIterator<Item = &Speech> {
        self.all().filter(|speech| speech.route == Some(Route::Speak))
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
        let seen: Vec<_> =
            self.speeches().map(|speech| (speech.text.as_deref().unwrap_or("?"), &speech.outcome)).collect();
        let last = seen.len().saturating_sub(20);
        format!("{} requests for speech seen, the last {:?}", seen.len(), &seen[last..])
    }
}
