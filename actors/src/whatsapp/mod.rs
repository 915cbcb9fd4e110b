//! The WhatsApp client: owns timeout, attempts and back-off of the Cloud API.
//!
//! A send has no idempotency key, so it is never repeated blindly: what surely did not happen is tried again, what
//! may have happened is looked for among the statuses first, and what nobody can say is reported as unknown.

mod actor;

use std::time::Duration;

use actix::Addr;
use parlante_domain::policy::Retry;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Address, CustomerReply, MessageId, PhoneNumberId, Seq, Tag};
use parlante_ledger::StepOutcome;

use crate::call::http::Http;
use crate::call::{Attempts, Shared};
use crate::events::Service;
use crate::flight::Key;
use crate::load::Load;
use crate::supervise::{self, Post};
use actor::{Attach, Land, LandRow, Send, Typing, WhatsApp};

/// How the Cloud API is reached.
#[derive(Clone)]
pub struct WhatsAppConfig {
    /// Without a slash at the end.
    pub base_url: String,
    /// Such as `v25.0`.
    pub api_version: String,
    /// Sent as a bearer token; empty only in development.
    pub access_token: String,
    /// One attempt, body included.
    pub timeout: Duration,
    /// Attempts and the waits between them.
    pub retry: Retry,
}

/// One part of a reply, on its way.
///
/// It holds a [`CustomerReply`], so nothing else can be sent to a person.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) seq: Seq,
    pub(crate) part: u32,
    pub(crate) number: PhoneNumberId,
    pub(crate) to: Address,
    pub(crate) message_id: MessageId,
    pub(crate) reply: CustomerReply,
    pub(crate) tag: Tag,
}

/// What came of a send.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Accepted, failed, postponed or unknown.
    pub(crate) outcome: StepOutcome,
    /// Attempts made.
    pub(crate) attempts: u32,
    /// It was not sent because the server drains.
    pub(crate) drained: bool,
}

impl Sent {
    /// The call was lost with its actor: perhaps sent.
    pub(crate) fn lost() -> Self {
        Self { outcome: StepOutcome::Unknown(ErrorCode::PANIC), attempts: 1, drained: false }
    }
}

/// The only way to the WhatsApp client.
#[derive(Clone)]
pub struct WhatsAppHandle {
    addr: Addr<WhatsApp>,
    load: Load,
    deadline: Duration,
}

impl WhatsAppHandle {
    /// Starts the client on the current arbiter.
    pub(crate) fn start(config: WhatsAppConfig, shared: &Shared) -> Self {
        let load = Load::default();
        let post = Post {
            actor: "whatsapp",
            user_id: supervise::UserId::default(),
            load: load.clone(),
            mailbox: 1024,
            vital: true,
            restarts: shared.restarts.clone(),
        };
        let http = Http::new(config.timeout, shared.tls.clone());
        let attempts = Attempts {
            service: Service::WhatsApp,
            retry: config.retry.clone(),
            random: shared.random.clone(),
            phase: shared.phase.clone(),
        };
        let deadline = attempts.longest(config.timeout);
        let actor = WhatsApp::new(config, http, attempts, shared.ledger.clone(), shared.faults.clone());
        Self { addr: supervise::start(post, actor), load, deadline }
    }

    /// Sends one part, or attaches to the call already under way for it.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Sent {
        let send = Send { outgoing, _ticket: self.load.enter() };
        self.addr.send(send).await.ok().flatten().unwrap_or_else(Sent::lost)
    }

    /// Attaches to the call under way for this part, or takes up its kept result.
    pub(crate) async fn attach(&self, key: Key) -> Option<Sent> {
        self.addr.send(Attach { key, _ticket: self.load.enter() }).await.ok().flatten()
    }

    /// Marks a message as read and shows that the persona is typing. Harmless if repeated or lost, so nobody waits
    /// for it and it has one attempt.
    pub(crate) fn show_typing(&self, number: &PhoneNumberId, message_id: &MessageId) {
        let typing = Typing { number: number.clone(), message_id: message_id.clone() };
        // Full or gone: the next renewal comes in time.
        let _ = self.addr.try_send(typing);
    }

    /// The longest that a whole call takes, all attempts and waits included.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
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
}
