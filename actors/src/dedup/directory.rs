//! The conversations in memory. Only the directory starts and passivates them, and it alone holds their handles:
//! a mailbox bound holds with one sender only.

use std::collections::HashMap;
use std::time::Duration;

use actix_rt::time::Instant;
use parlante_domain::PersonId;
use parlante_ledger::Wake;

use crate::conversation::{ConversationHandle, Desk, NotWoken};

pub(super) struct Directory {
    desk: Desk,
    idle: Duration,
    entries: HashMap<PersonId, Entry>,
}

struct Entry {
    conversation: ConversationHandle,
    last_wake: Instant,
}

impl Directory {
    pub(super) fn new(desk: Desk, idle: Duration) -> Self {
        Self { desk, idle, entries: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Wakes a person's conversation, starting it if need be. A wake-up that finds no room is not needed: those
    /// before it will find the row.
    pub(super) fn wake(&mut self, wake: Wake) {
        let entry = self.entries.entry(wake.person).or_insert_with(|| Entry {
            conversation: ConversationHandle::start(wake.person, self.desk.clone()),
            last_wake: Instant::now(),
        });
        entry.last_wake = Instant::now();
        match entry.conversation.wake() {
            Ok(()) | Err(NotWoken::Full) => {}
            // Its supervisor gave it up. The sweep starts a fresh one later.
            Err(NotWoken::Gone) => {
                self.entries.remove(&wake.person);
            }
        }
    }

    /// Wakes a person with a due row, unless a live turn may hold it.
    pub(super) fn sweep(&mut self, wake: Wake) {
        if self.is_idle(wake.person) {
            self.wake(wake);
        }
    }

    /// No live turn can hold a row of this person.
    pub(super) fn is_idle(&self, person: PersonId) -> bool {
        self.entries.get(&person).is_none_or(|entry| entry.conversation.is_idle())
    }

    /// Lets go of a forgotten person's conversation. What it is at comes to its end and finds its row gone; should
    /// the person write again, they are another.
    pub(super) fn let_go(&mut self, person: PersonId) {
        self.entries.remove(&person);
    }

    /// Lets go of conversations that have had nothing to do for a while. Dropping the only address ends them.
    pub(super) fn passivate(&mut self) {
        let now = Instant::now();
        let idle = self.idle;
        self.entries
            .retain(|_, entry| !entry.conversation.is_idle() || now.duration_since(entry.last_wake) < idle);
    }
}
