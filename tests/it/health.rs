//! `/health` and the gauges beside it: what is not well, since when, why, and when it is over.

use std::time::Duration;

use parlante::real::SystemClock;
use parlante_domain::Clock;
use parlante_sandbox::{Fault, Inbound, Records, Route};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::ask::Ask;
use crate::support::strace::Strace;
use crate::support::{InProcess, PATIENCE, TestClock, TestFaults, World, a_phone, get};

/// For so long a thing that is over is told.
const RECENT: Duration = Duration::from_secs(300);

/// All of `/health`, with its HTTP status.
async fn health(base: &str) -> (u16, Value) {
    let (status, body) = get(&format!("{base}/health")).await;
    (status, serde_json::from_str(&body).unwrap())
}

async fn check(base: &str, name: &str) -> Value {
    health(base).await.1["checks"][name].clone()
}

/// Waits until a check says this; the ledger is looked at once a second.
async fn until(base: &str, name: &str, status: &str) -> Value {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let well = tokio::time::timeout(PATIENCE, async {
        loop {
            ticks.tick().await;
            let check = check(base, name).await;
            if check["status"] == status {
                return check;
            }
        }
    });
    well.await.unwrap_or_else(|_| panic!("{name} is not {status}"))
}

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Its `since`, as milliseconds after a moment that lies within a day before.
pub(crate) fn after(check: &Value, moment: i64) -> i64 {
    let text = check["since"].as_str().unwrap_or_else(|| panic!("no since: {check}"));
    let time = text.split('T').nth(1).unwrap().trim_end_matches('Z');
    let fields: Vec<i64> = time.split([':', '.']).map(|digits| digits.parse().unwrap()).collect();
    let of_day = ((fields[0] * 60 + fields[1]) * 60 + fields[2]) * 1000 + fields[3];
    (of_day - moment).rem_euclid(DAY)
}

async fn gauge(base: &str, name: &str) -> f64 {
    let (status, page) = get(&format!("{base}/metrics")).await;
    assert_eq!(status, 200);
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

struct Scene {
    world: World,
    server: InProcess,
    faults: TestFaults,
    clock: TestClock,
}

impl Scene {
    async fn new() -> Self {
        let (world, faults, clock) = (World::new(), TestFaults::default(), TestClock::default());
        let server = world.start_in_process(&clock, &faults).await;
        Self { world, server, faults, clock }
    }

    fn base(&self) -> String {
        self.server.url("")
    }

    async fn answered(&self, words: &str) {
        let id = self.world.sandbox.meta.deliver(Inbound::text(&a_phone(), words));
        self.server.log.wait_for("task_completed", &id).await;
    }
}

#[actix_rt::test]
async fn every_check_says_since_when() {
    let clock = TestClock::default();
    let before = clock.now().0;
    let scene = Scene::new().await;
    let (status, health) = health(&scene.base()).await;
    assert_eq!((status, &health["status"]), (200, &"ok".into()), "{health}");
    let checks = health["checks"].as_object().unwrap();
    let names: Vec<&str> = checks.keys().map(String::as_str).collect();
    assert_eq!(names, ["dedup", "elevenlabs", "ledger", "openai", "queue", "webhook", "whatsapp"]);
    for (name, check) in checks {
        assert!(after(check, before) <= clock.now().0 - before, "{name}: {check}");
    }
    let start = gauge(&scene.base(), "parlante_start_time_seconds").await * 1000.0;
    assert!((before as f64 - 1.0..=clock.now().0 as f64).contains(&start), "{start}");
}

#[actix_rt::test]
async fn a_ledger_that_does_not_commit_is_told_from_the_moment_on_at_which_it_turned() {
    let scene = Scene::new().await;
    scene.answered("ciao").await;
    let from = scene.clock.now().0;
    scene.faults.give("ledger.commit", parlante_domain::Fault::Fail, usize::MAX);
    let id = scene.world.sandbox.meta.deliver(Inbound::text(&a_phone(), "e poi?"));
    // At the second 503 of its own webhook the first is long known to whoever watches.
    let refused = |records: &Records| {
        let delivery = records.deliveries().find(|delivery| delivery.ids.contains(&id))?;
        (delivery.attempts.iter().filter(|attempt| attempt.answer == Ok(503)).count() >= 2).then_some(())
    };
    scene.world.sandbox.meta.wait(refused, PATIENCE).await.unwrap();
    let until = scene.clock.now().0;
    // Nobody has asked meanwhile.
    scene.clock.advance(Duration::from_secs(60));
    let (status, down) = health(&scene.base()).await;
    assert_eq!((status, &down["status"]), (503, &"down".into()));
    let ledger = &down["checks"]["ledger"];
    assert_eq!((&ledger["status"], &ledger["reason"]), (&"down".into(), &"the last commit failed".into()));
    assert!(after(ledger, from) <= until - from, "{ledger}, not from {from} to {until}");
    assert_eq!(gauge(&scene.base(), "parlante_ledger_durable").await, 0.0);

    scene.faults.give("ledger.commit", parlante_domain::Fault::Fail, 0);
    scene.server.log.wait_for("task_completed", &id).await;
    let again = check(&scene.base(), "ledger").await;
    assert_eq!(again["status"], "ok");
    assert!(after(&again, until + 60_000) < DAY / 2, "{again} is before {until}");
    assert_eq!(gauge(&scene.base(), "parlante_ledger_durable").await, 1.0);
}

#[actix_rt::test]
async fn whoever_writes_more_than_may_wait_is_told_for_five_minutes() {
    let scene = Scene::new().await;
    let (meta, openai) = (&scene.world.sandbox.meta, &scene.world.sandbox.openai);
    openai.script().next(Route::Chat, 1, Fault::Gate("model".into()));
    let from = scene.clock.now().0;
    let phone = a_phone();
    let ids = meta.deliver_batch((0..11).map(|i| Inbound::text(&phone, &format!("{i}"))).collect());
    scene.server.log.wait_for("user_queue_overflow", &ids[10]).await;
    let (status, told) = health(&scene.base()).await;
    assert_eq!((status, &told["status"]), (200, &"degraded".into()));
    let queue = &told["checks"]["queue"];
    let reason = queue["reason"].as_str().unwrap();
    assert!(queue["status"] == "degraded" && reason.contains("user_queue_overflow"), "{queue}");
    assert!(after(queue, from) <= scene.clock.now().0 - from, "{queue}");
    assert!(!told.to_string().contains(&phone), "{told}");

    openai.script().open("model");
    for id in &ids[..10] {
        scene.server.log.wait_for("task_completed", id).await;
    }
    assert_eq!(check(&scene.base(), "queue").await["status"], "degraded", "it is not over yet");
    scene.clock.advance(RECENT);
    let over = until(&scene.base(), "queue", "ok").await;
    assert!(after(&over, from + 300_000) < DAY / 2, "{over}");
}

#[actix_rt::test]
async fn a_message_that_nobody_begins_is_told_after_two_minutes() {
    let scene = Scene::new().await;
    let (meta, openai) = (&scene.world.sandbox.meta, &scene.world.sandbox.openai);
    openai.script().aim("first", Route::Chat, 1, Fault::Gate("model".into()));
    let (phone, from) = (a_phone(), scene.clock.now().0);
    let ids = meta.deliver_batch(["first", "second"].map(|words| Inbound::text(&phone, words)).to_vec());
    openai.script().wait_at_gate("model", 1, PATIENCE).await.unwrap();
    let accepted = scene.clock.now().0;
    scene.clock.advance(Duration::from_secs(100));
    let waited = gauge(&scene.base(), "parlante_queue_oldest_seconds").await;
    assert!((100.0..110.0 + PATIENCE.as_secs_f64()).contains(&waited), "{waited}");
    assert_eq!(check(&scene.base(), "queue").await["status"], "ok", "not before");
    scene.clock.advance(Duration::from_secs(30));
    let queue = check(&scene.base(), "queue").await;
    assert_eq!(queue["status"], "degraded");
    assert!(queue["reason"].as_str().unwrap().starts_with("the oldest message has waited for "), "{queue}");
    assert!(after(&queue, from + 120_000) <= accepted - from, "{queue}");
    openai.script().open("model");
    for id in &ids {
        scene.server.log.wait_for("task_completed", id).await;
    }
}

/// Where an actor panics, and the check that tells of it.
const PANICS: [(&str, &str); 5] = [
    ("ingress.deliver", "webhook"),
    ("dedup.accept", "dedup"),
    ("conversation.ask", "queue"),
    ("openai.ask", "openai"),
    ("whatsapp.send", "whatsapp"),
];

#[actix_rt::test]
async fn a_panic_is_told_of_its_part_for_five_minutes() {
    for (point, name) in PANICS {
        let scene = Scene::new().await;
        let phone = a_phone();
        let before = scene.world.sandbox.meta.deliver(Inbound::text(&phone, "before"));
        scene.server.log.wait_for("task_completed", &before).await;
        scene.faults.panic(point, 1);
        let from = scene.clock.now().0;
        let actor = point.split('.').next().unwrap();
        let id = scene.world.sandbox.meta.deliver(Inbound::text(&phone, "after"));
        scene.server.log.wait_for("task_completed", &id).await;
        let (status, told) = health(&scene.base()).await;
        assert_eq!((status, &told["status"]), (200, &"degraded".into()), "{point}: {told}");
        for (other, check) in told["checks"].as_object().unwrap() {
            assert_eq!(check["status"] == "degraded", other == name, "{point}: {told}");
        }
        let reason = format!("{actor} was restarted after a panic (event actor_restarted)");
        assert_eq!(told["checks"][name]["reason"], reason);
        assert!(after(&told["checks"][name], from) <= scene.clock.now().0 - from, "{told}");
        scene.clock.advance(RECENT);
        assert_eq!(health(&scene.base()).await.1["status"], "ok", "{point}");
    }
}

/// Posts so many webhooks with a signature that is wrong, or with none.
async fn knock(base: &str, times: usize, signature: Option<&str>) {
    for _ in 0..times {
        let ask = Ask::post(&format!("{base}/webhook")).body("{}");
        let ask = signature.into_iter().fold(ask, |ask, sign| ask.header("x-hub-signature-256", sign));
        assert_eq!(ask.send().await.status, 401);
    }
}

#[actix_rt::test]
async fn only_bad_signatures_make_the_app_secret_suspect_until_another_is_read() {
    let world = World::new().unset("WHATSAPP_APP_SECRET").set("WHATSAPP_APP_SECRET_FILE", "secret");
    let secret = world.dir.path().join("secret");
    std::fs::write(&secret, "another app's").unwrap();
    let server = world.start().await;
    let (base, wrong) = (server.url(""), format!("sha256={}", "0".repeat(64)));
    let from = SystemClock.now().0;
    // Strangers who do not even sign say nothing about the secret.
    knock(&base, 20, None).await;
    knock(&base, 20, Some("sha256=")).await;
    knock(&base, 19, Some(&wrong)).await;
    assert_eq!(check(&base, "webhook").await["status"], "ok", "not before");
    assert_eq!(gauge(&base, "parlante_app_secret_suspect").await, 0.0);
    // What Meta signs is wrong as well, and comes again.
    let id = world.sandbox.meta.deliver(Inbound::text(&a_phone(), "ciao"));
    until(&base, "webhook", "degraded").await;
    let (status, told) = health(&base).await;
    assert_eq!((status, &told["status"]), (200, &"degraded".into()));
    assert_eq!(told["checks"]["webhook"]["reason"], "app_secret_suspect");
    assert!(after(&told["checks"]["webhook"], from) <= SystemClock.now().0 - from, "{told}");
    assert_eq!(gauge(&base, "parlante_app_secret_suspect").await, 1.0);

    // Doctor signs with the secret of the settings: that proves nothing.
    let world = world.set("SERVER_PUBLIC_URL", &base);
    let (_, told, _) = world.run(&["doctor"]).await;
    assert!(told.contains("ok       webhook_loop"), "{told}");
    assert_eq!(check(&base, "webhook").await["status"], "degraded");

    std::fs::write(&secret, &world.sandbox.meta.options().app_secret).unwrap();
    server.signal(Signal::HUP);
    server.log.wait("reload_completed", |_| true).await;
    assert_eq!(gauge(&base, "parlante_app_secret_suspect").await, 0.0, "those were another secret's");
    server.log.wait_for("task_completed", &id).await;
    knock(&base, 20, Some(&wrong)).await;
    assert_eq!(gauge(&base, "parlante_app_secret_suspect").await, 0.0, "one was good");
    assert_eq!(check(&base, "webhook").await["status"], "ok");
}

#[actix_rt::test]
async fn the_characters_that_are_left_are_told_and_none_is_trouble() {
    let world = World::new().set("HEALTH_PROBE_S", "1");
    let server = world.start().await;
    let (base, elevenlabs) = (server.url(""), &world.sandbox.elevenlabs);
    let told = until(&base, "elevenlabs", "ok").await;
    assert_eq!(told["characters_left"], elevenlabs.characters_left());
    assert_eq!(check(&base, "openai").await.get("characters_left"), None);
    let quota = |name: &str| format!("parlante_provider_characters_{name}{{service=\"elevenlabs\"}}");
    assert_eq!(gauge(&base, &quota("limit")).await, elevenlabs.options().characters_limit as f64);
    elevenlabs.set_characters_left(0);
    let none = until(&base, "elevenlabs", "degraded").await;
    assert_eq!((&none["characters_left"], &none["reason"]), (&0.into(), &"no characters are left".into()));
    assert_eq!(gauge(&base, &quota("left")).await, 0.0);
    // An account that goes on beyond its limit, and pays for it.
    let body = r#"{"character_count":9,"character_limit":5,"can_extend_character_limit":true,
        "allowed_to_extend_character_limit":true}"#;
    let rule = elevenlabs.script().always(Route::Subscription, Fault::Body(body.to_owned()));
    assert_eq!(until(&base, "elevenlabs", "ok").await["characters_left"], 0);
    elevenlabs.script().remove(rule);
    until(&base, "elevenlabs", "degraded").await;
    // Another key, which may speak and not ask.
    let rule = elevenlabs.script().always(Route::Subscription, Fault::code("missing_permissions"));
    assert_eq!(until(&base, "elevenlabs", "ok").await.get("characters_left"), None);
    let (_, page) = get(&format!("{base}/metrics")).await;
    assert!(!page.contains("parlante_provider_characters_left{"), "nobody knows how many");
    elevenlabs.script().remove(rule);
    until(&base, "elevenlabs", "degraded").await;
    elevenlabs.set_characters_left(7);
    assert_eq!(until(&base, "elevenlabs", "ok").await.get("characters_left"), Some(&7.into()));
}

#[actix_rt::test]
async fn what_else_is_known_is_told_while_the_ledger_does_not_answer() {
    let world = World::new();
    let server = world.start().await;
    let base = server.url("");
    // Before it reads a page it locks the index of its journal.
    let index = world.dir.path().canonicalize().unwrap().join("parlante.db-shm");
    let hold = Strace::find().hold(server.pid(), "fcntl", &index);
    assert_eq!(until(&base, "queue", "unknown").await["reason"], "the ledger did not answer");
    let (status, page) = get(&format!("{base}/metrics")).await;
    assert_eq!((status, page.lines().last()), (200, Some("# EOF")));
    assert_eq!(get(&format!("{base}/stats")).await.0, 503);
    drop(hold);
    until(&base, "queue", "ok").await;
    assert_eq!(get(&format!("{base}/stats")).await.0, 200);
}

#[actix_rt::test]
async fn a_monitor_may_ask_with_head() {
    let server = World::new().start().await;
    for path in ["/health", "/health/live", "/health/ready"] {
        let answer = awc::Client::new().head(server.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}
