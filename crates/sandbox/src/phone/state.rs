//! What the phone page shows: phones, chats, ticks, sounds, and of each message what happened to it.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::switches::Switch;
use crate::digest::sha256_hex;
use crate::{audio, happening};

/// How the server is, as far as the command that runs it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It answers.
    Up,
    /// It does not run.
    Down,
    /// It runs but does not answer yet.
    #[default]
    Starting,
}

/// One phone of the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Phone {
    /// Digits.
    pub(super) phone: String,
    pub(super) name: String,
}

/// Who wrote a bubble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Author {
    Person,
    Persona,
}

/// How far a message has come; a tick never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ticks {
    Sent,
    Delivered,
    Read,
    Played,
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Bubble {
    /// Its wamid.
    pub(super) id: String,
    pub(super) phone: String,
    pub(super) from: Author,
    pub(super) text: String,
    pub(super) sound: Option<Sound>,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) ticks: Ticks,
    pub(super) trail: Vec<Step>,
    /// What the model said to it, [`folded`].
    #[serde(skip)]
    pub(super) answer: String,
}

/// The sound of a message: a voice note or a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Sound {
    /// The id under which `GET /api/sounds/{media}` has its bytes.
    pub(super) media: String,
    pub(super) is_voice: bool,
    /// How long it plays; none if it is not Ogg Opus.
    pub(super) length_ms: Option<u64>,
    /// The words in its tags.
    pub(super) words: Option<String>,
    /// What was last heard in it when it was transcribed.
    pub(super) heard: Option<String>,
    /// Whether the person has played it, if it is the persona's.
    pub(super) is_played: bool,
    #[serde(skip)]
    pub(super) sha256: String,
}

impl Sound {
    /// Reads a sound. Takes some milliseconds for the largest: not to be done under a lock.
    pub(super) fn of(sound: &happening::Sound) -> Self {
        let read = audio::inspect(&sound.bytes).ok();
        let length = read.as_ref().map(|read| read.duration.as_millis());
        Self {
            media: sound.media.clone(),
            is_voice: sound.is_voice,
            length_ms: length.and_then(|length| u64::try_from(length).ok()),
            words: read.and_then(|read| read.words),
            heard: None,
            is_played: false,
            sha256: sha256_hex(&sound.bytes),
        }
    }
}

/// One thing that happened to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    pub(super) at: u64,
    pub(super) text: String,
}

/// Everything the page shows, as `GET /api/state` tells it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct State {
    pub(super) server: Status,
    /// Which faults are switched on.
    pub(super) switches: BTreeMap<Switch, bool>,
    pub(super) phones: Vec<Phone>,
    pub(super) chats: BTreeMap<String, VecDeque<Bubble>>,
    pub(super) typing: BTreeMap<String, bool>,
    /// Since when, in milliseconds since 1970.
    #[serde(skip)]
    pub(super) typing_since: BTreeMap<String, u64>,
    /// By phone, the message that the server marked as read last: it is the one being answered.
    #[serde(skip)]
    pub(super) in_hand: BTreeMap<String, String>,
    /// The last of these.
    #[serde(skip)]
    pub(super) last_in_hand: Option<String>,
}

impl State {
    /// The message of this wamid.
    pub(super) fn find(&mut self, id: &str) -> Option<&mut Bubble> {
        // From the newest backwards: what happens happens to recent messages.
        self.chats.values_mut().find_map(|chat| chat.iter_mut().rfind(|bubble| bubble.id == id))
    }

    /// The newest message of a person for which `fits` is true, on one phone or on all.
    pub(super) fn newest_written(
        &self,
        phone: Option<&str>,
        fits: impl Fn(&Bubble) -> bool,
    ) -> Option<String> {
        let chats = self.chats.iter().filter(|(of, _)| phone.is_none_or(|phone| *of == phone));
        let fits = |bubble: &&Bubble| bubble.from == Author::Person && fits(bubble);
        let newest = chats.filter_map(|(_, chat)| chat.iter().rfind(fits));
        newest.max_by_key(|bubble| bubble.at).map(|bubble| bubble.id.clone())
    }
}

impl Bubble {
    /// Whether these are the words of the message: its text, or what is said in its sound.
    pub(super) fn says(&self, words: &str) -> bool {
        let in_sound =
            |sound: &Sound| [&sound.words, &sound.heard].into_iter().flatten().any(|said| said == words);
        self.text == words || self.sound.as_ref().is_some_and(in_sound)
    }

    /// Whether the model's answer to it holds this text, be it written or made fit to be spoken.
    pub(super) fn is_answered_by(&self, text: &str) -> bool {
        let text = folded(text);
        !text.is_empty() && self.answer.contains(&text)
    }
}

/// A text reduced to its letters and digits: marks, emoji and line breaks differ between what a model says, what is
/// sent and what is spoken.
pub(super) fn folded(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
