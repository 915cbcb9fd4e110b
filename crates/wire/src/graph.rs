//! What we post to WhatsApp's Graph API (`POST /{phone_number_id}/messages`), and what its answers mean.

use parlante_domain::{Address, MessageId, Tag};
use serde_json::{Value, json};

use crate::json::Fields;
use crate::outcome::{Outcome, Refusal, RetryHints};

/// The body of a text message. `body` has at most 4,096 characters, which the caller sees to.
///
/// A phone goes out in `to` with a `+`, for without it Meta may put our own country code in front; a BSUID
/// goes out in `recipient`, for in `to` it is accepted and delivered nowhere.
#[must_use]
pub fn send_text(to: &Address, body: &str, tag: &Tag) -> Vec<u8> {
    let (field, address) = match to {
        Address::Phone(phone) => ("to", String::from("+") + phone.as_ref()),
        Address::Bsuid(bsuid) => ("recipient", String::from(bsuid.as_ref())),
    };
    bytes(&json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        field: address,
        "type": "text",
        "biz_opaque_callback_data": tag.to_string(),
        "text": {"body": body, "preview_url": body.contains("http://") || body.contains("https://")},
    }))
}

/// The body that marks a message of the person, and every earlier one, as read. With `typing` the person sees
/// us typing, until our answer or for 25 s.
#[must_use]
pub fn mark_read(message: &MessageId, typing: bool) -> Vec<u8> {
    let mut body = json!({
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": message.to_string(),
    });
    if typing {
        body["typing_indicator"] = json!({"type": "text"});
    }
    bytes(&body)
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

// Codes and their meaning: Meta's page "Error codes" of the Cloud API (2026-09-11). Meta asks to build on the
// code and not on the HTTP status. Which of them leave a send undone is our reading of that page: a limit is
// checked before anything is sent, a fault may strike after it.

/// Rate limits and maintenance: surely not sent.
const RETRY: [i64; 6] = [4, 613, 80_007, 130_429, 131_056, 131_057];
/// Faults on Meta's side: the message may have gone out.
const RETRY_UNSURE: [i64; 5] = [2, 131_000, 131_016, 133_004, 2_494_100];
/// Token, permission, payment, registration, restriction of the account: an operator must act. 200 to 299,
/// permissions of the Graph API, belong here too.
const PAUSE: [i64; 14] =
    [0, 3, 10, 33, 190, 368, 131_005, 131_031, 131_037, 131_042, 131_045, 131_048, 131_064, 133_010];
/// Wrong parameters, people who cannot or may not be written to, a closed window, media: final whatever the
/// status says. Codes of templates, registration and payments are left out, for we send none of these.
const GIVE_UP: [i64; 15] = [
    100, 130_403, 130_472, 130_497, 131_008, 131_009, 131_021, 131_026, 131_047, 131_049, 131_050, 131_051,
    131_052, 131_053, 131_062,
];

/// What an answer other than 2xx means for the send. The body's code decides over the status.
#[must_use]
pub fn classify(status: u16, body: &[u8], hints: RetryHints) -> Refusal {
    let body = Fields::from_bytes(body);
    let error = body.as_ref().and_then(|body| body.object("error"));
    let code = |key| error.as_ref().and_then(|error| error.code(key));
    let provider_code = code("code");
    // A phone number id that does not exist, or that this token may not use: no message can be sent.
    let no_number = provider_code.as_deref() == Some("100") && code("error_subcode").as_deref() == Some("33");
    let outcome = match provider_code.as_deref() {
        _ if no_number => Outcome::Pause,
        code => code.and_then(by_code).unwrap_or_else(|| by_status(status)),
    };
    Refusal { outcome, status, provider_code, retry_after: hints.retry_after, stop: hints.stop }
}

/// What the code of a `failed` status means: [`Outcome::Pause`] for the whole channel, or [`Outcome::GiveUp`]
/// for this message. A send that was accepted and then failed is never repeated by itself.
#[must_use]
pub fn classify_failed(code: &str) -> Outcome {
    by_code(code).filter(|outcome| *outcome == Outcome::Pause).unwrap_or(Outcome::GiveUp)
}

/// `None` for codes that leave it to the status: unknown ones, and 1, which stands for a wrong request as
/// well as for a fault of Meta's.
fn by_code(code: &str) -> Option<Outcome> {
    let code: i64 = code.parse().ok()?;
    if RETRY.contains(&code) {
        Some(Outcome::Retry)
    } else if RETRY_UNSURE.contains(&code) {
        Some(Outcome::RetryUnsure)
    } else if PAUSE.contains(&code) || (200..300).contains(&code) {
        Some(Outcome::Pause)
    } else if GIVE_UP.contains(&code) {
        Some(Outcome::GiveUp)
    } else {
        None
    }
}

fn by_status(status: u16) -> Outcome {
    match status {
        429 => Outcome::Retry,
        408 | 500..=599 => Outcome::RetryUnsure,
        401 => Outcome::Pause,
        _ => Outcome::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
    fn read_with_and_without_typing() {
        let id = MessageId::from("wamid.IN1");
        let plain = json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.IN1"});
        assert_eq!(value(&mark_read(&id, false)), plain);
        assert_eq!(value(&mark_read(&id, true))["typing_indicator"], json!({"type": "text"}));
    }

    #[test]
    fn the_id_of_an_accepted_message() {
        let body = br#"{"messaging_product":"whatsapp","contacts":[],"messages":[{"id":"wamid.HBgL0001"}]}"#;
        assert_eq!(read_sent(body), Some(MessageId::from("wamid.HBgL0001")));
        for body in [&b""[..], b"{}", b"<html>", br#"{"messages":[]}"#, br#"{"messages":[{"id":""}]}"#] {
            assert_eq!(read_sent(body), None);
        }
    }

    fn outcome(status: u16, code: i64) -> Outcome {
        let body =
            json!({"error": {"message": "(#1) x", "type": "OAuthException", "code": code}}).to_string();
        classify(status, body.as_bytes(), RetryHints::default()).outcome
    }

    #[test]
    fn the_code_decides_over_the_status() {
        for code in [4, 613, 80_007, 130_429, 131_056, 131_057] {
            assert_eq!(outcome(400, code), Outcome::Retry, "{code}");
        }
        for code in [2, 131_000, 131_016, 133_004, 2_494_100] {
            assert_eq!(outcome(400, code), Outcome::RetryUnsure, "{code}");
        }
        let paused = [0, 3, 10, 33, 190, 200, 299, 368, 131_005, 131_031, 131_037, 131_042, 131_045, 131_048];
        for code in paused.into_iter().chain([131_064, 133_010]) {
            assert_eq!(outcome(400, code), Outcome::Pause, "{code}");
            assert_eq!(outcome(500, code), Outcome::Pause, "{code}");
        }
        for code in [100, 130_472, 131_009, 131_026, 131_047, 131_053] {
            assert_eq!(outcome(400, code), Outcome::GiveUp, "{code}");
            assert_eq!(outcome(500, code), Outcome::GiveUp, "{code}");
            assert_eq!(outcome(429, code), Outcome::GiveUp, "{code}");
        }
    }

    #[test]
    fn a_number_that_the_token_may_not_use_is_the_operators_fault() {
        let body = |subcode| format!(r#"{{"error":{{"code":100,"error_subcode":{subcode}}}}}"#);
        let outcome = |subcode| classify(400, body(subcode).as_bytes(), RetryHints::default()).outcome;
        assert_eq!((outcome(33), outcome(34)), (Outcome::Pause, Outcome::GiveUp));
    }

    #[test]
    fn an_unknown_code_leaves_it_to_the_status() {
        for code in [1, 300, 132_000, 999_999] {
            assert_eq!(outcome(400, code), Outcome::GiveUp);
            assert_eq!(outcome(429, code), Outcome::Retry);
            assert_eq!(outcome(500, code), Outcome::RetryUnsure);
        }
    }

    #[test]
    fn a_body_without_code_leaves_it_to_the_status() {
        let by_status = |status| classify(status, b"<html>", RetryHints::default()).outcome;
        assert_eq!(by_status(429), Outcome::Retry);
        assert_eq!(by_status(401), Outcome::Pause);
        for status in [408, 500, 502, 503, 504] {
            assert_eq!(by_status(status), Outcome::RetryUnsure, "{status}");
        }
        for status in [302, 400, 403, 404, 409, 422] {
            assert_eq!(by_status(status), Outcome::GiveUp, "{status}");
        }
    }

    #[test]
    fn a_refusal_keeps_the_code_and_the_hints() {
        let hints = RetryHints { retry_after: Some(Duration::from_secs(3)), stop: true };
        let refusal = classify(503, br#"{"error":{"code":"131016"}}"#, hints);
        assert_eq!(refusal.provider_code.as_deref(), Some("131016"));
        assert_eq!((refusal.status, refusal.retry_after, refusal.stop), (503, hints.retry_after, true));
    }

    #[test]
    fn a_failed_status_pauses_or_ends_but_never_repeats() {
        assert_eq!(classify_failed("131042"), Outcome::Pause);
        for code in ["131026", "131047", "131056", "131000", "failed"] {
            assert_eq!(classify_failed(code), Outcome::GiveUp, "{code}");
        }
    }
}
