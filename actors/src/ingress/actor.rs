//! The ingress actor itself.

use actix::{Actor, Context, Handler, Message, ResponseFuture, Supervised};
use bytes::Bytes;
use parlante_wire::signature::Signature;
use parlante_wire::webhook;

use super::{IngressConfig, Refused};
use crate::dedup::{DedupHandle, NotDurable};
use crate::events;
use crate::load::Ticket;

pub(super) struct Ingress {
    config: IngressConfig,
    dedup: DedupHandle,
}

/// Request: verify, take apart, make durable.
#[derive(Message)]
#[rtype(result = "Result<(), Refused>")]
pub(super) struct Deliver {
    pub(super) signature: Option<Signature>,
    pub(super) body: Bytes,
    pub(super) ip: String,
    pub(super) _ticket: Ticket,
}

impl Ingress {
    pub(super) fn new(config: IngressConfig, dedup: DedupHandle) -> Self {
        Self { config, dedup }
    }

    fn is_signed(&self, deliver: &Deliver) -> bool {
        match (&*self.config.secrets.borrow(), &deliver.signature) {
            (None, _) => true,
            (Some(secrets), Some(signature)) => secrets.verify(signature, &deliver.body),
            (Some(_), None) => false,
        }
    }
}

impl Actor for Ingress {
    type Context = Context<Self>;
}

impl Supervised for Ingress {}

impl Handler<Deliver> for Ingress {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, deliver: Deliver, _: &mut Self::Context) -> Self::Result {
        self.config.faults.at("ingress.deliver");
        if !self.is_signed(&deliver) {
            events::webhook_signature_invalid(&deliver.ip);
            return Box::pin(async { Err(Refused::Signature) });
        }
        let Ok(batch) = webhook::parse(&deliver.body, self.config.number.as_ref()) else {
            return Box::pin(async { Err(Refused::NotAnObject) });
        };
        if batch.skipped > 0 {
            events::items_skipped(batch.skipped);
        }
        let dedup = self.dedup.clone();
        Box::pin(async move {
            let _ticket = deliver._ticket;
            dedup.accept(batch.items).await.map_err(|NotDurable| Refused::Unavailable)
        })
    }
}
