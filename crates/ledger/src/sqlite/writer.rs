//! The one thread that writes. It drains its queue into one transaction and answers after the commit, so that
//! the fsync of one group is the time in which the next gathers.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parlante_domain::Faults;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::commits::Progress;
use super::recover::give_back;
use super::sql::{Sql, judge, truncate_wal, unanswered, write_and_take_back};
use super::wal::Wal;
use crate::contract::Answer;
use crate::error::LedgerError;

/// Commands that may wait. At 10,000 commands a second this is under half a second; beyond it a webhook is
/// answered 503 and Meta redelivers.
const QUEUE_MAX: usize = 4096;
/// Commands in one transaction; more only lengthens the commit without saving an fsync worth having.
const GROUP_MAX: usize = 256;
/// Items of webhooks in one transaction, for the same reason.
const GROUP_ITEMS_MAX: usize = 2048;
/// How often the writer tries for itself whether it can commit again: nobody else may, for as long as Meta stays away.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(2);
/// What it writes then: more than an ordinary webhook needs. Less would fit into what a full disk has left, and say each
/// time that all is well when the next webhook is refused.
const PROBE_BYTES: u32 = 64 * 1024;

/// Something to write, and someone who waits for it.
trait Command: Send {
    fn items(&self) -> usize;
    /// Answers why it could not be done; its caller is told after the commit.
    fn run(&mut self, db: &Connection) -> Result<(), LedgerError>;
    fn answer(self: Box<Self>, committed: Result<(), LedgerError>);
}

struct Write<T, F> {
    items: usize,
    work: Option<F>,
    result: Option<Result<T, LedgerError>>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
}

impl<T: Send, F: FnOnce(&Connection) -> Sql<T> + Send> Command for Write<T, F> {
    fn items(&self) -> usize {
        self.items
    }

    fn run(&mut self, db: &Connection) -> Result<(), LedgerError> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let result = in_savepoint(db, work).map_err(|error| judge(&error));
        let refused = result.as_ref().err().cloned();
        self.result = Some(result);
        refused.map_or(Ok(()), Err)
    }

    fn answer(self: Box<Self>, committed: Result<(), LedgerError>) {
        let result = match (self.result, committed) {
            (Some(result), Ok(())) => result,
            (_, Err(error)) => Err(error),
            (None, Ok(())) => Err(LedgerError::Closed),
        };
        // The caller may be gone: what it asked for is durable all the same.
        let _ = self.reply.send(result);
    }
}

/// A command that fails leaves its neighbours in the group untouched.
fn in_savepoint<T>(db: &Connection, work: impl FnOnce(&Connection) -> Sql<T>) -> Sql<T> {
    db.prepare_cached("SAVEPOINT command")?.execute([])?;
    let result = work(db);
    if result.is_err() && !db.is_autocommit() {
        db.prepare_cached("ROLLBACK TO command")?.execute([])?;
    }
    if !db.is_autocommit() {
        db.prepare_cached("RELEASE command")?.execute([])?;
    }
    result
}

/// Something that cannot be done inside a transaction.
type Upkeep = Box<dyn FnOnce(&Connection) + Send>;

enum Message {
    Command(Box<dyn Command>),
    Upkeep(Upkeep),
    Close(Close),
}

struct Close {
    /// The rows in progress are no victims of this end.
    give_back: bool,
    done: oneshot::Sender<()>,
}

#[derive(Clone)]
pub(super) struct Writer {
    queue: SyncSender<Message>,
}

impl Writer {
    pub(super) fn start(
        db: Connection,
        lock: File,
        wal: Wal,
        faults: Arc<dyn Faults>,
        told: Told,
        probe_every: Duration,
    ) -> std::io::Result<Self> {
        let (queue, inbox) = sync_channel(QUEUE_MAX);
        let thread = Thread { db, lock, wal, faults, told, probe_every, probe_at: None };
        std::thread::Builder::new().name("ledger-writer".into()).spawn(move || thread.run(&inbox))?;
        Ok(Self { queue })
    }

    pub(super) fn write<T: Send + 'static>(
        &self,
        items: usize,
        work: impl FnOnce(&Connection) -> Sql<T> + Send + 'static,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let command = Write { items, work: Some(work), result: None, reply };
        self.queue(Message::Command(Box::new(command)), answer)
    }

    /// Does `work` between two groups, outside of any transaction. Everyone waits for it: it has to be short, or
    /// rare.
    pub(super) fn upkeep<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Sql<T> + Send + 'static,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let upkeep: Upkeep = Box::new(move |db| {
            let _ = reply.send(work(db).map_err(|error| unanswered(&error)));
        });
        self.queue(Message::Upkeep(upkeep), answer)
    }

    fn queue<T: Send + 'static>(
        &self,
        message: Message,
        answer: oneshot::Receiver<Result<T, LedgerError>>,
    ) -> Answer<T> {
        let sent = self.queue.try_send(message);
        Box::pin(async move {
            match sent {
                Ok(()) => answer.await.unwrap_or(Err(LedgerError::Closed)),
                Err(TrySendError::Full(_)) => Err(LedgerError::Busy),
                Err(TrySendError::Disconnected(_)) => Err(LedgerError::Closed),
            }
        })
    }

    pub(super) async fn close(&self, give_back: bool) -> Result<(), LedgerError> {
        let (done, closed) = oneshot::channel();
        let mut message = Message::Close(Close { give_back, done });
        // The queue may be full for a moment while the last group commits.
        while let Err(error) = self.queue.try_send(message) {
            match error {
                TrySendError::Full(back) => message = back,
                TrySendError::Disconnected(_) => return Ok(()),
            }
            tokio::task::yield_now().await;
        }
        // Unanswered: the thread had ended already, and everything was let go with it.
        let _ = closed.await;
        Ok(())
    }
}

struct Thread {
    db: Connection,
    /// Held exactly as long as someone may write: dropped after `db`, whether by closing or by the last handle.
    lock: File,
    wal: Wal,
    faults: Arc<dyn Faults>,
    told: Told,
    probe_every: Duration,
    /// `None` while commits go well.
    probe_at: Option<Instant>,
}

/// Who is told how the work goes.
pub(super) struct Told {
    /// Turns true when the file can no longer be trusted.
    pub(super) failing: watch::Sender<bool>,
    pub(super) progress: Progress,
    pub(super) observer: Observed,
}

/// Who is told of each commit, once there is somebody.
pub(super) type Observed = Arc<OnceLock<Box<dyn Fn(Duration, usize) + Send + Sync>>>;

impl Thread {
    fn run(mut self, inbox: &Receiver<Message>) {
        while let Some(message) = self.next(inbox) {
            let (group, last) = gather(message, inbox);
            self.commit(group);
            match last {
                Some(Last::Upkeep(upkeep)) => {
                    self.told.progress.begins();
                    // Its caller is told by the channel that the panic has closed.
                    let _ = catch_unwind(AssertUnwindSafe(|| upkeep(&self.db)));
                    self.told.progress.ended(None);
                }
                Some(Last::Close(close)) => return self.close(close),
                None => {}
            }
        }
    }

    /// What is to be done next; `None` at the end. While commits fail it makes some of its own.
    fn next(&mut self, inbox: &Receiver<Message>) -> Option<Message> {
        loop {
            if *self.told.failing.borrow() {
                return None;
            }
            let Some(at) = self.probe_at else { return inbox.recv().ok() };
            let wait = at.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                // Before any message that waits: those may be many, and write nothing. Whatever comes of it, they have
                // their turn before the next one.
                self.probe_at = Some(Instant::now() + self.probe_every);
                self.commit(vec![probe()]);
                continue;
            }
            match inbox.recv_timeout(wait) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn close(self, close: Close) {
        if close.give_back {
            // If it fails, the next start counts a death too many; nothing is lost.
            let _ = give_back(&self.db);
        }
        let _ = truncate_wal(&self.db);
        drop(self.db);
        drop(self.lock);
        let _ = close.done.send(());
    }

    fn commit(&mut self, mut group: Vec<Box<dyn Command>>) {
        if group.is_empty() {
            return;
        }
        let began = Instant::now();
        self.told.progress.begins();
        // A panic in one command must not take the thread, which nobody else can replace.
        let committed =
            catch_unwind(AssertUnwindSafe(|| self.transaction(&mut group))).unwrap_or_else(|_| {
                let _ = self.db.execute_batch("ROLLBACK");
                Err(LedgerError::Unavailable { reason: "a command panicked".to_owned() })
            });
        self.tell(&committed);
        if let Some(observer) = self.told.observer.get() {
            observer(began.elapsed(), group.len());
        }
        for command in group {
            command.answer(committed.clone().map(|_| ()));
        }
        self.told.progress.begins();
        self.wal.bound(&self.db);
        self.told.progress.ended(None);
    }

    /// What a commit shows: that the disk takes what is written, only if something was.
    fn tell(&mut self, committed: &Result<Wrote, LedgerError>) {
        match committed {
            Ok(Wrote(false)) => return self.told.progress.ended(None),
            Ok(Wrote(true)) => self.probe_at = None,
            Err(_) => self.probe_at = Some(Instant::now() + self.probe_every),
        }
        self.told.progress.ended(Some(committed.is_ok()));
        if let Err(LedgerError::Failed { reason }) = committed {
            tracing::error!(event = "ledger_unavailable", error_code = "failed", reason);
            self.told.failing.send_replace(true);
        }
    }

    fn transaction(&self, group: &mut [Box<dyn Command>]) -> Result<Wrote, LedgerError> {
        let sql = |error: rusqlite::Error| judge(&error);
        self.db.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([])).map_err(sql)?;
        let committed = self.carry_out(group).and_then(|wrote| match self.faults.at("ledger.commit") {
            Some(_) => Err(LedgerError::Unavailable { reason: "fault at ledger.commit".to_owned() }),
            None => self
                .db
                .prepare_cached("COMMIT")
                .and_then(|mut commit| commit.execute([]))
                .map(|_| wrote)
                .map_err(sql),
        });
        if committed.is_err() && !self.db.is_autocommit() {
            self.db.execute_batch("ROLLBACK").map_err(sql)?;
        }
        committed
    }

    /// A command that is refused costs only itself, unless the file can no longer be trusted, or SQLite has rolled
    /// the whole transaction back (a full disk).
    fn carry_out(&self, group: &mut [Box<dyn Command>]) -> Result<Wrote, LedgerError> {
        let mut wrote = false;
        for command in group.iter_mut() {
            let before = self.db.total_changes();
            match command.run(&self.db) {
                Err(error @ LedgerError::Failed { .. }) => return Err(error),
                Err(error) if self.db.is_autocommit() => return Err(error),
                // What it wrote was taken back.
                Err(_) => {}
                Ok(()) => wrote |= self.db.total_changes() > before,
            }
        }
        Ok(Wrote(wrote))
    }
}

/// Whether a transaction wrote anything. One that did not "succeeds" on a full disk too.
#[derive(Debug, Clone, Copy)]
struct Wrote(bool);

/// A small write that nobody waits for.
fn probe() -> Box<dyn Command> {
    let work = |db: &Connection| write_and_take_back(db, PROBE_BYTES);
    Box::new(Write { items: 1, work: Some(work), result: None, reply: oneshot::channel().0 })
}

/// What is done after a group, by itself.
enum Last {
    Upkeep(Upkeep),
    Close(Close),
}

/// Takes what waits, without waiting for more.
fn gather(first: Message, inbox: &Receiver<Message>) -> (Vec<Box<dyn Command>>, Option<Last>) {
    let mut group = Vec::new();
    let mut items = 0;
    let mut next = Some(first);
    while let Some(message) = next {
        match message {
            Message::Close(close) => return (group, Some(Last::Close(close))),
            Message::Upkeep(upkeep) => return (group, Some(Last::Upkeep(upkeep))),
            Message::Command(command) => {
                items += command.items();
                group.push(command);
            }
        }
        let room = group.len() < GROUP_MAX && items < GROUP_ITEMS_MAX;
        next = if room { inbox.try_recv().ok() } else { None };
    }
    (group, None)
}
