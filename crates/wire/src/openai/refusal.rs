//! What an error of OpenAI's, or of a compatible server's, means. Codes: OpenAI's page "Error codes" (2026), and
//! of its `ResponseErrorCode` those that can befall words and sound.

use crate::json::Fields;
use crate::outcome::Cause::{Account, Credential};
use crate::outcome::Outcome::{self, GiveUp, Pause, Retry};
use crate::outcome::{Codes, Refusal, RetryHints, look_up};

/// Every `code` that we know.
pub const CODES: Codes = &[
    ("invalid_api_key", Pause(Credential)),
    // Quota, billing, permission, model.
    ("insufficient_quota", Pause(Account)),
    ("credit_balance_exhausted", Pause(Account)),
    ("organization_spend_limit_exceeded", Pause(Account)),
    ("project_spend_limit_exceeded", Pause(Account)),
    ("organization_usage_limit_exceeded", Pause(Account)),
    ("billing_hard_limit_reached", Pause(Account)),
    ("billing_not_active", Pause(Account)),
    ("ip_not_authorized", Pause(Account)),
    ("unsupported_country_region_territory", Pause(Account)),
    ("model_not_found", Pause(Account)),
    // Limits and overload.
    ("rate_limit_exceeded", Retry),
    ("slow_down", Retry),
    ("server_is_overloaded", Retry),
    ("server_error", Retry),
    // What was asked is the trouble.
    ("content_filter", GiveUp),
    ("content_policy_violation", GiveUp),
    ("invalid_prompt", GiveUp),
    ("bio_policy", GiveUp),
    ("data_residency_mismatch", GiveUp),
    ("context_length_exceeded", GiveUp),
    ("invalid_service_tier", GiveUp),
    ("unsupported_value", GiveUp),
    ("unsupported_parameter", GiveUp),
];

/// Every `type` that says what its status does not; it counts where the code says nothing. The others
/// (`invalid_request_error`, and `server_error`, which comes with a 413 too) leave it to the status.
pub const TYPES: Codes = &[
    ("insufficient_quota", Pause(Account)),
    ("rate_limit_error", Retry),
    ("tokens", Retry),
    ("requests", Retry),
    ("service_unavailable_error", Retry),
];

/// What an answer other than 2xx means. The body's code decides over its type, and both over the status.
#[must_use]
pub fn classify(status: u16, body: &[u8], hints: RetryHints) -> Refusal {
    let error = Fields::from_bytes(body).and_then(|body| body.object("error")).unwrap_or_default();
    of_error(status, &error, hints)
}

/// `status` is 200 for an error in the middle of a stream.
pub(super) fn of_error(status: u16, error: &Fields<'_>, hints: RetryHints) -> Refusal {
    let (code, kind) = (error.code("code"), error.code("type"));
    let by_code = code.as_deref().and_then(|code| look_up(CODES, code));
    let by_type = kind.as_deref().and_then(|kind| look_up(TYPES, kind));
    let outcome = if is_too_large(error) {
        GiveUp
    } else {
        by_code.or(by_type).unwrap_or_else(|| by_status(status, kind.as_deref()))
    };
    Refusal {
        outcome,
        status,
        is_known: code.is_none() || by_code.is_some(),
        provider_code: code,
        retry_after: hints.retry_after,
        stop: hints.stop,
    }
}

/// A single request above the limit per minute comes as a rate limit, though no wait can help it.
fn is_too_large(error: &Fields<'_>) -> bool {
    error.text("message").is_some_and(|message| message.starts_with("Request too large"))
}

fn by_status(status: u16, kind: Option<&str>) -> Outcome {
    match status {
        401 => Pause(Credential),
        // Compatible servers say 402 for an empty account; 404 is a wrong model or a wrong base URL.
        402..=404 => Pause(Account),
        408 | 429 | 500 | 502 | 503 | 504 => Retry,
        200..=299 if kind != Some("invalid_request_error") => Retry,
        _ => GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn refusal(status: u16, kind: &str, code: Option<&str>, message: &str) -> Refusal {
        let body =
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string();
        classify(status, body.as_bytes(), RetryHints::default())
    }

    fn outcome(status: u16, kind: &str, code: Option<&str>) -> Outcome {
        refusal(status, kind, code, "x").outcome
    }

    #[test]
    fn a_status_alone() {
        let by_status = |status| classify(status, b"", RetryHints::default()).outcome;
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(by_status(status), Retry, "{status}");
        }
        assert_eq!(by_status(401), Pause(Credential));
        for status in [402, 403, 404] {
            assert_eq!(by_status(status), Pause(Account), "{status}");
        }
        for status in [302, 400, 409, 413, 422, 501] {
            assert_eq!(by_status(status), GiveUp, "{status}");
        }
    }

    #[test]
    fn a_429_is_a_limit_or_an_empty_account() {
        assert_eq!(outcome(429, "tokens", Some("rate_limit_exceeded")), Retry);
        assert_eq!(outcome(429, "rate_limit_error", Some("slow_down")), Retry);
        assert_eq!(outcome(429, "insufficient_quota", Some("insufficient_quota")), Pause(Account));
        assert_eq!(outcome(429, "insufficient_quota", None), Pause(Account));
        for code in
            ["credit_balance_exhausted", "project_spend_limit_exceeded", "organization_usage_limit_exceeded"]
        {
            assert_eq!(outcome(429, "insufficient_quota", Some(code)), Pause(Account), "{code}");
        }
    }

    #[test]
    fn a_type_decides_where_the_code_says_nothing() {
        assert_eq!(outcome(403, "rate_limit_error", None), Retry);
        assert_eq!(outcome(429, "insufficient_quota", Some("brand_new_limit")), Pause(Account));
        assert_eq!(outcome(429, "insufficient_quota", Some("rate_limit_exceeded")), Retry);
        assert_eq!(outcome(200, "server_error", None), Retry);
        assert_eq!(outcome(200, "invalid_request_error", None), GiveUp);
    }

    #[test]
    fn only_a_code_that_stands_nowhere_is_unknown() {
        let is_known = |code| refusal(429, "insufficient_quota", code, "x").is_known;
        assert!(is_known(None) && is_known(Some("slow_down")));
        assert!(!is_known(Some("brand_new_limit")));
    }

    #[test]
    fn a_request_that_is_too_large_is_not_repeated() {
        let message = "Request too large for gpt-5.4-mini in organization org-x on tokens per min (TPM)";
        let refusal = refusal(429, "tokens", Some("rate_limit_exceeded"), message);
        assert_eq!(refusal.outcome, GiveUp);
    }

    #[test]
    fn key_and_model_concern_the_operator() {
        assert_eq!(outcome(401, "invalid_request_error", Some("invalid_api_key")), Pause(Credential));
        assert_eq!(outcome(401, "invalid_request_error", Some("ip_not_authorized")), Pause(Account));
        assert_eq!(outcome(404, "invalid_request_error", Some("model_not_found")), Pause(Account));
        assert_eq!(outcome(400, "invalid_request_error", Some("model_not_found")), Pause(Account));
    }

    #[test]
    fn what_was_asked_is_the_trouble() {
        assert_eq!(outcome(400, "invalid_request_error", Some("context_length_exceeded")), GiveUp);
        assert_eq!(outcome(500, "invalid_request_error", Some("context_length_exceeded")), GiveUp);
        assert_eq!(outcome(400, "invalid_request_error", None), GiveUp);
        assert_eq!(outcome(413, "server_error", None), GiveUp);
    }

    #[test]
    fn an_error_may_be_a_mere_string() {
        let refusal = classify(404, br#"{"error":"model 'x' not found"}"#, RetryHints::default());
        assert_eq!((refusal.outcome, refusal.provider_code), (Pause(Account), None));
    }

    #[test]
    fn a_refusal_keeps_the_code_and_the_hints() {
        let hints = RetryHints { retry_after: Some(Duration::from_millis(800)), stop: true };
        let refusal = classify(
            503,
            br#"{"error":{"type":"service_unavailable_error","code":"server_is_overloaded"}}"#,
            hints,
        );
        assert_eq!(refusal.provider_code.as_deref(), Some("server_is_overloaded"));
        assert_eq!((refusal.status, refusal.retry_after, refusal.stop), (503, hints.retry_after, true));
    }
}
