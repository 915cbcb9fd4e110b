//! Streams as OpenAI and its imitators send them, whole, cut and refused.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::outcome::Cause;

const USAGE: &str = concat!(
    r#"{"choices":[],"usage":{"prompt_tokens":312,"completion_tokens":41,"total_tokens":353,"#,
    r#""prompt_tokens_details":{"cached_tokens":256}}}"#
);

fn data(events: &[&str]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn delta(content: &str) -> String {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "usage": null, "obfuscation": "k3",
        "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": null}]})
    .to_string()
}

fn end(reason: &str) -> String {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}).to_string()
}

fn read(body: &str) -> Result<Answer, StreamError> {
    let mut stream = Stream::new();
    stream.push(body.as_bytes())?;
    stream.finish()
}

fn refusal(result: Result<Answer, StreamError>) -> Refusal {
    let refused = match result {
        Err(StreamError::Refused(refusal)) => Some(refusal),
        _ => None,
    };
    refused.unwrap()
}

#[test]
fn a_whole_answer() {
    let first =
        json!({"choices": [{"delta": {"role": "assistant", "content": "", "refusal": null}}]}).to_string();
    let body = data(&[&first, &delta("a sour"), &delta("dough!"), &end("stop"), USAGE, "[DONE]"]);
    let answer = read(&body).unwrap();
    assert_eq!(answer.words, "a sourdough!");
    assert_eq!(answer.finish, Finish::Stop);
    assert_eq!(answer.usage, Some(Usage { prompt_tokens: 312, completion_tokens: 41, cached_tokens: 256 }));
}

#[test]
fn blanks_between_words_are_kept() {
    let answer =
        read(&data(&[&delta("ciao"), &delta(" "), &delta("\n"), &delta("bella"), "[DONE]"])).unwrap();
    assert_eq!(answer.words, "ciao \nbella");
}

#[test]
fn a_server_that_tells_no_usage_and_no_reason() {
    let answer = read(&data(&[&delta("ok"), "[DONE]"])).unwrap();
    assert_eq!((answer.usage, answer.finish), (None, Finish::Other));
}

#[test]
fn an_answer_of_the_greatest_length_is_usable() {
    assert_eq!(read(&data(&[&delta("and then"), &end("length"), "[DONE]"])).unwrap().finish, Finish::Length);
}

#[test]
fn every_beginning_of_a_stream_is_truncated() {
    let body = data(&[&delta("half a"), &delta(" sentence"), &end("stop"), USAGE, "[DONE]"]);
    let whole = body.len() - "\n\n".len();
    for length in 0..whole {
        assert_eq!(read(&body[..length]), Err(StreamError::Truncated), "{length} of {whole} bytes");
    }
    assert!(read(&body[..whole]).is_ok());
}

#[test]
fn what_does_not_parse_is_truncated() {
    assert_eq!(read(&data(&["<html>", "[DONE]"])), Err(StreamError::Truncated));
    assert_eq!(read(r#"{"error":{"message":"not a stream"}}"#), Err(StreamError::Truncated));
    let endless = format!("data: {}", "x".repeat(EVENT_BYTES_MAX));
    assert_eq!(read(&endless), Err(StreamError::Truncated));
}

#[test]
fn comments_and_foreign_events_are_ignored() {
    let body = format!(": keep-alive\n\nevent: ping\ndata: now\n\n{}", data(&[&delta("ok"), "[DONE]"]));
    assert_eq!(read(&body).unwrap().words, "ok");
}

#[test]
fn what_follows_the_end_changes_nothing() {
    let mut stream = Stream::new();
    stream.push(data(&[&delta("ok")]).as_bytes()).unwrap();
    assert!(!stream.is_done());
    stream.push(data(&["[DONE]", "<garbage>", &delta("more")]).as_bytes()).unwrap();
    assert!(stream.is_done());
    assert_eq!(stream.finish().unwrap().words, "ok");
}

#[test]
fn an_error_in_the_middle_is_a_refusal_of_its_own() {
    let error = |kind: &str, code: Option<&str>| {
        let error = json!({"error": {"message": "x", "type": kind, "code": code}}).to_string();
        refusal(read(&data(&[&delta("half"), &error])))
    };
    assert_eq!(error("server_error", None).outcome, Outcome::Retry);
    assert_eq!(error("server_error", None).code().as_str(), "200");
    assert_eq!(
        error("insufficient_quota", Some("insufficient_quota")).outcome,
        Outcome::Pause(Cause::Account)
    );
    assert_eq!(error("invalid_request_error", None).outcome, Outcome::GiveUp);
    let named = read("event: error\ndata: {\"error\":\"overloaded\"}\n\n");
    assert_eq!(refusal(named).outcome, Outcome::Retry);
}

#[test]
fn content_that_the_model_will_not_speak_about() {
    let filtered = refusal(read(&data(&[&delta("half"), &end("content_filter"), "[DONE]"])));
    assert_eq!(
        (filtered.outcome, filtered.provider_code.as_deref()),
        (Outcome::GiveUp, Some("content_filter"))
    );
    let no = r#"{"choices":[{"index":0,"delta":{"refusal":"I cannot"},"finish_reason":null}]}"#;
    let refused = refusal(read(&data(&[no, &end("stop"), "[DONE]"])));
    assert_eq!((refused.outcome, refused.provider_code.as_deref()), (Outcome::GiveUp, Some("refusal")));
}

#[test]
fn an_answer_without_a_word_is_none() {
    let empty = refusal(read(&data(&[&delta(" \n"), &end("stop"), USAGE, "[DONE]"])));
    assert_eq!((empty.outcome, empty.code().as_str(), empty.provider_code), (Outcome::GiveUp, "200", None));
}

#[test]
fn an_answer_without_measure_is_cut() {
    let long = "è".repeat(20_000);
    let answer = read(&data(&[&delta(&long), &delta(&long), &delta("x"), &end("stop"), "[DONE]"])).unwrap();
    assert_eq!(answer.words.len(), ANSWER_BYTES_MAX);
    assert_eq!(answer.finish, Finish::Length);
}

#[test]
fn debug_output_shows_no_words() {
    let shown = format!("{:?}", read(&data(&[&delta("secret"), "[DONE]"])).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same_answer(words in "[a-zè😀 ]{1,20}", size in 1_usize..40) {
        let body = data(&[&delta(&words), &delta("!"), &end("stop"), USAGE, "[DONE]"]);
        let mut stream = Stream::new();
        for piece in body.as_bytes().chunks(size) {
            stream.push(piece).unwrap();
        }
        prop_assert_eq!(stream.finish(), read(&body));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut stream = Stream::new();
        if stream.push(&bytes).is_ok() {
            let _ = stream.finish();
        }
    }
}
