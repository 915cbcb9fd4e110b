//! Chat completions: what was asked, and the answer whole or as a stream of server-sent events.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::errors::ApiError;
use crate::brain::{Role, Turn};
use crate::{clock, ids};

/// The pause before the first token, and between tokens (about 30 a second): a middling model on a good day.
const FIRST_TOKEN: Duration = Duration::from_millis(600);
const NEXT_TOKEN: Duration = Duration::from_millis(33);

/// Characters of the longest token. Real ones have four on average.
const TOKEN_CHARS_MAX: usize = 8;

/// A chat request that is right in itself.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) model: String,
    pub(super) turns: Vec<Turn>,
    pub(super) stream: bool,
    include_usage: bool,
    obfuscation: bool,
    max_tokens: Option<usize>,
}

/// The text of the last message of role `user`, of whatever shape the rest is.
pub(super) fn last_user(body: &Value) -> Option<String> {
    let messages = body.get("messages")?.as_array()?;
    let message = messages.iter().rfind(|message| message.get("role").is_some_and(|role| role == "user"))?;
    content_text(message.get("content")?)
}

impl Question {
    /// Reads a request's body as OpenAI would.
    ///
    /// # Errors
    /// The error that OpenAI would answer.
    pub(super) fn read(body: &Value, models: &[String]) -> Result<Self, ApiError> {
        let body = body.as_object().ok_or_else(|| {
            ApiError::request(
                "We could not parse the JSON body of your request. (HINT: This likely means you aren't using \
                 your HTTP library correctly.)",
            )
        })?;
        let model = model(body, models)?;
        let stream = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
        let options = body.get("stream_options").filter(|options| !options.is_null());
        if options.is_some() && !stream {
            let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(ApiError::request(message).with_param("stream_options"));
        }
        let option = |name: &str| options.and_then(|options| options.get(name)?.as_bool());
        let limit = body.get("max_completion_tokens").or_else(|| body.get("max_tokens"));
        Ok(Self {
            model,
            turns: turns(body)?,
            stream,
            include_usage: option("include_usage").unwrap_or(false),
            obfuscation: option("include_obfuscation").unwrap_or(true),
            max_tokens: limit.and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok()),
        })
    }
}

fn model(body: &Map<String, Value>, models: &[String]) -> Result<String, ApiError> {
    let Some(model) = body.get("model").and_then(Value::as_str) else {
        return Err(ApiError::request("you must provide a model parameter"));
    };
    if models.iter().any(|known| known == model) {
        return Ok(model.into());
    }
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    Err(ApiError::of("model_not_found").with_message(message))
}

fn turns(body: &Map<String, Value>) -> Result<Vec<Turn>, ApiError> {
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        let error = ApiError::request("Missing required parameter: 'messages'.");
        return Err(error.with_param("messages").with_code("missing_required_parameter"));
    };
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, \
                       but got an empty array instead.";
        return Err(ApiError::request(message).with_param("messages").with_code("empty_array"));
    }
    messages.iter().enumerate().map(|(index, message)| turn(index, message)).collect()
}

fn turn(index: usize, message: &Value) -> Result<Turn, ApiError> {
    let role = match message.get("role").and_then(Value::as_str) {
        Some("system" | "developer" | "tool" | "function") => Role::System,
        Some("user") => Role::Person,
        Some("assistant") => Role::Persona,
        other => {
            let message = format!(
                "Invalid value: '{}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', \
                 and 'developer'.",
                other.unwrap_or_default()
            );
            let error = ApiError::request(message).with_code("invalid_value");
            return Err(error.with_param(format!("messages[{index}].role")));
        }
    };
    let text = match message.get("content") {
        // An assistant's message that only calls tools has none.
        None | Some(Value::Null) if role == Role::Persona => Some(String::new()),
        Some(content) => content_text(content),
        None => None,
    };
    let text = text.ok_or_else(|| {
        let param = format!("messages[{index}].content");
        let message = format!("Invalid type for '{param}': expected one of a string or array of objects.");
        ApiError::request(message).with_param(param).with_code("invalid_type")
    })?;
    Ok(Turn { role, text })
}

/// A string, or the text parts of an array of parts.
fn content_text(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts = parts.iter().filter(|part| part.get("type").is_some_and(|kind| kind == "text"));
            Some(texts.filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join("\n"))
        }
        _ => None,
    }
}

/// An answer, cut into tokens.
#[derive(Clone, Debug)]
pub(super) struct Completion {
    question: Question,
    tokens: Vec<String>,
    finish_reason: &'static str,
    id: String,
    created: u64,
}

/// One event of a stream, and the pause before it.
pub(super) type Frame = (Duration, Bytes);

impl Completion {
    pub(super) fn new(question: Question, text: &str) -> Self {
        let mut tokens = tokens(text);
        let limit = question.max_tokens.unwrap_or(usize::MAX);
        let finish_reason = if tokens.len() > limit { "length" } else { "stop" };
        tokens.truncate(limit);
        Self { question, tokens, finish_reason, id: ids::opaque("chatcmpl-"), created: clock::now_s() }
    }

    /// What is said in the end; shorter than what was to be said if the limit of tokens came first.
    pub(super) fn text(&self) -> String {
        self.tokens.concat()
    }

    /// How long a model takes for the whole answer.
    pub(super) fn duration(&self) -> Duration {
        let count = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX);
        FIRST_TOKEN.saturating_add(NEXT_TOKEN.saturating_mul(count))
    }

    /// The whole answer as one object.
    pub(super) fn whole(&self) -> Value {
        let message =
            json!({"role": "assistant", "content": self.text(), "refusal": null, "annotations": []});
        let choice =
            json!({"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish_reason});
        let mut whole = self.envelope("chat.completion");
        whole["choices"] = json!([choice]);
        whole["usage"] = self.usage();
        whole
    }

    /// The answer as a stream: role, tokens, finish reason, usage if asked for, `[DONE]`. With `cut_after` it ends
    /// after so many tokens and without the rest.
    pub(super) fn frames(&self, cut_after: Option<usize>) -> Vec<Frame> {
        let role = json!({"role": "assistant", "content": "", "refusal": null});
        let mut frames = vec![(FIRST_TOKEN, self.chunk(role, None))];
        for token in self.tokens.iter().take(cut_after.unwrap_or(usize::MAX)) {
            frames.push((NEXT_TOKEN, self.chunk(json!({"content": token}), None)));
        }
        if cut_after.is_none() {
            frames.push((Duration::ZERO, self.chunk(json!({}), Some(self.finish_reason))));
            if self.question.include_usage {
                let mut chunk = self.envelope("chat.completion.chunk");
                chunk["choices"] = json!([]);
                chunk["usage"] = self.usage();
                frames.push((Duration::ZERO, event(&chunk)));
            }
            frames.push((Duration::ZERO, Bytes::from_static(b"data: [DONE]\n\n")));
        }
        frames
    }

    fn chunk(&self, delta: Value, finish_reason: Option<&str>) -> Bytes {
        let mut chunk = self.envelope("chat.completion.chunk");
        chunk["choices"] =
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}]);
        if self.question.include_usage {
            chunk["usage"] = Value::Null;
        }
        if self.question.obfuscation {
            chunk["obfuscation"] = ids::opaque("").into();
        }
        event(&chunk)
    }

    fn envelope(&self, object: &str) -> Value {
        json!({"id": self.id, "object": object, "created": self.created, "model": self.dated_model(),
            "service_tier": "default", "system_fingerprint": "fp_sandbox"})
    }

    /// Answers name the exact snapshot that an alias stands for.
    fn dated_model(&self) -> String {
        format!("{}-2026-03-01", self.question.model)
    }

    fn usage(&self) -> Value {
        let prompt: usize = self.question.turns.iter().map(|turn| 4 + tokens(&turn.text).len()).sum();
        let completion = self.tokens.len();
        json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0},
        })
    }
}

fn event(chunk: &Value) -> Bytes {
    format!("data: {chunk}\n\n").into()
}

/// Cuts a text before each word, and within words that are long. Nothing is lost.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut length = 0;
    let mut in_word = false;
    for letter in text.chars() {
        if tokens.is_empty() || length == TOKEN_CHARS_MAX || (in_word && letter.is_whitespace()) {
            tokens.push(String::new());
            length = 0;
        }
        if let Some(token) = tokens.last_mut() {
            token.push(letter);
        }
        length += 1;
        in_word = !letter.is_whitespace();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Question, ApiError> {
        Question::read(&body, &["gpt-5.4-mini".into()])
    }

    fn ask() -> Value {
        json!({"model": "gpt-5.4-mini", "messages": [{"role": "developer", "content": "You are Joe."},
            {"role": "user", "content": [{"type": "text", "text": "ciao"}]}]})
    }

    fn with(key: &str, value: Value) -> Value {
        let mut body = ask();
        body[key] = value;
        body
    }

    #[test]
    fn a_question_is_read_with_all_its_shapes_of_content() {
        let question = read(ask()).unwrap();
        assert_eq!(question.turns[0], Turn { role: Role::System, text: "You are Joe.".into() });
        assert_eq!(question.turns[1], Turn { role: Role::Person, text: "ciao".into() });
        assert_eq!(last_user(&ask()).as_deref(), Some("ciao"));
    }

    #[test]
    fn what_openai_refuses_is_refused_with_its_parameter() {
        let cases = [
            (Value::Null, 400, Value::Null),
            (with("model", Value::Null), 400, Value::Null),
            (with("model", json!("gpt-0")), 404, Value::Null),
            (with("messages", Value::Null), 400, json!("messages")),
            (with("messages", json!([])), 400, json!("messages")),
            (with("messages", json!([{"role": "king", "content": "x"}])), 400, json!("messages[0].role")),
            (with("messages", json!([{"role": "user", "content": 7}])), 400, json!("messages[0].content")),
            (with("stream_options", json!({"include_usage": true})), 400, json!("stream_options")),
        ];
        for (body, status, param) in cases {
            let crate::http::Body::Whole(reply) = read(body.clone()).unwrap_err().reply().body else {
                unreachable!("an error is never streamed")
            };
            let reply: Value = serde_json::from_slice(&reply).unwrap();
            assert_eq!(read(body.clone()).unwrap_err().status, status, "{body}");
            assert_eq!(reply["error"]["param"], param, "{body}");
            assert_eq!(reply["error"]["type"], "invalid_request_error");
        }
    }

    #[test]
    fn tokens_are_short_and_lose_nothing() {
        let text = "Perché  la carbonara, supercalifragilistico?\n\n- uova\n- guanciale 😂";
        let tokens = tokens(text);
        assert_eq!(tokens.concat(), text);
        assert!(
            tokens.len() > 8 && tokens.iter().all(|token| token.chars().count() <= TOKEN_CHARS_MAX),
            "{tokens:?}"
        );
    }

    #[test]
    fn a_limit_of_tokens_shows_as_length() {
        let completion =
            Completion::new(read(with("max_completion_tokens", json!(2))).unwrap(), "one two three");
        assert_eq!(completion.text(), "one two");
        assert_eq!(completion.whole()["choices"][0]["finish_reason"], "length");
    }

    #[test]
    fn a_stream_tells_usage_only_if_asked_and_ends_with_done() {
        let frames = |body: Value| {
            let completion = Completion::new(read(body).unwrap(), "one two");
            completion
                .frames(None)
                .into_iter()
                .map(|(_, frame)| String::from_utf8(frame.to_vec()).unwrap())
                .collect::<Vec<_>>()
        };
        let plain = frames(with("stream", json!(true)));
        assert_eq!(plain.len(), 5);
        assert_eq!(plain.last().unwrap(), "data: [DONE]\n\n");
        assert!(!plain.concat().contains("usage"));
        let mut body = with("stream", json!(true));
        body["stream_options"] = json!({"include_usage": true});
        let told = frames(body);
        assert!(
            told[4].contains(r#""choices":[]"#) && told[4].contains(r#""completion_tokens":2"#),
            "{}",
            told[4]
        );
    }
}
