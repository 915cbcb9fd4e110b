//! What becomes of a message when a provider fails, and of the channel to that provider: CONTRACT's table of fates
//! and what stands under it, by what the stand-ins received.
//!
//! - [`table`]: each row: what the person gets, how the message ends, what the channel does.
//! - [`hold`]: messages that wait for a paused model.
//! - [`pause`]: many people wait for a channel, and its end.
//! - [`circuit`]: a provider that fails again and again is left alone for a while.
//! - [`fallback`]: a second model.
//! - [`late`]: a send that failed after it was accepted.
//! - [`limits`]: how fast, and who goes first.
//! - [`time`]: the turn's own deadline, and the waits between attempts.
//! - [`reload`]: what an operator mends without a restart.

mod circuit;
mod fallback;
mod hold;
mod late;
mod limits;
mod pause;
mod reload;
mod table;
mod time;

use std::time::Duration;

use parlante_sandbox::{Inbound, Records, Request};
use serde_json::Value;

use crate::support::{World, get, get_with, persona_text};

/// Looks at a server's state this often, where no event tells of a change.
const TICK: Duration = Duration::from_millis(20);
/// Half a minute of looks.
const LOOKS: usize = 1500;

/// A person writes; the message's id.
fn writes(world: &World, phone: &str, words: &str) -> String {
    world.sandbox.meta.deliver(Inbound::text(phone, words))
}

/// Each of these people writes the same, all in one webhook; the messages' ids.
fn all_write(world: &World, phones: &[String], words: &str) -> Vec<String> {
    world.sandbox.meta.deliver_batch(phones.iter().map(|phone| Inbound::text(phone, words)).collect())
}

/// What a person has who was answered with these texts.
fn greeted(texts: &[&str]) -> Vec<String> {
    std::iter::once(persona_text("disclosure")).chain(texts.iter().map(|text| (*text).to_owned())).collect()
}

fn apologised() -> Vec<String> {
    greeted(&[&persona_text("apology")])
}

/// What `/stats` says.
async fn stats(base: &str) -> Value {
    let (status, body) = get(&format!("{base}/stats")).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// What `/stats` says of a provider: its circuit, and whether it is paused.
async fn channel(base: &str, provider: &str) -> (String, bool) {
    let stats = stats(base).await;
    let provider = &stats["providers"][provider];
    (provider["circuit"].as_str().unwrap().to_owned(), provider["paused"].as_bool().unwrap())
}

async fn is_paused(base: &str, provider: &str) {
    until(base, |stats| stats["providers"][provider]["paused"] == true).await;
}

/// Asks for `/stats` until they fit.
async fn until(base: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let (mut ticks, mut last) = (tokio::time::interval(TICK), Value::Null);
    for _ in 0..LOOKS {
        ticks.tick().await;
        last = stats(base).await;
        if fits(&last) {
            return last;
        }
    }
    panic!("it never came to that: {last:#}")
}

/// What `/health` says: HTTP status, status of all, and one check's status and reason.
async fn health(base: &str, check: &str) -> (u16, String, String, String) {
    let (status, body) = get_with(&format!("{base}/health"), &[]).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let check = &body["checks"][check];
    (status, text(&body["status"]), text(&check["status"]), text(&check["reason"]))
}

/// A message's trace.
async fn trace(base: &str, id: &str) -> Value {
    let id = id.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let (status, body) = get(&format!("{base}/admin/trace?message_id={id}")).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["message"].clone()
}

/// The reasons of the dead letters, by message.
async fn dead(base: &str) -> Vec<(String, String, Option<String>)> {
    let (status, body) = get(&format!("{base}/admin/dead")).await;
    assert_eq!(status, 200, "{body}");
    let page: Value = serde_json::from_str(&body).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let line = |line: &Value| {
        (text(&line["message_id"]).unwrap(), text(&line["reason"]).unwrap(), text(&line["provider_code"]))
    };
    page["messages"].as_array().unwrap().iter().map(line).collect()
}

/// The milliseconds from one time of a trace to another, which lies within a day after it.
fn between(from: &Value, to: &Value) -> i64 {
    let of_day = |time: &Value| {
        let time = time.as_str().unwrap().split('T').nth(1).unwrap().trim_end_matches('Z');
        let fields: Vec<i64> = time.split([':', '.']).map(|digits| digits.parse().unwrap()).collect();
        ((fields[0] * 60 + fields[1]) * 60 + fields[2]) * 1000 + fields[3]
    };
    (of_day(to) - of_day(from)).rem_euclid(24 * 60 * 60 * 1000)
}

/// All sends, in order of arrival.
fn sends(world: &World) -> Vec<Request> {
    world.sandbox.meta.sends()
}

/// Waits until so many sends have arrived.
async fn sent(world: &World, count: usize) -> Vec<Request> {
    let arrived = |records: &Records| (records.sends().count() >= count).then_some(());
    world.sandbox.meta.wait(arrived, crate::support::PATIENCE).await.unwrap();
    sends(world)
}

/// Waits until the message's row is held: a step was postponed, and nobody has it in progress.
async fn until_held(base: &str, id: &str) {
    let mut ticks = tokio::time::interval(TICK);
    for _ in 0..LOOKS {
        ticks.tick().await;
        let row = trace(base, id).await;
        let steps = row["steps"].as_array().unwrap();
        if steps.last().is_some_and(|step| step["state"] == "postponed") {
            return;
        }
    }
    panic!("it is not held: {:#}", trace(base, id).await)
}

/// Waits until the message's row has come so far.
async fn until_state(base: &str, id: &str, state: &str) {
    let mut ticks = tokio::time::interval(TICK);
    for _ in 0..LOOKS {
        ticks.tick().await;
        if trace(base, id).await["state"] == state {
            return;
        }
    }
    panic!("it is not {state}: {:#}", trace(base, id).await)
}
