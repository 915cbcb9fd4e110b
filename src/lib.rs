//! Parlante puts a persona on WhatsApp. Every message that was acknowledged with 200 is answered once, in order,
//! or is listed with the reason why not.
//!
//! This crate is the binary; no business rule lives here.
//!
//! - [`cli`]: the commands.
//! - [`settings`]: what the operator has set, checked before anything starts.
//! - `doctor`: whether the path to each provider and back works.
//! - `operator`: what an operator may ask of the ledger.
//! - [`persona`]: the persona's file.
//! - [`retention`]: takes out what was kept for its time.
//! - [`server`]: wires the parts together; bind, run, stop.
//! - [`http`]: every route.
//! - [`lifecycle`]: the signals that end it.
//! - `live`: what may be read anew while it runs.
//! - [`telemetry`]: JSON logs.
//! - [`real`]: the real clock, randomness and faults.

pub mod cli;
mod doctor;
pub mod http;
pub mod lifecycle;
mod live;
mod operator;
pub mod persona;
pub mod real;
pub mod retention;
pub mod server;
pub mod settings;
pub mod telemetry;

pub use server::{Seams, Server};
pub use settings::Settings;
