//! The servers that are measured, as children of the bench: each is this same binary, started with the name of its role.
//!
//! A process of its own has its CPU time for itself, and logs to a file as it would in life. On stderr it tells its
//! address when it is ready and, at its end, how often it has committed.

use std::error::Error;
use std::iter;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use parlante::lifecycle::StopSignals;
use parlante::settings::Source;
use parlante::{Seams, Server, Settings, telemetry};
use parlante_domain::{Fault, Faults};
use parlante_wire::signature::{Secrets, Signature};

/// As many web workers as the product starts, so that both sides have the same cores.
const WORKERS_MAX: usize = 4;
/// Longer than any run: without wake-ups the sweep would be what starts the turns.
const NEVER: Duration = Duration::from_secs(3600);

/// What a child serves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing but the check of the signature: the floor that actix-web itself sets.
    SignatureOnly,
    /// The product with all wake-ups dropped: it accepts, and nobody takes the messages up.
    AcceptOnly,
    /// The product as it is.
    Whole,
}

impl Role {
    const ALL: [Self; 3] = [Self::SignatureOnly, Self::AcceptOnly, Self::Whole];

    /// What this process is, if it was started with the name of one; else it is the bench.
    pub(crate) fn of_this_process() -> Option<Self> {
        let argument = std::env::args().nth(1);
        Self::ALL.into_iter().find(|role| argument.as_deref() == Some(role.name()))
    }

    /// The argument that starts it, and its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SignatureOnly => "signature-only",
            Self::AcceptOnly => "accept-only",
            Self::Whole => "whole",
        }
    }

    /// Serves until SIGTERM.
    pub(crate) fn serve(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::SignatureOnly => actix_rt::System::new().block_on(signature_only()),
            Self::AcceptOnly | Self::Whole => product(self),
        }
    }
}

async fn signature_only() -> Result<(), Box<dyn Error>> {
    let signals = StopSignals::listen()?;
    let secret = std::env::var("WHATSAPP_APP_SECRET")?;
    let secrets = web::Data::new(Secrets::new(iter::once(secret.as_str())));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let app = move || App::new().app_data(secrets.clone()).route("/webhook", web::post().to(check));
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    let server = HttpServer::new(app).workers(workers).disable_signals().listen(listener)?.run();
    eprintln!("{address}");
    tokio::select! {
        ended = server => ended?,
        () = signals.first() => {}
    }
    Ok(())
}

async fn check(secrets: web::Data<Secrets>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let header = request.headers().get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    match header.and_then(Signature::parse) {
        Some(signature) if secrets.verify(&signature, &body) => HttpResponse::Ok().finish(),
        _ => HttpResponse::Unauthorized().finish(),
    }
}

/// What `parlante serve` does, with one seam replaced.
fn product(role: Role) -> Result<(), Box<dyn Error>> {
    let source = Source::from_process(None);
    let settings = Settings::load(source.clone())?;
    telemetry::start(settings.log.format, &settings.log.filter);
    parlante_actors::supervise::install_panic_hook();
    let probe = Arc::new(Probe { drops_wakes: role == Role::AcceptOnly, commits: AtomicU64::new(0) });
    let mut seams = Seams { faults: probe.clone(), ..Seams::default() };
    if role == Role::AcceptOnly {
        seams.sweep = NEVER;
    }
    actix_rt::System::new().block_on(async move {
        let signals = StopSignals::listen()?;
        let server = Server::bind(settings, seams).await?;
        eprintln!("{}", server.address());
        server.run(signals.first(), futures_util::stream::pending(), source).await?;
        eprintln!("{}", probe.commits.load(Ordering::Relaxed));
        Ok(())
    })
}

/// Counts commits, and drops wake-ups if told to.
struct Probe {
    drops_wakes: bool,
    commits: AtomicU64,
}

impl Faults for Probe {
    fn at(&self, point: &'static str) -> Option<Fault> {
        match point {
            "ledger.commit" => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                None
            }
            "dedup.wake" if self.drops_wakes => Some(Fault::Skip),
            _ => None,
        }
    }
}
