//! What the phone page shows: phones, chats, ticks, and of each message what happened to it.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

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
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Bubble {
    /// Its wamid.
    pub(super) id: String,
    pub(super) phone: String,
    pub(super) from: Author,
    pub(super) text: String,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) ticks: Ticks,
    pub(super) trail: Vec<Step>,
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
    pub(super) model_down: bool,
    pub(super) phones: Vec<Phone>,
    pub(super) chats: BTreeMap<String, VecDeque<Bubble>>,
    pub(super) typing: BTreeMap<String, bool>,
    /// Since when, in milliseconds since 1970.
    #[serde(skip)]
    pub(super) typing_since: BTreeMap<String, u64>,
}

impl State {
    /// The message of this wamid.
    pub(super) fn find(&mut self, id: &str) -> Option<&mut Bubble> {
        // From the newest backwards: what happens happens to recent messages.
        self.chats.values_mut().find_map(|chat| chat.iter_mut().rfind(|bubble| bubble.id == id))
    }
}
