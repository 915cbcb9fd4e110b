//! Two threads with read-only connections: one slow question never holds up a conversation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::schema;
use super::sql::{Sql, unanswered};
use crate::contract::Answer;
use crate::error::LedgerError;

const THREADS: usize = 2;
/// Questions that may wait; each conversation asks one at a time, so this bounds a burst of conversations.
const QUEUE_MAX: usize = 16_384;

type Question = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Clone)]
pub(super) struct Readers {
    queue: Arc<Mutex<Option<SyncSender<Question>>>>,
}

impl Readers {
    pub(super) fn start(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let (queue, inbox) = sync_channel::<Question>(QUEUE_MAX);
        let inbox = Arc::new(Mutex::new(inbox));
        for number in 0..THREADS {
            let db = schema::open_reader(path)?;
            let inbox = inbox.clone();
            std::thread::Builder::new().name(format!("ledger-reader-{number}")).spawn(move || {
                while let Some(question) = next(&inbox) {
                    // Nobody could replace this thread; whoever asked is told that there is no answer.
                    let _ = catch_unwind(AssertUnwindSafe(|| question(&db)));
                }
            })?;
        }
        Ok(Self { queue: Arc::new(Mutex::new(Some(queue))) })
    }

    pub(super) fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> Sql<T> + Send + 'static,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |db| {
            let _ = reply.send(in_snapshot(db, ask).map_err(|error| unanswered(&error)));
        });
        let sent = match &*self.queue.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(queue) => queue.try_send(question).map_err(|error| match error {
                TrySendError::Full(_) => LedgerError::Busy,
                TrySendError::Disconnected(_) => LedgerError::Closed,
            }),
            None => Err(LedgerError::Closed),
        };
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or(Err(LedgerError::Closed))
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    pub(super) fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A question of several statements sees one state of the ledger.
fn in_snapshot<T>(db: &Connection, ask: impl FnOnce(&Connection) -> Sql<T>) -> Sql<T> {
    let snapshot = db.unchecked_transaction()?;
    let answer = ask(&snapshot)?;
    snapshot.commit()?;
    Ok(answer)
}

fn next(inbox: &Mutex<Receiver<Question>>) -> Option<Question> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
