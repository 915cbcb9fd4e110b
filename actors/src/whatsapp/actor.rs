//! The WhatsApp client actor itself.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, ResponseFuture, Supervised};
use bytes::Bytes;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Faults, MessageId, PhoneNumberId, Seq};
use parlante_ledger::{Ledger, Step, StepOutcome};
use parlante_wire::graph;

use super::{Outgoing, Sent, WhatsAppConfig};
use crate::call::http::{Broken, ERROR_BODY_MAX, Http};
use crate::call::{Attempts, Ended, Fate, Trouble};
use crate::flight::{Flights, Key};
use crate::load::Ticket;

pub(super) struct WhatsApp {
    caller: Rc<Caller>,
    flights: Flights<Sent>,
    faults: Arc<dyn Faults>,
}

/// Request: send one part. `None`: the call was lost to a panic.
#[derive(Message)]
#[rtype(result = "Option<Sent>")]
pub(super) struct Send {
    pub(super) outgoing: Outgoing,
    pub(super) _ticket: Ticket,
}

/// Request: the result of the call under way for this part. `None`: there is no such call.
#[derive(Message)]
#[rtype(result = "Option<Sent>")]
pub(super) struct Attach {
    pub(super) key: Key,
    pub(super) _ticket: Ticket,
}

/// Event: a person waits for this message's answer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Typing {
    pub(super) number: PhoneNumberId,
    pub(super) message_id: MessageId,
}

/// Event: the result of this call is in the ledger.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Land(pub(super) Key);

/// Event: this row is closed.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct LandRow(pub(super) Seq);

/// Makes the calls; shared with the tasks that run them.
struct Caller {
    config: WhatsAppConfig,
    http: Http,
    attempts: Attempts,
    ledger: Arc<dyn Ledger>,
}

impl WhatsApp {
    pub(super) fn new(
        config: WhatsAppConfig,
        http: Http,
        attempts: Attempts,
        ledger: Arc<dyn Ledger>,
        faults: Arc<dyn Faults>,
    ) -> Self {
        Self {
            caller: Rc::new(Caller { config, http, attempts, ledger }),
            flights: Flights::default(),
            faults,
        }
    }
}

impl Actor for WhatsApp {
    type Context = Context<Self>;
}

impl Supervised for WhatsApp {}

impl Handler<Send> for WhatsApp {
    type Result = ResponseFuture<Option<Sent>>;

    fn handle(&mut self, send: Send, _: &mut Self::Context) -> Self::Result {
        self.faults.at("whatsapp.send");
        let caller = self.caller.clone();
        let key = (send.outgoing.seq, Step::Send(send.outgoing.tag.part));
        let landing = self.flights.join(key, || caller.send(send.outgoing));
        Box::pin(async move {
            let _ticket = send._ticket;
            landing.await
        })
    }
}

impl Handler<Attach> for WhatsApp {
    type Result = ResponseFuture<Option<Sent>>;

    fn handle(&mut self, attach: Attach, _: &mut Self::Context) -> Self::Result {
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

impl Handler<Typing> for WhatsApp {
    type Result = ();

    fn handle(&mut self, typing: Typing, _: &mut Self::Context) {
        let caller = self.caller.clone();
        actix_rt::spawn(async move { caller.type_on(&typing).await });
    }
}

impl Handler<Land> for WhatsApp {
    type Result = ();

    fn handle(&mut self, land: Land, _: &mut Self::Context) {
        self.flights.land(land.0);
    }
}

impl Handler<LandRow> for WhatsApp {
    type Result = ();

    fn handle(&mut self, land: LandRow, _: &mut Self::Context) {
        self.flights.land_row(land.0);
    }
}

impl Caller {
    fn url(&self, number: &PhoneNumberId) -> String {
        format!("{}/{}/{number}/messages", self.config.base_url, self.config.api_version)
    }

    async fn send(self: Rc<Self>, outgoing: Outgoing) -> Sent {
        let part = usize::try_from(outgoing.part).unwrap_or(usize::MAX);
        let Some(text) = outgoing.reply.parts().get(part) else { return Sent::lost() };
        let body = Bytes::from(graph::send_text(&outgoing.to, text, &outgoing.tag));
        let url = self.url(&outgoing.number);
        // After an attempt that may have happened, the statuses are asked before the next.
        let unsure = Cell::new(false);
        let ended = self
            .attempts
            .run(&outgoing.message_id, async || {
                if unsure.replace(false)
                    && let Ok(Some(id)) = self.ledger.was_sent(outgoing.tag.clone()).await
                {
                    return Ok(id);
                }
                let sent = self.http.attempt(self.post(&url, body.clone())).await.map_err(Trouble::from);
                unsure.set(sent.as_ref().is_err_and(|trouble| trouble.fate == Fate::RetryUnsure));
                sent
            })
            .await;
        conclude(ended, unsure.get())
    }

    async fn post(&self, url: &str, body: Bytes) -> Result<MessageId, Unsent> {
        let mut response = self.http.post(url, &self.config.access_token, body).await?;
        let body = response.whole(ERROR_BODY_MAX).await;
        if response.status == 200 {
            // Meta has taken it; only its id is missing when the body is cut.
            return graph::read_sent(&body?).ok_or(Unsent::Broken(Broken::Truncated));
        }
        Err(Unsent::Refused(
            graph::classify(response.status, &body.unwrap_or_default(), response.hints).into(),
        ))
    }

    async fn type_on(&self, typing: &Typing) {
        let body = Bytes::from(graph::mark_read(&typing.message_id, true));
        let url = self.url(&typing.number);
        // Cosmetic: its failure is told by the send that follows.
        let _: Result<(), Broken> = self
            .http
            .attempt(async {
                let mut response = self.http.post(&url, &self.config.access_token, body).await?;
                response.whole(ERROR_BODY_MAX).await.map(|_| ())
            })
            .await;
    }
}

/// Why a part was not accepted.
enum Unsent {
    Broken(Broken),
    Refused(Trouble),
}

impl From<Broken> for Unsent {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// A person would see it twice: only what surely did not happen may be tried again.
impl From<Unsent> for Trouble {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Broken(Broken::Unsent) => Self::new(Fate::Retry, Broken::Unsent.code()),
            Unsent::Broken(broken) => Self::new(Fate::Unknown, broken.code()),
            Unsent::Refused(trouble) => trouble,
        }
    }
}

fn conclude(ended: Ended<MessageId>, unsure: bool) -> Sent {
    let drained = matches!(ended, Ended::Drained { .. }) && !unsure;
    let (outcome, attempts) = match ended {
        Ended::Done { value, attempts } => (StepOutcome::Accepted(value), attempts),
        Ended::Drained { attempts } if unsure => (StepOutcome::Unknown(ErrorCode::DRAINED), attempts),
        Ended::Drained { attempts } => (StepOutcome::Postponed(ErrorCode::DRAINED), attempts),
        Ended::Failed { trouble, attempts } => {
            let outcome = match trouble.fate {
                Fate::GiveUp => StepOutcome::Failed(trouble.code),
                Fate::Unknown => StepOutcome::Unknown(trouble.code),
                Fate::Retry | Fate::RetryUnsure | Fate::Pause => StepOutcome::Postponed(trouble.code),
            };
            (outcome, attempts)
        }
    };
    Sent { outcome, attempts, drained }
}
