//! `GET /metrics`: counters and histograms as the actors keep them, and gauges that are looked at when asked. In
//! OpenMetrics, never labelled by person.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use parlante_actors::call::CircuitState;
use parlante_actors::call::stats::{ChannelStats, Count};
use parlante_actors::events;
use parlante_actors::metrics::{Metrics, name};
use parlante_domain::Millis;
use parlante_ledger::{Counts, Sqlite};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::App;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// From a fast disk's sync to one that hangs.
const COMMIT_SECONDS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];
/// Up to the most that one transaction holds.
const GROUP_COMMANDS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Whoever may be restarted.
const ACTORS: [&str; 6] = ["ingress", "dedup", "conversation", "openai", "elevenlabs", "whatsapp"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByService {
    service: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    service: &'static str,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByActor {
    actor: &'static str,
}

/// What a scrape reads.
pub(crate) struct Scrape {
    registry: Registry,
    wal: Box<dyn Fn() -> u64 + Send + Sync>,
    gauges: Gauges,
    /// Two at once would each add what the other has added.
    one: Mutex<()>,
}

#[derive(Default)]
struct Gauges {
    circuit: Family<ByState, Gauge>,
    paused: Family<ByService, Gauge>,
    healthy: Family<ByService, Gauge>,
    unknown_codes: Family<ByService, Counter>,
    characters_left: Family<ByService, Gauge>,
    characters_limit: Family<ByService, Gauge>,
    restarts: Family<ByActor, Counter>,
    conversations: Gauge,
    people: Gauge,
    dead: Gauge,
    refused: Gauge,
    ids: Gauge,
    durable: Gauge,
    secret_suspect: Gauge,
    oldest: Gauge<f64, std::sync::atomic::AtomicU64>,
    start_time: Gauge<f64, std::sync::atomic::AtomicU64>,
    wal_bytes: Gauge,
    lag: Gauge<f64, std::sync::atomic::AtomicU64>,
}

impl Scrape {
    /// Registers every family, and times the commits of `ledger` from now on, which is `now`.
    pub(crate) fn new(metrics: &Metrics, ledger: &Sqlite, now: Millis) -> Self {
        let mut registry = Registry::with_prefix("parlante");
        metrics.register(&mut registry);
        let commits = Histogram::new(COMMIT_SECONDS);
        let groups = Histogram::new(GROUP_COMMANDS);
        let help = "One transaction of the ledger, its sync included";
        registry.register_with_unit("ledger_commit", help, Unit::Seconds, commits.clone());
        registry.register("ledger_group_commands", "Commands in one transaction", groups.clone());
        ledger.observe(move |took, commands| {
            commits.observe(took.as_secs_f64());
            groups.observe(f64::from(u32::try_from(commands).unwrap_or(u32::MAX)));
        });
        let gauges = Gauges::default();
        gauges.register(&mut registry);
        gauges.start_time.set(Duration::from_millis(now.0.unsigned_abs()).as_secs_f64());
        for actor in ACTORS {
            drop(gauges.restarts.get_or_create(&ByActor { actor }));
        }
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", version);
        let ledger = ledger.clone();
        Self { registry, wal: Box::new(move || ledger.wal_bytes()), gauges, one: Mutex::default() }
    }
}

impl Gauges {
    fn register(&self, registry: &mut Registry) {
        let circuit = "1 for the state that the provider's circuit is in";
        registry.register("provider_circuit", circuit, self.circuit.clone());
        let paused = "1 while an operator has to act before the provider is called again";
        registry.register("provider_paused", paused, self.paused.clone());
        let healthy =
            "1 if the last health call worked, 0 if not; missing before the first, or where there is none";
        registry.register("provider_healthy", healthy, self.healthy.clone());
        let unknown = "Answers with a code that no table of ours knows";
        registry.register("provider_unknown_codes", unknown, self.unknown_codes.clone());
        let left = "Characters that the account may still have spoken; missing before a health call has told";
        registry.register("provider_characters_left", left, self.characters_left.clone());
        let limit = "Characters that the account may have spoken in a period";
        registry.register("provider_characters_limit", limit, self.characters_limit.clone());
        registry.register("actor_restarts", "Restarts after a panic", self.restarts.clone());
        registry.register("conversations", "Conversation actors in memory", self.conversations.clone());
        registry.register("people_waiting", "People with open messages", self.people.clone());
        registry.register("dead_letters", "Messages in the ledger that were not answered", self.dead.clone());
        registry.register(
            "refused_messages",
            "Messages in the ledger that were not taken",
            self.refused.clone(),
        );
        registry.register("remembered_ids", "Message ids that are known", self.ids.clone());
        registry.register(
            "ledger_durable",
            "1 if the last commit went well and none hangs",
            self.durable.clone(),
        );
        let suspect = "1 while only bad signatures have come since the secrets were read";
        registry.register("app_secret_suspect", suspect, self.secret_suspect.clone());
        let oldest = "How long the oldest message that nobody has begun has waited";
        registry.register_with_unit("queue_oldest", oldest, Unit::Seconds, self.oldest.clone());
        let start = "When the process started, since the Unix epoch";
        registry.register_with_unit("start_time", start, Unit::Seconds, self.start_time.clone());
        let wal = "The ledger's write-ahead log";
        registry.register_with_unit("ledger_wal", wal, Unit::Bytes, self.wal_bytes.clone());
        let lag = "How long the core thread took to come to a new task, at this scrape";
        registry.register_with_unit("core_lag", lag, Unit::Seconds, self.lag.clone());
    }

    fn channel(&self, stats: &ChannelStats) {
        let (service, channel) = (name(stats.service()), stats.channel());
        for state in [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen] {
            let is_in = i64::from(channel.circuit == state);
            self.circuit.get_or_create(&ByState { service, state: state.to_string() }).set(is_in);
        }
        let by_service = ByService { service };
        self.paused.get_or_create(&by_service).set(i64::from(channel.paused.is_some()));
        match channel.probe {
            Some(probed) => {
                self.healthy.get_or_create(&by_service).set(i64::from(probed.result.is_ok()));
            }
            None => {
                self.healthy.remove(&by_service);
            }
        }
        match channel.quota {
            Some(quota) => {
                self.characters_left.get_or_create(&by_service).set(gauge(quota.left));
                self.characters_limit.get_or_create(&by_service).set(gauge(quota.limit));
            }
            None => {
                self.characters_left.remove(&by_service);
                self.characters_limit.remove(&by_service);
            }
        }
        raise(&self.unknown_codes.get_or_create(&by_service), stats.count(Count::UnknownCodes));
    }
}

/// Brings a counter to what is counted elsewhere.
fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) async fn metrics(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    if let Err(status) = app.doors().guard.admit(&request) {
        return HttpResponse::build(status).finish();
    }
    // A ledger that does not answer must not hide what else is known.
    let counts = app.counts(0).await.map_err(|failure| events::ledger_unavailable(&failure)).ok();
    let lag = app.core.lag().await;
    let _one = app.scrape.one.lock().unwrap_or_else(PoisonError::into_inner);
    gather(&app, counts);
    app.scrape.gauges.lag.set(lag.as_secs_f64());
    let mut page = String::new();
    match encode(&mut page, &app.scrape.registry) {
        Ok(()) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(page),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

fn gather(app: &Arc<App>, counts: Option<Counts>) {
    let gauges = &app.scrape.gauges;
    app.channels.iter().filter(|stats| stats.is_configured()).for_each(|stats| gauges.channel(stats));
    for (actor, restarted) in app.restarts.by_actor() {
        raise(&gauges.restarts.get_or_create(&ByActor { actor }), restarted.count);
    }
    gauges.conversations.set(i64::try_from(app.dedup.stats().conversations()).unwrap_or(i64::MAX));
    gauges.durable.set(i64::from(app.is_durable()));
    gauges.secret_suspect.set(i64::from(app.doors().signatures.suspect_since().is_some()));
    gauges.wal_bytes.set(gauge((app.scrape.wal)()));
    if let Some(counts) = counts {
        let waited = counts.oldest_waiting.map(|since| app.clock.now().since(since));
        gauges.oldest.set(waited.unwrap_or_default().as_secs_f64());
        gauges.people.set(gauge(counts.people));
        gauges.dead.set(gauge(counts.dead));
        gauges.refused.set(gauge(counts.refused));
        gauges.ids.set(gauge(counts.ids));
    }
}
