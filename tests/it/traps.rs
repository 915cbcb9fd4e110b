//! What the HTTP client would let pass if nobody watched: cut bodies, redirects, endless waits, endless bodies.
//!
//! - [`plain`]: one provider that is nothing but a plain socket.
//! - [`bench`]: all three stand-ins behind plain sockets, whose good answers are spoiled on the way.
//! - [`cuts`]: answers that are cut, or longer or shorter than they say.
//! - [`lines`]: lines that are refused, reset, silent or slow.
//! - [`floods`]: answers without end.
//! - [`tongues`]: what is no HTTP, other HTTP, or HTTP to somewhere else.
//! - [`door`]: our own door, when those who knock are slow.

mod bench;
mod cuts;
mod door;
mod floods;
mod lines;
mod plain;
mod tongues;
