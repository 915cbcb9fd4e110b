//! What an error of ElevenLabs' means. Codes: ElevenLabs' page "Errors" (2026), and the older words that its
//! servers still send.
//!
//! Every voice turn fails alike when the key may not do it or the account has not paid for it: that pauses the
//! channel. A voice or model that does not exist is refused at no cost, and the words go out as text: that is
//! left to each message.

use crate::json::Fields;
use crate::outcome::Cause::{Account, Credential};
use crate::outcome::Outcome::{self, GiveUp, Pause, Retry};
use crate::outcome::{Codes, Refusal, RetryHints, look_up};

/// Every `code` that we know, and every older `status`.
pub const CODES: Codes = &[
    // The key is wrong.
    ("invalid_api_key", Pause(Credential)),
    ("missing_api_key", Pause(Credential)),
    ("needs_authorization", Pause(Credential)),
    ("invalid_authorization_header", Pause(Credential)),
    ("unauthorized", Pause(Credential)),
    ("sign_in_required", Pause(Credential)),
    // The key is right, but the account has used up what it paid for, or may not do this.
    ("insufficient_credits", Pause(Account)),
    ("quota_exceeded", Pause(Account)),
    ("detected_unusual_activity", Pause(Account)),
    ("missing_permissions", Pause(Account)),
    ("forbidden", Pause(Account)),
    ("insufficient_permissions", Pause(Account)),
    ("workspace_access_denied", Pause(Account)),
    ("feature_not_available", Pause(Account)),
    ("subscription_required", Pause(Account)),
    ("only_for_creator+", Pause(Account)),
    ("voice_access_denied", Pause(Account)),
    ("model_access_denied", Pause(Account)),
    // Limits and faults of theirs. A speech that was made unseen has cost something, but nobody has heard it.
    ("rate_limit_exceeded", Retry),
    ("concurrent_limit_exceeded", Retry),
    ("too_many_concurrent_requests", Retry),
    ("system_busy", Retry),
    ("internal_error", Retry),
    ("service_unavailable", Retry),
    ("maintenance", Retry),
    // What was asked is the trouble.
    ("missing_required_field", GiveUp),
    ("invalid_parameters", GiveUp),
    ("text_too_long", GiveUp),
    ("max_character_limit_exceeded", GiveUp),
    ("text_too_short", GiveUp),
    ("empty_text", GiveUp),
    ("invalid_text", GiveUp),
    ("invalid_voice_id", GiveUp),
    ("invalid_uid", GiveUp),
    ("invalid_voice_settings", GiveUp),
    ("invalid_output_format", GiveUp),
    ("unsupported_model", GiveUp),
    ("bad_request", GiveUp),
    ("malformed_json", GiveUp),
    ("invalid_content_type", GiveUp),
    ("request_too_large", GiveUp),
    ("voice_not_found", GiveUp),
    ("model_not_found", GiveUp),
    ("conflict", GiveUp),
    ("already_running", GiveUp),
    ("concurrent_modification", GiveUp),
];

/// What an answer other than 2xx means. The body's `detail` decides over the status: its `code`, else its older
/// `status`. It may also be a list (of wrong fields) or a text; neither has a code.
#[must_use]
pub fn classify(status: u16, body: &[u8], hints: RetryHints) -> Refusal {
    let words = words(body);
    let by_code = words.iter().flatten().find_map(|word| look_up(CODES, word));
    let provider_code = words.into_iter().flatten().next();
    Refusal {
        outcome: by_code.unwrap_or_else(|| by_status(status)),
        status,
        is_known: provider_code.as_deref().is_none_or(|code| look_up(CODES, code).is_some()),
        provider_code,
        retry_after: hints.retry_after,
        stop: hints.stop,
    }
}

/// Whether an answer to [`SUBSCRIPTION_PATH`](super::SUBSCRIPTION_PATH), good or bad, shows that the key is right. A
/// key may be restricted to speech: then it is told apart from a wrong one by not being allowed to ask.
#[must_use]
pub fn accepts_key(status: u16, body: &[u8]) -> bool {
    let is_restricted = |word: String| RESTRICTED.contains(&word.as_str());
    (200..300).contains(&status) || words(body).into_iter().flatten().any(is_restricted)
}

/// The older word and the newer one.
const RESTRICTED: [&str; 2] = ["missing_permissions", "insufficient_permissions"];

/// The `code` of a body, and its older `status`.
fn words(body: &[u8]) -> [Option<String>; 2] {
    let detail = Fields::from_bytes(body).and_then(|body| body.object("detail")).unwrap_or_default();
    [detail.code("code"), detail.code("status")]
}

fn by_status(status: u16) -> Outcome {
    match status {
        401 => Pause(Credential),
        402 | 403 => Pause(Account),
        408 | 429 | 500 | 502 | 503 | 504 => Retry,
        _ => GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        classify(status, body.as_bytes(), RetryHints::default())
    }

    #[test]
    fn the_code_counts_then_the_older_word_then_the_status() {
        let both = r#"{"detail":{"type":"rate_limit_error","code":"concurrent_limit_exceeded","status":"too_many_concurrent_requests"}}"#;
        let read = refusal(429, both);
        assert_eq!(read.provider_code.as_deref(), Some("concurrent_limit_exceeded"));
        assert_eq!((read.outcome, read.is_known), (Retry, true));

        let older = refusal(401, r#"{"detail":{"status":"quota_exceeded","message":"x"}}"#);
        assert_eq!((older.outcome, older.provider_code.as_deref()), (Pause(Account), Some("quota_exceeded")));

        let new = refusal(401, r#"{"detail":{"code":"brand_new","status":"quota_exceeded"}}"#);
        assert_eq!((new.outcome, new.provider_code.as_deref()), (Pause(Account), Some("brand_new")));
        assert!(!new.is_known);

        let unknown = refusal(503, r#"{"detail":{"code":"brand_new"}}"#);
        assert_eq!((unknown.outcome, unknown.is_known), (Retry, false));
    }

    #[test]
    fn the_detail_may_be_a_list_a_text_or_missing() {
        let list =
            r#"{"detail":[{"loc":["body","text"],"msg":"field required","type":"value_error.missing"}]}"#;
        for body in [list, r#"{"detail":"Not Found"}"#, r#"{"detail":null}"#, "{}", "[]", "", "<html>"] {
            let read = refusal(422, body);
            assert_eq!((read.outcome, read.provider_code, read.is_known), (GiveUp, None, true), "{body}");
        }
    }

    #[test]
    fn a_restricted_key_is_right() {
        let accepts = |status, body: &str| accepts_key(status, body.as_bytes());
        assert!(accepts(200, r#"{"character_count":1,"character_limit":2}"#));
        assert!(accepts(401, r#"{"detail":{"status":"missing_permissions","message":"user_read"}}"#));
        assert!(accepts(
            403,
            r#"{"detail":{"type":"authorization_error","code":"insufficient_permissions"}}"#
        ));
        for word in ["invalid_api_key", "needs_authorization", "quota_exceeded", "forbidden"] {
            assert!(!accepts(401, &format!(r#"{{"detail":{{"status":"{word}"}}}}"#)), "{word}");
        }
        for (status, body) in
            [(401, ""), (401, r#"{"detail":"missing_permissions"}"#), (500, "{}"), (302, "")]
        {
            assert!(!accepts(status, body), "{status} {body}");
        }
    }

    #[test]
    fn a_status_alone() {
        let by_status = |status| refusal(status, "").outcome;
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(by_status(status), Retry, "{status}");
        }
        assert_eq!(by_status(401), Pause(Credential));
        assert_eq!((by_status(402), by_status(403)), (Pause(Account), Pause(Account)));
        for status in [302, 400, 404, 409, 413, 422, 501] {
            assert_eq!(by_status(status), GiveUp, "{status}");
        }
    }
}
