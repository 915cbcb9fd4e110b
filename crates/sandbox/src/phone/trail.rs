//! The words in which a trail tells what happened.

use super::state::Ticks;
use crate::happening::Query;

/// A webhook was posted. `known`: the server had acknowledged the message before.
pub(super) fn posted(
    attempt: usize,
    answer: &Result<u16, String>,
    took_ms: u64,
    known: bool,
) -> (Option<Ticks>, String) {
    let (ticks, told) = match answer {
        Ok(200) if known => {
            let known = "known already, so it gets no second answer";
            (None, format!("delivered to the server: 200 in {took_ms} ms; {known}"))
        }
        Ok(200) => (Some(Ticks::Delivered), format!("delivered to the server: 200 in {took_ms} ms")),
        Ok(status) => {
            (None, format!("the server answered {status} in {took_ms} ms; WhatsApp will try again"))
        }
        Err(_) => (None, "the server did not answer; WhatsApp will try again".into()),
    };
    let text = if attempt > 1 { format!("{told} (attempt {attempt})") } else { told };
    (ticks, text)
}

/// A file was looked up, fetched or uploaded.
pub(super) fn with_file(what: &str, status: Option<u16>) -> String {
    format!("the server {what}; {}", told(status))
}

/// A send was answered. `kind`: a text, a voice note, an audio file. `is_answer`: it holds what the model said, and
/// is not something that the server says by itself.
pub(super) fn sent(kind: &str, is_answer: bool, accepted: bool, status: Option<u16>) -> String {
    let what = if is_answer { format!("the answer as {kind}") } else { format!("{kind} of its own") };
    let verdict = if accepted { "accepted by WhatsApp" } else { "not accepted by WhatsApp" };
    format!("the server sent {what}: {verdict}; {}", told(status))
}

/// A provider was asked.
pub(super) fn asked(query: &Query) -> String {
    match query {
        Query::Answer { .. } => "the server asked the model".into(),
        Query::Words { .. } => "the server asked for a transcription".into(),
        Query::Voice { .. } => "the server asked ElevenLabs to speak".into(),
    }
}

/// A provider answered, or did not.
pub(super) fn answered(query: &Query, answer: &Result<String, Option<u16>>, took_ms: u64) -> String {
    let who = match query {
        Query::Answer { .. } => "the model",
        Query::Words { .. } => "the transcription",
        Query::Voice { .. } => "ElevenLabs",
    };
    match (answer, query) {
        (Ok(heard), Query::Words { .. }) if heard.is_empty() => format!("no words were heard ({took_ms} ms)"),
        (Ok(heard), Query::Words { .. }) => format!("heard in {took_ms} ms: “{heard}”"),
        (Ok(_), Query::Answer { .. }) => format!("the model answered in {took_ms} ms"),
        (Ok(_), Query::Voice { .. }) => format!("ElevenLabs spoke in {took_ms} ms"),
        (Err(Some(status)), _) => format!("{who} refused: {status} in {took_ms} ms"),
        (Err(None), _) => format!("{who} gave no whole answer ({took_ms} ms)"),
    }
}

pub(super) fn told(status: Option<u16>) -> String {
    status.map_or("the server was not told".into(), |status| format!("the server was told {status}"))
}
