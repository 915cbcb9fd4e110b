//! Errors as ElevenLabs words them, in the envelope of today and in the one of old.

use serde_json::{Value, json};

use crate::http::Reply;

/// Code, type, HTTP status, message. As listed on ElevenLabs' error page of 2026.
const KNOWN: [(&str, &str, u16, &str); 41] = [
    ("missing_required_field", VALIDATION, 400, "A required field is missing."),
    ("invalid_parameters", VALIDATION, 400, "One or more parameters are invalid."),
    ("text_too_long", VALIDATION, 400, "The text is longer than the model takes."),
    ("text_too_short", VALIDATION, 400, "The text is too short."),
    ("empty_text", VALIDATION, 400, "The text is empty."),
    ("invalid_text", VALIDATION, 400, "The text cannot be spoken."),
    ("invalid_voice_id", VALIDATION, 400, "The voice ID is malformed."),
    ("invalid_voice_settings", VALIDATION, 400, "The voice settings are out of range."),
    ("invalid_output_format", VALIDATION, 400, "The output format is not supported."),
    ("unsupported_model", VALIDATION, 400, "The model does not support this request."),
    ("bad_request", "invalid_request", 400, "The request is invalid."),
    ("malformed_json", "invalid_request", 400, "The body is not valid JSON."),
    ("invalid_content_type", "invalid_request", 400, "The content type is not supported."),
    ("request_too_large", "invalid_request", 400, "The request is too large."),
    ("invalid_api_key", AUTHENTICATION, 401, "Invalid API key."),
    ("missing_api_key", AUTHENTICATION, 401, "An API key is required."),
    ("invalid_authorization_header", AUTHENTICATION, 401, "The authorization header is malformed."),
    ("unauthorized", AUTHENTICATION, 401, "The request is not authorized."),
    ("sign_in_required", AUTHENTICATION, 401, "Please sign in."),
    ("insufficient_credits", "payment_required", 402, "You have no credits left."),
    ("forbidden", AUTHORIZATION, 403, "Access is denied."),
    ("insufficient_permissions", AUTHORIZATION, 403, "The API key lacks a permission."),
    ("workspace_access_denied", AUTHORIZATION, 403, "You have no access to this workspace."),
    ("feature_not_available", AUTHORIZATION, 403, "The feature is not part of your plan."),
    ("subscription_required", AUTHORIZATION, 403, "This needs a paid subscription."),
    ("voice_access_denied", AUTHORIZATION, 403, "You have no access to this voice."),
    ("model_access_denied", AUTHORIZATION, 403, "You have no access to this model."),
    ("voice_not_found", "not_found", 404, "A voice with this ID was not found."),
    ("model_not_found", "not_found", 404, "A model with this ID was not found."),
    ("not_found", "not_found", 404, "Nothing was found here."),
    ("conflict", "conflict", 409, "The request conflicts with another."),
    ("already_running", "conflict", 409, "This is already running."),
    ("concurrent_modification", "conflict", 409, "The resource was modified meanwhile."),
    ("rate_limit_exceeded", RATE, 429, "Too many requests."),
    ("concurrent_limit_exceeded", RATE, 429, "Too many concurrent requests."),
    ("system_busy", RATE, 429, "The system is busy. Please try again later."),
    ("internal_error", "internal_error", 500, "Something went wrong."),
    ("service_unavailable", "service_unavailable", 503, "The service is unavailable."),
    ("maintenance", "service_unavailable", 503, "The service is under maintenance."),
    ("unprocessable_entity", VALIDATION, 422, "The request cannot be processed."),
    ("request_timeout", "internal_error", 408, "The request took too long."),
];

const VALIDATION: &str = "validation_error";
const AUTHENTICATION: &str = "authentication_error";
const AUTHORIZATION: &str = "authorization_error";
const RATE: &str = "rate_limit_error";

/// What is only seen in the old envelope: its word, HTTP status, message.
const LEGACY: [(&str, u16, &str); 8] = [
    ("quota_exceeded", 401, "This request exceeds your quota."),
    ("missing_permissions", 401, "The API key you used is missing a permission."),
    ("detected_unusual_activity", 401, "Unusual activity detected. Free Tier usage disabled."),
    ("max_character_limit_exceeded", 400, "The text exceeds the maximum length of a request."),
    ("only_for_creator+", 403, "This output format is only available to Creator and above."),
    ("too_many_concurrent_requests", 429, "Too many concurrent requests."),
    ("invalid_uid", 400, "An invalid ID has been received."),
    ("needs_authorization", 401, "Neither authorization header nor xi-api-key received."),
];

/// The old word for what has another one today; all others kept theirs.
const OLD_WORDS: [(&str, &str); 5] = [
    ("concurrent_limit_exceeded", "too_many_concurrent_requests"),
    ("text_too_long", "max_character_limit_exceeded"),
    ("insufficient_permissions", "missing_permissions"),
    ("subscription_required", "only_for_creator+"),
    ("missing_api_key", "needs_authorization"),
];

/// An error about to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: String,
    /// None for what only the old envelope has.
    kind: Option<&'static str>,
    message: String,
    param: Option<&'static str>,
    /// For a body of the wrong shape: the field, and the kind of mistake, in an envelope of their own.
    field: Option<(&'static str, &'static str)>,
}

impl ApiError {
    /// The error of this code in ElevenLabs' usual words; in the old envelope if the code is only seen there.
    pub(super) fn of(code: &str) -> Self {
        let known = KNOWN.iter().find(|(other, ..)| *other == code);
        let legacy = LEGACY.iter().find(|(other, ..)| *other == code);
        let (kind, status, message) = match (known, legacy) {
            (Some((_, kind, status, message)), _) => (Some(*kind), *status, *message),
            (None, Some((_, status, message))) => (None, *status, *message),
            (None, None) => (Some(VALIDATION), 400, "The request is invalid."),
        };
        Self { status, code: code.into(), kind, message: message.into(), param: None, field: None }
    }

    /// The error that usually comes with an HTTP status.
    pub(super) fn usual(status: u16) -> Self {
        let code = match status {
            401 => "invalid_api_key",
            402 => "insufficient_credits",
            403 => "forbidden",
            404 => "voice_not_found",
            408 => "request_timeout",
            409 => "conflict",
            422 => return Self::shape("text", "missing", "Field required"),
            429 => "rate_limit_exceeded",
            503 => "service_unavailable",
            500.. => "internal_error",
            _ => "invalid_parameters",
        };
        Self::of(code).with_status(status)
    }

    /// A body of the wrong shape: 422, with a list of what is wrong where.
    pub(super) fn shape(field: &'static str, kind: &'static str, message: &str) -> Self {
        let field = Some((field, kind));
        Self { field, ..Self::of("unprocessable_entity").with_message(message) }
    }

    pub(super) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    pub(super) fn with_param(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }

    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The error in its envelope; `request_id` is the one of the reply's header.
    pub(super) fn reply(&self, legacy: bool, request_id: &str) -> Reply {
        Reply::json(self.status, &json!({"detail": self.detail(legacy, request_id)}))
    }

    fn detail(&self, legacy: bool, request_id: &str) -> Value {
        if let Some((field, kind)) = &self.field {
            return json!([{"loc": ["body", field], "msg": self.message, "type": kind}]);
        }
        let old_word = OLD_WORDS.iter().find(|(today, _)| *today == self.code);
        let old_word = old_word.map_or(self.code.as_str(), |(_, old)| old);
        match self.kind.filter(|_| !legacy) {
            Some(kind) => {
                json!({"type": kind, "code": self.code, "message": self.message, "status": old_word,
                "request_id": request_id, "param": self.param})
            }
            None => json!({"status": old_word, "message": self.message}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn today_s_envelope_and_the_old_one_name_the_same_error() {
        let error = ApiError::of("concurrent_limit_exceeded");
        let today = error.detail(false, "r1");
        assert_eq!((&today["type"], &today["code"]), (&json!(RATE), &json!("concurrent_limit_exceeded")));
        assert_eq!(
            (&today["status"], &today["request_id"]),
            (&json!("too_many_concurrent_requests"), &json!("r1"))
        );
        let old =
            json!({"status": "too_many_concurrent_requests", "message": "Too many concurrent requests."});
        assert_eq!(error.detail(true, "r1"), old);
    }

    #[test]
    fn what_only_the_old_envelope_has_comes_in_it() {
        let error = ApiError::of("quota_exceeded");
        assert_eq!(error.status, 401);
        assert_eq!(error.detail(false, "r1")["status"], "quota_exceeded");
        assert_eq!(error.detail(false, "r1").get("code"), None);
    }

    #[test]
    fn every_status_has_an_error_of_its_own() {
        for status in [400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 502, 503] {
            assert_eq!(ApiError::usual(status).status, status);
        }
        assert!(ApiError::usual(422).detail(false, "").is_array());
    }

    #[test]
    fn no_code_stands_in_both_lists() {
        assert!(LEGACY.iter().all(|(word, ..)| KNOWN.iter().all(|(code, ..)| code != word)));
    }
}
