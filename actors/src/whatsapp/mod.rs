//! The WhatsApp client: owns timeout, attempts, back-off and rates of the Cloud API.
//!
//! A send has no idempotency key, so it is never repeated blindly: what surely did not happen is tried again, what
//! may have happened is looked for among the statuses first, and what nobody can say is reported as unknown.

mod actor;
mod media;

use std::time::Duration;

use actix_rt::time::Instant;
use bytes::Bytes;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Address, CustomerReply, MediaId, MessageId, PhoneNumberId, Seq, Tag};
use parlante_ledger::StepOutcome;
use parlante_wire::graph;
use parlante_wire::outcome::Outcome as Means;

use crate::call::client::ClientHandle;
use crate::call::gate::{Entry, ROOM_MAX, Shut};
use crate::call::stats::ChannelStats;
use crate::call::{CallConfig, Shared};
use crate::flight::Key;
use crate::phase::PhaseWatch;
use actor::{Call, Outcome, Typing, WhatsApp};

/// How the Cloud API is reached.
#[derive(Clone)]
pub struct WhatsAppConfig {
    /// Without a slash at the end.
    pub base_url: String,
    /// Such as `v25.0`.
    pub api_version: String,
    /// Our number, asked for in the health call. `None`: each answer goes out from the number that was written to, and
    /// there is no health call.
    pub number: Option<PhoneNumberId>,
    /// Hosts, beside the one of `base_url`, that may see the token when a file is fetched.
    pub media_hosts: Vec<String>,
    /// Time, attempts, circuit.
    pub call: CallConfig,
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
    /// The reply, spoken: it goes out in place of the words.
    pub(crate) voice: Option<MediaId>,
    pub(crate) tag: Tag,
}

/// A voice note of ours to be handed over.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) seq: Seq,
    pub(crate) number: PhoneNumberId,
    pub(crate) message_id: MessageId,
    pub(crate) audio: Bytes,
}

/// A person's sound to be fetched.
#[derive(Clone)]
pub(crate) struct Fetch {
    pub(crate) seq: Seq,
    pub(crate) number: PhoneNumberId,
    pub(crate) message_id: MessageId,
    pub(crate) media: MediaId,
    /// When the turn's time is over.
    pub(crate) until: Instant,
}

/// What came of handing a file over, either way. It is not visible to anybody, so it may be tried again.
#[derive(Debug, Clone)]
pub(crate) enum Handed<T> {
    /// It worked.
    Done { value: T, attempts: u32 },
    /// It will never work.
    Failed { code: ErrorCode, attempts: u32 },
    /// Not now. `unsent`: why, where that holds for every call.
    Postponed { code: ErrorCode, attempts: u32, unsent: Option<Shut> },
}

/// What came of a send.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Accepted, failed, postponed or unknown.
    pub(crate) outcome: StepOutcome,
    /// Attempts made.
    pub(crate) attempts: u32,
    /// Why it was not sent, where that holds for every message.
    pub(crate) unsent: Option<Shut>,
}

impl<T> Handed<T> {
    /// The call was lost with its actor.
    fn lost() -> Self {
        Self::Failed { code: ErrorCode::PANIC, attempts: 1 }
    }
}

impl Sent {
    /// The call was lost with its actor: perhaps sent.
    pub(crate) fn lost() -> Self {
        Self { outcome: StepOutcome::Unknown(ErrorCode::PANIC), attempts: 1, unsent: None }
    }
}

/// Whether a part may be sent.
pub(crate) enum Entering {
    /// Yes, now.
    Entered(Entry),
    /// In a while: wait with [`WhatsAppHandle::enter`], at least so long.
    Wait(Duration),
    /// No.
    Shut(Shut),
}

/// The only way to the WhatsApp client.
#[derive(Clone)]
pub struct WhatsAppHandle {
    pub(crate) client: ClientHandle<WhatsApp>,
    deadline: Duration,
    phase: PhaseWatch,
}

impl WhatsAppHandle {
    /// Starts the client on the current arbiter.
    pub(crate) fn start(config: WhatsAppConfig, stats: ChannelStats, shared: &Shared) -> Self {
        let call = config.call.clone();
        let provider = WhatsApp::new(config, stats, shared);
        let deadline = provider.longest();
        let client = ClientHandle::start(provider, &call, shared);
        Self { client, deadline, phase: shared.phase.clone() }
    }

    /// A place for the next send of this row, if there is room and no rate to wait for.
    pub(crate) fn try_enter(&self, seq: Seq, number: &PhoneNumberId, to: &Address) -> Entering {
        let gate = self.client.gate();
        // A shut gate lets in its probe, at most; the pair's rate is not counted for whoever is turned away.
        if gate.shut().is_none() {
            let pair_wait = gate.pair_wait(number, to);
            if !pair_wait.is_zero() {
                return Entering::Wait(pair_wait);
            }
        }
        match gate.try_enter(seq, Some(number)) {
            Ok(Some(entry)) => Entering::Entered(entry),
            Ok(None) => Entering::Wait(Duration::ZERO),
            Err(shut) => Entering::Shut(shut),
        }
    }

    /// A place for the next send of this row, after `pair_wait`. `Err(None)`: there was no room for long.
    pub(crate) async fn enter(
        &self,
        seq: Seq,
        number: &PhoneNumberId,
        pair_wait: Duration,
    ) -> Result<Entry, Option<Shut>> {
        if !pair_wait.is_zero() && !self.phase.sleep(pair_wait).await {
            return Err(Some(Shut::Draining));
        }
        self.client.gate().enter(seq, Some(number), ROOM_MAX, &self.phase).await
    }

    /// A place for the next call of this row that is no message, once there is room.
    pub(crate) async fn enter_for_media(&self, seq: Seq) -> Result<Entry, Option<Shut>> {
        self.client.gate().enter(seq, None, ROOM_MAX, &self.phase).await
    }

    /// Sends one part, or attaches to the call already under way for it.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Sent {
        match self.client.make(Call::Send(outgoing)).await {
            Some(Outcome::Sent(sent)) => sent,
            _ => Sent::lost(),
        }
    }

    /// Attaches to the call under way for this part, or takes up its kept result.
    pub(crate) async fn attach(&self, key: Key) -> Option<Sent> {
        match self.client.attach(key).await {
            Some(Outcome::Sent(sent)) => Some(sent),
            _ => None,
        }
    }

    /// Hands a voice note over, or attaches to the call already under way for this row.
    pub(crate) async fn upload(&self, upload: Upload) -> Handed<MediaId> {
        match self.client.make(Call::Upload(upload)).await {
            Some(Outcome::Uploaded(handed)) => handed,
            _ => Handed::lost(),
        }
    }

    /// Fetches a person's sound, or attaches to the call already under way for this row.
    pub(crate) async fn fetch(&self, fetch: Fetch) -> Handed<Bytes> {
        match self.client.make(Call::Fetch(fetch)).await {
            Some(Outcome::Fetched(handed)) => handed,
            _ => Handed::lost(),
        }
    }

    /// Marks a message as read and shows that the persona is typing. Harmless if repeated or lost, so nobody waits
    /// for it and it has one attempt.
    pub(crate) fn show_typing(&self, number: &PhoneNumberId, message_id: &MessageId) {
        let typing = Typing { number: number.clone(), message_id: message_id.clone() };
        // Full or gone: the next renewal comes in time.
        let _ = self.client.addr.try_send(typing);
    }

    /// A status has told that the channel is at fault: no send works until an operator has acted.
    pub(crate) fn pause(&self, code: &ErrorCode) {
        if let Some(Means::Pause(cause)) = graph::outcome_of(code.as_str()) {
            self.client.gate().pause(code, cause, false);
        }
    }

    /// The longest that a whole call takes, all attempts and waits included.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }
}
