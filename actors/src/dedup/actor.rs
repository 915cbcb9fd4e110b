//! The Dedup actor itself.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, Supervised, WrapFuture,
};
use actix_rt::time::Instant;
use parlante_domain::{Address, Fault, Inbound, Item, MessageId, Millis, PersonId, Sender, Service};
use parlante_ledger::{Accept as AcceptCommand, Accepted, Ledger, LedgerError, Verdict, Wake};

use super::directory::Directory;
use super::hot::HotIds;
use super::start::Start;
use super::{DedupConfig, DedupStats};
use crate::call::gate::Gate;
use crate::conversation::Desk;
use crate::events;
use crate::load::Ticket;
use crate::metrics::{Ended, Refused};

/// How soon the next look follows while a suspect runs alone: everyone else waits for it.
const ALONE_LOOK: Duration = Duration::from_millis(50);
/// Longest that everyone waits for suspects. One that kills the process does so at once; many that do not are a slow
/// provider's doing, and go on beside the others.
const ALONE_MAX: Duration = Duration::from_secs(60);

/// While more people than this wait for room at a provider, the sweep wakes nobody else.
const WAITING_MAX: usize = 500;

pub(super) struct Dedup {
    config: DedupConfig,
    pub(super) desk: Desk,
    pub(super) ledger: Arc<dyn Ledger>,
    hot: HotIds,
    pub(super) directory: Directory,
    pub(super) start: Start,
    /// A look for due rows is under way.
    looking: bool,
    started: Instant,
    stats: DedupStats,
}

/// Request: make the items of one webhook durable, then wake whom they concern.
#[derive(Message)]
#[rtype(result = "Result<(), LedgerError>")]
pub(super) struct Accept {
    pub(super) items: Vec<Item>,
    pub(super) _ticket: Ticket,
}

/// Request: wake these people; an operator had their messages opened again.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WakeUp {
    pub(super) wakes: Vec<Wake>,
    pub(super) _ticket: Ticket,
}

/// Request: let go of these people's conversations; they have been forgotten.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct LetGo {
    pub(super) people: Vec<PersonId>,
    pub(super) _ticket: Ticket,
}

/// Event: an operator has acted; whatever is paused may work again.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct LookAgain;

impl Dedup {
    pub(super) fn new(config: DedupConfig, desk: Desk, stats: DedupStats) -> Self {
        Self {
            hot: HotIds::new(config.rules.remember),
            directory: Directory::new(desk.clone(), config.idle),
            looking: false,
            started: Instant::now(),
            start: Start::new(config.suspects.clone()),
            ledger: desk.ledger.clone(),
            config,
            desk,
            stats,
        }
    }

    /// Takes out what is surely known; what is left has to be decided by the ledger.
    fn skip_known(&mut self, items: Vec<Item>, now: Millis) -> Vec<Item> {
        items
            .into_iter()
            .filter(|item| {
                let known = id_of(item).is_some_and(|id| self.hot.knows(id, now));
                if known {
                    self.skipped(item);
                }
                !known
            })
            .collect()
    }

    fn skipped(&self, item: &Item) {
        self.stats.hit();
        self.desk.metrics.duplicate();
        if let Item::Message(message) = item {
            events::duplicate_message_skipped(&message.id, &user_of(message));
        }
    }

    /// After the commit: count, log, remember, wake.
    fn committed(&mut self, items: Vec<Item>, accepted: Accepted, now: Millis) {
        for (item, verdict) in items.into_iter().zip(accepted.verdicts) {
            self.tell(&item, &verdict, now);
            if let Verdict::ChannelFault { code } = &verdict {
                // Before the wakes: the part that goes again must find the gate shut.
                self.desk.whatsapp.pause(code);
            }
            if matches!(verdict, Verdict::Duplicate) {
                continue;
            }
            if let Item::Message(Inbound { id, .. }) | Item::Noted { id: Some(id), .. } = item {
                self.stats.miss();
                self.hot.insert(id, now);
            }
        }
        self.wake(accepted.wakes);
    }

    fn wake(&mut self, wakes: Vec<Wake>) {
        if self.start.is_alone() {
            // The rows are due; the sweep finds them when the suspects are through.
            return;
        }
        for wake in wakes {
            if self.desk.faults.at("dedup.wake") != Some(Fault::Skip) {
                self.directory.wake(wake);
            }
        }
        self.stats.set_conversations(self.directory.len());
    }

    fn tell(&self, item: &Item, verdict: &Verdict, now: Millis) {
        match (item, verdict) {
            (Item::Message(message), Verdict::Accepted { user, .. }) => {
                self.desk.metrics.accepted();
                events::message_accepted(&message.id, &user.masked(), message.kind);
            }
            (Item::Message(message), Verdict::Overflow { user, backlog }) => {
                self.desk.metrics.refused(Refused::Overflow);
                self.stats.overflow(now);
                events::user_queue_overflow(&message.id, &user.masked(), *backlog);
            }
            (Item::Message(message), Verdict::Stale { user }) => {
                self.desk.metrics.refused(Refused::Stale);
                events::stale_message_skipped(&message.id, &user.masked());
            }
            (Item::Noted { id, .. }, Verdict::Noted(reason)) => {
                self.desk.metrics.ignored();
                events::item_ignored(id.as_ref(), *reason);
            }
            (Item::Status(_), Verdict::Undone(letter)) => {
                self.desk.metrics.ended(Ended::Dead);
                events::dead_letter(letter);
            }
            (Item::Status(_), Verdict::VoiceFailed { message_id, user, code }) => {
                self.desk.metrics.fell_back();
                events::voice_fallback_to_text(message_id, &user.masked(), code);
            }
            (item, Verdict::Duplicate) => self.skipped(item),
            _ => {}
        }
    }

    /// Lets the suspects of the start run alone, then begins with everyone.
    fn start(&mut self, context: &mut Context<Self>) {
        if self.started.elapsed() > ALONE_MAX {
            self.start.end();
        }
        if let Some(suspect) = self.start.suspect(|person| self.directory.is_idle(person)) {
            self.directory.wake(suspect);
        }
        if self.start.is_alone() {
            context.run_later(ALONE_LOOK, Self::start);
        } else {
            self.sweep(context);
        }
    }

    fn sweep(&mut self, context: &mut Context<Self>) {
        if self.desk.phase.draining() {
            return;
        }
        self.directory.passivate();
        self.stats.set_conversations(self.directory.len());
        self.recall(context);
        // One look at a time: on a large backlog a look takes longer than the pause between two. And none while enough
        // people wait for their turn at WhatsApp: the rest waits better in the ledger than in actors.
        if self.looking || self.desk.waiting() > WAITING_MAX {
            return;
        }
        let Some(limit) = self.start.everyone() else { return };
        self.looking = true;
        let due = self.ledger.due(self.desk.clock.now(), limit);
        context.spawn(due.into_actor(self).map(|due, dedup, _| {
            dedup.looking = false;
            dedup.look(due);
        }));
    }

    fn look(&mut self, due: Result<Vec<Wake>, LedgerError>) {
        match due {
            Ok(wakes) => wakes.into_iter().for_each(|wake| self.directory.sweep(wake)),
            Err(LedgerError::Closed) if self.desk.phase.draining() => {}
            Err(failure) => events::ledger_unavailable(&failure),
        }
        self.stats.set_conversations(self.directory.len());
    }
}

fn id_of(item: &Item) -> Option<&MessageId> {
    match item {
        Item::Message(message) => Some(&message.id),
        Item::Noted { id, .. } => id.as_ref(),
        Item::Status(_) => None,
    }
}

/// The masked person of a message that never reached the ledger.
fn user_of(message: &Inbound) -> String {
    let Sender { phone, bsuid, .. } = message.sender.clone();
    Address::choose(phone, bsuid).map(|user| user.masked()).unwrap_or_default()
}

impl Actor for Dedup {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.start(context);
        self.listen(context);
        context.run_interval(self.config.sweep, Self::sweep);
    }
}

impl Supervised for Dedup {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.hot.clear();
        self.looking = false;
        Service::ALL.iter().filter_map(|service| self.desk.gate(*service)).for_each(Gate::forget_calls);
    }
}

impl Handler<Accept> for Dedup {
    type Result = ResponseActFuture<Self, Result<(), LedgerError>>;

    fn handle(&mut self, accept: Accept, _: &mut Self::Context) -> Self::Result {
        self.desk.faults.at("dedup.accept");
        let now = self.desk.clock.now();
        let items = self.skip_known(accept.items, now);
        if items.is_empty() {
            return Box::pin(actix::fut::ready(Ok(())));
        }
        let command = AcceptCommand { items: items.clone(), now, rules: self.config.rules };
        let committed = self.ledger.accept(command);
        Box::pin(committed.into_actor(self).map(move |accepted, dedup, _| {
            let _ticket = accept._ticket;
            dedup.desk.faults.at("dedup.committed");
            dedup.committed(items, accepted?, now);
            Ok(())
        }))
    }
}

impl Handler<WakeUp> for Dedup {
    type Result = ();

    fn handle(&mut self, request: WakeUp, _: &mut Self::Context) {
        self.wake(request.wakes);
    }
}

impl Handler<LookAgain> for Dedup {
    type Result = ();

    fn handle(&mut self, _: LookAgain, _: &mut Self::Context) {
        self.desk.openai.client.look_again();
        self.desk.whatsapp.client.look_again();
        self.desk.elevenlabs.iter().for_each(|voice| voice.client.look_again());
    }
}

impl Handler<LetGo> for Dedup {
    type Result = ();

    fn handle(&mut self, request: LetGo, _: &mut Self::Context) {
        for person in request.people {
            self.directory.let_go(person);
        }
        self.stats.set_conversations(self.directory.len());
        // Meta's ids hold the number, and nobody knows any more which of them were this person's. The ledger
        // remembers them all in a form that tells nothing.
        self.hot.clear();
    }
}
