//! A request from its arrival to its end, whatever end that is.

use serde_json::Value;

use super::records::{Call, Calls, Outcome};
use super::{Incoming, OpenAi, chat, transcribe};
use crate::clock;
use crate::digest::sha256_hex;
use crate::happening::{Happening, Query};
use crate::script::Fault;

/// A request under way. If it is dropped before it is finished, the client has hung up or the script has cut it.
pub(super) struct Running {
    openai: OpenAi,
    number: u64,
    began_ms: u64,
    /// What is asked for, for the witness; none on routes that ask for nothing.
    query: Option<Query>,
    done: bool,
}

impl Running {
    /// Records the request's arrival.
    pub(super) fn begin(openai: &OpenAi, incoming: &Incoming) -> Self {
        let question = || chat::last_user(&incoming.json).map(|to| Query::Answer { to });
        let file = incoming.form.as_ref().and_then(|form| form.file.as_ref());
        let query = file.map(|file| Query::Words { of: sha256_hex(&file.bytes) }).or_else(question);
        let began_ms = clock::now_ms();
        let number = openai.calls.change(|calls| record(calls, incoming, began_ms));
        if let Some(query) = query.clone() {
            openai.witness.tell(Happening::Asked { query });
        }
        Self { openai: openai.clone(), number, began_ms, query, done: false }
    }

    /// Records the fault that it met.
    pub(super) fn met(&self, fault: Option<Fault>) {
        self.openai.calls.change(|calls| calls.log.get_mut(self.number).map(|call| call.fault = fault));
    }

    /// Records that it was answered in whole.
    pub(super) fn finish(&mut self, status: u16, text: String) {
        self.end(Outcome::Answered { status, text });
    }

    fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        let answer = match &outcome {
            Outcome::Answered { status: 200, text } => Ok(text.clone()),
            Outcome::Answered { status, .. } => Err(Some(*status)),
            _ => Err(None),
        };
        self.openai.calls.change(|calls| {
            calls.running -= 1;
            calls.log.get_mut(self.number).map(|call| call.outcome = outcome)
        });
        if let Some(query) = self.query.take() {
            let took_ms = clock::now_ms().saturating_sub(self.began_ms);
            self.openai.witness.tell(Happening::Answered { query, answer, took_ms });
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Outcome::Broken);
    }
}

fn record(calls: &mut Calls, incoming: &Incoming, at_ms: u64) -> u64 {
    calls.running += 1;
    calls.peak = calls.peak.max(calls.running);
    let json = &incoming.json;
    calls.log.push(|number| Call {
        number,
        at_ms,
        method: incoming.method.clone(),
        path: incoming.path.clone(),
        headers: incoming.headers.clone(),
        json: json.clone(),
        route: incoming.route(),
        last_user: chat::last_user(json),
        messages: json.get("messages").and_then(Value::as_array).map_or(0, Vec::len),
        stream: incoming.wants_stream(),
        transcription: incoming.form.as_ref().map(transcribe::record),
        fault: None,
        outcome: Outcome::Running,
    })
}
