//! Changes of the board as server-sent events, for every open page.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::board::Board;
use super::state::{Bubble, Phone, State, Status};
use super::switches::Switch;

/// Events a page may lag behind before it is told to reload: some seconds of a busy chat.
pub(super) const EVENTS_MAX: usize = 256;

/// Often enough that neither a proxy nor a browser takes a quiet stream for a dead one.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Bubbles of each chat that a new stream begins with: those that can have changed since the page got the state.
const RECENT: usize = 20;

pub(super) fn bubble(bubble: &Bubble) -> Bytes {
    event("bubble", bubble)
}

pub(super) fn phone(phone: &Phone) -> Bytes {
    event("phone", phone)
}

pub(super) fn typing(phone: &str, on: bool) -> Bytes {
    event("typing", &json!({"phone": phone, "on": on}))
}

pub(super) fn server(status: Status) -> Bytes {
    event("server", &json!({"status": status}))
}

pub(super) fn switch(switch: Switch, on: bool) -> Bytes {
    event("switch", &json!({"name": switch, "on": on}))
}

fn event(name: &str, data: &impl Serialize) -> Bytes {
    // None of these types can fail to be written as JSON.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// All events from now on. It begins with what may have changed between the page's look at the state and now, so
/// that nothing falls between the two.
pub(super) fn stream(board: &Board) -> impl Stream<Item = Bytes> + use<> {
    let (state, receiver) = board.subscribe();
    stream::unfold((Some(beginning(&state)), receiver), |(beginning, mut receiver)| async move {
        let bytes = match beginning {
            Some(beginning) => beginning,
            None => next(&mut receiver).await?,
        };
        Some((bytes, (None, receiver)))
    })
}

fn beginning(state: &State) -> Bytes {
    let mut events = vec![server(state.server)];
    events.extend(state.switches.iter().map(|(name, on)| switch(*name, *on)));
    events.extend(state.phones.iter().map(phone));
    events.extend(state.typing.iter().map(|(phone, on)| typing(phone, *on)));
    for chat in state.chats.values() {
        events.extend(chat.iter().skip(chat.len().saturating_sub(RECENT)).map(bubble));
    }
    events.concat().into()
}

/// The next event, or a heartbeat; none when the board is gone.
async fn next(receiver: &mut Receiver<Bytes>) -> Option<Bytes> {
    match timeout(HEARTBEAT, receiver.recv()).await {
        Ok(Ok(event)) => Some(event),
        Ok(Err(RecvError::Lagged(_))) => Some(event("reload", &json!({}))),
        Ok(Err(RecvError::Closed)) => None,
        Err(_) => Some(Bytes::from_static(b": heartbeat\n\n")),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    async fn read(events: &mut (impl Stream<Item = Bytes> + Unpin)) -> String {
        String::from_utf8(events.next().await.unwrap().to_vec()).unwrap()
    }

    #[actix_rt::test]
    async fn a_stream_begins_with_the_state_and_goes_on_with_changes() {
        let board = Board::new();
        let mut events = Box::pin(stream(&board));
        assert!(read(&mut events).await.contains(r#"{"status":"starting"}"#));
        board.server_is(Status::Up);
        assert_eq!(read(&mut events).await, "event: server\ndata: {\"status\":\"up\"}\n\n");
    }

    #[actix_rt::test]
    async fn a_page_that_lags_is_told_to_reload() {
        let board = Board::new();
        let mut events = Box::pin(stream(&board));
        read(&mut events).await;
        (0..=EVENTS_MAX).for_each(|_| board.server_is(Status::Down));
        assert_eq!(read(&mut events).await, "event: reload\ndata: {}\n\n");
    }
}
