//! A conversation: one per active person, supervised, with a mailbox of 10, strictly one message at a time.
//!
//! - [`actor`]: the plumbing. A wake-up is handled atomically, so the mailbox is the backlog of wake-ups.
//! - [`drive`]: one row, from where the journal says it stands to its end or its next wait.
//! - [`desk`]: what every conversation works with.

mod actor;
mod desk;
mod drive;

use std::rc::Rc;

use actix::{Addr, dev::SendError};
use parlante_domain::PersonId;

use crate::load::Load;
use crate::supervise::{self, Post, UserId};
use actor::{Conversation, Wake};
pub(crate) use desk::SOUNDS_MAX;
pub use desk::{ConversationConfig, Desk, VoicePolicy, Working};

/// Wake-ups that may wait. A person has at most 10 open messages unless the operator allows more, and one wake-up
/// takes up all that is due, so a dropped one is not missed.
const MAILBOX: usize = 10;

/// The only sender of a conversation. Not `Clone`: a second sender would loosen the mailbox bound.
pub(crate) struct ConversationHandle {
    addr: Addr<Conversation>,
    load: Load,
}

/// Why a wake-up was not left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotWoken {
    /// Enough wake-ups wait already.
    Full,
    /// The conversation has been given up.
    Gone,
}

impl ConversationHandle {
    /// Starts the conversation of `person` on the current arbiter.
    pub(crate) fn start(person: PersonId, desk: Desk) -> Self {
        let (load, user_id) = (Load::default(), UserId::default());
        let post = Post {
            actor: "conversation",
            user_id: user_id.clone(),
            load: load.clone(),
            mailbox: MAILBOX,
            vital: false,
            restarts: desk.restarts.clone(),
        };
        Self { addr: supervise::start(post, Conversation::new(person, Rc::new(desk), user_id)), load }
    }

    /// Leaves a wake-up.
    pub(crate) fn wake(&self) -> Result<(), NotWoken> {
        self.addr.try_send(Wake { _ticket: self.load.enter() }).map_err(|error| match error {
            SendError::Full(_) => NotWoken::Full,
            SendError::Closed(_) => NotWoken::Gone,
        })
    }

    /// Nothing waits and nothing is in progress.
    pub(crate) fn is_idle(&self) -> bool {
        self.load.count() == 0
    }
}
