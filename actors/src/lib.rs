//! The actor system: from a signed webhook to an accepted answer.
//!
//! - [`ingress`]: one per web worker; checks the signature on the raw bytes and takes the body apart.
//! - [`dedup`]: one; asks the ledger, and owns the directory of conversations, so it routes.
//! - [`conversation`]: one per active person; strictly one message at a time.
//! - [`openai`], [`elevenlabs`], [`whatsapp`]: one each; own timeout, attempts and back-off of their provider.
//! - [`supervise`]: keeps every one of them alive through a panic, with a budget and a log line.
//! - [`call`]: what the clients share: the gate before a provider, one attempt over HTTP, the loop of attempts.
//! - [`system`]: starts them on the core arbiter and ends them in order.
//! - [`events`]: every log event with its level and fields, once.
//! - [`metrics`]: what is counted and timed.
//!
//! A message is a row in the ledger; an actor message is only a wake-up. Whatever an actor loses, the sweep
//! finds again.

pub mod call;
pub mod conversation;
pub mod dedup;
pub mod elevenlabs;
pub mod events;
mod flight;
pub mod ingress;
pub mod load;
pub mod metrics;
pub mod openai;
pub mod phase;
pub mod supervise;
pub mod system;
pub mod whatsapp;
