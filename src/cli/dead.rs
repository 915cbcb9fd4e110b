//! `parlante dead list` and `parlante dead replay`: messages that got no answer, and another try.

use std::path::PathBuf;

use clap::Subcommand;

use super::operator::{Office, with_office};
use super::{Failure, reason, say};
use crate::operator::shape::DeadMessage;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Lists messages that were not answered, oldest first
    List {
        /// Messages that were not taken: too many at once, or too old
        #[arg(long)]
        refused: bool,
        /// One JSON object per message and line
        #[arg(long)]
        json: bool,
    },
    /// Tries a message again; what was paid for is kept
    Replay {
        /// Meta's id of a dead or refused message
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        message_id: Option<String>,
        /// All dead messages
        #[arg(long)]
        all: bool,
    },
}

pub(super) fn run(config: Option<PathBuf>, verb: Verb) -> Result<(), Failure> {
    with_office(config, async |office| match verb {
        Verb::List { refused, json } => list(office, refused, json).await,
        Verb::Replay { message_id, .. } => replay(office, message_id).await,
    })
}

async fn list(office: &Office, refused: bool, json: bool) -> Result<(), Failure> {
    let (mut after, mut is_first) = (None, true);
    loop {
        let page = office.unanswered(refused, after).await?;
        if is_first && !json {
            say(if page.messages.is_empty() { none(refused).to_owned() } else { heading() })?;
        }
        for message in &page.messages {
            say(if json { serde_json::to_string(message).map_err(Failure::failed)? } else { line(message) })?;
        }
        (after, is_first) = (page.next, false);
        if after.is_none() {
            return Ok(());
        }
    }
}

fn none(refused: bool) -> &'static str {
    if refused { "no message was refused" } else { "no message is dead" }
}

fn heading() -> String {
    columns("ENDED", "USER", "KIND", "REASON", "ATTEMPTS", "MESSAGE ID")
}

fn line(message: &DeadMessage) -> String {
    let (ended, attempts) = (message.ended_at.to_string(), message.attempts.to_string());
    let reason = reason::with_provider(&message.reason, message.provider_code.as_deref());
    columns(&ended, &message.user_id, &message.kind, &reason, &attempts, &message.message_id)
}

/// The id comes last: it is the longest, and of no fixed length.
fn columns(ended: &str, user: &str, kind: &str, reason: &str, attempts: &str, id: &str) -> String {
    format!("{ended:<24}  {user:<12}  {kind:<8}  {reason:<13}  {attempts:>8}  {id}")
}

async fn replay(office: &Office, message_id: Option<String>) -> Result<(), Failure> {
    let replayed = office.replay(message_id).await?.replayed;
    let when = match office {
        Office::Server(_) => "answered now",
        Office::File(_) => "open; the next start of the server answers them",
    };
    match replayed {
        0 => say(none(false)),
        1 => say(format!("1 message is {}", when.replace("them", "it"))),
        count => say(format!("{count} messages are {when}")),
    }
}
