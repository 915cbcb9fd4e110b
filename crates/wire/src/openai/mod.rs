//! What we ask OpenAI: an answer (`POST /chat/completions`) and what a voice note says (`POST /audio/transcriptions`);
//! and what its answers and refusals mean.
//!
//! Chat completions rather than responses, because every compatible server speaks them.

mod refusal;
mod stream;
mod transcript;

pub use refusal::{CODES, TYPES, classify};
pub use stream::{ANSWER_BYTES_MAX, Answer, Finish, Stream, StreamError, Usage};
pub use transcript::{Transcript, read_transcript, transcription};

use parlante_domain::policy::{Line, Speaker};
use serde_json::{Value, json};

use crate::json::Fields;

/// The body of a request for a streamed answer to `words`.
///
/// `system`: who the persona is. `history`: the conversation so far, oldest first. `max_tokens`: how long the
/// answer may be, thinking included. `store` is false because it is a person's private conversation.
#[must_use]
pub fn chat(model: &str, system: &str, history: &[Line], words: &str, max_tokens: u32) -> Vec<u8> {
    let said = history.iter().map(|line| message(role(line.speaker), &line.words));
    let messages: Vec<Value> =
        std::iter::once(message("system", system)).chain(said).chain([message("user", words)]).collect();
    let body = json!({
        "model": model,
        "messages": messages,
        "max_completion_tokens": max_tokens,
        "stream": true,
        "stream_options": {"include_usage": true},
        "store": false,
    });
    body.to_string().into_bytes()
}

fn message(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

fn role(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Person => "user",
        Speaker::Persona => "assistant",
    }
}

/// The ids of the models that the key may use, from the answer to `GET /models`. `None`: it is not a list of them.
#[must_use]
pub fn read_models(body: &[u8]) -> Option<Vec<String>> {
    let body = Fields::from_bytes(body)?;
    body.list("data")?;
    Some(body.objects("data").filter_map(|model| model.id("id")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_holds_the_persona_the_history_and_the_words() {
        let line = |speaker, words: &str| Line { speaker, words: words.into() };
        let history = [line(Speaker::Person, "ciao"), line(Speaker::Persona, "ehi!")];
        let body = chat("gpt-5.4-mini", "You are Joe.", &history, "come stai?", 400);
        let expected = json!({
            "model": "gpt-5.4-mini",
            "messages": [
                {"role": "system", "content": "You are Joe."},
                {"role": "user", "content": "ciao"},
                {"role": "assistant", "content": "ehi!"},
                {"role": "user", "content": "come stai?"},
            ],
            "max_completion_tokens": 400, "stream": true, "stream_options": {"include_usage": true},
            "store": false,
        });
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }

    #[test]
    fn the_models_are_a_list_of_ids() {
        let body =
            br#"{"object":"list","data":[{"id":"gpt-5.4-mini","object":"model"},{},7,{"id":"local"}]}"#;
        assert_eq!(read_models(body), Some(vec!["gpt-5.4-mini".into(), "local".into()]));
        assert_eq!(read_models(br#"{"data":[]}"#), Some(vec![]));
        for body in [&b""[..], b"{}", b"[]", br#"{"data":{}}"#, b"<html>"] {
            assert_eq!(read_models(body), None);
        }
    }
}
