//! How OpenAI's calls are made.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Clock, ModelAnswer};
use parlante_ledger::{Step, Usage};
use parlante_wire::openai::{self, StreamError};
use parlante_wire::outcome::Outcome as Means;
use tokio::sync::{Semaphore, watch};

use super::{Asked, OpenAiConfig, Question, Recording};
use crate::call::client::{Health, Provider};
use crate::call::gate::{Gate, Shut};
use crate::call::http::{Auth, Broken, ERROR_BODY_MAX, Http};
use crate::call::stats::ChannelStats;
use crate::call::{self, Attempts, Credentials, Ended, Shared, Trouble};
use crate::flight::Key;

/// Calls at the same time. A model writes for seconds, so this serves some hundred answers a second; a larger burst
/// would only meet the account's own limit.
const CALLS_MAX: usize = 256;

pub(crate) struct OpenAi {
    config: OpenAiConfig,
    http: Http,
    attempts: Attempts,
    credentials: watch::Receiver<Arc<Credentials>>,
    /// A place for each call of the fallback, which has no gate of its own.
    beside: Semaphore,
    clock: Arc<dyn Clock>,
}

/// What is asked.
#[derive(Clone)]
pub(crate) enum Call {
    Ask(Question),
    Hear(Recording),
}

/// What comes of it.
#[derive(Clone)]
pub(crate) enum Outcome {
    Asked(Asked<ModelAnswer>),
    Heard(Asked<String>),
}

/// A server that speaks the chat completions API.
struct Server<'a> {
    base_url: &'a str,
    auth: Auth,
}

impl Provider for OpenAi {
    type Call = Call;
    type Outcome = Outcome;

    const NAME: &'static str = "openai";
    const FAULT_POINT: &'static str = "openai.ask";

    fn key(call: &Call) -> Key {
        match call {
            Call::Ask(question) => (question.seq, Step::Complete),
            Call::Hear(recording) => (recording.seq, Step::Transcribe),
        }
    }

    async fn make(self: Rc<Self>, call: Call) -> Outcome {
        match call {
            Call::Ask(question) => Outcome::Asked(self.ask(question).await),
            Call::Hear(recording) => Outcome::Heard(self.hear(recording).await),
        }
    }

    async fn health(self: Rc<Self>) -> Health {
        let url = format!("{}/models", self.config.base_url);
        let asked = async {
            let mut response = self.http.get(&url, &self.auth()).await?;
            let body = response.whole(MODELS_MAX).await;
            if response.status == 200 {
                body.map(|_| ()).map_err(Trouble::from)
            } else {
                Err(openai::classify(response.status, &body.unwrap_or_default(), response.hints).into())
            }
        };
        match self.http.attempt(asked).await {
            Ok(()) => Health::Ok(None),
            // A compatible server without a list of models.
            Err(Trouble { code, .. }) if ["404", "405"].contains(&code.to_string().as_str()) => Health::None,
            Err(Trouble { code, .. }) => Health::Failed(code),
        }
    }

    fn gate(&self) -> &Gate {
        &self.attempts.gate
    }
}

/// The list of models is read this far: some hundred bytes for each of some thousand.
const MODELS_MAX: usize = 1024 * 1024;

impl OpenAi {
    pub(super) fn new(config: OpenAiConfig, stats: ChannelStats, shared: &Shared) -> Self {
        let attempts = Attempts::new(&config.call, CALLS_MAX, true, stats, shared);
        Self {
            http: Http::new(config.call.timeout, shared.tls.clone()),
            attempts,
            credentials: shared.credentials.clone(),
            beside: Semaphore::new(CALLS_MAX),
            clock: shared.clock.clone(),
            config,
        }
    }

    /// The longest that a call takes, the fallback included.
    pub(super) fn longest(&self) -> std::time::Duration {
        let servers = if self.config.fallback.is_some() { 2 } else { 1 };
        self.attempts.longest(self.config.call.timeout) * servers
    }

    fn auth(&self) -> Auth {
        Auth::Bearer(self.credentials.borrow().openai.clone())
    }

    async fn ask(self: Rc<Self>, question: Question) -> Asked<ModelAnswer> {
        let call = call::Call { message_id: &question.message_id, until: Some(question.until) };
        let asked = match self.attempts.gate.take(question.seq) {
            Some(place) => {
                let server = || Server { base_url: &self.config.base_url, auth: self.auth() };
                let body = self.body(&self.config.model, &question);
                let ended =
                    self.attempts.run(place, &call, async || self.complete(&server(), &body).await).await;
                self.concluded(ended)
            }
            None => self.unasked(),
        };
        self.or_fallback(asked, &question, &call).await
    }

    /// Asks the second server if the first has failed for good.
    async fn or_fallback(
        &self,
        first: Asked<ModelAnswer>,
        question: &Question,
        call: &call::Call<'_>,
    ) -> Asked<ModelAnswer> {
        let (Some(fallback), Some(made)) = (&self.config.fallback, first.made_in_vain()) else {
            return first;
        };
        let server = || Server {
            base_url: &fallback.base_url,
            auth: Auth::Bearer(self.credentials.borrow().openai_fallback.clone()),
        };
        let body = self.body(&fallback.model, question);
        // Each holds its place no longer than its turn lasts.
        let _place = self.beside.acquire().await;
        let second = self.attempts.run_beside(call, async || self.complete(&server(), &body).await).await;
        match second {
            Ended::Done { value: (answer, usage), attempts } => {
                Asked::Answered { answer, usage, attempts: made + attempts }
            }
            Ended::Drained { attempts } => Asked::Drained { attempts: made + attempts },
            // The first one's fate is the message's.
            Ended::Failed { attempts, .. } => first.with_attempts(made + attempts),
        }
    }

    async fn hear(self: Rc<Self>, recording: Recording) -> Asked<String> {
        let Some(place) = self.attempts.gate.take(recording.seq) else { return self.unasked() };
        let form = openai::transcription(&self.config.transcription_model, &recording.audio, recording.sound);
        let body = Bytes::from(form.body);
        let url = format!("{}/audio/transcriptions", self.config.base_url);
        let call = call::Call { message_id: &recording.message_id, until: Some(recording.until) };
        let attempt = async || {
            let transcribe = async {
                let mut response =
                    self.http.post(&url, &self.auth(), &form.content_type, body.clone()).await?;
                let body = response.whole(TRANSCRIPT_MAX).await;
                if response.status != 200 {
                    return Err(
                        openai::classify(response.status, &body.unwrap_or_default(), response.hints).into()
                    );
                }
                let heard = openai::read_transcript(&body?);
                heard.ok_or_else(|| Trouble::new(Means::Retry, ErrorCode::TRUNCATED))
            };
            self.http.attempt(transcribe).await
        };
        let ended = self.attempts.run(place, &call, attempt).await;
        self.concluded(match ended {
            Ended::Done { value, attempts } => {
                let usage = value.usage.map_or_else(Usage::default, usage);
                Ended::Done { value: (value.text, usage), attempts }
            }
            Ended::Failed { trouble, attempts } => Ended::Failed { trouble, attempts },
            Ended::Drained { attempts } => Ended::Drained { attempts },
        })
    }

    fn body(&self, model: &str, question: &Question) -> Bytes {
        let Question { system, history, words, .. } = question;
        openai::chat(model, system, history, words, self.config.max_answer_tokens).into()
    }

    /// One attempt: a whole streamed answer, or why there is none.
    async fn complete(&self, server: &Server<'_>, body: &Bytes) -> Result<(ModelAnswer, Usage), Trouble> {
        let url = format!("{}/chat/completions", server.base_url);
        let attempt = async {
            let mut response = self.http.post_json(&url, &server.auth, body.clone()).await?;
            if response.status != 200 {
                let body = response.whole(ERROR_BODY_MAX).await.unwrap_or_default();
                return Err(openai::classify(response.status, &body, response.hints).into());
            }
            let stream_max = stream_max(self.config.max_answer_tokens);
            let mut stream = openai::Stream::new();
            while !stream.is_done() {
                let Some(piece) = response.piece().await? else { break };
                if response.received > stream_max {
                    return Err(Broken::TooLarge.into());
                }
                stream.push(&piece)?;
            }
            let answer = stream.finish()?;
            let usage = answer.usage.map_or_else(Usage::default, usage);
            let words = ModelAnswer::new(&answer.words);
            words
                .map(|answer| (answer, usage))
                .ok_or_else(|| Trouble::new(Means::GiveUp, ErrorCode::status(200)))
        };
        self.http.attempt(attempt).await
    }

    fn concluded<T>(&self, ended: Ended<(T, Usage)>) -> Asked<T> {
        match ended {
            Ended::Done { value: (answer, usage), attempts } => Asked::Answered { answer, usage, attempts },
            Ended::Failed { trouble, attempts } if matches!(trouble.outcome, Means::Pause(_)) => {
                let since = match self.attempts.gate.shut() {
                    Some(Shut::Paused { since, .. }) => since,
                    _ => self.clock.now(),
                };
                Asked::Paused { code: trouble.code, since, attempts }
            }
            Ended::Failed { trouble, attempts } => Asked::Failed { code: trouble.code, attempts },
            Ended::Drained { attempts } => Asked::Drained { attempts },
        }
    }

    /// Without a place: the gate is shut, or a panic has lost the place.
    fn unasked<T>(&self) -> Asked<T> {
        match self.attempts.gate.shut() {
            Some(Shut::Paused { code, since }) => Asked::Paused { code, since, attempts: 0 },
            Some(Shut::CircuitOpen) => Asked::Failed { code: ErrorCode::CIRCUIT_OPEN, attempts: 0 },
            Some(Shut::Draining) => Asked::Drained { attempts: 0 },
            None => Asked::Failed { code: ErrorCode::PANIC, attempts: 0 },
        }
    }
}

/// A stream is read this far, whatever else is sent with the tokens: the longest answer that may be set is 100,000
/// tokens, each in an event of its own with some 300 bytes.
const STREAM_MAX: usize = 32 * 1024 * 1024;
/// What a stream may have without a single token: an event of the greatest length, twice.
const STREAM_BASE: usize = 1024 * 1024;
/// And for each token, ten times what an event usually has.
const STREAM_PER_TOKEN: usize = 3 * 1024;
/// A transcript is read this far: an hour of speech is some 60 KB.
const TRANSCRIPT_MAX: usize = 1024 * 1024;

/// How far the stream of an answer of so many tokens is read.
fn stream_max(tokens: u32) -> usize {
    let tokens = usize::try_from(tokens).unwrap_or(usize::MAX);
    tokens.saturating_mul(STREAM_PER_TOKEN).saturating_add(STREAM_BASE).min(STREAM_MAX)
}

fn usage(counted: openai::Usage) -> Usage {
    Usage { prompt_tokens: counted.prompt_tokens, completion_tokens: counted.completion_tokens }
}

impl<T> Asked<T> {
    /// How many attempts it took to fail for good; `None` if it did not, or the turn's time is over.
    fn made_in_vain(&self) -> Option<u32> {
        match self {
            Self::Failed { code, attempts } if *code != ErrorCode::TURN_DEADLINE => Some(*attempts),
            Self::Paused { attempts, .. } => Some(*attempts),
            _ => None,
        }
    }

    fn with_attempts(self, made: u32) -> Self {
        match self {
            Self::Failed { code, .. } => Self::Failed { code, attempts: made },
            Self::Paused { code, since, .. } => Self::Paused { code, since, attempts: made },
            other => other,
        }
    }
}

impl From<StreamError> for Trouble {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Truncated => Self::new(Means::Retry, ErrorCode::TRUNCATED),
            StreamError::Refused(refusal) => refusal.into(),
        }
    }
}
