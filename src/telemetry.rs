//! Logs: one JSON object a line on stdout, or lines for people on a terminal.

use std::io::IsTerminal;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::settings::LogFormat;

/// Starts logging for the whole process. `filter` is in `RUST_LOG`'s form.
///
/// Whatever the filter says, other people's modules are heard from warnings upward only: at finer levels they print
/// headers and bodies.
pub fn start(format: LogFormat, filter: &str) {
    let pretty = match format {
        LogFormat::Auto => std::io::stdout().is_terminal(),
        LogFormat::Json => false,
        LogFormat::Pretty => true,
    };
    let lines = if pretty {
        tracing_subscriber::fmt::layer().compact().with_target(false).boxed()
    } else {
        tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false)
            .with_span_list(false)
            .boxed()
    };
    let ours = filter_fn(|metadata| is_ours(metadata) || *metadata.level() <= LevelFilter::WARN);
    // A second start (tests in one process) keeps the first.
    let _ = tracing_subscriber::registry()
        .with(EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info")))
        .with(lines.with_filter(ours))
        .try_init();
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("parlante")
}
