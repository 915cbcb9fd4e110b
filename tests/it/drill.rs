//! The drill for whoever is on call: one fault a test, played to its end.
//!
//! 1. All is well, and a real Prometheus that reads the server and judges it by `deploy/alerts.yml` is quiet.
//! 2. The fault: the log has its event, `/health` names it, exactly the alerts that belong to it fire, and each leads
//!    to a page of the runbook that is about it.
//! 3. The mend, as that page says. `/health` is well again, the alerts are over, everybody is answered once and in
//!    order, and nobody was told of an error.
//!
//! - [`token`]: the access token of WhatsApp expires.
//! - [`quota`]: the account at OpenAI is empty, the characters at ElevenLabs are used up.
//! - [`provider`]: OpenAI cannot be reached, WhatsApp answers 503.
//! - [`disk`]: there is no room for the ledger, and its disk hangs.
//! - [`flood`]: one person writes more than may wait.
//! - [`panics`]: every actor panics.
//! - [`killed`]: the process is gone.

mod disk;
mod flood;
mod killed;
mod panics;
mod provider;
mod quota;
mod token;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use parlante_sandbox::Inbound;
use serde_json::Value;

use crate::support::innocent::persons_got_no_errors;
use crate::support::log::Log;
use crate::support::prometheus::{Alert, Prometheus};
use crate::support::{PATIENCE, World, a_phone, get_with, persona_text};

const RULES: &str = include_str!("../../deploy/alerts.yml");
/// What stands in the rules, and what it is here: nobody waits for minutes. `deploy/alerts_test.yml` holds the true
/// ones. What tells of the machine alone (`for: 10m`) is left as it is.
const SHORTENED: [(&str, &str); 6] = [
    ("for: 30s\n", "for: 1s\n"),
    // A busy machine may miss a reading or two; that is not the end of the server.
    ("for: 1m\n", "for: 3s\n"),
    ("for: 2m\n", "for: 1s\n"),
    ("for: 5m\n", "for: 1s\n"),
    ("[10m]", "[1m]"),
    ("[15m]", "[5s]"),
];
/// What a machine that is busy brings about by itself, as long as it does not fire.
const MAY_BE_PENDING: [&str; 2] = ["ParlanteCommitsSlow", "ParlanteDown"];
const ADMIN_TOKEN: &str = "the-token-of-whoever-is-on-call";
/// `/health` tells nobody when it changes, so it is asked this often.
const TICK: Duration = Duration::from_millis(50);
/// What is judged for a moment may have been answered so many seconds later: as long as a reading may take.
const READ_LATE: f64 = 0.5;

/// A server whose providers are probed every second.
fn world() -> World {
    World::new().set("ADMIN_TOKEN", ADMIN_TOKEN).set("HEALTH_PROBE_S", "1")
}

fn rules() -> String {
    SHORTENED.iter().fold(RULES.to_owned(), |rules, (long, short)| {
        assert!(rules.contains(long), "no rule has {long:?} any more");
        rules.replace(long, short)
    })
}

/// Whoever is on call, with what they have in hand.
struct OnCall<'a> {
    world: &'a World,
    base: String,
    prometheus: Prometheus,
    /// From when on nothing was wrong, and until when; by Prometheus' clock.
    quiet: (f64, f64),
    /// Since when each check of `/health` says what it said last.
    since: RefCell<BTreeMap<String, String>>,
    /// All alerts that may have fired.
    called: RefCell<BTreeSet<String>>,
}

impl<'a> OnCall<'a> {
    /// Somebody is answered, every check of `/health` is well, and no alert is pending or fires.
    async fn begins(world: &'a World, base: String, log: &Log) -> Self {
        let target = base.trim_start_matches("http://");
        let prometheus = Prometheus::start(world.dir.path(), target, ADMIN_TOKEN, Some(&rules())).await;
        let on_call = Self {
            world,
            base: base.clone(),
            prometheus,
            quiet: (0.0, 0.0),
            since: RefCell::default(),
            called: RefCell::default(),
        };
        let phone = a_phone();
        log.wait_for("task_completed", &on_call.writes(&phone, "ciao")).await;
        on_call.got(&phone, &["echo: ciao"]);
        on_call.health_is_well().await;
        let prometheus = &on_call.prometheus;
        prometheus.until("up", |up| up == "1").await;
        prometheus.until_alerts(|alerts| disquiet(alerts).is_empty()).await;
        prometheus.judges(1).await;
        let from = prometheus.now().await;
        // The first may have begun before, and the second by an older reading.
        prometheus.judges(3).await;
        let to = prometheus.now().await;
        Self { quiet: (from, to - READ_LATE), ..on_call }
    }

    /// `/health` answers this, and exactly these checks are not well: name, status and reason.
    async fn health_says(&self, status: u16, all: &str, ill: &[(&str, &str, &str)]) {
        let ill: BTreeSet<_> =
            ill.iter().map(|(name, is, why)| [*name, *is, *why].map(str::to_owned)).collect();
        let seen = self.until_health(|health| ill_in(health) == ill).await;
        assert_eq!((seen.0, seen.1["status"].as_str()), (status, Some(all)), "{seen:?}");
        self.turned(&seen.1, ill.iter().map(|[name, ..]| name.as_str()));
    }

    /// Exactly these alerts fire. Each has a page, which is about it; and every event of these is on one of the pages.
    async fn is_called(&self, alerts: &[&str], events: &[&str]) {
        let expected: BTreeSet<String> = alerts.iter().map(|name| (*name).to_owned()).collect();
        let fire = self.prometheus.until_alerts(|alerts| {
            let fire = firing(alerts);
            assert!(fire.is_subset(&expected), "more fires than should: {alerts:#?}");
            fire == expected
        });
        let fire = fire.await;
        // What else would come of it if it lasted is pending by then.
        self.prometheus.judges(2).await;
        let mut pages = Vec::new();
        for alert in fire.iter().filter(|alert| alert.fires) {
            let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(&alert.runbook);
            let page = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{alert:?}: {error}"));
            let rule = alert.name.split(' ').next().unwrap();
            assert!(is_about(&page, "- Alert", rule), "{} is not about {rule}", alert.runbook);
            pages.push(page);
        }
        for event in events {
            assert!(pages.iter().any(|page| is_about(page, "- Event", event)), "no page is about {event}");
        }
        self.called.borrow_mut().extend(expected);
    }

    /// The checks that were ill have turned, no alert fires, none has fired that nobody was told to expect, and
    /// nobody at WhatsApp can tell that there was anything.
    async fn sees_the_end(self, was_ill: &[&str]) {
        let health = self.health_is_well().await;
        self.turned(&health, was_ill.iter().copied());
        self.prometheus.until_alerts(|alerts| firing(alerts).is_empty()).await;
        self.prometheus.judges(1).await;
        let (called, whole) = (self.called.take(), (self.quiet.0, self.prometheus.now().await));
        assert_eq!(self.prometheus.were("firing", self.quiet).await, BTreeSet::new(), "before the fault");
        assert_eq!(self.pending(self.quiet).await, BTreeSet::new(), "before the fault");
        assert_eq!(self.prometheus.were("firing", whole).await, called);
        let pending = self.pending(whole).await;
        assert!(pending.is_subset(&called), "{pending:?}, and {called:?} were told of");
        persons_got_no_errors(self.world);
    }

    /// What was pending between the two, and not by the machine's fault.
    async fn pending(&self, span: (f64, f64)) -> BTreeSet<String> {
        let mut pending = self.prometheus.were("pending", span).await;
        pending.retain(|alert| !MAY_BE_PENDING.contains(&alert.as_str()));
        pending
    }

    /// What the page of the runbook says to type. It has to work.
    async fn types(&self, arguments: &[&str]) -> String {
        let (code, said, complaint) = self.world.run(arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {complaint}");
        said
    }

    /// A person writes; the message's id.
    fn writes(&self, phone: &str, words: &str) -> String {
        self.world.sandbox.meta.deliver(Inbound::text(phone, words))
    }

    /// A person writes these, one after the other in one webhook; the messages' ids.
    fn writes_all(&self, phone: &str, words: &[&str]) -> Vec<String> {
        let messages = words.iter().map(|words| Inbound::text(phone, words)).collect();
        self.world.sandbox.meta.deliver_batch(messages)
    }

    /// Behind the disclosure this is all that a person has got, in this order.
    fn got(&self, phone: &str, texts: &[&str]) {
        let mut expected = vec![persona_text("disclosure")];
        expected.extend(texts.iter().map(|text| (*text).to_owned()));
        assert_eq!(self.world.sandbox.meta.answers_to(phone), expected);
    }

    async fn health_is_well(&self) -> Value {
        let (status, health) = self.until_health(|health| ill_in(health).is_empty()).await;
        let checks = health["checks"].as_object().unwrap();
        assert_eq!((status, &health["status"], checks.len()), (200, &"ok".into(), 7), "{health}");
        for (name, check) in checks {
            self.since.borrow_mut().entry(name.clone()).or_insert_with(|| since(check));
        }
        health
    }

    /// These checks say since when they are so, and that is later than what they were before.
    fn turned<'b>(&self, health: &Value, names: impl Iterator<Item = &'b str>) {
        for name in names {
            let now = since(&health["checks"][name]);
            let before = self.since.borrow_mut().insert(name.to_owned(), now.clone());
            // All in one form, so that text sorts as time.
            assert!(before.as_ref().is_some_and(|before| *before < now), "{name}: {before:?}, {now}");
        }
    }

    /// Asks `/health` until it fits.
    async fn until_health(&self, fits: impl Fn(&Value) -> bool) -> (u16, Value) {
        let (url, mut last) = (format!("{}/health", self.base), (0, Value::Null));
        let asked = async {
            let mut ticks = tokio::time::interval(TICK);
            while last.0 == 0 || !fits(&last.1) {
                ticks.tick().await;
                let (status, body) =
                    get_with(&url, &[("authorization", &format!("Bearer {ADMIN_TOKEN}"))]).await;
                last = (status, serde_json::from_str(&body).unwrap());
            }
        };
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        assert!(asked.is_ok(), "it never came to that: {last:#?}");
        last
    }
}

/// Name, status and reason of every check that is not well.
fn ill_in(health: &Value) -> BTreeSet<[String; 3]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = health["checks"].as_object().unwrap().iter();
    let ill = checks.filter(|(_, check)| check["status"] != "ok");
    ill.map(|(name, check)| [name.clone(), text(&check["status"]), text(&check["reason"])]).collect()
}

fn since(check: &Value) -> String {
    check["since"].as_str().unwrap_or_else(|| panic!("it does not say since when: {check}")).to_owned()
}

fn firing(alerts: &[Alert]) -> BTreeSet<String> {
    alerts.iter().filter(|alert| alert.fires).map(|alert| alert.name.clone()).collect()
}

/// What fires, and what is pending and not the machine's fault.
fn disquiet(alerts: &[Alert]) -> Vec<&Alert> {
    let counts = |alert: &&Alert| alert.fires || !MAY_BE_PENDING.contains(&alert.name.as_str());
    alerts.iter().filter(counts).collect()
}

/// Whether the head of a page names this in the lines that begin so.
fn is_about(page: &str, line: &str, name: &str) -> bool {
    let head = page.split("\n## ").next().unwrap_or_default();
    head.lines().any(|text| text.starts_with(line) && text.contains(&format!("`{name}`")))
}

/// A person's number as logs show it.
fn masked(phone: &str) -> String {
    format!("{}******{}", &phone[..3], &phone[phone.len() - 3..])
}
