//! What Parlante decides, without doing it: pure types and rules.
//!
//! - [`id`]: the identities that travel through the house, each a type of its own.
//! - [`time`]: wall-clock milliseconds, as a value that is handed in.
//! - [`mask`]: the only form in which a person's number may be printed.
//! - [`message`]: what came in, in our words.
//! - [`reply`]: what may go out. [`CustomerReply`] is the only type that can be sent to a person.
//! - [`persona`]: who speaks.
//! - [`service`]: the providers that are called.
//! - [`speech`]: what is said aloud, and whether a person wishes to hear it.
//! - [`turn`]: the state machine of one message.
//! - [`policy`]: waits, windows and budgets.
//! - [`ports`]: clock, randomness and faults, which enter through constructors.
//!
//! Nothing here reads a clock, draws a random number or does I/O.

pub mod id;
pub mod mask;
pub mod message;
pub mod persona;
pub mod policy;
pub mod ports;
pub mod reply;
pub mod service;
pub mod speech;
pub mod time;
pub mod turn;

pub use id::{Address, Bsuid, MediaId, MessageId, PersonId, Phone, PhoneNumberId, Seq, Tag};
pub use message::{Content, Inbound, Item, Kind, Medium, Noted, Sender, Status, StatusUpdate};
pub use persona::Persona;
pub use ports::{Clock, Fault, Faults, Random};
pub use reply::{CustomerReply, ModelAnswer};
pub use service::Service;
pub use speech::{speakable, wish_in};
pub use time::Millis;
