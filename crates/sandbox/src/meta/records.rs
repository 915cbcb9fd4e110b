//! What the stand-in of Meta remembers: every request that reached it, and every webhook it delivered.

use bytes::Bytes;
use serde_json::Value;

use super::media::SentAudio;
use crate::ids::bsuid_of;
use crate::script::{Fault, Route};
use crate::shared::Log;

/// A long test makes some 10,000 requests, a bench ten times as many, of some 3 kB each (a voice note 20 kB more).
/// Older ones are forgotten.
const ENTRIES_MAX: usize = 100_000;

/// One request of the product.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its place in the order of arrival.
    pub number: u64,
    /// When it had been read, in milliseconds since 1970.
    pub at_ms: u64,
    /// `GET` or `POST`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Whether it came to the other host of media, see [`MediaHost`](crate::MediaHost).
    pub other_host: bool,
    /// Its body; null if it is not JSON.
    pub json: Value,
    /// What kind of request it is; none for a path or body that Meta does not know.
    pub route: Option<Route>,
    /// For a send, to whom: digits without `+`, or a BSUID.
    pub person: Option<String>,
    /// For a text, its body.
    pub text: Option<String>,
    /// For a sound that Meta accepted, the sound.
    pub audio: Option<SentAudio>,
    /// Whether Meta accepted a sound that it cannot play, so that nobody gets it.
    pub unplayable: bool,
    /// Its `biz_opaque_callback_data`.
    pub tag: Option<String>,
    /// For a read receipt, the message that was read.
    pub message_id: Option<String>,
    /// Whether a read receipt asked for the typing indicator.
    pub typing: bool,
    /// The fault it met.
    pub fault: Option<Fault>,
    /// For a send that Meta accepted, whether or not the product was told: the new message's wamid.
    pub accepted: Option<String>,
    /// Its place in the order of acceptance, which is not that of arrival if a script delays some.
    pub accepted_number: Option<u64>,
    /// What was answered.
    pub answer: Answer,
}

/// What a request was answered with.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Nothing yet: it is being handled, or stands at a gate.
    Pending,
    /// A whole reply.
    Whole {
        /// The HTTP status.
        status: u16,
        /// The body; a string if it is not JSON.
        body: Value,
    },
    /// Part of a reply, or none: cut, closed, stalled or hanging, as the fault says.
    Broken,
}

impl Request {
    /// What the person got, as one line: the text, or `[voice] ` or `[audio] ` and the words of a sound.
    fn shown(&self) -> Option<String> {
        let audio = self.audio.as_ref().filter(|_| !self.unplayable);
        self.text.clone().or_else(|| audio.map(SentAudio::shown))
    }

    /// Whether the product was told, in whole, that all is well.
    pub fn answered_ok(&self) -> bool {
        matches!(self.answer, Answer::Whole { status: 200, .. })
    }
}

/// One webhook and its deliveries.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its place in the order of queueing.
    pub number: u64,
    /// When it was queued, in milliseconds since 1970.
    pub at_ms: u64,
    /// The wamids of its messages or statuses.
    pub ids: Vec<String>,
    /// For a status webhook, the status.
    pub status: Option<String>,
    /// The exact bytes.
    pub body: Bytes,
    /// Each time it was posted.
    pub attempts: Vec<Attempt>,
    /// It was not even queued, since too many were waiting.
    pub dropped: bool,
}

/// One post of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began, in milliseconds since 1970.
    pub at_ms: u64,
    /// How long it took.
    pub took_ms: u64,
    /// The answer's HTTP status, or why there was none.
    pub answer: Result<u16, String>,
}

impl Delivery {
    /// Whether it was answered 200.
    pub fn acknowledged(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.answer == Ok(200))
    }

    /// The status of the latest answer.
    pub fn last_status(&self) -> Option<u16> {
        self.attempts.last().and_then(|attempt| attempt.answer.clone().ok())
    }
}

/// Everything remembered, oldest first.
#[derive(Debug)]
pub struct Records {
    pub(super) requests: Log<Request>,
    pub(super) deliveries: Log<Delivery>,
    pub(super) accepted: u64,
}

impl Records {
    pub(super) fn new() -> Self {
        Self { requests: Log::new(ENTRIES_MAX), deliveries: Log::new(ENTRIES_MAX), accepted: 0 }
    }

    /// All requests, in order of arrival.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.requests.iter()
    }

    /// The sends, accepted or not.
    pub fn sends(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.requests().filter(|request| request.route == Some(Route::Send))
    }

    /// The sends to one person, accepted or not. `person`: digits or a BSUID; a phone's own BSUID is the same person.
    pub fn sends_to(&self, person: &str) -> impl DoubleEndedIterator<Item = &Request> {
        let bsuid = bsuid_of(person);
        let person = person.to_owned();
        self.sends().filter(move |send| send.person.as_ref().is_some_and(|to| *to == person || *to == bsuid))
    }

    /// What one person got, in the order in which Meta accepted it: texts as they are, sounds as `[voice] ` or
    /// `[audio] ` and the words in their tags. A sound that cannot be played does not count.
    pub fn answers_to(&self, person: &str) -> Vec<String> {
        self.got_by(person).into_iter().filter_map(Request::shown).collect()
    }

    /// The voice notes that one person got, in the order in which Meta accepted them.
    pub fn voices_to(&self, person: &str) -> Vec<SentAudio> {
        let got = self.got_by(person).into_iter().filter(|send| !send.unplayable);
        got.filter_map(|send| send.audio.clone().filter(|audio| audio.is_voice)).collect()
    }

    fn got_by(&self, person: &str) -> Vec<&Request> {
        let mut sends: Vec<_> = self.sends_to(person).filter(|send| send.accepted.is_some()).collect();
        sends.sort_by_key(|send| send.accepted_number);
        sends
    }

    /// The uploads, lookups, deletions and downloads of files, on either host.
    pub fn media(&self) -> impl DoubleEndedIterator<Item = &Request> {
        let routes = [Some(Route::Upload), Some(Route::Media), Some(Route::Download)];
        self.requests().filter(move |request| routes.contains(&request.route))
    }

    /// The read receipts.
    pub fn reads(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.requests().filter(|request| request.route == Some(Route::Read))
    }

    /// All webhooks, in order of queueing.
    pub fn deliveries(&self) -> impl DoubleEndedIterator<Item = &Delivery> {
        self.deliveries.iter()
    }

    /// The webhooks that carried this message or a status of it.
    pub fn deliveries_of(&self, id: &str) -> impl DoubleEndedIterator<Item = &Delivery> {
        self.deliveries().filter(move |delivery| delivery.ids.iter().any(|other| other == id))
    }

    /// A few words for a test that waited in vain.
    pub(super) fn summary(&self) -> String {
        let sends: Vec<_> =
            self.sends().map(|send| (send.person.as_deref().unwrap_or("?"), &send.answer)).collect();
        let webhooks = self.deliveries().filter(|delivery| delivery.status.is_none());
        let webhooks: Vec<_> = webhooks
            .map(|delivery| delivery.attempts.iter().map(|attempt| &attempt.answer).collect::<Vec<_>>())
            .collect();
        let (sent, posted) = (sends.len(), webhooks.len());
        let last = |count: usize| count.saturating_sub(20);
        format!(
            "{sent} sends seen, the last {:?}; {posted} message webhooks, answers {:?}; {} read receipts",
            &sends[last(sent)..],
            &webhooks[last(posted)..],
            self.reads().count()
        )
    }
}
