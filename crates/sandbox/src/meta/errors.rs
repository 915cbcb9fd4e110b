//! Errors as Graph words them: their codes, titles, usual HTTP statuses and the envelope.

use serde_json::{Value, json};

use crate::http::Reply;
use crate::ids;

/// Code, title, details. Meta's own titles where they are published.
const KNOWN: [(u32, &str, &str); 66] = [
    (0, "AuthException", "We were unable to authenticate the app user."),
    (1, "API Unknown", "Invalid request or possible server error."),
    (2, "API Service", "Temporary due to downtime or due to being overloaded."),
    (3, "API Method", "Capability or permissions issue."),
    (4, "API Too Many Calls", "The app has reached its API call rate limit."),
    (10, "Permission Denied", "Permission is either not granted or has been removed."),
    (33, "Parameter value is not valid", "The business phone number has been deleted."),
    (100, "Invalid parameter", "The request included one or more unsupported or misspelled parameters."),
    (190, "Access token has expired", "Your access token has expired."),
    (200, "Permission error", "Permission is either not granted or has been removed."),
    (368, "Temporarily blocked for policies violations", "The account has been restricted or disabled."),
    (
        613,
        "Calls to this api have exceeded the rate limit.",
        "Calls to this api have exceeded the rate limit.",
    ),
    (80_007, "Rate limit issues", "The WhatsApp Business Account has reached its rate limit."),
    (130_403, "User blocked", "The business has blocked this user."),
    (130_429, "Rate limit hit", "Cloud API message throughput has been reached."),
    (130_472, "User's number is part of an experiment", "Message was not sent as part of an experiment."),
    (
        130_497,
        "Business account is restricted from messaging users in this country.",
        "The account is restricted for this country.",
    ),
    (131_000, "Something went wrong", "Message failed to send due to an unknown error."),
    (131_005, "Access denied", "Permission is either not granted or has been removed."),
    (131_008, "Required parameter is missing", "The request is missing a required parameter."),
    (131_009, "Parameter value is not valid", "One or more parameter values are invalid."),
    (131_016, "Service unavailable", "A service is temporarily unavailable."),
    (131_021, "Recipient cannot be sender", "Sender and recipient phone number is the same."),
    (131_026, "Message undeliverable", "Unable to deliver message."),
    (131_031, "Account has been locked", "The account has been restricted or disabled."),
    (131_037, "Display name approval needed", "The 555 business phone number has no approved display name."),
    (131_042, "Business eligibility payment issue", "There was an error related to your payment method."),
    (131_045, "Incorrect certificate", "Message failed to send due to a phone number registration error."),
    (
        131_047,
        "Re-engagement message",
        "More than 24 hours have passed since the recipient last replied to the sender number.",
    ),
    (
        131_048,
        "Spam rate limit hit",
        "There are restrictions on how many messages can be sent from this phone number.",
    ),
    (
        131_049,
        "Meta chose not to deliver.",
        "Message was not delivered to maintain healthy ecosystem engagement.",
    ),
    (
        131_050,
        "User has stopped receipt of marketing messages",
        "The user has stopped marketing messages from this business.",
    ),
    (131_051, "Unsupported message type", "Unsupported message type."),
    (131_052, "Media download error", "Unable to download the media sent by the user."),
    (131_053, "Media upload error", "Unable to upload the media used in the message."),
    (131_055, "Method not allowed", "The method is not allowed."),
    (
        131_056,
        "(Business Account, Consumer Account) pair rate limit hit",
        "Too many messages were sent to the same recipient in a short time.",
    ),
    (131_057, "Account in maintenance mode", "Business Account is in maintenance mode."),
    (131_062, "User ID not usable", "This message cannot be sent to a business-scoped user ID."),
    (131_063, "Marketing templates disabled", "Marketing templates cannot be sent from this API."),
    (131_064, "Template classification limit", "The account is limited due to template misclassification."),
    (132_000, "Template Param Count Mismatch", "The number of variable parameter values is wrong."),
    (132_001, "Template does not exist", "The template does not exist in this language or is not approved."),
    (132_005, "Template Hydrated Text Too Long", "The translated text is too long."),
    (132_007, "Template Format Character Policy Violated", "The template content violates a policy."),
    (132_012, "Template Parameter Format Mismatch", "Variable parameter values are formatted incorrectly."),
    (132_015, "Template is Paused", "The template is paused due to low quality."),
    (132_016, "Template is Disabled", "The template is permanently disabled due to low quality."),
    (132_018, "Template parameters invalid", "There is an issue with the template's parameters."),
    (132_068, "Flow is blocked", "Flow is in blocked state."),
    (132_069, "Flow is throttled", "Flow is in throttled state."),
    (133_000, "Incomplete Deregistration", "A previous deregistration attempt failed."),
    (133_004, "Server Temporarily Unavailable", "Server is temporarily unavailable."),
    (133_005, "Two step verification PIN Mismatch", "Two-step verification PIN incorrect."),
    (133_006, "Phone number re-verification needed", "Phone number needs to be verified before registering."),
    (
        133_008,
        "Too Many two step verification PIN Guesses",
        "Too many two-step verification PIN guesses for this phone number.",
    ),
    (
        133_009,
        "Two step verification PIN Guessed Too Fast",
        "Two-step verification PIN was entered too quickly.",
    ),
    (
        133_010,
        "Phone number Not Registered",
        "Phone number not registered on the WhatsApp Business Platform.",
    ),
    (133_015, "Please wait before registering", "The phone number was deleted recently."),
    (
        133_016,
        "Account register deregister rate limit exceeded",
        "Registration failed because there were too many attempts.",
    ),
    (134_011, "Payments terms of service pending", "The payments terms of service have not been accepted."),
    (134_100, "Only marketing messages", "Only marketing messages are supported by this API."),
    (134_101, "Template is still syncing", "The template is still being prepared; try again in ten minutes."),
    (134_102, "Template not usable", "The template cannot be used."),
    (
        135_000,
        "Generic user error",
        "Message failed to send because of an unknown error with your request parameters.",
    ),
    (2_494_100, "Phone number in maintenance mode", "The phone number is in maintenance mode."),
];

/// An error about to be answered.
#[derive(Clone, Debug)]
pub(super) struct GraphError {
    pub(super) code: u32,
    pub(super) message: String,
    pub(super) details: Option<String>,
    pub(super) subcode: Option<u32>,
}

impl GraphError {
    /// The error of this code in Meta's usual words.
    pub(super) fn of(code: u32) -> Self {
        let (title, details) = words(code);
        Self { code, message: format!("(#{code}) {title}"), details: Some(details.into()), subcode: None }
    }

    /// A parameter that Meta would not take.
    pub(super) fn parameter(message: &str) -> Self {
        Self { code: 100, message: format!("(#100) {message}"), details: None, subcode: None }
    }

    /// The same error with these details.
    pub(super) fn because(mut self, details: &str) -> Self {
        self.details = Some(details.into());
        self
    }

    /// The error in its envelope, under the code's usual HTTP status.
    pub(super) fn reply(&self) -> Reply {
        let kind = if self.subcode == Some(33) { "GraphMethodException" } else { "OAuthException" };
        let mut error =
            json!({"message": self.message, "type": kind, "code": self.code, "fbtrace_id": ids::opaque("A")});
        if let Some(details) = &self.details {
            error["error_data"] = json!({"messaging_product": "whatsapp", "details": details});
        }
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = subcode.into();
        }
        Reply::json(usual_status(self.code), &json!({"error": error}))
    }
}

/// An error as it stands in a status' `errors[]`.
pub(super) fn listed(code: u32) -> Value {
    let (title, details) = words(code);
    let href = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/";
    json!({"code": code, "title": title, "message": title, "error_data": {"details": details}, "href": href})
}

/// The code that usually comes with an HTTP status.
pub(super) fn usual_code(status: u16) -> u32 {
    match status {
        401 => 190,
        403 => 10,
        429 => 130_429,
        503 => 2,
        400..=499 => 100,
        _ => 1,
    }
}

/// The HTTP status that usually comes with a code. Meta documents few of them and advises to read the code instead.
pub(super) fn usual_status(code: u32) -> u16 {
    match code {
        0 | 190 => 401,
        3 | 10 | 200..=299 | 368 | 131_005 | 131_031 => 403,
        4 | 613 | 80_007 | 130_429 | 131_056 => 429,
        1 | 131_000 | 134_102 => 500,
        2 | 131_016 | 131_057 | 133_004 | 2_494_100 => 503,
        _ => 400,
    }
}

fn words(code: u32) -> (&'static str, &'static str) {
    // A range of permissions, each with a number of its own, in the same words.
    let code = if (200..=299).contains(&code) { 200 } else { code };
    let known = KNOWN.iter().find(|(other, ..)| *other == code);
    known.map_or(("Unknown error", "No details are known."), |(_, title, details)| (title, details))
}
