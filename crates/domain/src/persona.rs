//! Who speaks. A persona is a TOML file like `personas/joe.toml`; parsing the file is the binary's task.

use serde::Deserialize;

use crate::reply::PersonaText;

/// A persona, complete: a file that lacks a text does not become one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    /// The name the persona goes by.
    pub name: String,
    /// The language of the texts below, as an ISO 639-1 code.
    pub language: String,
    /// The instruction to the model: who the persona is and how it answers.
    pub prompt: String,
    /// What the persona says by itself.
    pub texts: Texts,
}

/// The persona's own texts, always sent as text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    /// Says that an AI speaks; once per person, before the first answer.
    pub disclosure: PersonaText,
    /// The model could not answer.
    pub apology: PersonaText,
    /// Too many messages are waiting; the newest was not taken.
    pub overflow: PersonaText,
    /// A kind of message that cannot be made sense of.
    pub not_understood: PersonaText,
    /// A voice note that could not be listened to.
    pub please_write: PersonaText,
    /// A voice note in which nothing could be heard.
    pub heard_nothing: PersonaText,
}
