//! Errors as OpenAI words them: type, code, parameter and the usual HTTP status.

use serde_json::json;

use crate::http::Reply;

/// Code, HTTP status, type, message.
const KNOWN: [(&str, u16, &str, &str); 20] = [
    (
        "invalid_api_key",
        401,
        "invalid_request_error",
        "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    ("ip_not_authorized", 401, "invalid_request_error", "Your IP address is not authorized."),
    (
        "unsupported_country_region_territory",
        403,
        "request_forbidden",
        "Country, region, or territory not supported",
    ),
    (
        "insufficient_permissions",
        403,
        "invalid_request_error",
        "You have insufficient permissions for this operation.",
    ),
    (
        "model_not_found",
        404,
        "invalid_request_error",
        "The model does not exist or you do not have access to it.",
    ),
    (
        "context_length_exceeded",
        400,
        "invalid_request_error",
        "This model's maximum context length is 128000 tokens. Please reduce the length of the messages.",
    ),
    (
        "content_policy_violation",
        400,
        "invalid_request_error",
        "Your request was rejected as a result of our safety system.",
    ),
    ("invalid_service_tier", 400, "invalid_request_error", "Invalid service_tier argument."),
    ("request_timeout", 408, "timeout", "The request took too long. Please try again."),
    ("conflict", 409, "conflict_error", "The resource was updated by another request."),
    ("unsupported_value", 400, "invalid_request_error", "Unsupported value."),
    ("rate_limit_exceeded", 429, "tokens", "Rate limit reached for requests. Please try again in 800ms."),
    ("slow_down", 429, "rate_limit_error", "Please slow down."),
    (
        "insufficient_quota",
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    ("credit_balance_exhausted", 429, "insufficient_quota", "Your credit balance is exhausted."),
    (
        "organization_spend_limit_exceeded",
        429,
        "insufficient_quota",
        "Your organization has reached its spend limit.",
    ),
    (
        "organization_usage_limit_exceeded",
        429,
        "insufficient_quota",
        "Your organization has reached its usage limit.",
    ),
    ("project_spend_limit_exceeded", 429, "insufficient_quota", "Your project has reached its spend limit."),
    (
        "server_error",
        500,
        "server_error",
        "The server had an error while processing your request. Sorry about that!",
    ),
    (
        "server_is_overloaded",
        503,
        "service_unavailable_error",
        "The server is currently overloaded with other requests. Please try again later.",
    ),
];

/// An error about to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: u16,
    kind: String,
    message: String,
    param: Option<String>,
    code: Option<String>,
}

impl ApiError {
    /// The error of this code in OpenAI's usual words.
    pub(super) fn of(code: &str) -> Self {
        let known = KNOWN.iter().find(|(other, ..)| *other == code);
        let (_, status, kind, message) =
            known.unwrap_or(&("", 400, "invalid_request_error", "Invalid request."));
        Self {
            status: *status,
            kind: (*kind).into(),
            message: (*message).into(),
            param: (code == "context_length_exceeded").then(|| "messages".into()),
            code: Some(code.into()),
        }
    }

    /// The error that usually comes with an HTTP status.
    pub(super) fn usual(status: u16) -> Self {
        let code = match status {
            401 => "invalid_api_key",
            403 => "unsupported_country_region_territory",
            404 => "model_not_found",
            408 => "request_timeout",
            409 => "conflict",
            413 => {
                return Self { status, kind: "server_error".into(), ..Self::request("Request too large.") };
            }
            429 => "rate_limit_exceeded",
            503 => "server_is_overloaded",
            500.. => "server_error",
            _ => return Self { status, ..Self::request("Invalid request.") },
        };
        // OpenAI has no words of its own for these.
        let code_is_told = !matches!(status, 408 | 409 | 500..=502 | 504..);
        let error = Self::of(code);
        Self { status, code: error.code.filter(|_| code_is_told), ..error }
    }

    /// A request that is wrong in itself.
    pub(super) fn request(message: impl Into<String>) -> Self {
        let kind = "invalid_request_error".into();
        Self { status: 400, kind, message: message.into(), param: None, code: None }
    }

    pub(super) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    pub(super) fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(super) fn with_code(mut self, code: &str) -> Self {
        self.code = Some(code.into());
        self
    }

    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(super) fn reply(&self) -> Reply {
        let error =
            json!({"message": self.message, "type": self.kind, "param": self.param, "code": self.code});
        Reply::json(self.status, &json!({"error": error}))
    }
}
