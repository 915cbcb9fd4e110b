//! The API behind the phone page, where a human being plays the people who write.
//!
//! `state` is what the page shows; `board` keeps it up to date by what the stand-ins notice, in the words of `trail`;
//! `api` serves it, and turns what is done on the page into messages (`sounds`: voice notes and audio files) and
//! faults (`switches`); `events` tells open pages of every change; `files` are the page itself.

mod api;
mod board;
mod events;
mod files;
mod sounds;
mod state;
mod switches;
mod trail;

pub(crate) use api::Page;
pub(crate) use board::Board;
pub use state::Status;
