//! What an error of OpenAI's, or of a compatible server's, means. Codes: OpenAI's page "Error codes" (2026).

use crate::json::Fields;
use crate::outcome::{Outcome, Refusal, RetryHints};

/// Key, quota, billing, model: every message would fail alike until an operator acts.
const PAUSE: [&str; 9] = [
    "invalid_api_key",
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "model_not_found",
];
/// Limits and overload.
const RETRY: [&str; 4] = ["rate_limit_exceeded", "slow_down", "server_is_overloaded", "server_error"];
/// What was asked is the trouble.
const GIVE_UP: [&str; 7] = [
    "content_filter",
    "content_policy_violation",
    "invalid_prompt",
    "bio_policy",
    "context_length_exceeded",
    "unsupported_value",
    "unsupported_parameter",
];

/// What an answer other than 2xx means. The body's code decides over the status.
#[must_use]
pub fn classify(status: u16, body: &[u8], hints: RetryHints) -> Refusal {
    let error = Fields::from_bytes(body).and_then(|body| body.object("error")).unwrap_or_default();
    of_error(status, &error, hints)
}

/// `status` is 200 for an error in the middle of a stream.
pub(super) fn of_error(status: u16, error: &Fields<'_>, hints: RetryHints) -> Refusal {
    let (code, kind) = (error.code("code"), error.code("type"));
    let outcome = if is_too_large(error) {
        Outcome::GiveUp
    } else {
        let by_code = code.as_deref().and_then(by_code);
        by_code.unwrap_or_else(|| by_status(status, kind.as_deref()))
    };
    Refusal { outcome, status, provider_code: code, retry_after: hints.retry_after, stop: hints.stop }
}

/// A single request above the limit per minute comes as a rate limit, though no wait can help it.
fn is_too_large(error: &Fields<'_>) -> bool {
    error.text("message").is_some_and(|message| message.starts_with("Request too large"))
}

fn by_code(code: &str) -> Option<Outcome> {
    if PAUSE.contains(&code) {
        Some(Outcome::Pause)
    } else if RETRY.contains(&code) {
        Some(Outcome::Retry)
    } else if GIVE_UP.contains(&code) {
        Some(Outcome::GiveUp)
    } else {
        None
    }
}

fn by_status(status: u16, kind: Option<&str>) -> Outcome {
    match (status, kind) {
        (_, Some("insufficient_quota")) => Outcome::Pause,
        // Compatible servers say 402 for an empty account; 404 is a wrong model or a wrong base URL.
        (401..=404, _) => Outcome::Pause,
        (408 | 429 | 500 | 502 | 503 | 504, _) => Outcome::Retry,
        (200..=299, kind) if kind != Some("invalid_request_error") => Outcome::Retry,
        _ => Outcome::GiveUp,
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
            assert_eq!(by_status(status), Outcome::Retry, "{status}");
        }
        for status in [401, 402, 403, 404] {
            assert_eq!(by_status(status), Outcome::Pause, "{status}");
        }
        for status in [302, 400, 409, 413, 422, 501] {
            assert_eq!(by_status(status), Outcome::GiveUp, "{status}");
        }
    }

    #[test]
    fn a_429_is_a_limit_or_an_empty_account() {
        assert_eq!(outcome(429, "tokens", Some("rate_limit_exceeded")), Outcome::Retry);
        assert_eq!(outcome(429, "rate_limit_error", Some("slow_down")), Outcome::Retry);
        assert_eq!(outcome(429, "insufficient_quota", Some("insufficient_quota")), Outcome::Pause);
        assert_eq!(outcome(429, "insufficient_quota", None), Outcome::Pause);
        for code in
            ["credit_balance_exhausted", "project_spend_limit_exceeded", "organization_usage_limit_exceeded"]
        {
            assert_eq!(outcome(429, "insufficient_quota", Some(code)), Outcome::Pause, "{code}");
        }
    }

    #[test]
    fn a_request_that_is_too_large_is_not_repeated() {
        let message = "Request too large for gpt-5.4-mini in organization org-x on tokens per min (TPM)";
        let refusal = refusal(429, "tokens", Some("rate_limit_exceeded"), message);
        assert_eq!(refusal.outcome, Outcome::GiveUp);
    }

    #[test]
    fn key_and_model_concern_the_operator() {
        assert_eq!(outcome(401, "invalid_request_error", Some("invalid_api_key")), Outcome::Pause);
        assert_eq!(outcome(404, "invalid_request_error", Some("model_not_found")), Outcome::Pause);
        assert_eq!(outcome(400, "invalid_request_error", Some("model_not_found")), Outcome::Pause);
    }

    #[test]
    fn what_was_asked_is_the_trouble() {
        assert_eq!(outcome(400, "invalid_request_error", Some("context_length_exceeded")), Outcome::GiveUp);
        assert_eq!(outcome(500, "invalid_request_error", Some("context_length_exceeded")), Outcome::GiveUp);
        assert_eq!(outcome(400, "invalid_request_error", None), Outcome::GiveUp);
        assert_eq!(outcome(413, "server_error", None), Outcome::GiveUp);
    }

    #[test]
    fn an_error_may_be_a_mere_string() {
        let refusal = classify(404, br#"{"error":"model 'x' not found"}"#, RetryHints::default());
        assert_eq!((refusal.outcome, refusal.provider_code), (Outcome::Pause, None));
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
