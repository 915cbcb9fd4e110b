//! Ingress: checks a webhook's signature on its raw bytes, takes the body apart, and hands the items to Dedup.
//!
//! One per web worker, started in the worker's own App factory: it is stateless, and the check of a signature is
//! the one piece of work on the accept path worth spreading over cores.

mod actor;

use std::sync::Arc;

use actix::{Addr, MailboxError};
use bytes::Bytes;
use parlante_domain::{Faults, PhoneNumberId};
use parlante_wire::signature::{Secrets, Signature};
use tokio::sync::watch;

use crate::dedup::DedupHandle;
use crate::load::Load;
use crate::supervise::{self, Post, Restarts};
use actor::{Deliver, Ingress};

/// What every ingress checks by.
#[derive(Clone)]
pub struct IngressConfig {
    /// The app secrets, as they are now; `None` only in development, where the check is skipped.
    pub secrets: watch::Receiver<Option<Arc<Secrets>>>,
    /// Our number; `None` only in development, where every number is ours.
    pub number: Option<PhoneNumberId>,
    /// Faults for tests.
    pub faults: Arc<dyn Faults>,
    /// Where restarts are counted.
    pub restarts: Restarts,
}

/// The only way to an ingress.
#[derive(Clone)]
pub struct IngressHandle {
    addr: Addr<Ingress>,
    load: Load,
}

/// A webhook that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The signature is missing or does not fit.
    Signature,
    /// Signed, but not a JSON object.
    NotAnObject,
    /// It could not be made durable now; Meta delivers it again.
    Unavailable,
}

impl IngressHandle {
    /// Starts the ingress of this worker.
    #[must_use]
    pub fn start(config: IngressConfig, dedup: DedupHandle) -> Self {
        let load = Load::default();
        let post = Post {
            actor: "ingress",
            user_id: supervise::UserId::default(),
            load: load.clone(),
            // The HTTP surface bounds the bodies in flight; this bound only has to be no smaller.
            mailbox: 1024,
            vital: true,
            restarts: config.restarts.clone(),
        };
        Self { addr: supervise::start(post, Ingress::new(config, dedup)), load }
    }

    /// Takes one webhook. Answers after its items are durable.
    ///
    /// # Errors
    /// [`Refused`]; a panic on the way is `Unavailable`, so that Meta delivers again.
    pub async fn deliver(
        &self,
        signature: Option<Signature>,
        body: Bytes,
        ip: String,
    ) -> Result<(), Refused> {
        let deliver = Deliver { signature, body, ip, _ticket: self.load.enter() };
        match self.addr.send(deliver).await {
            Ok(answer) => answer,
            Err(MailboxError::Closed | MailboxError::Timeout) => Err(Refused::Unavailable),
        }
    }
}
