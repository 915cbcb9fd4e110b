//! What can go wrong, grouped by what the caller should do next.

use std::path::PathBuf;

use derive_more::{Display, Error};

/// A command was not carried out; nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
pub enum LedgerError {
    /// More commands wait than the engine takes; try again later.
    #[display("the ledger's queue is full")]
    Busy,
    /// It could not be made durable (a full disk, a refused commit); the engine goes on.
    #[display("the ledger could not commit: {reason}")]
    Unavailable {
        /// The engine's own words; never a person's.
        reason: String,
    },
    /// The store can no longer be trusted; the process must end.
    #[display("the ledger failed: {reason}")]
    Failed {
        /// The engine's own words; never a person's.
        reason: String,
    },
    /// The request itself cannot be carried out; the reason says what to do.
    #[display("{reason}")]
    Refused {
        /// What stands in the way, and the mend.
        reason: String,
    },
    /// The ledger has been closed.
    #[display("the ledger is closed")]
    Closed,
}

impl LedgerError {
    /// The `error_code` of `ledger_unavailable`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Unavailable { .. } => "unavailable",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Closed => "closed",
        }
    }
}

/// The ledger cannot be opened. The file is left as it is.
#[derive(Debug, Display, Error)]
#[display("cannot open the ledger {}: {reason}", path.display())]
pub struct OpenError {
    /// The file that was asked for.
    pub path: PathBuf,
    /// What stands in the way, and the mend.
    pub reason: String,
}
