//! The board of the phone page: learns from what the stand-ins notice, and tells open pages of each change.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::broadcast;

use super::events::{self, EVENTS_MAX};
use super::state::{Author, Bubble, Phone, Sound, State, Status, Step, Ticks, folded};
use super::switches::Switch;
use super::trail;
use crate::happening::{self, Happening, Query, Witness};
use crate::shared::Shared;
use crate::{audio, clock};

/// Bubbles kept per chat; a page that shows more is slow, and older ones leave.
const BUBBLES_MAX: usize = 500;

/// Phones on a page; more do not fit its list.
pub(super) const PHONES_MAX: usize = 50;

/// Lines of one bubble's trail: a message that is posted again and again must not grow without end.
const TRAIL_MAX: usize = 100;

/// How long WhatsApp shows the typing indicator if no answer comes.
const TYPING_MS: u64 = 25_000;

/// The board of a sandbox. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    state: Shared<State>,
    events: broadcast::Sender<Bytes>,
}

impl Board {
    pub(crate) fn new() -> Self {
        let switches = Switch::ALL.into_iter().map(|switch| (switch, false)).collect();
        let state = State { switches, ..State::default() };
        let board = Self { state: Shared::new(state), events: broadcast::Sender::new(EVENTS_MAX) };
        for (phone, name) in [("393331110001", "Lucia"), ("15550002222", "Mike"), ("393331110002", "Sofia")] {
            board.add(phone, name);
        }
        board
    }

    /// The witness who writes on this board.
    pub(crate) fn witness(&self) -> Witness {
        let board = self.clone();
        Witness::new(move |happening| board.note(happening))
    }

    pub(crate) fn server_is(&self, status: Status) {
        self.state.change(|state| {
            state.server = status;
            self.tell(events::server(status));
            if status == Status::Down {
                // Nobody is typing any more.
                let phones: Vec<_> = state.typing.keys().cloned().collect();
                phones.iter().for_each(|phone| self.typing(state, phone, false));
            }
        });
    }

    pub(super) fn switched(&self, switch: Switch, on: bool) {
        self.state.change(|state| {
            state.switches.insert(switch, on);
            self.tell(events::switch(switch, on));
        });
    }

    pub(super) fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        self.state.read(look)
    }

    /// The events from now on, and the state they start from.
    pub(super) fn subscribe(&self) -> (State, broadcast::Receiver<Bytes>) {
        self.state.read(|state| (state.clone(), self.events.subscribe()))
    }

    /// A new phone with a number of its own; none if there are too many.
    pub(super) fn new_phone(&self, name: &str) -> Option<Phone> {
        let count = self.state.read(|state| state.phones.len());
        // The first three are taken by the phones of the start.
        (count < PHONES_MAX).then(|| self.add(&(393_331_110_000_u64 + count as u64).to_string(), name))
    }

    /// The name of a phone, if it is on the page.
    pub(super) fn name_of(&self, phone: &str) -> Option<String> {
        self.read(|state| {
            state.phones.iter().find(|known| known.phone == phone).map(|known| known.name.clone())
        })
    }

    /// The last message that was written on a phone.
    pub(super) fn last_written(&self, phone: &str) -> Option<String> {
        let written = |bubble: &&Bubble| bubble.from == Author::Person;
        self.read(|state| state.chats.get(phone)?.iter().rfind(written).map(|bubble| bubble.id.clone()))
    }

    /// The person plays a voice note of the persona. False if it is none, or was played before.
    pub(super) fn play(&self, id: &str) -> bool {
        self.state.change(|state| {
            let Some(bubble) = state.find(id).filter(|bubble| bubble.from == Author::Persona) else {
                return false;
            };
            let Some(sound) = bubble.sound.as_mut().filter(|sound| sound.is_voice && !sound.is_played) else {
                return false;
            };
            sound.is_played = true;
            self.tell(events::bubble(bubble));
            true
        })
    }

    /// Ends the typing indicators that have been shown for long enough.
    pub(super) fn expire_typing(&self, now_ms: u64) {
        self.state.change(|state| {
            let since = &state.typing_since;
            let over: Vec<_> = since
                .iter()
                .filter(|(_, since)| now_ms >= **since + TYPING_MS)
                .map(|(phone, _)| phone.clone())
                .collect();
            over.iter().for_each(|phone| self.typing(state, phone, false));
        });
    }

    fn add(&self, phone: &str, name: &str) -> Phone {
        let phone = Phone { phone: phone.into(), name: name.into() };
        self.state.change(|state| {
            state.phones.push(phone.clone());
            state.chats.insert(phone.phone.clone(), VecDeque::new());
            state.typing.insert(phone.phone.clone(), false);
            self.tell(events::phone(&phone));
        });
        phone
    }

    /// Events are told under the state's lock, so that a page gets them in the order of the changes.
    fn tell(&self, event: Bytes) {
        // Fails only if no page is open.
        let _ = self.events.send(event);
    }

    fn note(&self, happening: Happening) {
        match happening {
            Happening::Written { id, phone, text, sound } => {
                let sound = sound.as_ref().map(Sound::of);
                let step = "written; WhatsApp delivers it to the server";
                self.state.change(|state| self.append(state, Author::Person, (id, phone, text), sound, step));
            }
            Happening::Sent { phone: Some(phone), text, sound, id, status } => {
                self.note_sent(&phone, text, sound.as_ref(), id, status);
            }
            Happening::Sent { phone: None, .. } => {}
            Happening::Uploaded { bytes, status } => {
                let words = audio::words(&bytes).unwrap_or_default();
                self.state.change(|state| {
                    let ids = spoken_for(state, &words);
                    self.step(state, &ids, None, &trail::with_file("uploaded the voice to WhatsApp", status));
                });
            }
            Happening::Asked { query } => self.note_asked(&query),
            Happening::Answered { query, answer, took_ms } => self.note_answered(&query, &answer, took_ms),
            other => self.state.change(|state| self.note_on_the_way(state, other)),
        }
    }

    /// What happens to a message between the person and the server.
    fn note_on_the_way(&self, state: &mut State, happening: Happening) {
        match happening {
            Happening::Again { ids } => self.step(state, &ids, None, "WhatsApp delivers it once more"),
            Happening::Posted { ids, attempt, answer, took_ms } => {
                for id in ids {
                    let known = state.find(&id).is_some_and(|bubble| bubble.ticks > Ticks::Sent);
                    let (ticks, text) = trail::posted(attempt, &answer, took_ms, known);
                    self.step(state, &[id], ticks, &text);
                }
            }
            Happening::Read { id, typing } => self.note_read(state, &id, typing),
            Happening::LookedUp { media, status } => {
                let ids = with_sound(state, |sound| sound.media == media);
                self.step(state, &ids, None, &trail::with_file("asked where the sound is", status));
            }
            Happening::Fetched { media, status } => {
                let ids = with_sound(state, |sound| sound.media == media);
                self.step(state, &ids, None, &trail::with_file("fetched the sound", status));
            }
            Happening::StatusTold { id, status } => {
                let ticks = match status.as_str() {
                    "delivered" => Some(Ticks::Delivered),
                    "read" => Some(Ticks::Read),
                    "played" => Some(Ticks::Played),
                    _ => None,
                };
                self.step(state, &[id], ticks, &format!("the server was told: {status}"));
            }
            _ => {}
        }
    }

    fn note_read(&self, state: &mut State, id: &str, typing: bool) {
        let phone = state.find(id).map(|bubble| bubble.phone.clone());
        self.step(state, &[id.to_owned()], Some(Ticks::Read), "the server marked it as read");
        let Some(phone) = phone else { return };
        if typing {
            self.typing(state, &phone, true);
        }
        state.in_hand.insert(phone, id.into());
        state.last_in_hand = Some(id.into());
    }

    /// Providers do not know phones: which message they were asked about shows by its words.
    fn note_asked(&self, query: &Query) {
        self.state.change(|state| {
            let ids = asked_about(state, query);
            self.step(state, &ids, None, &trail::asked(query));
        });
    }

    fn note_answered(&self, query: &Query, answer: &Result<String, Option<u16>>, took_ms: u64) {
        self.state.change(|state| {
            let ids = asked_about(state, query);
            if let (Ok(said), Some(bubble)) = (answer, ids.first().and_then(|id| state.find(id))) {
                match (query, &mut bubble.sound) {
                    (Query::Answer { .. }, _) => bubble.answer = folded(said),
                    (Query::Words { .. }, Some(sound)) => sound.heard = Some(said.clone()),
                    _ => {}
                }
            }
            self.step(state, &ids, None, &trail::answered(query, answer, took_ms));
        });
    }

    /// A send is a step of the message that it answers, and a bubble of its own if the person gets it.
    fn note_sent(
        &self,
        phone: &str,
        text: String,
        sound: Option<&happening::Sound>,
        id: Option<String>,
        status: Option<u16>,
    ) {
        let kind = match sound {
            None => "a text",
            Some(sound) if sound.is_voice => "a voice note",
            Some(_) => "an audio file",
        };
        let is_playable = sound.is_none_or(|sound| sound.is_playable);
        let sound = sound.map(Sound::of);
        self.state.change(|state| {
            let words = sound.as_ref().and_then(|sound| sound.words.as_ref()).unwrap_or(&text);
            let (answered, is_answer) = answered_by(state, phone, words);
            self.step(state, &answered, None, &trail::sent(kind, is_answer, id.is_some(), status));
            match id {
                Some(id) if is_playable => {
                    self.typing(state, phone, false);
                    let step = format!("accepted by WhatsApp; {}", trail::told(status));
                    self.append(state, Author::Persona, (id, phone.into(), text), sound, &step);
                }
                Some(_) => self.step(state, &answered, None, "WhatsApp cannot play it: nobody gets it"),
                None => {}
            }
        });
    }

    /// A new bubble; of phones that are not on the page nothing is kept.
    fn append(
        &self,
        state: &mut State,
        from: Author,
        (id, phone, text): (String, String, String),
        sound: Option<Sound>,
        step: &str,
    ) {
        let at = clock::now_ms();
        let Some(chat) = state.chats.get_mut(&phone) else { return };
        let trail = vec![Step { at, text: step.into() }];
        let (ticks, answer) = (Ticks::Sent, String::new());
        let bubble = Bubble { id, phone, from, text, sound, at, ticks, trail, answer };
        self.tell(events::bubble(&bubble));
        chat.push_back(bubble);
        if chat.len() > BUBBLES_MAX {
            chat.pop_front();
        }
    }

    fn step(&self, state: &mut State, ids: &[String], ticks: Option<Ticks>, text: &str) {
        let at = clock::now_ms();
        for id in ids {
            let Some(bubble) = state.find(id) else { continue };
            bubble.ticks = bubble.ticks.max(ticks.unwrap_or(bubble.ticks));
            if bubble.trail.len() < TRAIL_MAX {
                bubble.trail.push(Step { at, text: text.into() });
            }
            self.tell(events::bubble(bubble));
        }
    }

    fn typing(&self, state: &mut State, phone: &str, on: bool) {
        if on {
            state.typing_since.insert(phone.into(), clock::now_ms());
        } else {
            state.typing_since.remove(phone);
        }
        if state.typing.insert(phone.into(), on) != Some(on) {
            self.tell(events::typing(phone, on));
        }
    }
}

fn with_sound(state: &State, fits: impl Fn(&Sound) -> bool) -> Vec<String> {
    let newest = state.newest_written(None, |bubble| bubble.sound.as_ref().is_some_and(&fits));
    newest.into_iter().collect()
}

/// The message that a provider was asked about: the newest one of these words.
fn asked_about(state: &State, query: &Query) -> Vec<String> {
    match query {
        Query::Answer { to } => state.newest_written(None, |bubble| bubble.says(to)).into_iter().collect(),
        Query::Words { of } => with_sound(state, |sound| sound.sha256 == *of),
        Query::Voice { of } => spoken_for(state, of),
    }
}

/// The message for whose answer this text is spoken; if no answer is known to hold it, the one in hand.
fn spoken_for(state: &State, text: &str) -> Vec<String> {
    let answered = state.newest_written(None, |bubble| bubble.is_answered_by(text));
    answered.or_else(|| state.last_in_hand.clone()).into_iter().collect()
}

/// The message of this phone on the way to whose answer this text is sent, and whether the text is that answer. What
/// the server says by itself belongs to the message in hand, for want of that to the newest.
fn answered_by(state: &State, phone: &str, text: &str) -> (Vec<String>, bool) {
    let answered = state.newest_written(Some(phone), |bubble| bubble.is_answered_by(text));
    let is_answer = answered.is_some();
    let in_hand = || state.in_hand.get(phone).cloned();
    let newest = || state.newest_written(Some(phone), |_| true);
    (answered.or_else(in_hand).or_else(newest).into_iter().collect(), is_answer)
}

#[cfg(test)]
mod tests;
