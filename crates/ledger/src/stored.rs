//! The stored form of content and replies: JSON with a version, apart from the domain's types so that the
//! code can move while files stay readable.

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Content, CustomerReply, Kind};
use serde::{Deserialize, Serialize};

use crate::contract::Reply;

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
        failed: reply.failed.as_ref().map(ToString::to_string),
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
    }
}
