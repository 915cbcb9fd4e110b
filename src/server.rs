//! The server is a value: bind, ask its address, run until it is told to stop. The only place that wires parts.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::Instant;
use actix_web::dev::ServerHandle;
use derive_more::{Display, Error, From};
use futures_util::{Stream, StreamExt};
use parlante_actors::call::CallConfig;
use parlante_actors::conversation::{ConversationConfig, VoicePolicy as Spoken};
use parlante_actors::dedup::DedupConfig;
use parlante_actors::elevenlabs::ElevenLabsConfig;
use parlante_actors::events;
use parlante_actors::ingress::IngressConfig;
use parlante_actors::metrics::Metrics;
use parlante_actors::openai::{Fallback, OpenAiConfig};
use parlante_actors::system::{Actors, Config, Deps, Live};
use parlante_actors::whatsapp::WhatsAppConfig;
use parlante_domain::policy::Retry;
use parlante_domain::time::as_millis;
use parlante_domain::{Clock, Faults, Random};
use parlante_ledger::{AcceptRules, Ledger, LedgerError, OpenError, Recover, Sqlite, Wake};
use parlante_wire::graph;
use parlante_wire::signature::Secrets;
use tokio::sync::watch;
use tracing::{error, info};

use crate::http::{self, App, Doors};
use crate::lifecycle::{NotifyState, tell_systemd};
use crate::live::{self, ReloadError};
use crate::persona::PersonaError;
use crate::real::{self, SystemClock, SystemRandomness};
use crate::retention;
use crate::settings::{Settings, Source, VoicePolicy, Warning};

/// How often due rows are looked for.
const SWEEP: Duration = Duration::from_secs(2);
/// Longer than any start takes; a send found without its result is not decided before the server is ready.
const UNTIL_READY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest wait for the HTTP server's last answers after the drain.
const STOP_MAX: Duration = Duration::from_millis(1500);
/// Longest wait for the ledger's last commit after that; together they end within two seconds of the drain.
const CLOSE_MAX: Duration = Duration::from_millis(400);

/// What a test may replace: time, randomness, faults, the rhythm of sweep and cleaning.
#[derive(Clone)]
pub struct Seams {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub random: Arc<dyn Random>,
    /// Faults.
    pub faults: Arc<dyn Faults>,
    /// How often due rows are looked for.
    pub sweep: Duration,
    /// How often what was kept for its time is taken out.
    pub clean: Duration,
}

impl Default for Seams {
    /// The real ones.
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandomness::default()),
            faults: real::faults(),
            sweep: SWEEP,
            clean: retention::EVERY,
        }
    }
}

/// The server could not start.
#[derive(Debug, Display, Error, From)]
pub enum StartError {
    /// The persona's file cannot be used: exit 2.
    Persona(PersonaError),
    /// The ledger cannot be opened: exit 3.
    Open(OpenError),
    /// The ledger failed during recovery: exit 3.
    Recovery(LedgerError),
    /// The address cannot be bound: exit 1.
    #[display("cannot listen on {address}: {source}; set HOST and PORT to a free address")]
    #[from(skip)]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The core thread died at start: exit 1.
    #[display("the actor system did not start")]
    Actors,
}

/// Why a running server ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
pub enum RunError {
    /// A commit failed in a way after which the file cannot be trusted: exit 3.
    #[display("the ledger failed")]
    Ledger,
    /// An actor without which nothing goes on had to be given up: exit 1.
    #[display("the actor {actor} was given up")]
    #[error(ignore)]
    GaveUp {
        /// Which.
        #[error(not(source))]
        actor: &'static str,
    },
    /// The HTTP server ended: exit 1.
    #[display("the HTTP server ended: {reason}")]
    #[error(ignore)]
    Http {
        /// Its own words.
        reason: String,
    },
}

/// A bound server.
pub struct Server {
    settings: Settings,
    actors: Actors,
    ledger: Sqlite,
    clock: Arc<dyn Clock>,
    clean: Duration,
    secrets: watch::Sender<Option<Arc<Secrets>>>,
    doors: watch::Sender<Arc<Doors>>,
    http: actix_web::dev::Server,
    address: SocketAddr,
}

impl Server {
    /// Opens the ledger, recovers, starts the actors, listens. When it returns, the server is ready.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn bind(settings: Settings, seams: Seams) -> Result<Self, StartError> {
        warn_of(&settings);
        let live = live::live(&settings)?;
        let ledger = Sqlite::open(&settings.ledger.path, seams.faults.clone())?;
        // Before anything is begun: a taken port must not cost a message a try.
        let wanted = SocketAddr::new(settings.server.host, settings.server.port);
        let refused = |source| StartError::Bind { address: wanted, source };
        let (listener, address) = http::bind(wanted).map_err(refused)?;
        let suspects = recover(&ledger, &seams).await?;
        let metrics = Metrics::default();
        let deps = Deps {
            ledger: Arc::new(ledger.clone()),
            live,
            clock: seams.clock.clone(),
            random: seams.random,
            faults: seams.faults.clone(),
            metrics: metrics.clone(),
        };
        let actors =
            Actors::start(config(&settings, seams.sweep, suspects), deps).await.ok_or(StartError::Actors)?;
        let secrets = watch::Sender::new(live::app_secrets(&settings));
        let doors = watch::Sender::new(Arc::new(Doors::new(&settings)));
        let ingress = IngressConfig {
            secrets: secrets.subscribe(),
            number: settings.whatsapp.phone_number_id.as_deref().map(Into::into),
            faults: seams.faults,
            restarts: actors.restarts.clone(),
        };
        let app = App::new(&settings, &actors, &ledger, &metrics, seams.clock.clone(), doors.subscribe());
        let http = http::serve(listener, app, ingress).map_err(refused)?;
        // Statuses are listened for from here on: only now does the wait for them begin to count.
        ledger.reconcile(seams.clock.now() + settings.whatsapp.reconcile).await?;
        tell_systemd(&[NotifyState::Ready]);
        info!(event = "server_started", address = %address, version = env!("CARGO_PKG_VERSION"));
        let (clock, clean) = (seams.clock, seams.clean);
        Ok(Self { settings, actors, ledger, clock, clean, secrets, doors, http, address })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves, then drains and ends. Each time that `hangups` gives one, persona and secrets are
    /// read anew from `source`.
    ///
    /// # Errors
    /// [`RunError`] if it has to end by itself.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        mut hangups: impl Stream<Item = ()> + Unpin,
        source: Source,
    ) -> Result<(), RunError> {
        let handle = self.http.handle();
        let mut failed = self.ledger.failed();
        let (actors, ledger) = (self.actors, self.ledger);
        let keep = retention::of(&self.settings);
        let cleaning = retention::keep(Arc::new(ledger.clone()), self.clock, keep, self.clean);
        let (mut stop, mut cleaning) = (pin!(stop), pin!(cleaning));
        // A task of its own: dropped with the select, it would have stopped answering before the drain begins.
        let mut http = actix_rt::spawn(self.http);
        let ended = loop {
            tokio::select! {
                () = &mut stop => break Ok(()),
                ended = &mut http => break Err(RunError::Http { reason: format!("{ended:?}") }),
                _ = failed.wait_for(|failed| *failed) => break Err(RunError::Ledger),
                actor = actors.restarts.gave_up() => break Err(RunError::GaveUp { actor }),
                never = &mut cleaning => match never {},
                Some(()) = hangups.next() => {
                    reload(source.clone(), &actors, &self.secrets, &self.doors);
                }
            }
        };
        match &ended {
            Ok(()) => drain(&actors, &ledger, &handle, self.settings.server.drain).await,
            Err(reason) => {
                error!(event = "server_failed", reason = %reason);
                let _ = actix_rt::time::timeout(STOP_MAX, handle.stop(false)).await;
            }
        }
        actors.stop();
        ended
    }
}

/// Reads persona and secrets anew.
fn reload(
    source: Source,
    actors: &Actors,
    secrets: &watch::Sender<Option<Arc<Secrets>>>,
    doors: &watch::Sender<Arc<Doors>>,
) {
    let read = || -> Result<(Settings, Live), ReloadError> {
        let settings = Settings::load(source)?;
        if secrets.borrow().is_some() && live::app_secrets(&settings).is_none() {
            return Err(ReloadError::Unverified);
        }
        let live = live::live(&settings)?;
        Ok((settings, live))
    };
    match read() {
        Ok((settings, live)) => {
            secrets.send_replace(live::app_secrets(&settings));
            doors.send_replace(Arc::new(Doors::new(&settings)));
            actors.reload(live);
            info!(event = "reload_completed");
        }
        Err(failure) => error!(event = "reload_failed", error_code = failure.code(), reason = %failure),
    }
}

/// Webhooks are answered 503 from here on; attempts that run may end; then HTTP, ledger and actors end.
async fn drain(actors: &Actors, ledger: &Sqlite, http: &ServerHandle, limit: Duration) {
    let began = Instant::now();
    tell_systemd(&[NotifyState::Stopping]);
    info!(event = "shutdown_started", in_progress = actors.in_progress());
    actors.drain(limit).await;
    // Awaiting a stop without bound would let one stuck client hold up the process.
    let _ = actix_rt::time::timeout(STOP_MAX, http.stop(true)).await;
    // What is queued commits within it, unless the disk hangs; then recovery covers the rest.
    if let Ok(Err(failure)) = actix_rt::time::timeout(CLOSE_MAX, ledger.close()).await {
        events::ledger_unavailable(&failure);
    }
    info!(
        event = "shutdown_completed",
        duration_ms = as_millis(began.elapsed()),
        in_progress = actors.in_progress()
    );
}

/// Finds what the last process left; answers the rows over which it died more than once.
async fn recover(ledger: &Sqlite, seams: &Seams) -> Result<Vec<Wake>, LedgerError> {
    let began = Instant::now();
    let now = seams.clock.now();
    let found = ledger.recover(Recover { now, reconcile_until: now + UNTIL_READY }).await?;
    events::recovery_completed(&found, began.elapsed());
    Ok(found.suspects)
}

fn warn_of(settings: &Settings) {
    for warning in settings.warnings() {
        match warning {
            Warning::VerificationSkipped => {
                tracing::warn!(event = "webhook_verification_skipped", reason = %warning);
            }
            Warning::VoiceDisabled => info!(event = "voice_disabled", reason = %warning),
            Warning::Unencrypted(_) => tracing::warn!(event = "connection_unencrypted", reason = %warning),
        }
    }
}

fn config(settings: &Settings, sweep: Duration, suspects: Vec<Wake>) -> Config {
    let Settings { whatsapp, openai, conversation, dedup, .. } = settings;
    Config {
        dedup: DedupConfig {
            rules: AcceptRules {
                backlog: u32::try_from(conversation.backlog).unwrap_or(u32::MAX),
                stale_after: conversation.stale,
                remember: dedup.ttl,
                is_channel_fault: graph::is_channel_fault,
                is_media_fault: graph::is_media_fault,
            },
            idle: conversation.idle,
            sweep,
            suspects,
        },
        conversation: ConversationConfig {
            turn: conversation.turn,
            hold: conversation.hold,
            reconcile: whatsapp.reconcile,
            ambiguous_send: whatsapp.ambiguous_send,
            history_tokens: openai.history_tokens,
            voice: match conversation.voice {
                VoicePolicy::Mirror => Spoken::Mirror,
                VoicePolicy::Always => Spoken::Always,
                VoicePolicy::Never => Spoken::Never,
            },
        },
        openai: OpenAiConfig {
            base_url: openai.base_url.as_str().to_owned(),
            model: openai.model.clone(),
            transcription_model: openai.transcription_model.clone(),
            max_answer_tokens: openai.max_answer_tokens,
            fallback: openai.fallback.as_ref().map(|fallback| Fallback {
                base_url: fallback.base_url.as_str().to_owned(),
                model: fallback.model.clone(),
            }),
            call: CallConfig {
                timeout: openai.timeout,
                retry: Retry { max_attempts: openai.max_attempts, backoff: openai.backoff.clone() },
                circuit_failures: openai.circuit_failures,
                circuit_open: openai.circuit_open,
                probe_every: settings.health.probe,
            },
        },
        whatsapp: WhatsAppConfig {
            base_url: whatsapp.base_url.as_str().to_owned(),
            api_version: whatsapp.api_version.clone(),
            number: whatsapp.phone_number_id.as_deref().map(Into::into),
            media_hosts: whatsapp.media_hosts.iter().map(|host| host.as_str().to_owned()).collect(),
            call: CallConfig {
                timeout: whatsapp.timeout,
                retry: Retry { max_attempts: whatsapp.max_attempts, backoff: whatsapp.backoff.clone() },
                circuit_failures: whatsapp.circuit_failures,
                circuit_open: whatsapp.circuit_open,
                probe_every: settings.health.probe,
            },
        },
        elevenlabs: elevenlabs(settings),
    }
}

fn elevenlabs(settings: &Settings) -> Option<ElevenLabsConfig> {
    let elevenlabs = &settings.elevenlabs;
    elevenlabs.api_key.as_ref()?;
    Some(ElevenLabsConfig {
        base_url: elevenlabs.base_url.as_str().to_owned(),
        voice_id: elevenlabs.voice_id.clone()?,
        model: elevenlabs.model.clone(),
        call: CallConfig {
            timeout: elevenlabs.timeout,
            retry: Retry { max_attempts: elevenlabs.max_attempts, backoff: elevenlabs.backoff.clone() },
            circuit_failures: elevenlabs.circuit_failures,
            circuit_open: elevenlabs.circuit_open,
            probe_every: settings.health.probe,
        },
    })
}
