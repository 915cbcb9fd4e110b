//! One person is answered in order, others meanwhile; ten messages wait at most.
//!
//! - [`backlog`]: two quick messages, eleven, and what others notice of it.
//! - [`persons`]: one person under several ids.
//! - [`answers`]: the disclosure, the history, parts and marks.

mod answers;
mod backlog;
mod persons;
