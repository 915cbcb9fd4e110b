//! The conversation actor itself.

use std::cell::Cell;
use std::rc::Rc;

use actix::{Actor, AtomicResponse, Context, Handler, Message, Supervised, WrapFuture};
use parlante_domain::{PersonId, Seq};
use parlante_ledger::LedgerError;

use super::desk::Desk;
use super::drive::{Drive, Paused};
use crate::events;
use crate::load::Ticket;
use crate::supervise::UserId;

pub(super) struct Conversation {
    person: PersonId,
    desk: Rc<Desk>,
    /// The row in progress. Still set after a restart: that row made us panic.
    current: Rc<Cell<Option<Seq>>>,
    /// A row whose panic is not counted yet.
    panicked: Rc<Cell<Option<Seq>>>,
    user_id: UserId,
}

/// Event: this person may have a row that is due.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Wake {
    pub(super) _ticket: Ticket,
}

impl Conversation {
    pub(super) fn new(person: PersonId, desk: Rc<Desk>, user_id: UserId) -> Self {
        Self { person, desk, current: Rc::default(), panicked: Rc::default(), user_id }
    }
}

impl Actor for Conversation {
    type Context = Context<Self>;
}

impl Supervised for Conversation {
    fn restarting(&mut self, _: &mut Self::Context) {
        if let Some(seq) = self.current.take() {
            self.panicked.set(Some(seq));
        }
    }
}

impl Handler<Wake> for Conversation {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, wake: Wake, _: &mut Self::Context) -> Self::Result {
        let (desk, person, current) = (self.desk.clone(), self.person, self.current.clone());
        let (panicked, user_id) = (self.panicked.clone(), self.user_id.clone());
        let turns = async move {
            let _ticket = wake._ticket;
            if let Err(failure) = take_up(&desk, person, &current, &user_id, &panicked).await {
                events::ledger_unavailable(&failure);
            }
            current.set(None);
        };
        AtomicResponse::new(Box::pin(turns.into_actor(self)))
    }
}

/// Takes up the person's rows one after the other until none is due.
async fn take_up(
    desk: &Rc<Desk>,
    person: PersonId,
    current: &Cell<Option<Seq>>,
    user_id: &UserId,
    panicked: &Cell<Option<Seq>>,
) -> Result<(), LedgerError> {
    let _at_work = desk.working.enter();
    if let Some(seq) = panicked.get() {
        desk.ledger.panicked(seq).await?;
        panicked.set(None);
    }
    while !desk.phase.draining() {
        let Some(row) = desk.ledger.head(person, desk.clock.now()).await? else { return Ok(()) };
        user_id.set(row.user.masked());
        current.set(Some(row.seq));
        let paused = Drive::new(desk, row).run().await?;
        current.set(None);
        if paused == Paused::Held {
            return Ok(());
        }
    }
    Ok(())
}
