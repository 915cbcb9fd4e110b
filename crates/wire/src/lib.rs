//! WhatsApp, OpenAI and ElevenLabs on the wire: bytes to the domain's types and back.
//!
//! - [`signature`]: is this body really Meta's?
//! - [`webhook`]: Meta's deliveries, taken apart item by item, so that a broken item costs only itself.
//! - [`graph`]: what we ask WhatsApp, and what its answers mean.
//! - [`openai`]: what we ask the model, its streamed answer, and what a voice note says.
//! - [`elevenlabs`]: what we have spoken.
//! - [`ogg`]: is this file a voice note, whole and mono, and is there anything in it?
//! - [`Sound`]: what kind of sound is this file?
//! - [`sse`]: server-sent events, from pieces of any size.
//! - [`date`]: the date of an HTTP header.
//! - [`outcome`]: the few words in which every refusal of a provider ends.
//!
//! Nothing here does I/O, reads a clock or waits. Bodies are bounded by whoever reads them from a socket;
//! what is kept of them is bounded here. No `Debug` output of this crate shows a text, a name or a secret.

pub mod date;
pub mod elevenlabs;
pub mod graph;
pub mod ogg;
pub mod openai;
pub mod outcome;
pub mod signature;
pub mod sse;
pub mod webhook;

mod json;
mod multipart;
mod path;
mod sound;

pub use multipart::Multipart;
pub use outcome::{Cause, Outcome, Refusal, RetryHints, retry_hints};
pub use sound::Sound;
