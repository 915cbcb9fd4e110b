//! The frame of a client actor. What differs between the providers is a [`Provider`]; what they share is here:
//! single flight, results that are kept until they are in the ledger, a health call by timer.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, Supervised,
    WrapFuture,
};
use actix_rt::time::Instant;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Clock, Faults, Seq};

use super::gate::Gate;
use super::stats::Quota;
use super::{CallConfig, Shared};
use crate::flight::{Flights, Key};
use crate::load::{Load, Ticket};
use crate::supervise::{self, Post};

/// Messages that may wait in a client's mailbox. They are handled within microseconds, so this is a burst and not a
/// queue: a conversation has one call under way.
const MAILBOX: usize = 1024;

/// One provider: how its calls are made.
pub(crate) trait Provider: 'static {
    /// What is asked.
    type Call: Send + 'static;
    /// What comes of it.
    type Outcome: Clone + Send + 'static;

    /// The client's name in logs and `/stats`.
    const NAME: &'static str;
    /// Passed by every call.
    const FAULT_POINT: &'static str;

    /// By which a call is told from another.
    fn key(call: &Self::Call) -> Key;
    /// Makes a call, with all its attempts.
    fn make(self: Rc<Self>, call: Self::Call) -> impl Future<Output = Self::Outcome> + 'static;
    /// One cheap call that proves key and connection.
    fn health(self: Rc<Self>) -> impl Future<Output = Health> + 'static;
    /// The gate before it.
    fn gate(&self) -> &Gate;
}

/// What a health call brought.
pub(crate) enum Health {
    /// There is no such call.
    None,
    /// Key and connection are well; what the account has left, where the provider tells.
    Ok(Option<Quota>),
    /// They are not, or the key may not make this call.
    Failed(ErrorCode),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Probing {
    No,
    Yes,
    Again,
}

pub(crate) struct Client<P: Provider> {
    pub(crate) provider: Rc<P>,
    flights: Flights<P::Outcome>,
    faults: Arc<dyn Faults>,
    clock: Arc<dyn Clock>,
    probe_every: Duration,
    /// A health call is under way; `Again`: it asks with what has been changed meanwhile.
    probing: Probing,
}

impl<P: Provider> Client<P> {
    fn probe(&mut self, context: &mut Context<Self>) {
        // A late answer must not overwrite a newer one.
        if self.probing != Probing::No {
            return;
        }
        self.probing = Probing::Yes;
        let (provider, asked) = (self.provider.clone(), Instant::now());
        context.spawn(provider.health().into_actor(self).map(move |health, client, context| {
            match std::mem::replace(&mut client.probing, Probing::No) {
                Probing::Again => client.probe(context),
                Probing::Yes | Probing::No => client.probed(health, asked.elapsed()),
            }
        }));
    }

    fn probed(&self, health: Health, took: Duration) {
        let (gate, now) = (self.provider.gate(), self.clock.now());
        match health {
            Health::None => {
                gate.health_says_nothing();
                gate.stats().cannot_be_probed();
            }
            Health::Ok(quota) => {
                gate.is_healthy();
                gate.stats().has_left(quota);
                gate.stats().probed(Ok(took), now);
            }
            Health::Failed(code) => {
                // The key is known, and may do other things.
                if code.to_string() == "403" {
                    gate.health_says_nothing();
                }
                gate.stats().probed(Err(code), now);
            }
        }
    }
}

impl<P: Provider> Actor for Client<P> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // A restart has dropped the one that was under way.
        self.probing = Probing::No;
        context.run_interval(self.probe_every, Self::probe);
    }
}

impl<P: Provider> Supervised for Client<P> {}

/// Request: make a call, or attach to the one under way. `None`: it was lost to a panic.
pub(crate) struct Make<P: Provider> {
    call: P::Call,
    _ticket: Ticket,
}

impl<P: Provider> Message for Make<P> {
    type Result = Option<P::Outcome>;
}

impl<P: Provider> Handler<Make<P>> for Client<P> {
    type Result = ResponseFuture<Option<P::Outcome>>;

    fn handle(&mut self, make: Make<P>, _: &mut Self::Context) -> Self::Result {
        self.faults.at(P::FAULT_POINT);
        let provider = self.provider.clone();
        let landing = self.flights.join(P::key(&make.call), || provider.make(make.call));
        Box::pin(async move {
            let _ticket = make._ticket;
            landing.await
        })
    }
}

/// Request: the result of the call under way. `None`: there is no such call.
pub(crate) struct Attach<P: Provider> {
    key: Key,
    _ticket: Ticket,
    of: std::marker::PhantomData<fn(P)>,
}

impl<P: Provider> Message for Attach<P> {
    type Result = Option<P::Outcome>;
}

impl<P: Provider> Handler<Attach<P>> for Client<P> {
    type Result = ResponseFuture<Option<P::Outcome>>;

    fn handle(&mut self, attach: Attach<P>, _: &mut Self::Context) -> Self::Result {
        let landing = self.flights.attach(attach.key);
        Box::pin(async move {
            let _ticket = attach._ticket;
            match landing {
                Some(landing) => landing.await,
                None => None,
            }
        })
    }
}

/// Event: the result of this call is in the ledger.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Land(Key);

impl<P: Provider> Handler<Land> for Client<P> {
    type Result = ();

    fn handle(&mut self, land: Land, _: &mut Self::Context) {
        self.flights.land(land.0);
    }
}

/// Event: this row is closed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LandRow(Seq);

impl<P: Provider> Handler<LandRow> for Client<P> {
    type Result = ();

    fn handle(&mut self, land: LandRow, _: &mut Self::Context) {
        self.flights.land_row(land.0);
    }
}

/// Event: the operator has acted; see whether the provider works again.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LookAgain;

impl<P: Provider> Handler<LookAgain> for Client<P> {
    type Result = ();

    fn handle(&mut self, _: LookAgain, context: &mut Self::Context) {
        self.provider.gate().look_again();
        if self.probing == Probing::Yes {
            // It asks with the old key.
            self.probing = Probing::Again;
        }
        self.probe(context);
    }
}

/// The only way to a client.
pub(crate) struct ClientHandle<P: Provider> {
    pub(crate) addr: Addr<Client<P>>,
    load: Load,
    gate: Gate,
}

impl<P: Provider> Clone for ClientHandle<P> {
    fn clone(&self) -> Self {
        Self { addr: self.addr.clone(), load: self.load.clone(), gate: self.gate.clone() }
    }
}

impl<P: Provider> ClientHandle<P> {
    /// Starts the client on the current arbiter.
    pub(crate) fn start(provider: P, config: &CallConfig, shared: &Shared) -> Self {
        let (load, gate) = (Load::default(), provider.gate().clone());
        let post = Post {
            actor: P::NAME,
            user_id: supervise::UserId::default(),
            load: load.clone(),
            mailbox: MAILBOX,
            vital: true,
            restarts: shared.restarts.clone(),
        };
        let client = Client {
            provider: Rc::new(provider),
            flights: Flights::default(),
            faults: shared.faults.clone(),
            clock: shared.clock.clone(),
            probe_every: config.probe_every,
            probing: Probing::No,
        };
        Self { addr: supervise::start(post, client), load, gate }
    }

    /// Makes a call, or attaches to the one under way. `None`: it was lost to a panic of the client.
    pub(crate) async fn make(&self, call: P::Call) -> Option<P::Outcome> {
        self.addr.send(Make { call, _ticket: self.load.enter() }).await.ok().flatten()
    }

    /// Attaches to the call under way, or takes up its kept result.
    pub(crate) async fn attach(&self, key: Key) -> Option<P::Outcome> {
        let attach = Attach { key, _ticket: self.load.enter(), of: std::marker::PhantomData };
        self.addr.send(attach).await.ok().flatten()
    }

    /// The gate before the provider.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The result of this call is in the ledger; it need not be kept.
    pub(crate) fn land(&self, key: Key) {
        // Full or gone: it is forgotten with its row.
        let _ = self.addr.try_send(Land(key));
    }

    /// The row is closed; nothing need be kept for it.
    pub(crate) fn land_row(&self, seq: Seq) {
        // Full or gone: a few bytes stay until the process ends.
        let _ = self.addr.try_send(LandRow(seq));
    }

    /// The operator has acted: see whether the provider works again.
    pub(crate) fn look_again(&self) {
        // Full or gone: the next probe comes by itself.
        let _ = self.addr.try_send(LookAgain);
    }
}
