//! Stand-ins of Meta's WhatsApp Cloud API, of OpenAI and of ElevenLabs, on real loopback sockets, and the phone page.
//!
//! Whoever speaks to the real ones can speak to these: same paths, bodies, errors, signatures, redeliveries. What
//! goes wrong in life goes wrong here on order, on the wire: answers that are late, cut, missing or wrong.
//!
//! - [`Sandbox`]: starts everything on threads of its own; ends it when dropped.
//! - [`Options`]: ports, secrets, pace.
//! - [`Meta`]: people write ([`Inbound`]), webhooks are delivered until they are answered 200, sends are recorded.
//! - [`OpenAi`]: chat completions, streamed and whole, by a built-in persona, an echo, or whatever a test says.
//! - [`ElevenLabs`]: texts spoken as voice notes.
//! - [`audio`]: voice notes to send, and what is said in those that come.
//! - [`Script`]: which of the coming requests meet which [`Fault`].
//! - `phone`: the API behind the phone page, where a human being plays the people.
//!
//! This crate imports none of the product's crates: a misunderstanding shared by both sides would cancel out.

pub mod audio;
pub mod brain;
mod clock;
mod digest;
mod elevenlabs;
mod escape;
mod happening;
mod http;
mod ids;
mod meta;
mod multipart;
mod openai;
mod options;
mod phone;
mod sandbox;
mod script;
mod shared;
mod signature;

use std::time::Duration;

pub use brain::{Role, Turn};
pub use elevenlabs::{ElevenLabs, Shape, Speech, Speeches};
pub use escape::escape;
pub use ids::bsuid_of;
pub use meta::{
    Answer, Attachment, Attempt, Delivery, Inbound, Media, MediaHost, Meta, Order, Records, Request,
    SentAudio,
};
pub use openai::{Call, Calls, OpenAi, Outcome, Transcription};
pub use options::{Answers, ElevenLabsOptions, MetaOptions, OpenAiOptions, Options, PageOptions};
pub use phone::Status;
pub use sandbox::Sandbox;
pub use script::{AudioFault, Fault, Refusal, Route, Rule, RuleId, Script, When};
pub use signature::{SignatureMode, sign};

/// How long the `wait_…` methods wait: much longer than anything takes on a busy machine, so that only what never
/// comes runs into it.
pub const PATIENCE: Duration = Duration::from_secs(20);
