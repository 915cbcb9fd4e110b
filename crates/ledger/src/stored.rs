//! The stored forms: content and replies as JSON with a version, everything else as a word or a number. They are
//! apart from the domain's types so that the code can move while files stay readable.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Content, CustomerReply, Kind, Status};
use serde::{Deserialize, Serialize};

use crate::contract::{Purpose, Reply, Step};
use crate::operator::{RowState, StepState};

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum StoredContent {
    #[serde(rename = "1")]
    V1 { what: What, words: Option<String> },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Words,
    Sound,
    Unclear,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum StoredReply {
    #[serde(rename = "1")]
    V1 { parts: Vec<String>, words: Option<String>, failed: Option<String> },
}

pub(crate) fn write_content(content: &Content) -> Result<String, serde_json::Error> {
    let stored = match content {
        Content::Words(words) => StoredContent::V1 { what: What::Words, words: Some(words.clone()) },
        Content::Sound => StoredContent::V1 { what: What::Sound, words: None },
        Content::Unclear => StoredContent::V1 { what: What::Unclear, words: None },
    };
    serde_json::to_string(&stored)
}

pub(crate) fn read_content(json: &str) -> Result<Content, serde_json::Error> {
    let StoredContent::V1 { what, words } = serde_json::from_str(json)?;
    Ok(match (what, words) {
        (What::Words, Some(words)) => Content::Words(words),
        (What::Sound, _) => Content::Sound,
        (What::Words, None) | (What::Unclear, _) => Content::Unclear,
    })
}

pub(crate) fn write_reply(reply: &Reply) -> Result<String, serde_json::Error> {
    serde_json::to_string(&StoredReply::V1 {
        parts: reply.reply.parts().to_vec(),
        words: reply.words.clone(),
        failed: reply.failed.as_ref().map(|code| code.as_str().to_owned()),
    })
}

pub(crate) fn read_reply(json: &str) -> Result<Reply, serde_json::Error> {
    let StoredReply::V1 { parts, words, failed } = serde_json::from_str(json)?;
    Ok(Reply { reply: CustomerReply::recorded(parts), words, failed: failed.map(ErrorCode::recorded) })
}

/// Every kind with its stored word, which is also the word in logs.
const KINDS: [Kind; 13] = [
    Kind::Text,
    Kind::Voice,
    Kind::Audio,
    Kind::Image,
    Kind::Video,
    Kind::Document,
    Kind::Sticker,
    Kind::Location,
    Kind::Contacts,
    Kind::Interactive,
    Kind::Button,
    Kind::Order,
    Kind::Unsupported,
];

pub(crate) fn read_kind(word: &str) -> Kind {
    KINDS.into_iter().find(|kind| kind.to_string() == word).unwrap_or(Kind::Unsupported)
}

pub(crate) fn purpose_number(purpose: Purpose) -> i64 {
    match purpose {
        Purpose::Disclosure => 0,
        Purpose::Overflow => 1,
        Purpose::Answer => 2,
    }
}

pub(crate) fn read_purpose(number: i64) -> Purpose {
    match number {
        0 => Purpose::Disclosure,
        1 => Purpose::Overflow,
        _ => Purpose::Answer,
    }
}

/// The word and the number under which a step is kept.
pub(crate) fn step_key(step: Step) -> (&'static str, u32) {
    match step {
        Step::Complete => ("complete", 0),
        Step::Send(part) => ("send", part),
    }
}

pub(crate) fn read_step(word: &str, part: u32) -> Step {
    if word == "complete" { Step::Complete } else { Step::Send(part) }
}

pub(crate) fn read_step_state(word: &str) -> StepState {
    match word {
        "done" => StepState::Done,
        "failed" => StepState::Failed,
        "postponed" => StepState::Postponed,
        "unknown" => StepState::Unknown,
        _ => StepState::Intended,
    }
}

pub(crate) fn read_row_state(word: &str) -> RowState {
    match word {
        "done" => RowState::Done,
        "dead" => RowState::Dead,
        "refused" => RowState::Refused,
        _ => RowState::Open,
    }
}

pub(crate) fn read_status(rank: i64) -> Option<Status> {
    [Status::Sent, Status::Delivered, Status::Read, Status::Played]
        .into_iter()
        .find(|status| status.rank() == rank)
}

/// A failure as it was kept; the word stands in where a column of ours was left empty.
pub(crate) fn read_code(code: Option<String>) -> ErrorCode {
    ErrorCode::recorded(code.unwrap_or_else(|| "failed".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_kinds_come_back_as_they_went() {
        for content in [Content::Words("ciao".into()), Content::Sound, Content::Unclear] {
            assert_eq!(read_content(&write_content(&content).unwrap()).unwrap(), content);
        }
        for kind in KINDS {
            assert_eq!(read_kind(&kind.to_string()), kind);
        }
        for purpose in [Purpose::Disclosure, Purpose::Overflow, Purpose::Answer] {
            assert_eq!(read_purpose(purpose_number(purpose)), purpose);
        }
    }

    #[test]
    fn states_come_back_by_the_words_they_are_shown_with() {
        use RowState::{Dead, Done, Open, Refused};
        for state in [Open, Done, Dead, Refused] {
            assert_eq!(read_row_state(&state.to_string()), state);
        }
        use StepState::{Failed, Intended, Postponed, Unknown};
        for state in [Intended, StepState::Done, Failed, Postponed, Unknown] {
            assert_eq!(read_step_state(&state.to_string()), state);
        }
        assert_eq!((0..6).filter_map(read_status).count(), 4);
    }
}
