//! What we ask WhatsApp's Graph API, and what its answers mean: messages (`POST /{phone_number_id}/messages`), the
//! state of our number, and, in parts of their own, our account, media and refusals.

mod account;
mod media;
mod refusal;

pub use account::{Expiry, Listed, Token, read_numbers, read_subscribed_apps, read_token, token_query};
pub use media::{Media, VOICE_BYTES_MAX, may_see_token, read_media, read_uploaded, resolve, upload};
pub use refusal::{CODES, classify, is_channel_fault, is_media_fault, outcome_of};

use parlante_domain::{Address, MediaId, MessageId, PhoneNumberId, Tag};
use serde_json::{Value, json};

use crate::json::Fields;

/// The body of a text message. `body` has at most 4,096 characters, which the caller sees to.
#[must_use]
pub fn send_text(to: &Address, body: &str, tag: &Tag) -> Vec<u8> {
    let has_link = body.contains("http://") || body.contains("https://");
    message(to, tag, "text", &json!({"body": body, "preview_url": has_link}))
}

/// The body of a voice note: mono Opus in Ogg that was uploaded before.
#[must_use]
pub fn send_voice(to: &Address, media: &MediaId, tag: &Tag) -> Vec<u8> {
    message(to, tag, "audio", &json!({"id": media.to_string(), "voice": true}))
}

/// A phone goes out in `to` with a `+`, for without it Meta may put our own country code in front; a BSUID
/// goes out in `recipient`, for in `to` it is accepted and delivered nowhere.
fn message(to: &Address, tag: &Tag, kind: &str, content: &Value) -> Vec<u8> {
    let (field, address) = match to {
        Address::Phone(phone) => ("to", String::from("+") + phone.as_ref()),
        Address::Bsuid(bsuid) => ("recipient", String::from(bsuid.as_ref())),
    };
    bytes(&json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        field: address,
        "type": kind,
        "biz_opaque_callback_data": tag.to_string(),
        kind: content,
    }))
}

/// The body that marks a message of the person, and every earlier one, as read; and the person sees us typing,
/// until our answer or for 25 s.
#[must_use]
pub fn mark_read(message: &MessageId) -> Vec<u8> {
    bytes(&json!({
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": message.to_string(),
        "typing_indicator": {"type": "text"},
    }))
}

fn bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

/// Meta's id of the message that a 200 has accepted. `None`: the answer is not one, so nobody knows what
/// became of the send.
#[must_use]
pub fn read_sent(body: &[u8]) -> Option<MessageId> {
    let first = Fields::from_bytes(body)?.objects("messages").next()?;
    first.id("id").map(MessageId::from)
}

/// What the health call asks of our number (`GET /{phone_number_id}?…`).
pub const NUMBER_QUERY: &str = "fields=id,display_phone_number,quality_rating,throughput";

/// Our number, as far as Meta tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Its id, which is ours if the token belongs to it.
    pub id: PhoneNumberId,
    /// The number itself, as people see it.
    pub display: Option<String>,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`: how people have taken its messages of late.
    pub quality: Option<String>,
    /// `STANDARD` (80 messages a second), `HIGH` (1,000) or `NOT_APPLICABLE`.
    pub throughput: Option<String>,
}

/// The answer to [`NUMBER_QUERY`]. `None`: it is not one.
#[must_use]
pub fn read_number(body: &[u8]) -> Option<Number> {
    let body = Fields::from_bytes(body)?;
    Some(Number {
        id: body.id("id")?.into(),
        display: body.id("display_phone_number"),
        quality: body.code("quality_rating"),
        throughput: body.object("throughput").and_then(|throughput| throughput.code("level")),
    })
}

#[cfg(test)]
mod tests {
    use parlante_domain::Seq;

    use super::*;

    fn tag() -> Tag {
        Tag { ledger: "00ff00ff00ff00ff".into(), seq: Seq(42), part: 1 }
    }

    fn value(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_text_to_a_phone() {
        let sent = send_text(&Address::Phone("393247722154".into()), "ciao \"tu\"", &tag());
        let expected = json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+393247722154",
            "type": "text", "biz_opaque_callback_data": "00ff00ff00ff00ff.42.1",
            "text": {"body": "ciao \"tu\"", "preview_url": false},
        });
        assert_eq!(value(&sent), expected);
    }

    #[test]
    fn a_text_to_a_bsuid_has_no_to() {
        let sent = value(&send_text(&Address::Bsuid("IT.4410".into()), "ciao", &tag()));
        assert_eq!(sent["recipient"], "IT.4410");
        assert_eq!(sent.get("to"), None);
    }

    #[test]
    fn only_a_text_with_a_link_asks_for_a_preview() {
        let preview = |body| {
            value(&send_text(&Address::Bsuid("IT.1".into()), body, &tag()))["text"]["preview_url"].clone()
        };
        assert_eq!(preview("see https://example.org"), true);
        assert_eq!(preview("see http://example.org"), true);
        assert_eq!(preview("see example.org"), false);
    }

    #[test]
    fn a_voice_note() {
        let sent = send_voice(&Address::Phone("393247722154".into()), &"440011".into(), &tag());
        let expected = json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+393247722154",
            "type": "audio", "biz_opaque_callback_data": "00ff00ff00ff00ff.42.1",
            "audio": {"id": "440011", "voice": true},
        });
        assert_eq!(value(&sent), expected);
    }

    #[test]
    fn read_and_typing() {
        let expected = json!({
            "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.IN1",
            "typing_indicator": {"type": "text"},
        });
        assert_eq!(value(&mark_read(&"wamid.IN1".into())), expected);
    }

    #[test]
    fn the_id_of_an_accepted_message() {
        let body = br#"{"messaging_product":"whatsapp","contacts":[],"messages":[{"id":"wamid.HBgL0001"}]}"#;
        assert_eq!(read_sent(body), Some(MessageId::from("wamid.HBgL0001")));
        for body in [&b""[..], b"{}", b"<html>", br#"{"messages":[]}"#, br#"{"messages":[{"id":""}]}"#] {
            assert_eq!(read_sent(body), None);
        }
    }

    #[test]
    fn the_state_of_our_number() {
        let body = br#"{"id":"700800900100201","display_phone_number":"+1 555","quality_rating":"GREEN","throughput":{"level":"STANDARD"}}"#;
        let number = Number {
            id: "700800900100201".into(),
            display: Some("+1 555".into()),
            quality: Some("GREEN".into()),
            throughput: Some("STANDARD".into()),
        };
        assert_eq!(read_number(body), Some(number));
        let bare = Number { id: "7".into(), display: None, quality: None, throughput: None };
        assert_eq!(read_number(br#"{"id":"7","throughput":"x"}"#), Some(bare));
        for body in [&b""[..], b"{}", br#"{"success":true}"#, b"<html>"] {
            assert_eq!(read_number(body), None);
        }
    }
}
