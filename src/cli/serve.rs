//! `parlante serve`: the server.

use std::path::PathBuf;

use super::Failure;
use crate::lifecycle::{self, StopSignals};
use crate::server::{RunError, Seams, Server, StartError};
use crate::settings::{Settings, Source};
use crate::telemetry;

pub(super) fn run(config: Option<PathBuf>) -> Result<(), Failure> {
    let source = Source::from_process(config);
    let settings = Settings::load(source.clone()).map_err(Failure::wrong)?;
    telemetry::start(settings.log.format, &settings.log.filter);
    parlante_actors::supervise::install_panic_hook();
    actix_rt::System::new().block_on(async move {
        let signals = StopSignals::listen().map_err(Failure::failed)?;
        let hangups = lifecycle::hangups().map_err(Failure::failed)?;
        let server = Server::bind(settings, Seams::default()).await.map_err(not_started)?;
        server.run(signals.first(), hangups, source).await.map_err(ended)
    })
}

fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Persona(_) => Failure::wrong(error),
        StartError::Open(_) | StartError::Recovery(_) => Failure::ledger(error),
        StartError::Bind { .. } | StartError::Actors => Failure::failed(error),
    }
}

fn ended(error: RunError) -> Failure {
    match error {
        RunError::Ledger => Failure::ledger(error),
        RunError::GaveUp { .. } | RunError::Http { .. } => Failure::failed(error),
    }
}
