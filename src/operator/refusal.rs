//! What could not be done for an operator, and what to do about it.

use parlante_ledger::LedgerError;
use serde::{Deserialize, Serialize};

/// An answer that is none, as JSON has it: `{"error": "unknown", "message": "no message wamid.… is known"}`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) error: Why,
    /// For people: what is wrong and what to do.
    pub(crate) message: String,
}

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// The request cannot be read.
    Malformed,
    /// The admin token is wrong or missing.
    Denied,
    /// There is no such message or person.
    Unknown,
    /// It is there, but this cannot be done with it.
    Conflict,
    /// The ledger did not do it.
    Ledger,
}

impl Refusal {
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self { error: Why::Malformed, message: message.into() }
    }

    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self { error: Why::Denied, message: message.into() }
    }

    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self { error: Why::Unknown, message: message.into() }
    }

    pub(crate) fn unknown_message(message_id: &str) -> Self {
        Self::unknown(format!(
            "no message {message_id} is known; it never arrived here, or was forgotten long ago"
        ))
    }

    pub(crate) fn ledger(message: impl Into<String>) -> Self {
        Self { error: Why::Ledger, message: message.into() }
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self { error: Why::Conflict, message: message.into() }
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Refused { reason } => Self::conflict(reason),
            other => Self::ledger(other.to_string()),
        }
    }
}
