//! Cleaning: what has been kept for its time leaves the ledger, in small batches beside the traffic.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::Instant;
use parlante_actors::events;
use parlante_domain::Clock;
use parlante_ledger::{Ledger, LedgerError, Retention};

use crate::settings::Settings;

/// Between two cleanings: half of what the operator is promised, so that one that fails is made up for in time.
pub const EVERY: Duration = Duration::from_secs(5 * 60);
/// Rows that one commit takes out: some milliseconds in which no webhook is accepted.
const BATCH: u32 = 200;
/// Rest between two batches, in which webhooks go first. It still takes out some 3,000 rows a second, more than Meta's
/// highest rate brings in.
const REST: Duration = Duration::from_millis(50);

/// How long what is kept, by the settings.
#[must_use]
pub fn of(settings: &Settings) -> Retention {
    Retention {
        done: settings.ledger.done,
        dead: settings.ledger.dead,
        history: settings.ledger.history,
        remember: settings.dedup.ttl,
    }
}

/// Cleans every so often, for as long as it is polled. Not at once: a start has enough to do.
pub async fn keep(
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    keep: Retention,
    every: Duration,
) -> Infallible {
    let mut ticks = actix_rt::time::interval_at(Instant::now() + every, every);
    loop {
        ticks.tick().await;
        match clean(&*ledger, &*clock, keep).await {
            Ok(()) | Err(LedgerError::Closed) => {}
            // What it did not get to waits for the next time.
            Err(failure) => events::ledger_unavailable(&failure),
        }
    }
}

async fn clean(ledger: &dyn Ledger, clock: &dyn Clock, keep: Retention) -> Result<(), LedgerError> {
    while ledger.retain(clock.now(), keep, BATCH).await?.more {
        actix_rt::time::sleep(REST).await;
    }
    Ok(())
}
