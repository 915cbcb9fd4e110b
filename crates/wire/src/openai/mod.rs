//! What we ask the model (`POST /chat/completions`), its streamed answer, and what its refusals mean.
//!
//! Chat completions rather than responses, because every compatible server speaks them.

mod refusal;
mod stream;

pub use refusal::classify;
pub use stream::{ANSWER_BYTES_MAX, Answer, Finish, Stream, StreamError, Usage};

use parlante_domain::policy::{Line, Speaker};
use serde_json::{Value, json};

/// The body of a request for a streamed answer to `words`.
///
/// `system`: who the persona is. `history`: the conversation so far, oldest first. `max_tokens`: how long the
/// answer may be, thinking included. `safety_id`: a stable pseudonym of the person, by which OpenAI can name
/// an abuser to us; never a number or a name. `store` is false because it is a person's private conversation.
#[must_use]
pub fn chat(
    model: &str,
    system: &str,
    history: &[Line],
    words: &str,
    max_tokens: u32,
    safety_id: Option<&str>,
) -> Vec<u8> {
    let said = history.iter().map(|line| message(role(line.speaker), &line.words));
    let messages: Vec<Value> =
        std::iter::once(message("system", system)).chain(said).chain([message("user", words)]).collect();
    let mut body = json!({
        "model": model,
        "messages": messages,
        "max_completion_tokens": max_tokens,
        "stream": true,
        "stream_options": {"include_usage": true},
        "store": false,
    });
    if let Some(id) = safety_id {
        body["safety_identifier"] = id.into();
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_holds_the_persona_the_history_and_the_words() {
        let line = |speaker, words: &str| Line { speaker, words: words.into() };
        let history = [line(Speaker::Person, "ciao"), line(Speaker::Persona, "ehi!")];
        let body = chat("gpt-5.4-mini", "You are Joe.", &history, "come stai?", 400, Some("h_8c1"));
        let expected = json!({
            "model": "gpt-5.4-mini",
            "messages": [
                {"role": "system", "content": "You are Joe."},
                {"role": "user", "content": "ciao"},
                {"role": "assistant", "content": "ehi!"},
                {"role": "user", "content": "come stai?"},
            ],
            "max_completion_tokens": 400, "stream": true, "stream_options": {"include_usage": true},
            "store": false, "safety_identifier": "h_8c1",
        });
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }

    #[test]
    fn without_a_pseudonym_the_field_is_left_out() {
        let body: Value = serde_json::from_slice(&chat("m", "s", &[], "w", 1, None)).unwrap();
        assert_eq!(body.get("safety_identifier"), None);
    }
}
