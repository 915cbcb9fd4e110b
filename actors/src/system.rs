//! Starts the actors on the core arbiter and ends them in order.
//!
//! One thread holds Dedup, all conversations and the clients: messages on one thread cost about a microsecond
//! against tens across, a mailbox bound can only be set by a starter on the same thread, and connection pool and
//! single flight then exist once, without locks.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::Instant;
use actix_rt::{Arbiter, ArbiterHandle};
use parlante_domain::{Clock, Faults, Persona, Random, Service};
use parlante_ledger::Ledger;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::call::stats::ChannelStats;
use crate::call::{Credentials, Shared, http};
use crate::conversation::{ConversationConfig, Desk, SOUNDS_MAX, Working};
use crate::dedup::{DedupConfig, DedupHandle};
use crate::elevenlabs::{ElevenLabsConfig, ElevenLabsHandle};
use crate::metrics::Metrics;
use crate::openai::{OpenAiConfig, OpenAiHandle};
use crate::phase::{Phase, PhaseWatch};
use crate::supervise::Restarts;
use crate::whatsapp::{WhatsAppConfig, WhatsAppHandle};

/// What every actor is configured with.
pub struct Config {
    /// Accept rules and the directory.
    pub dedup: DedupConfig,
    /// The rules of a turn.
    pub conversation: ConversationConfig,
    /// The model.
    pub openai: OpenAiConfig,
    /// The Cloud API.
    pub whatsapp: WhatsAppConfig,
    /// The voice; `None`: answers are text only.
    pub elevenlabs: Option<ElevenLabsConfig>,
}

/// What the actors are handed: everything that a test may want to replace.
#[derive(Clone)]
pub struct Deps {
    /// Keeps the rows.
    pub ledger: Arc<dyn Ledger>,
    /// Who speaks, and what the providers know us by; both may change while it runs.
    pub live: Live,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub random: Arc<dyn Random>,
    /// Faults for tests.
    pub faults: Arc<dyn Faults>,
    /// Where counters are kept.
    pub metrics: Metrics,
}

/// What may be read anew while the system runs.
#[derive(Clone)]
pub struct Live {
    /// Who speaks.
    pub persona: Arc<Persona>,
    /// What the providers know us by.
    pub credentials: Arc<Credentials>,
}

/// The running actor system.
pub struct Actors {
    /// The way in.
    pub dedup: DedupHandle,
    /// Restart counts.
    pub restarts: Restarts,
    /// Running or draining.
    pub phase: PhaseWatch,
    /// The providers, as `/stats` and `/health` tell of them.
    pub channels: Vec<ChannelStats>,
    working: Working,
    persona: watch::Sender<Arc<Persona>>,
    credentials: watch::Sender<Arc<Credentials>>,
    switch: watch::Sender<Phase>,
    /// The core thread.
    pub core: Core,
}

/// The thread on which all actors but ingress live.
#[derive(Debug, Clone)]
pub struct Core(ArbiterHandle);

/// A thread that does not answer for so long is told as such.
const LAG_MAX: Duration = Duration::from_secs(1);

impl Core {
    /// How long it takes to come to a new task: everyone on it waits that long. At most a second is waited for it.
    pub async fn lag(&self) -> Duration {
        let asked = Instant::now();
        let (here, came) = oneshot::channel();
        self.0.spawn_fn(move || {
            // Nobody waits any more.
            let _ = here.send(());
        });
        let _ = actix_rt::time::timeout(LAG_MAX, came).await;
        asked.elapsed()
    }
}

impl Actors {
    /// Starts all actors. `None` if the core thread died over it.
    pub async fn start(config: Config, deps: Deps) -> Option<Self> {
        let (switch, phase) = PhaseWatch::new();
        let (restarts, working) = (Restarts::new(deps.clock.clone()), Working::default());
        let core = Arbiter::new().handle();
        let (started, dedup) = oneshot::channel();
        let persona = watch::Sender::new(deps.live.persona);
        let credentials = watch::Sender::new(deps.live.credentials);
        let channels = Service::ALL.map(|service| {
            ChannelStats::new(service, service != Service::ElevenLabs || config.elevenlabs.is_some())
        });
        let shared = Shared {
            ledger: deps.ledger.clone(),
            clock: deps.clock.clone(),
            random: deps.random.clone(),
            faults: deps.faults.clone(),
            restarts: restarts.clone(),
            phase: phase.clone(),
            tls: http::tls(),
            news: watch::Sender::new(()),
            credentials: credentials.subscribe(),
            metrics: deps.metrics.clone(),
        };
        let (at_work, speaks, [whatsapp, openai, elevenlabs]) =
            (working.clone(), persona.subscribe(), channels.clone());
        core.spawn_fn(move || {
            let desk = Desk {
                openai: OpenAiHandle::start(config.openai, openai, &shared),
                whatsapp: WhatsAppHandle::start(config.whatsapp, whatsapp, &shared),
                elevenlabs: config
                    .elevenlabs
                    .map(|config| ElevenLabsHandle::start(config, elevenlabs, &shared)),
                config: Rc::new(config.conversation),
                ledger: deps.ledger,
                clock: deps.clock,
                faults: deps.faults,
                persona: speaks,
                phase: shared.phase,
                restarts: shared.restarts,
                working: at_work,
                started: Default::default(),
                metrics: deps.metrics,
                sounds: Rc::new(Semaphore::new(SOUNDS_MAX)),
                news: shared.news.subscribe(),
            };
            // Nobody waits for it only if the caller is gone.
            let _ = started.send(DedupHandle::start(config.dedup, desk));
        });
        let dedup = dedup.await.ok()?;
        let (channels, core) = (channels.into(), Core(core));
        Some(Self { dedup, restarts, phase, channels, working, persona, credentials, switch, core })
    }

    /// Takes another persona and other keys; whatever is paused for the old ones is probed at once.
    pub fn reload(&self, live: Live) {
        self.persona.send_replace(live.persona);
        self.credentials.send_replace(live.credentials);
        self.dedup.look_again();
    }

    /// Messages in progress now.
    #[must_use]
    pub fn in_progress(&self) -> usize {
        self.working.count()
    }

    /// Starts no new attempt, and waits up to `limit` for those that run.
    pub async fn drain(&self, limit: Duration) {
        self.switch.send_replace(Phase::Draining);
        // What is not finished by then goes on at the next start.
        let _ = actix_rt::time::timeout(limit, self.working.none()).await;
    }

    /// Ends the core thread.
    pub fn stop(&self) {
        self.core.0.stop();
    }
}
