//! What an operator asks and orders, over one SQLite file.
//!
//! Whatever takes long is cut into steps of a few milliseconds, each a command of the writer like any other, so that
//! webhooks and turns get their commits in between. The one exception is the scrub of a [`forget`].

pub(super) mod backup;
mod erase;
pub(super) mod forget;
pub(super) mod replay;
pub(super) mod retain;
pub(super) mod trace;
