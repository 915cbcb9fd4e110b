//! The OpenAI client: owns timeout, attempts and back-off of the model.

mod actor;

use std::time::Duration;

use actix::Addr;
use parlante_domain::policy::{Line, Retry};
use parlante_domain::turn::ErrorCode;
use parlante_domain::{MessageId, ModelAnswer, Seq};
use parlante_ledger::Usage;

use crate::call::http::Http;
use crate::call::{Attempts, Shared};
use crate::events::Service;
use crate::flight::Key;
use crate::load::Load;
use crate::supervise::{self, Post};
use actor::{Ask, Land, LandRow, OpenAi};

/// How the model is reached.
#[derive(Clone)]
pub struct OpenAiConfig {
    /// Without a slash at the end.
    pub base_url: String,
    /// Sent as a bearer token; empty only in development.
    pub api_key: String,
    /// The model's name.
    pub model: String,
    /// Longest answer, in tokens.
    pub max_answer_tokens: u32,
    /// One attempt, body included.
    pub timeout: Duration,
    /// Attempts and the waits between them.
    pub retry: Retry,
}

/// What the model is asked.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) seq: Seq,
    pub(crate) message_id: MessageId,
    pub(crate) system: String,
    pub(crate) history: Vec<Line>,
    pub(crate) words: String,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    /// A whole answer.
    Answered { answer: ModelAnswer, usage: Usage, attempts: u32 },
    /// None, for good.
    Failed { code: ErrorCode, attempts: u32 },
    /// None, since the server drains.
    Drained { attempts: u32 },
}

/// The only way to the OpenAI client.
#[derive(Clone)]
pub struct OpenAiHandle {
    addr: Addr<OpenAi>,
    load: Load,
    deadline: Duration,
}

impl OpenAiHandle {
    /// Starts the client on the current arbiter.
    pub(crate) fn start(config: OpenAiConfig, shared: &Shared) -> Self {
        let load = Load::default();
        let post = Post {
            actor: "openai",
            user_id: supervise::UserId::default(),
            load: load.clone(),
            mailbox: 1024,
            vital: true,
            restarts: shared.restarts.clone(),
        };
        let http = Http::new(config.timeout, shared.tls.clone());
        let attempts = Attempts {
            service: Service::OpenAi,
            retry: config.retry.clone(),
            random: shared.random.clone(),
            phase: shared.phase.clone(),
        };
        let deadline = attempts.longest(config.timeout);
        let actor = OpenAi::new(config, http, attempts, shared.faults.clone());
        Self { addr: supervise::start(post, actor), load, deadline }
    }

    /// Asks the model, or attaches to the call already under way for this row.
    pub(crate) async fn ask(&self, question: Question) -> Asked {
        let lost = Asked::Failed { code: ErrorCode::PANIC, attempts: 1 };
        let mut asked = self.addr.send(Ask { question: question.clone(), _ticket: self.load.enter() }).await;
        if !matches!(asked, Ok(Some(_))) {
            // The client panicked over it. Its supervisor has it up again; once more, then the persona apologises.
            asked = self.addr.send(Ask { question, _ticket: self.load.enter() }).await;
        }
        asked.ok().flatten().unwrap_or(lost)
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
