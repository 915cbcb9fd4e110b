//! The API behind the phone page, where a human being plays the people who write.
//!
//! `state` is what the page shows; `board` keeps it up to date by what the stand-ins notice; `api` serves it, and turns
//! what is done on the page into messages and faults; `events` tells open pages of every change.

mod api;
mod board;
mod events;
mod state;

pub(crate) use api::Page;
pub(crate) use board::Board;
pub use state::Status;
