//! The model's answer, as it comes in: `data: {chunk}` events without names, ended by `data: [DONE]`.
//!
//! An answer counts only with its end. Half a sentence is not an answer, and nobody but `[DONE]` can tell
//! half a sentence from a short one.

use crate::json::{Fields, cut};
use crate::outcome::{Outcome, Refusal, RetryHints};
use crate::sse::{Event, Parser};

use super::refusal;

/// The longest answer that is kept, in bytes: some 16,000 tokens, far beyond what anybody reads on a phone.
/// What a server sends beyond it is dropped, as if its own limit had ended the answer.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// A chunk has some 300 bytes; one that holds a whole answer of the greatest length, escaped, still fits.
const EVENT_BYTES_MAX: usize = 512 * 1024;

/// A whole answer, not empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the model said.
    pub words: String,
    /// What it cost; some compatible servers do not say.
    pub usage: Option<Usage>,
    /// Why it ended.
    pub finish: Finish,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let characters = self.words.chars().count();
        write!(f, "Answer({characters} characters, {:?}, {:?})", self.finish, self.usage)
    }
}

/// Tokens of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// What we sent.
    pub prompt_tokens: u64,
    /// What the model wrote, thinking included.
    pub completion_tokens: u64,
    /// How much of the prompt was cached and thus cheaper.
    pub cached_tokens: u64,
}

/// Why an answer ended. All of these are usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model had said what it wanted to.
    Stop,
    /// It reached the greatest length.
    Length,
    /// Another reason, or none was given.
    Other,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamError {
    /// The stream does not parse or lacks its end; another try may succeed.
    Truncated,
    /// An error in the middle of the stream; a refusal to speak about it (`provider_code` is `refusal` or
    /// `content_filter`); an answer without a word (no `provider_code`). The status is 200.
    Refused(Refusal),
}

/// Reads one streamed answer from pieces of any size.
pub struct Stream {
    events: Parser,
    words: String,
    usage: Option<Usage>,
    finish: Finish,
    done: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self::new()
    }
}

impl Stream {
    /// A stream of which nothing has come in.
    #[must_use]
    pub fn new() -> Self {
        let events = Parser::new(EVENT_BYTES_MAX);
        Self { events, words: String::new(), usage: None, finish: Finish::Other, done: false }
    }

    /// Takes the next piece. What comes after `[DONE]` is ignored.
    ///
    /// # Errors
    /// As soon as it is clear that no answer will come; the rest of the stream need not be read then.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), StreamError> {
        let events = self.events.push(piece).map_err(|_| StreamError::Truncated)?;
        events.iter().try_for_each(|event| self.take(event))
    }

    /// Whether `[DONE]` has come: nothing that follows can change the answer.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The answer, when the body is over.
    ///
    /// # Errors
    /// [`StreamError::Truncated`] without `[DONE]`; [`StreamError::Refused`] if the model said nothing.
    pub fn finish(mut self) -> Result<Answer, StreamError> {
        let events = std::mem::replace(&mut self.events, Parser::new(0));
        if let Some(last) = events.finish() {
            self.take(&last)?;
        }
        if !self.done {
            return Err(StreamError::Truncated);
        }
        if self.words.trim().is_empty() {
            return Err(refused(None));
        }
        Ok(Answer { words: self.words, usage: self.usage, finish: self.finish })
    }

    fn take(&mut self, event: &Event) -> Result<(), StreamError> {
        // Chunks have no name; a name belongs to a keep-alive of some compatible server, or to an error.
        if self.done || !matches!(event.name.as_str(), "" | "message" | "error") {
            return Ok(());
        }
        if event.data.trim() == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk = Fields::parse(&event.data).ok_or(StreamError::Truncated)?;
        if chunk.has("error") {
            let error = chunk.object("error").unwrap_or_default();
            return Err(StreamError::Refused(refusal::of_error(200, &error, RetryHints::default())));
        }
        self.usage = chunk.object("usage").map(|usage| read_usage(&usage)).or(self.usage);
        // We ask for one choice; a second one would be another answer.
        chunk.objects("choices").next().map_or(Ok(()), |choice| self.choice(&choice))
    }

    fn choice(&mut self, choice: &Fields<'_>) -> Result<(), StreamError> {
        let delta = choice.object("delta").unwrap_or_default();
        if delta.text("refusal").is_some_and(|refusal| !refusal.is_empty()) {
            return Err(refused(Some("refusal")));
        }
        match choice.text("finish_reason").as_deref() {
            Some("content_filter") => return Err(refused(Some("content_filter"))),
            Some("length") => self.finish = Finish::Length,
            Some("stop") if self.finish != Finish::Length => self.finish = Finish::Stop,
            _ => {}
        }
        if let Some(content) = delta.text("content") {
            self.say(content);
        }
        Ok(())
    }

    fn say(&mut self, content: String) {
        let room = ANSWER_BYTES_MAX - self.words.len();
        if content.len() > room {
            self.finish = Finish::Length;
        }
        self.words.push_str(&cut(content, room));
    }
}

fn refused(provider_code: Option<&str>) -> StreamError {
    StreamError::Refused(Refusal {
        outcome: Outcome::GiveUp,
        status: 200,
        provider_code: provider_code.map(str::to_owned),
        is_known: true,
        retry_after: None,
        stop: false,
    })
}

fn read_usage(usage: &Fields<'_>) -> Usage {
    let cached = usage.object("prompt_tokens_details").and_then(|details| details.count("cached_tokens"));
    Usage {
        prompt_tokens: usage.count("prompt_tokens").unwrap_or(0),
        completion_tokens: usage.count("completion_tokens").unwrap_or(0),
        cached_tokens: cached.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests;
