//! WhatsApp and OpenAI on the wire: bytes to the domain's types and back.
//!
//! - [`signature`]: is this body really Meta's?
//! - [`webhook`]: Meta's deliveries, taken apart item by item, so that a broken item costs only itself.
//! - [`graph`]: what we post to WhatsApp, and what its answers mean.
//! - [`openai`]: what we ask the model, and its streamed answer.
//! - [`sse`]: server-sent events, from pieces of any size.
//! - [`outcome`]: the few words in which every refusal of a provider ends.
//!
//! Nothing here does I/O, reads a clock or waits. Bodies are bounded by whoever reads them from a socket;
//! what is kept of them is bounded here. No `Debug` output of this crate shows a text, a name or a secret.

pub mod graph;
pub mod openai;
pub mod outcome;
pub mod signature;
pub mod sse;
pub mod webhook;

mod json;

pub use outcome::{Outcome, Refusal, RetryHints, retry_hints};
