//! The stored forms: content and replies as JSON with a version, everything else as a word or a number. They are
//! apart from the domain's types so that the code can move while files stay readable.

use parlante_domain::turn::{ErrorCode, Failure};
use parlante_domain::{Content, CustomerReply, Kind, Medium, Service, Status};
use serde::{Deserialize, Serialize};

use crate::contract::{Purpose, Reply, Step};
use crate::operator::{RowState, StepState};

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum StoredContent {
    #[serde(rename = "1")]
    V1 {
        what: What,
        words: Option<String>,
        #[serde(default)]
        media: Option<String>,
    },
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
    V1 {
        parts: Vec<String>,
        words: Option<String>,
        failed: Option<String>,
        #[serde(default)]
        dead: bool,
        #[serde(default)]
        voice: bool,
    },
}

pub(crate) fn write_content(content: &Content) -> Result<String, serde_json::Error> {
    let (what, words, media) = match content {
        Content::Words(words) => (What::Words, Some(words.clone()), None),
        Content::Sound(media) => (What::Sound, None, Some(media.to_string())),
        Content::Unclear => (What::Unclear, None, None),
    };
    serde_json::to_string(&StoredContent::V1 { what, words, media })
}

pub(crate) fn read_content(json: &str) -> Result<Content, serde_json::Error> {
    let StoredContent::V1 { what, words, media } = serde_json::from_str(json)?;
    Ok(match (what, words, media) {
        (What::Words, Some(words), _) => Content::Words(words),
        (What::Sound, _, Some(media)) => Content::Sound(media.into()),
        // Sound was once kept without the id under which it could be heard.
        (What::Words | What::Sound, ..) | (What::Unclear, ..) => Content::Unclear,
    })
}

pub(crate) fn write_reply(reply: &Reply) -> Result<String, serde_json::Error> {
    serde_json::to_string(&StoredReply::V1 {
        parts: reply.reply.parts().to_vec(),
        words: reply.words.clone(),
        failed: reply.failed.as_ref().map(|failure| failure.code.as_str().to_owned()),
        dead: reply.failed.as_ref().is_some_and(|failure| failure.is_dead),
        voice: reply.is_voice,
    })
}

pub(crate) fn read_reply(json: &str) -> Result<Reply, serde_json::Error> {
    let StoredReply::V1 { parts, words, failed, dead, voice } = serde_json::from_str(json)?;
    let failed = failed.map(|code| Failure { code: ErrorCode::recorded(code), is_dead: dead });
    Ok(Reply { reply: CustomerReply::recorded(parts), words, is_voice: voice, failed })
}

pub(crate) fn read_medium(word: Option<&str>) -> Option<Medium> {
    word.and_then(|word| [Medium::Voice, Medium::Text].into_iter().find(|medium| medium.to_string() == word))
}

/// The channel of a stored word. One that this version does not know is none: the row is due at its time.
pub(crate) fn read_service(word: Option<&str>) -> Option<Service> {
    word.and_then(|word| Service::ALL.into_iter().find(|service| service.to_string() == word))
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
        Step::Transcribe => ("transcribe", 0),
        Step::Complete => ("complete", 0),
        Step::Speak => ("speak", 0),
        Step::Upload => ("upload", 0),
        Step::Send(part) => ("send", part),
    }
}

pub(crate) fn read_step(word: &str, part: u32) -> Step {
    match word {
        "transcribe" => Step::Transcribe,
        "complete" => Step::Complete,
        "speak" => Step::Speak,
        "upload" => Step::Upload,
        _ => Step::Send(part),
    }
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
        for content in [Content::Words("ciao".into()), Content::Sound("1234".into()), Content::Unclear] {
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
    fn what_the_first_version_wrote_is_read() {
        let content = |json| read_content(json).unwrap();
        assert_eq!(content(r#"{"v":"1","what":"words","words":"ciao"}"#), Content::Words("ciao".into()));
        assert_eq!(content(r#"{"v":"1","what":"sound","words":null}"#), Content::Unclear);
        let apology = read_reply(r#"{"v":"1","parts":["sorry"],"words":null,"failed":"401"}"#).unwrap();
        assert_eq!(apology.failed, Some(Failure { code: ErrorCode::status(401), is_dead: false }));
        assert!(!apology.is_voice);
    }

    #[test]
    fn channels_forms_and_steps_come_back_by_their_names() {
        for step in [Step::Transcribe, Step::Complete, Step::Speak, Step::Upload, Step::Send(2)] {
            let (word, part) = step_key(step);
            assert_eq!(read_step(word, part), step);
        }
        for medium in [Medium::Voice, Medium::Text] {
            assert_eq!(read_medium(Some(&medium.to_string())), Some(medium));
        }
        for service in Service::ALL {
            assert_eq!(read_service(Some(&service.to_string())), Some(service));
        }
        assert_eq!((read_service(Some("fax")), read_service(None)), (None, None));
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
