//! How ElevenLabs' calls are made.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use parlante_domain::turn::ErrorCode;
use parlante_ledger::Step;
use parlante_wire::graph::VOICE_BYTES_MAX;
use parlante_wire::outcome::Outcome;
use parlante_wire::{elevenlabs, ogg};
use tokio::sync::watch;

use super::{ElevenLabsConfig, Script, Spoken};
use crate::call::client::{Health, Provider};
use crate::call::gate::{Gate, Shut};
use crate::call::http::{Auth, Broken, ERROR_BODY_MAX, Http};
use crate::call::stats::{ChannelStats, Quota};
use crate::call::{self, Attempts, Credentials, Ended, Shared, Trouble};
use crate::flight::Key;

/// Calls at the same time: what the smallest paid plan allows with the quick model. More would meet a 429.
const CALLS_MAX: usize = 6;

pub(crate) struct ElevenLabs {
    config: ElevenLabsConfig,
    http: Http,
    attempts: Attempts,
    credentials: watch::Receiver<Arc<Credentials>>,
}

impl Provider for ElevenLabs {
    type Call = Script;
    type Outcome = Spoken;

    const NAME: &'static str = "elevenlabs";
    const FAULT_POINT: &'static str = "elevenlabs.speak";

    fn key(script: &Script) -> Key {
        (script.seq, Step::Speak)
    }

    async fn make(self: Rc<Self>, script: Script) -> Spoken {
        self.speak(script).await
    }

    async fn health(self: Rc<Self>) -> Health {
        let url = format!("{}{}", self.config.base_url, elevenlabs::SUBSCRIPTION_PATH);
        let asked = async {
            let mut response = self.http.get(&url, &self.auth()).await?;
            let body = response.whole(ERROR_BODY_MAX).await?;
            if elevenlabs::accepts_key(response.status, &body) {
                return Ok(elevenlabs::read_subscription(&body));
            }
            Err(Trouble::from(elevenlabs::classify(response.status, &body, response.hints)))
        };
        match self.http.attempt(asked).await {
            Ok(account) => Health::Ok(account.map(|account| Quota {
                left: account.left(),
                limit: account.limit,
                extends: account.extends,
            })),
            Err(trouble) => Health::Failed(trouble.code),
        }
    }

    fn gate(&self) -> &Gate {
        &self.attempts.gate
    }
}

impl ElevenLabs {
    pub(super) fn new(config: ElevenLabsConfig, stats: ChannelStats, shared: &Shared) -> Self {
        let attempts = Attempts::new(&config.call, CALLS_MAX, true, stats, shared);
        let http = Http::new(config.call.timeout, shared.tls.clone());
        Self { http, attempts, credentials: shared.credentials.clone(), config }
    }

    pub(super) fn longest(&self) -> std::time::Duration {
        self.attempts.longest(self.config.call.timeout)
    }

    fn auth(&self) -> Auth {
        Auth::ElevenLabs(self.credentials.borrow().elevenlabs.clone())
    }

    async fn speak(&self, script: Script) -> Spoken {
        let Some(place) = self.gate().take(script.seq) else { return self.unspoken() };
        let Some(format) = elevenlabs::format_for(script.words.chars().count()) else {
            return Spoken::Failed { code: ErrorCode::TOO_LONG, attempts: 0 };
        };
        let speech = elevenlabs::speech(&self.config.voice_id, &self.config.model, &script.words, format);
        let (url, body) =
            (format!("{}{}", self.config.base_url, speech.path_and_query), Bytes::from(speech.body));
        let call = call::Call { message_id: &script.message_id, until: Some(script.until) };
        let attempt = async || self.http.attempt(self.attempt(&url, body.clone())).await;
        match self.attempts.run(place, &call, attempt).await {
            Ended::Done { value: audio, attempts } => Spoken::Audio { audio, attempts },
            Ended::Failed { trouble, attempts } => Spoken::Failed { code: trouble.code, attempts },
            Ended::Drained { attempts } => Spoken::Drained { attempts },
        }
    }

    /// One attempt: a whole voice note, or why there is none. What ElevenLabs calls it is not believed; the bytes are
    /// looked at.
    async fn attempt(&self, url: &str, body: Bytes) -> Result<Bytes, Trouble> {
        let mut response = self.http.post_json(url, &self.auth(), body).await?;
        if response.status != 200 {
            let body = response.whole(ERROR_BODY_MAX).await.unwrap_or_default();
            return Err(elevenlabs::classify(response.status, &body, response.hints).into());
        }
        let audio = response.whole(VOICE_BYTES_MAX).await.map_err(|broken| match broken {
            // More of it would not become less at another try.
            Broken::TooLarge => Trouble::new(Outcome::GiveUp, ErrorCode::TOO_LONG),
            broken => broken.into(),
        })?;
        match ogg::voice(&audio) {
            Ok(_) => Ok(audio),
            Err(ogg::NotVoice::Truncated | ogg::NotVoice::Empty) => {
                Err(Trouble::new(Outcome::Retry, ErrorCode::TRUNCATED))
            }
            Err(_) => Err(Trouble::new(Outcome::GiveUp, ErrorCode::NOT_VOICE)),
        }
    }

    /// Without a place: the gate is shut, or a panic has lost the place.
    fn unspoken(&self) -> Spoken {
        match self.gate().shut() {
            Some(Shut::Paused { code, .. }) => Spoken::Failed { code, attempts: 0 },
            Some(Shut::CircuitOpen) => Spoken::Failed { code: ErrorCode::CIRCUIT_OPEN, attempts: 0 },
            Some(Shut::Draining) => Spoken::Drained { attempts: 0 },
            None => Spoken::Failed { code: ErrorCode::PANIC, attempts: 0 },
        }
    }
}
