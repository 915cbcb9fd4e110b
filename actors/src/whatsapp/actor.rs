//! How the Cloud API's calls are made.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Context, Handler, Message};
use bytes::Bytes;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{MediaId, MessageId, PhoneNumberId};
use parlante_ledger::{Ledger, Step, StepOutcome, Told};
use parlante_wire::graph;
use parlante_wire::outcome::Outcome as Means;
use tokio::sync::watch;

use super::{Fetch, Handed, Outgoing, Sent, Upload, WhatsAppConfig};
use crate::call::client::{Client, Health, Provider};
use crate::call::gate::{Gate, Shut};
use crate::call::http::{Auth, Broken, ERROR_BODY_MAX, Http};
use crate::call::stats::ChannelStats;
use crate::call::{self, Attempts, Credentials, Ended, Shared, Trouble};
use crate::flight::Key;

/// Sends at the same time. At 80 a second each may take a second and a half.
const CALLS_MAX: usize = 128;
/// Typing indicators at the same time; beyond it they are left out.
const TYPING_MAX: usize = 64;

pub(crate) struct WhatsApp {
    pub(super) config: WhatsAppConfig,
    pub(super) http: Http,
    pub(super) attempts: Attempts,
    credentials: watch::Receiver<Arc<Credentials>>,
    ledger: Arc<dyn Ledger>,
    typing: Cell<usize>,
}

/// What is asked.
#[derive(Clone)]
pub(crate) enum Call {
    Send(Outgoing),
    Upload(Upload),
    Fetch(Fetch),
}

/// What comes of it.
#[derive(Clone)]
pub(crate) enum Outcome {
    Sent(Sent),
    Uploaded(Handed<MediaId>),
    Fetched(Handed<Bytes>),
}

/// Event: a person waits for this message's answer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Typing {
    pub(super) number: PhoneNumberId,
    pub(super) message_id: MessageId,
}

impl Handler<Typing> for Client<WhatsApp> {
    type Result = ();

    fn handle(&mut self, typing: Typing, _: &mut Context<Self>) {
        let whatsapp = self.provider.clone();
        if whatsapp.typing.get() < TYPING_MAX && whatsapp.gate().shut().is_none() {
            actix_rt::spawn(async move { whatsapp.type_on(&typing).await });
        }
    }
}

impl Provider for WhatsApp {
    type Call = Call;
    type Outcome = Outcome;

    const NAME: &'static str = "whatsapp";
    const FAULT_POINT: &'static str = "whatsapp.send";

    fn key(call: &Call) -> Key {
        match call {
            Call::Send(outgoing) => (outgoing.seq, Step::Send(outgoing.tag.part)),
            Call::Upload(upload) => (upload.seq, Step::Upload),
            // Fetched to be heard.
            Call::Fetch(fetch) => (fetch.seq, Step::Transcribe),
        }
    }

    async fn make(self: Rc<Self>, call: Call) -> Outcome {
        match call {
            Call::Send(outgoing) => Outcome::Sent(self.send(outgoing).await),
            Call::Upload(upload) => Outcome::Uploaded(self.upload(upload).await),
            Call::Fetch(fetch) => Outcome::Fetched(self.fetch(fetch).await),
        }
    }

    async fn health(self: Rc<Self>) -> Health {
        let Some(number) = self.config.number.as_ref() else { return Health::None };
        let url =
            format!("{}/{}/{number}?{}", self.config.base_url, self.config.api_version, graph::NUMBER_QUERY);
        let asked = async {
            let mut response = self.http.get(&url, &self.auth()).await?;
            let body = response.whole(ERROR_BODY_MAX).await;
            if response.status == 200 {
                return body.map(|_| ()).map_err(Unsent::Broken);
            }
            Err(refused(&response, &body.unwrap_or_default()))
        };
        match self.http.attempt(asked).await {
            Ok(()) => Health::Ok(None),
            Err(unsent) => Health::Failed(Trouble::from(unsent).code),
        }
    }

    fn gate(&self) -> &Gate {
        &self.attempts.gate
    }
}

impl WhatsApp {
    pub(super) fn new(config: WhatsAppConfig, stats: ChannelStats, shared: &Shared) -> Self {
        let attempts = Attempts::new(&config.call, CALLS_MAX, config.number.is_some(), stats, shared);
        Self {
            http: Http::new(config.call.timeout, shared.tls.clone()),
            attempts,
            credentials: shared.credentials.clone(),
            ledger: shared.ledger.clone(),
            typing: Cell::new(0),
            config,
        }
    }

    pub(super) fn longest(&self) -> std::time::Duration {
        self.attempts.longest(self.config.call.timeout)
    }

    pub(super) fn auth(&self) -> Auth {
        Auth::Bearer(self.credentials.borrow().whatsapp.clone())
    }

    fn url(&self, number: &PhoneNumberId) -> String {
        format!("{}/{}/{number}/messages", self.config.base_url, self.config.api_version)
    }

    async fn send(&self, outgoing: Outgoing) -> Sent {
        let part = usize::try_from(outgoing.part).unwrap_or(usize::MAX);
        let Some(text) = outgoing.reply.parts().get(part) else { return Sent::lost() };
        let Some(place) = self.gate().take(outgoing.seq) else { return self.unsent() };
        let body = Bytes::from(match &outgoing.voice {
            Some(media) => graph::send_voice(&outgoing.to, media, &outgoing.tag),
            None => graph::send_text(&outgoing.to, text, &outgoing.tag),
        });
        let url = self.url(&outgoing.number);
        // After an attempt that may have happened, the statuses are asked before the next.
        let unsure = Cell::new(false);
        let is_first = Cell::new(true);
        let call = call::Call { message_id: &outgoing.message_id, until: None };
        let attempt = async || {
            if unsure.replace(false) {
                match self.ledger.told_of(outgoing.tag.clone()).await {
                    Ok(Told::Sent(id)) => return Ok(id),
                    Ok(Told::Failed(code)) => return Err(Trouble::new(Means::GiveUp, code)),
                    Ok(Told::Nothing) => {}
                    // Nobody can say now; not asked is not the same as not told.
                    Err(_) => return Err(Trouble::new(Means::Unknown, ErrorCode::UNCERTAIN)),
                }
            }
            if !is_first.replace(false) {
                self.gate().count_again(&outgoing.number);
            }
            let sent = self.http.attempt(self.post(&url, body.clone())).await.map_err(Trouble::from);
            unsure.set(sent.as_ref().is_err_and(|trouble| trouble.outcome == Means::RetryUnsure));
            sent
        };
        let ended = self.attempts.run(place, &call, attempt).await;
        self.concluded(ended, unsure.get())
    }

    /// Without a place: the gate is shut, or a panic has lost the place.
    fn unsent(&self) -> Sent {
        let outcome = StepOutcome::Postponed(ErrorCode::CIRCUIT_OPEN);
        Sent { outcome, attempts: 0, unsent: self.gate().shut() }
    }

    async fn post(&self, url: &str, body: Bytes) -> Result<MessageId, Unsent> {
        let mut response = self.http.post_json(url, &self.auth(), body).await?;
        let body = response.whole(ERROR_BODY_MAX).await;
        if response.status == 200 {
            // Meta has taken it; only its id is missing when the body is cut.
            return graph::read_sent(&body?).ok_or(Unsent::Broken(Broken::Truncated));
        }
        Err(refused(&response, &body.unwrap_or_default()))
    }

    async fn type_on(&self, typing: &Typing) {
        self.typing.set(self.typing.get() + 1);
        let body = Bytes::from(graph::mark_read(&typing.message_id));
        let url = self.url(&typing.number);
        // Cosmetic: its failure is told by the send that follows.
        let _: Result<(), Broken> = self
            .http
            .attempt(async {
                let mut response = self.http.post_json(&url, &self.auth(), body).await?;
                response.whole(ERROR_BODY_MAX).await.map(|_| ())
            })
            .await;
        self.typing.set(self.typing.get() - 1);
    }

    fn concluded(&self, ended: Ended<MessageId>, unsure: bool) -> Sent {
        let (outcome, attempts) = match ended {
            Ended::Done { value, attempts } => (StepOutcome::Accepted(value), attempts),
            Ended::Drained { attempts } if unsure => (StepOutcome::Unknown(ErrorCode::DRAINED), attempts),
            Ended::Drained { attempts } => {
                let outcome = StepOutcome::Postponed(ErrorCode::DRAINED);
                return Sent { outcome, attempts, unsent: Some(Shut::Draining) };
            }
            Ended::Failed { trouble, attempts } => match trouble.outcome {
                Means::GiveUp => (StepOutcome::Failed(trouble.code), attempts),
                Means::Unknown => (StepOutcome::Unknown(trouble.code), attempts),
                // Where this failure shut the gate, or a probe found it shut still, the row waits for it like any other.
                Means::Retry | Means::RetryUnsure | Means::Pause(_) => {
                    let unsent = self.gate().shut();
                    return Sent { outcome: StepOutcome::Postponed(trouble.code), attempts, unsent };
                }
            },
        };
        Sent { outcome, attempts, unsent: None }
    }
}

fn refused(response: &call::http::Response, body: &[u8]) -> Unsent {
    Unsent::Refused(graph::classify(response.status, body, response.hints).into())
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
            Unsent::Broken(Broken::Unsent) => Self::new(Means::Retry, Broken::Unsent.code()),
            Unsent::Broken(broken) => Self::new(Means::Unknown, broken.code()),
            Unsent::Refused(trouble) => trouble,
        }
    }
}
