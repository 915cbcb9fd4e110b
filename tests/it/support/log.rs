//! What was logged, by a child on its stdout or by servers in this process.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::PATIENCE;

/// Log lines in order, and a way to wait for one.
#[derive(Clone)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<Value>>>,
    count: watch::Sender<usize>,
    /// Nothing more will come.
    ended: watch::Sender<bool>,
}

impl Default for Log {
    fn default() -> Self {
        Self { lines: Arc::default(), count: watch::Sender::new(0), ended: watch::Sender::new(false) }
    }
}

impl Log {
    pub(crate) fn push(&self, line: Value) {
        let mut lines = self.lines.lock().expect("no poison");
        lines.push(line);
        self.count.send_replace(lines.len());
    }

    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Waits until everything that was printed has been read.
    pub(crate) async fn to_its_end(&self) {
        let mut ended = self.ended.subscribe();
        let ended = ended.wait_for(|ended| *ended);
        tokio::time::timeout(PATIENCE, ended).await.expect("the log ends").expect("a log");
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lines.lock().expect("no poison").clone()
    }

    /// All lines of one event.
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["event"] == event).collect()
    }

    /// How often an event was logged for this message.
    pub(crate) fn count(&self, event: &str, message_id: &str) -> usize {
        self.events(event).iter().filter(|line| line["message_id"] == message_id).count()
    }

    /// Waits for a line of this event that fits.
    pub(crate) async fn wait(&self, event: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.wait_within(PATIENCE, event, fits).await
    }

    async fn wait_within(&self, patience: Duration, event: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut count = self.count.subscribe();
        let found = tokio::time::timeout(patience, async {
            loop {
                if let Some(line) = self.events(event).into_iter().find(&fits) {
                    return line;
                }
                let _ = count.changed().await;
            }
        })
        .await;
        found.unwrap_or_else(|_| panic!("no fitting `{event}` was logged, but: {:#?}", self.lines()))
    }

    /// Waits until this event has been logged `count` times with lines that fit.
    pub(crate) async fn wait_count(&self, event: &str, count: usize, fits: impl Fn(&Value) -> bool) {
        let is_last = |_: &Value| self.events(event).iter().filter(|line| fits(line)).count() >= count;
        self.wait(event, is_last).await;
    }

    /// Waits for an event of this message.
    pub(crate) async fn wait_for(&self, event: &str, message_id: &str) -> Value {
        self.wait(event, |line| line["message_id"] == message_id).await
    }
}

/// What all servers in this process log; tell them apart by message ids and people.
pub(crate) fn of_this_process() -> Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let capture = Capture(log.clone()).with_filter(LevelFilter::INFO);
        let _ = tracing_subscriber::registry().with(capture).try_init();
        log
    })
    .clone()
}

struct Capture(Log);

impl<S: tracing::Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut line = Fields(Map::new());
        event.record(&mut line);
        line.0.insert("level".into(), event.metadata().level().to_string().into());
        // Other people's modules have words, not events.
        if line.0.contains_key("event") {
            self.0.push(Value::Object(line.0));
        }
    }
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }
}
