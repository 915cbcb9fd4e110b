//! Every route, and how the process starts and stops.
//!
//! - [`signature`]: who may deliver.
//! - [`bodies`]: what may be delivered.
//! - [`handshake`]: Meta asks whether the webhook is ours.
//! - [`operator`]: `/stats`, `/health`, and whose address is logged.
//! - [`stopping`]: signals, the drain, and the next start.

mod bodies;
mod handshake;
mod operator;
mod signature;
mod stopping;
