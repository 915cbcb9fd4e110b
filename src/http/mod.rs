//! Every route, outermost layer first.
//!
//! - [`admin`]: what an operator may ask.
//! - [`webhook`]: Meta's handshake and deliveries.
//! - [`arriving`]: how long a body may take, and how many may come from one address.
//! - [`stats`]: numbers for operators.
//! - [`health`]: live, ready, and how it goes.
//! - [`guard`]: who may see the operator's routes.
//! - [`metrics`]: what Prometheus reads.
//! - [`peer`]: whose address goes into the log.
//! - [`signatures`]: whether the app secret may be another app's.
//! - [`span`]: what a request's tracing span tells.

pub(crate) mod admin;
mod arriving;
mod guard;
mod health;
mod metrics;
mod peer;
mod signatures;
mod span;
mod stats;
mod webhook;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::{Instant, timeout};
use actix_web::{App as WebApp, HttpServer, web};
use parlante_actors::call::stats::ChannelStats;
use parlante_actors::dedup::DedupHandle;
use parlante_actors::ingress::{IngressConfig, IngressHandle};
use parlante_actors::metrics::Metrics;
use parlante_actors::phase::PhaseWatch;
use parlante_actors::supervise::Restarts;
use parlante_actors::system::{Actors, Core};
use parlante_domain::{Clock, Millis};
use parlante_ledger::{Commits, CommitsWatch, Counts, Ledger, LedgerError, Sqlite};
use tokio::sync::{Mutex, Semaphore, watch};
use tracing_actix_web::TracingLogger;

use crate::settings::{Network, Secret, Settings};
use arriving::Arriving;
use guard::{Guard, Password};
use health::Turned;
use metrics::Scrape;
use signatures::Signatures;
use span::RequestSpan;

/// Webhook bodies in memory at once: 128 of 3 MiB are 384 MiB at the very worst; beyond it 503, and Meta comes again.
const BODIES_MAX: usize = 128;
/// Web workers. Each checks signatures on its own core; more than four never helped a server whose commits share one
/// thread.
const WORKERS_MAX: usize = 4;
/// A worker takes this many connections; each costs a few KiB.
const CONNECTIONS_MAX: usize = 4096;
/// A client has this long to send its head: Meta needs milliseconds.
const HEAD_MAX: Duration = Duration::from_secs(5);

/// Who is let in; may change while the server runs.
pub struct Doors {
    /// Webhooks without a usable signature header are refused.
    pub(crate) verified: bool,
    pub(crate) verify_token: Option<Password>,
    pub(crate) guard: Guard,
    pub(crate) signatures: Signatures,
}

impl Doors {
    /// Takes the secrets from the settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            verified: !settings.whatsapp.app_secrets.is_empty(),
            verify_token: settings.whatsapp.verify_token.as_ref().map(Secret::expose).map(Password::new),
            guard: Guard::new(settings.admin.token.as_ref().map(Secret::expose)),
            signatures: Signatures::default(),
        }
    }
}

/// See [`App::oldest_waiting`].
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longest wait for the ledger's numbers: whoever watches gives up after some seconds, and has other things to see.
const COUNTED_MAX: Duration = Duration::from_secs(2);

/// What handlers may reach.
pub struct App {
    pub(crate) dedup: DedupHandle,
    pub(crate) restarts: Restarts,
    pub(crate) phase: PhaseWatch,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ledger_commits: CommitsWatch,
    pub(crate) channels: Vec<ChannelStats>,
    pub(crate) core: Core,
    pub(crate) scrape: Scrape,
    pub(crate) bodies: Arc<Semaphore>,
    pub(crate) arriving: Arriving,
    pub(crate) turned: Turned,
    oldest: Mutex<Option<(Instant, Option<Option<Millis>>)>>,
    doors: watch::Receiver<Arc<Doors>>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) started: Instant,
}

impl App {
    /// Takes what the routes need from the settings and the running actors.
    #[must_use]
    pub fn new(
        settings: &Settings,
        actors: &Actors,
        ledger: &Sqlite,
        metrics: &Metrics,
        clock: Arc<dyn Clock>,
        doors: watch::Receiver<Arc<Doors>>,
    ) -> Self {
        Self {
            dedup: actors.dedup.clone(),
            restarts: actors.restarts.clone(),
            phase: actors.phase.clone(),
            ledger: Arc::new(ledger.clone()),
            ledger_commits: ledger.commits(),
            channels: actors.channels.clone(),
            core: actors.core.clone(),
            scrape: Scrape::new(metrics, ledger, clock.now()),
            turned: Turned::new(clock.now()),
            clock,
            bodies: Arc::new(Semaphore::new(BODIES_MAX)),
            arriving: Arriving::default(),
            oldest: Mutex::default(),
            doors,
            trusted_proxies: settings.server.trusted_proxies.clone(),
            started: Instant::now(),
        }
    }

    pub(crate) fn doors(&self) -> Arc<Doors> {
        self.doors.borrow().clone()
    }

    /// When the oldest message was accepted that nobody has begun; `None` if the ledger did not answer. Looked up once a
    /// second at most: anybody may ask `/health`, and the ledger's readers have better to do.
    pub(crate) async fn oldest_waiting(&self) -> Option<Option<Millis>> {
        let mut known = self.oldest.lock().await;
        if let Some((at, oldest)) = *known
            && at.elapsed() < LOOK_EVERY
        {
            return oldest;
        }
        let oldest = self.counts(0).await.ok().map(|counts| counts.oldest_waiting);
        *known = Some((Instant::now(), oldest));
        oldest
    }

    /// What the ledger has counted; it does not answer if its disk hangs.
    pub(crate) async fn counts(&self, queues: usize) -> Result<Counts, LedgerError> {
        match timeout(COUNTED_MAX, self.ledger.counts(queues)).await {
            Ok(counted) => counted,
            Err(_) => Err(LedgerError::Unavailable { reason: "it does not answer".to_owned() }),
        }
    }

    /// Webhooks are taken. A ledger that does not commit is found out by trying, so they are taken then too, and
    /// answered 503.
    pub(crate) fn takes_webhooks(&self) -> bool {
        !self.phase.draining()
    }

    /// What comes in can be made durable.
    pub(crate) fn is_durable(&self) -> bool {
        self.ledger_commits.now() == Commits::Well
    }
}

/// Takes hold of `address`; port 0 takes a free one. Nothing is answered before [`serve`].
///
/// # Errors
/// If the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Answers on a bound listener.
///
/// # Errors
/// If the system refuses the listener.
pub fn serve(listener: TcpListener, app: App, ingress: IngressConfig) -> io::Result<actix_web::dev::Server> {
    let app = web::Data::new(app);
    actix_rt::spawn(health::watch_ledger(app.clone()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    let server = HttpServer::new(move || {
        // One ingress per worker, started here because it is stateless and belongs to its worker.
        let ingress = IngressHandle::start(ingress.clone(), app.dedup.clone());
        WebApp::new()
            .wrap(TracingLogger::<RequestSpan>::new())
            .app_data(app.clone())
            .app_data(web::Data::new(ingress))
            .configure(routes)
    })
    .workers(workers)
    .max_connections(CONNECTIONS_MAX)
    .client_request_timeout(HEAD_MAX)
    .shutdown_timeout(1)
    // The drain is ours: see `lifecycle`.
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/webhook")
                .route(web::get().to(webhook::handshake))
                .route(web::post().to(webhook::deliver)),
        )
        .configure(admin::routes)
        .route("/stats", web::get().to(stats::stats))
        .route("/metrics", web::get().to(metrics::metrics))
        // Some monitors ask with HEAD.
        .service(
            web::resource("/health")
                .route(web::get().to(health::health))
                .route(web::head().to(health::health)),
        )
        .service(
            web::resource("/health/live")
                .route(web::get().to(health::live))
                .route(web::head().to(health::live)),
        )
        .service(
            web::resource("/health/ready")
                .route(web::get().to(health::ready))
                .route(web::head().to(health::ready)),
        );
}
