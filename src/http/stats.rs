//! `GET /stats`: numbers for operators. Gauges are gathered when asked, never counted up by hand.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use parlante_actors::call::stats::{ChannelStats, Count};
use parlante_actors::events;
use parlante_ledger::{Counts, QUEUES_MAX, Queue};
use serde::Serialize;

use super::App;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    active_conversations: usize,
    dedup_stats: DedupStats,
    queue_stats: QueueStats,
    supervisor: Supervisor,
    providers: BTreeMap<String, Provider>,
    dead_letters: u64,
    refused: u64,
    uptime_seconds: u64,
    version: &'static str,
}

#[derive(Serialize)]
struct DedupStats {
    keys: u64,
    hits: u64,
    misses: u64,
}

#[derive(Serialize)]
struct QueueStats {
    active_queues: u64,
    queues: Vec<QueueLine>,
}

#[derive(Serialize)]
struct QueueLine {
    user_id: String,
    tasks_pending: u32,
    processing: bool,
}

#[derive(Serialize)]
struct Supervisor {
    restarts: u64,
    by_actor: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Provider {
    circuit: String,
    paused: bool,
    attempts: u64,
    retries: u64,
    timeouts: u64,
    failures: u64,
    #[serde(rename = "unknownCodes")]
    unknown_codes: u64,
}

impl Provider {
    fn of(stats: &ChannelStats) -> (String, Self) {
        let channel = stats.channel();
        let provider = Self {
            circuit: channel.circuit.to_string(),
            paused: channel.paused.is_some(),
            attempts: stats.count(Count::Attempts),
            retries: stats.count(Count::Retries),
            timeouts: stats.count(Count::Timeouts),
            failures: stats.count(Count::Failures),
            unknown_codes: stats.count(Count::UnknownCodes),
        };
        (stats.service().to_string(), provider)
    }
}

pub(super) async fn stats(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    if let Err(status) = app.doors().guard.admit(&request) {
        return HttpResponse::build(status).finish();
    }
    match app.counts(QUEUES_MAX).await {
        Ok(counts) => HttpResponse::Ok().json(gather(&app, counts)),
        Err(failure) => {
            events::ledger_unavailable(&failure);
            HttpResponse::ServiceUnavailable().finish()
        }
    }
}

fn gather(app: &App, counts: Counts) -> Stats {
    let by_actor: BTreeMap<_, _> =
        app.restarts.by_actor().into_iter().map(|(actor, restarted)| (actor, restarted.count)).collect();
    let dedup = app.dedup.stats();
    Stats {
        active_conversations: dedup.conversations(),
        dedup_stats: DedupStats { keys: counts.ids, hits: dedup.hits(), misses: dedup.misses() },
        queue_stats: QueueStats {
            active_queues: counts.people,
            queues: counts.queues.into_iter().map(line).collect(),
        },
        supervisor: Supervisor { restarts: by_actor.values().sum(), by_actor },
        providers: app.channels.iter().map(Provider::of).collect(),
        dead_letters: counts.dead,
        refused: counts.refused,
        uptime_seconds: app.started.elapsed().as_secs(),
        version: env!("CARGO_PKG_VERSION"),
    }
}

fn line(queue: Queue) -> QueueLine {
    QueueLine { user_id: queue.user.masked(), tasks_pending: queue.waiting, processing: queue.processing }
}
