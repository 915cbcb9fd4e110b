//! What an error of the Graph API means, in an answer or in a `failed` status.
//!
//! Codes and their meaning: Meta's page "Error codes" of the Cloud API (2026-09-11). Meta asks to build on the
//! code and not on the HTTP status. Which of them leave a send undone is our reading of that page: a limit is
//! checked before anything is sent, a fault may strike after it.

use crate::json::Fields;
use crate::outcome::Cause::{Account, Credential};
use crate::outcome::Outcome::{self, GiveUp, Pause, Retry, RetryUnsure};
use crate::outcome::{Codes, Refusal, RetryHints, look_up};

/// Every code that we know; 200 stands for all of 200 to 299.
pub const CODES: Codes = &[
    // Token: any call can tell when it works again.
    ("0", Pause(Credential)),
    ("190", Pause(Credential)),
    // Permission, restriction, payment and registration of the account or of our number.
    ("3", Pause(Account)),
    ("10", Pause(Account)),
    ("33", Pause(Account)),
    ("200", Pause(Account)),
    ("368", Pause(Account)),
    ("131005", Pause(Account)),
    ("131031", Pause(Account)),
    ("131037", Pause(Account)),
    ("131042", Pause(Account)),
    ("131045", Pause(Account)),
    ("131048", Pause(Account)),
    ("131064", Pause(Account)),
    ("133010", Pause(Account)),
    // Rate limits and maintenance: surely not sent.
    ("4", Retry),
    ("613", Retry),
    ("80007", Retry),
    ("130429", Retry),
    ("131056", Retry),
    ("131057", Retry),
    // Faults on Meta's side: the message may have gone out. 1 is one of them only beside a 5xx.
    ("1", RetryUnsure),
    ("2", RetryUnsure),
    ("131000", RetryUnsure),
    ("131016", RetryUnsure),
    ("133004", RetryUnsure),
    ("2494100", RetryUnsure),
    // Wrong parameters.
    ("100", GiveUp),
    ("131008", GiveUp),
    ("131009", GiveUp),
    ("131051", GiveUp),
    ("131055", GiveUp),
    // People who cannot or may not be written to, and the closed window.
    ("130403", GiveUp),
    ("130472", GiveUp),
    ("130497", GiveUp),
    ("131021", GiveUp),
    ("131026", GiveUp),
    ("131047", GiveUp),
    ("131049", GiveUp),
    ("131050", GiveUp),
    ("131062", GiveUp),
    ("131063", GiveUp),
    // Media: theirs that could not be fetched, ours that could not be used.
    ("131052", GiveUp),
    (MEDIA_FAULT, GiveUp),
    // Templates and flows, which we do not send.
    ("132000", GiveUp),
    ("132001", GiveUp),
    ("132005", GiveUp),
    ("132007", GiveUp),
    ("132012", GiveUp),
    ("132015", GiveUp),
    ("132016", GiveUp),
    ("132018", GiveUp),
    ("132068", GiveUp),
    ("132069", GiveUp),
    // Registration and payments, which are no part of a send.
    ("133000", GiveUp),
    ("133005", GiveUp),
    ("133006", GiveUp),
    ("133008", GiveUp),
    ("133009", GiveUp),
    ("133015", GiveUp),
    ("133016", GiveUp),
    ("134011", GiveUp),
    ("134100", GiveUp),
    ("134101", GiveUp),
    ("134102", GiveUp),
    ("135000", GiveUp),
];

/// A file that is not what its type says, or that WhatsApp cannot use.
const MEDIA_FAULT: &str = "131053";

/// What an answer other than 2xx means for the call. The body's code decides over the status.
#[must_use]
pub fn classify(status: u16, body: &[u8], hints: RetryHints) -> Refusal {
    let body = Fields::from_bytes(body);
    let error = body.as_ref().and_then(|body| body.object("error"));
    let code = |key| error.as_ref().and_then(|error| error.code(key));
    let (provider_code, subcode) = (code("code"), code("error_subcode"));
    let by_code = provider_code.as_deref().and_then(outcome_of);
    let outcome = match (provider_code.as_deref(), subcode.as_deref()) {
        // A phone number id that does not exist, or that this token may not use: no message can be sent.
        (Some("100"), Some("33")) => Pause(Account),
        // A wrong request as well as a fault of Meta's: only the status tells them apart.
        (Some("1"), _) => by_status(status),
        _ => by_code.unwrap_or_else(|| by_status(status)),
    };
    Refusal {
        outcome,
        status,
        is_known: provider_code.is_none() || by_code.is_some(),
        provider_code,
        retry_after: hints.retry_after,
        stop: hints.stop,
    }
}

/// Whether the code of a `failed` status tells of a fault that concerns every message: the part goes out again
/// when the channel works. Of any other code the message is the trouble, and it is not sent again.
#[must_use]
pub fn is_channel_fault(code: &str) -> bool {
    matches!(outcome_of(code), Some(Pause(_)))
}

/// Whether the code of a refusal or of a `failed` status says that the sound itself could not be used: Meta looks at
/// it on upload, on sending, or later, and has one code for all.
#[must_use]
pub fn is_media_fault(code: &str) -> bool {
    code == MEDIA_FAULT
}

/// What a code means, whatever status it came with. `None`: it stands in no table of ours.
#[must_use]
pub fn outcome_of(code: &str) -> Option<Outcome> {
    let number: Option<u32> = code.parse().ok();
    let is_permission = number.is_some_and(|number| (200..300).contains(&number));
    look_up(CODES, if is_permission { "200" } else { code })
}

fn by_status(status: u16) -> Outcome {
    match status {
        429 => Retry,
        408 | 500..=599 => RetryUnsure,
        401 => Pause(Credential),
        _ => GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn refusal(status: u16, code: i64) -> Refusal {
        let body =
            json!({"error": {"message": "(#1) x", "type": "OAuthException", "code": code}}).to_string();
        classify(status, body.as_bytes(), RetryHints::default())
    }

    fn outcome(status: u16, code: i64) -> Outcome {
        refusal(status, code).outcome
    }

    #[test]
    fn the_code_decides_over_the_status() {
        for code in [4, 613, 80_007, 130_429, 131_056, 131_057] {
            assert_eq!(outcome(400, code), Retry, "{code}");
        }
        for code in [2, 131_000, 131_016, 133_004, 2_494_100] {
            assert_eq!(outcome(400, code), RetryUnsure, "{code}");
        }
        let of_account = [3, 10, 33, 200, 299, 368, 131_005, 131_031, 131_037, 131_042, 131_045, 131_048];
        for code in of_account.into_iter().chain([131_064, 133_010]) {
            assert_eq!(outcome(400, code), Pause(Account), "{code}");
            assert_eq!(outcome(500, code), Pause(Account), "{code}");
        }
        for code in [0, 190] {
            assert_eq!(outcome(400, code), Pause(Credential), "{code}");
        }
        for code in [100, 130_472, 131_009, 131_026, 131_047, 131_053] {
            assert_eq!(outcome(400, code), GiveUp, "{code}");
            assert_eq!(outcome(500, code), GiveUp, "{code}");
            assert_eq!(outcome(429, code), GiveUp, "{code}");
        }
    }

    #[test]
    fn a_number_that_the_token_may_not_use_is_the_operators_fault() {
        let body = |subcode| format!(r#"{{"error":{{"code":100,"error_subcode":{subcode}}}}}"#);
        let outcome = |subcode| classify(400, body(subcode).as_bytes(), RetryHints::default()).outcome;
        assert_eq!((outcome(33), outcome(34)), (Pause(Account), GiveUp));
    }

    #[test]
    fn an_unknown_code_leaves_it_to_the_status() {
        for code in [1, 300, 999_999] {
            assert_eq!(outcome(400, code), GiveUp);
            assert_eq!(outcome(429, code), Retry);
            assert_eq!(outcome(500, code), RetryUnsure);
        }
    }

    #[test]
    fn only_a_code_that_stands_nowhere_is_unknown() {
        for code in [1, 190, 250, 131_053] {
            assert!(refusal(400, code).is_known, "{code}");
        }
        assert!(classify(500, b"<html>", RetryHints::default()).is_known);
        for code in [300, 999_999, -1] {
            assert!(!refusal(400, code).is_known, "{code}");
        }
    }

    #[test]
    fn a_body_without_code_leaves_it_to_the_status() {
        let by_status = |status| classify(status, b"<html>", RetryHints::default()).outcome;
        assert_eq!(by_status(429), Retry);
        assert_eq!(by_status(401), Pause(Credential));
        for status in [408, 500, 502, 503, 504] {
            assert_eq!(by_status(status), RetryUnsure, "{status}");
        }
        for status in [302, 400, 403, 404, 409, 422] {
            assert_eq!(by_status(status), GiveUp, "{status}");
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
    fn a_failed_status_concerns_the_channel_the_sound_or_the_message() {
        for code in ["0", "190", "200", "250", "131042"] {
            assert!(is_channel_fault(code), "{code}");
        }
        for code in ["131026", "131047", "131056", "131000", "failed", "1", "300", ""] {
            assert!(!is_channel_fault(code) && !is_media_fault(code), "{code}");
        }
        assert!(is_media_fault("131053") && !is_channel_fault("131053"));
        assert!(is_media_fault(&refusal(400, 131_053).provider_code.unwrap()), "refused at once");
    }
}
