//! The durable record of every message: what was accepted, how far it came, and how it ended.
//!
//! - [`contract`]: the [`Ledger`] trait, its commands and what they answer. An engine commits before it answers.
//! - [`operator`]: what an operator asks and orders: trace, dead letters, replay, forget, retention.
//! - [`sqlite`]: the embedded engine: one writer thread with group commit, two reader threads.
//!
//! A row is a message (or a disclosure or notice of ours, which are journaled like any send). A row is
//! *open* until it is *done*, *dead* or *refused*. Each paid or visible step of a row has an *intent*,
//! committed before the step, and a *result*, committed after it; the result of one step and the intent of the
//! next share a commit.

mod audio;
pub mod contract;
mod error;
pub mod operator;
pub mod sqlite;
mod stored;

pub use audio::{AUDIO_BYTES_MAX, Audio, AudioTooLong};
pub use contract::*;
pub use error::{LedgerError, OpenError};
pub use operator::*;
pub use sqlite::{Commits, CommitsWatch, Inspected, Sqlite};
