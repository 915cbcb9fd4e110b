//! The board of the phone page: learns from what the stand-ins notice, and tells open pages of each change.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::broadcast;

use super::events::{self, EVENTS_MAX};
use super::state::{Author, Bubble, Phone, State, Status, Step, Ticks};
use crate::clock;
use crate::happening::{Happening, Witness};
use crate::shared::Shared;

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
        let board = Self { state: Shared::new(State::default()), events: broadcast::Sender::new(EVENTS_MAX) };
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
        });
    }

    pub(super) fn model_is_down(&self, down: bool) {
        self.state.change(|state| {
            state.model_down = down;
            self.tell(events::model(down));
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
        self.state.change(|state| match happening {
            Happening::Written { id, phone, text } => {
                self.append(
                    state,
                    Author::Person,
                    (id, phone, text),
                    "written; WhatsApp delivers it to the server",
                );
            }
            Happening::Again { ids } => {
                self.step(state, &ids, None, "WhatsApp delivers it once more");
            }
            Happening::Posted { ids, attempt, answer, took_ms } => {
                let (ticks, text) = posted(attempt, &answer, took_ms);
                self.step(state, &ids, ticks, &text);
            }
            Happening::Read { id, typing } => self.note_read(state, id, typing),
            Happening::Sent { phone: Some(phone), text, id, status } => {
                self.note_sent(state, phone, text, id, status)
            }
            Happening::Sent { phone: None, .. } => {}
            Happening::StatusTold { id, status } => {
                let ticks = match status.as_str() {
                    "delivered" => Some(Ticks::Delivered),
                    "read" => Some(Ticks::Read),
                    _ => None,
                };
                self.step(state, &[id], ticks, &format!("the server was told: {status}"));
            }
            Happening::Asked { text } => self.step_by_text(state, &text, "the server asked the model"),
            Happening::Answered { text, whole: true, took_ms } => {
                self.step_by_text(state, &text, &format!("the model answered in {took_ms} ms"));
            }
            Happening::Answered { text, whole: false, took_ms } => {
                self.step_by_text(state, &text, &format!("the model gave no whole answer ({took_ms} ms)"));
            }
        });
    }

    fn note_read(&self, state: &mut State, id: String, typing: bool) {
        let phone = state.find(&id).map(|bubble| bubble.phone.clone());
        self.step(state, &[id], Some(Ticks::Read), "the server marked it as read");
        if let Some(phone) = phone.filter(|_| typing) {
            self.typing(state, &phone, true);
        }
    }

    fn note_sent(
        &self,
        state: &mut State,
        phone: String,
        text: String,
        id: Option<String>,
        status: Option<u16>,
    ) {
        let told =
            status.map_or("the server was not told".into(), |status| format!("the server was told {status}"));
        match id {
            Some(id) => {
                self.typing(state, &phone, false);
                self.append(
                    state,
                    Author::Persona,
                    (id, phone, text),
                    &format!("accepted by WhatsApp; {told}"),
                );
            }
            None => {
                let last = state
                    .chats
                    .get(&phone)
                    .and_then(|chat| chat.iter().rfind(|bubble| bubble.from == Author::Person));
                let last: Vec<_> = last.map(|bubble| bubble.id.clone()).into_iter().collect();
                self.step(state, &last, None, &format!("an answer was not accepted by WhatsApp; {told}"));
            }
        }
    }

    /// A new bubble; of phones that are not on the page nothing is kept.
    fn append(
        &self,
        state: &mut State,
        from: Author,
        (id, phone, text): (String, String, String),
        step: &str,
    ) {
        let at = clock::now_ms();
        let Some(chat) = state.chats.get_mut(&phone) else { return };
        let trail = vec![Step { at, text: step.into() }];
        let bubble = Bubble { id, phone, from, text, at, ticks: Ticks::Sent, trail };
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

    /// The model does not know phones: the newest message of these words is taken for the one it was asked about.
    fn step_by_text(&self, state: &mut State, words: &str, text: &str) {
        let written = state
            .chats
            .values()
            .flatten()
            .filter(|bubble| bubble.from == Author::Person && bubble.text == words);
        if let Some(id) = written.max_by_key(|bubble| bubble.at).map(|bubble| bubble.id.clone()) {
            self.step(state, &[id], None, text);
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

fn posted(attempt: usize, answer: &Result<u16, String>, took_ms: u64) -> (Option<Ticks>, String) {
    let (ticks, told) = match answer {
        Ok(200) => (Some(Ticks::Delivered), format!("delivered to the server: 200 in {took_ms} ms")),
        Ok(status) => {
            (None, format!("the server answered {status} in {took_ms} ms; WhatsApp will try again"))
        }
        Err(_) => (None, "the server did not answer; WhatsApp will try again".into()),
    };
    let text = if attempt > 1 { format!("{told} (attempt {attempt})") } else { told };
    (ticks, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &str = "393331110001";

    fn written(board: &Board, id: &str) {
        let (id, phone, text) = (id.into(), PHONE.into(), "ciao".into());
        board.note(Happening::Written { id, phone, text });
    }

    fn posted(board: &Board, answer: Result<u16, String>) {
        board.note(Happening::Posted { ids: vec!["wamid.A".into()], attempt: 1, answer, took_ms: 3 });
    }

    fn chat(board: &Board) -> Vec<Bubble> {
        board.read(|state| state.chats[PHONE].iter().cloned().collect())
    }

    #[test]
    fn ticks_follow_the_webhook_and_the_read_receipt_and_never_go_back() {
        let board = Board::new();
        written(&board, "wamid.A");
        posted(&board, Ok(503));
        assert_eq!(chat(&board)[0].ticks, Ticks::Sent);
        posted(&board, Ok(200));
        assert_eq!(chat(&board)[0].ticks, Ticks::Delivered);
        board.note(Happening::Read { id: "wamid.A".into(), typing: true });
        posted(&board, Ok(200));
        assert_eq!(chat(&board)[0].ticks, Ticks::Read);
        assert_eq!(chat(&board)[0].trail.len(), 5);
    }

    #[test]
    fn typing_ends_with_the_answer_or_by_itself() {
        let board = Board::new();
        written(&board, "wamid.A");
        let typing = || board.read(|state| state.typing[PHONE]);
        board.note(Happening::Read { id: "wamid.A".into(), typing: true });
        assert!(typing());
        let (id, status) = (Some("wamid.OUT".into()), Some(200));
        board.note(Happening::Sent { phone: Some(PHONE.into()), text: "ciao!".into(), id, status });
        assert!(!typing());
        board.note(Happening::Read { id: "wamid.A".into(), typing: true });
        board.expire_typing(clock::now_ms() + TYPING_MS - 1_000);
        assert!(typing());
        board.expire_typing(clock::now_ms() + TYPING_MS);
        assert!(!typing());
    }

    #[test]
    fn a_refused_send_shows_at_the_message_it_was_to_answer() {
        let board = Board::new();
        written(&board, "wamid.A");
        board.note(Happening::Sent {
            phone: Some(PHONE.into()),
            text: "ciao!".into(),
            id: None,
            status: Some(503),
        });
        assert_eq!(chat(&board).len(), 1);
        assert!(chat(&board)[0].trail[1].text.contains("503"));
    }

    #[test]
    fn chats_and_trails_and_phones_are_bounded() {
        let board = Board::new();
        for number in 0..=BUBBLES_MAX {
            written(&board, &format!("wamid.{number}"));
        }
        assert_eq!(chat(&board).len(), BUBBLES_MAX);
        assert_eq!(chat(&board)[0].id, "wamid.1");
        written(&board, "wamid.A");
        (0..TRAIL_MAX + 5).for_each(|_| posted(&board, Err("refused".into())));
        assert_eq!(chat(&board)[BUBBLES_MAX - 1].trail.len(), TRAIL_MAX);
        let added = std::iter::from_fn(|| board.new_phone("Anna")).count();
        assert_eq!(added, PHONES_MAX - 3);
    }

    #[test]
    fn strangers_are_not_shown() {
        let board = Board::new();
        board.note(Happening::Written {
            id: "wamid.X".into(),
            phone: "4915550001".into(),
            text: "hallo".into(),
        });
        assert!(!serde_json::to_string(&board.read(Clone::clone)).unwrap().contains("hallo"));
    }
}
