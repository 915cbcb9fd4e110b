//! What persons received is innocent: nothing of it tells of an error.
//!
//! A text may be the persona's own or what a model said, and what a model said holds no word of an error, unless the
//! person used it first.

use std::collections::HashSet;

use parlante_sandbox::{Call, OpenAi, Outcome};

use super::{World, persona_texts};

/// Words that an error has and a conversation in a test has not.
const WORDS: [&str; 20] = [
    "error",
    "invalid",
    "token",
    "quota",
    "timeout",
    "timed out",
    "exception",
    "traceback",
    "panic",
    "refused",
    "overloaded",
    "unavailable",
    "rate limit",
    "api key",
    "api_key",
    "permission",
    "expired",
    "<html",
    "truncated",
    "boom",
];

/// Everything that was sent to anybody is the persona's text, an answer of the model, or a voice note.
pub(crate) fn persons_got_no_errors(world: &World) {
    persons_got_only(world, &[], &[]);
}

/// The same, where other models answer too, and the persona has had other texts beside Joe's.
pub(crate) fn persons_got_only(world: &World, models: &[&OpenAi], texts: &[&str]) {
    let mut own = persona_texts();
    own.extend(texts.iter().map(|text| (*text).to_owned()));
    let models = std::iter::once(&world.sandbox.openai).chain(models.iter().copied());
    let calls: Vec<Call> = models.flat_map(OpenAi::chats).collect();
    let said: HashSet<&str> = calls.iter().filter_map(said).collect();
    let echoes: HashSet<String> =
        calls.iter().filter_map(|call| Some(format!("echo: {}", call.last_user.as_deref()?))).collect();
    for send in world.sandbox.meta.sends() {
        let Some(text) = &send.text else {
            assert_eq!(send.json["type"], "audio", "neither text nor voice note: {}", send.json);
            continue;
        };
        if own.contains(text) {
            continue;
        }
        assert!(is_said(text, &said), "nobody said {text:?}");
        assert!(echoes.contains(text) || word_of_error(text).is_none(), "a person was sent {text:?}");
    }
}

fn said(call: &Call) -> Option<&str> {
    match &call.outcome {
        Outcome::Answered { status: 200, text } => Some(text),
        _ => None,
    }
}

/// As it was said, or as one part of it and with WhatsApp's marks for the model's.
fn is_said(text: &str, said: &HashSet<&str>) -> bool {
    said.contains(text) || said.iter().any(|whole| letters(whole).contains(&letters(text)))
}

fn letters(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).collect()
}

/// A word of an error, or a number that is the status of one.
fn word_of_error(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let word = WORDS.iter().find(|word| text.contains(**word)).map(|word| (*word).to_owned());
    word.or_else(|| {
        let mut numbers = text.split(|letter: char| !letter.is_ascii_digit());
        numbers
            .find(|number| number.parse().is_ok_and(|number: u32| (400..600).contains(&number)))
            .map(str::to_owned)
    })
}

#[test]
fn words_of_errors_are_found() {
    for text in ["Error 1", "HTTP 503", "insufficient_quota", "Invalid OAuth access token"] {
        assert!(word_of_error(text).is_some(), "{text}");
    }
    for text in ["echo: ciao", "in 1503", "sessanta 60"] {
        assert_eq!(word_of_error(text), None, "{text}");
    }
}
