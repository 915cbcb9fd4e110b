//! The OpenAI client actor itself.

use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, ResponseFuture, Supervised};
use bytes::Bytes;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Faults, ModelAnswer, Seq};
use parlante_ledger::{Step, Usage};
use parlante_wire::openai::{self, StreamError};

use super::{Asked, OpenAiConfig, Question};
use crate::call::http::{Broken, ERROR_BODY_MAX, Http};
use crate::call::{Attempts, Ended, Fate, Trouble};
use crate::flight::{Flights, Key};
use crate::load::Ticket;

pub(super) struct OpenAi {
    caller: Rc<Caller>,
    flights: Flights<Asked>,
    faults: Arc<dyn Faults>,
}

/// Request: an answer of the model. `None`: the call was lost to a panic.
#[derive(Message)]
#[rtype(result = "Option<Asked>")]
pub(super) struct Ask {
    pub(super) question: Question,
    pub(super) _ticket: Ticket,
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
    config: OpenAiConfig,
    http: Http,
    attempts: Attempts,
}

impl OpenAi {
    pub(super) fn new(config: OpenAiConfig, http: Http, attempts: Attempts, faults: Arc<dyn Faults>) -> Self {
        Self { caller: Rc::new(Caller { config, http, attempts }), flights: Flights::default(), faults }
    }
}

impl Actor for OpenAi {
    type Context = Context<Self>;
}

impl Supervised for OpenAi {}

impl Handler<Ask> for OpenAi {
    type Result = ResponseFuture<Option<Asked>>;

    fn handle(&mut self, ask: Ask, _: &mut Self::Context) -> Self::Result {
        self.faults.at("openai.ask");
        let caller = self.caller.clone();
        let landing = self.flights.join((ask.question.seq, Step::Complete), || caller.ask(ask.question));
        Box::pin(async move {
            let _ticket = ask._ticket;
            landing.await
        })
    }
}

impl Handler<Land> for OpenAi {
    type Result = ();

    fn handle(&mut self, land: Land, _: &mut Self::Context) {
        self.flights.land(land.0);
    }
}

impl Handler<LandRow> for OpenAi {
    type Result = ();

    fn handle(&mut self, land: LandRow, _: &mut Self::Context) {
        self.flights.land_row(land.0);
    }
}

impl Caller {
    async fn ask(self: Rc<Self>, question: Question) -> Asked {
        let Question { message_id, system, history, words, .. } = question;
        let body =
            openai::chat(&self.config.model, &system, &history, &words, self.config.max_answer_tokens, None);
        let (body, url) = (Bytes::from(body), format!("{}/chat/completions", self.config.base_url));
        let ended = self
            .attempts
            .run(&message_id, async || self.http.attempt(self.complete(&url, body.clone())).await)
            .await;
        match ended {
            Ended::Done { value: (answer, usage), attempts } => Asked::Answered { answer, usage, attempts },
            Ended::Failed { trouble, attempts } => Asked::Failed { code: trouble.code, attempts },
            Ended::Drained { attempts } => Asked::Drained { attempts },
        }
    }

    /// One attempt: a whole streamed answer, or why there is none.
    async fn complete(&self, url: &str, body: Bytes) -> Result<(ModelAnswer, Usage), Trouble> {
        let mut response = self.http.post(url, &self.config.api_key, body).await?;
        if response.status != 200 {
            let body = response.whole(ERROR_BODY_MAX).await.unwrap_or_default();
            return Err(openai::classify(response.status, &body, response.hints).into());
        }
        let mut stream = openai::Stream::new();
        while !stream.is_done() {
            let Some(piece) = response.piece().await? else { break };
            stream.push(&piece)?;
        }
        let answer = stream.finish()?;
        let usage = answer.usage.map_or_else(Usage::default, |usage| Usage {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
        });
        let words = ModelAnswer::new(&answer.words);
        words.map(|answer| (answer, usage)).ok_or_else(|| Trouble::new(Fate::GiveUp, ErrorCode::status(200)))
    }
}

/// Asking twice costs, but is never visible: whatever broke may be tried again.
impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Self::new(Fate::Retry, broken.code())
    }
}

impl From<StreamError> for Trouble {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Truncated => Self::new(Fate::Retry, ErrorCode::TRUNCATED),
            StreamError::Refused(refusal) => refusal.into(),
        }
    }
}
