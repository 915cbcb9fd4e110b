//! The runs in which every event is logged, all by the real binary. Each foretells every line from warning upward, so that
//! nothing is told twice, nor by two events; and counts the failed attempts by the stand-ins' records.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join_all};
use parlante_domain::Clock;
use parlante_sandbox::{
    Call, Fault, Inbound, MetaOptions, Options, Outcome, Request, Route, SignatureMode, Speech, audio,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::damage;
use crate::support::strace::Strace;
use crate::support::{BINARY, Process, World, a_phone, text_of, webhook_of};

const JOE: &str = include_str!("../../../personas/joe.toml");
const ENDS: [&str; 3] = ["task_completed", "task_failed", "message_dead_lettered"];

/// All that the servers of one world have logged, and what was foretold.
pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) lines: Vec<Value>,
    /// How many lines of each event there are from warning upward.
    alarms: BTreeMap<&'static str, usize>,
    /// Messages that end a second time, by a later status.
    end_twice: Vec<String>,
    /// Requests that failed, by the stand-ins' records.
    failed_attempts: usize,
}

impl Scene {
    fn new(
        name: &'static str,
        world: &World,
        servers: &[&Process],
        alarms: &[(&'static str, usize)],
    ) -> Self {
        let lines = servers.iter().flat_map(|server| server.log.lines()).collect();
        let alarms = alarms.iter().copied().collect();
        Self { name, lines, alarms, end_twice: Vec::new(), failed_attempts: failed_attempts(world) }
    }

    /// What is told twice, or not at all, or by an event too many.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let count = |events: &[&str]| {
            let told =
                self.lines.iter().filter(|line| events.contains(&line["event"].as_str().unwrap_or("")));
            told.count()
        };
        let mut alarms = BTreeMap::new();
        for line in self.lines.iter().filter(|line| line["level"] == "WARN" || line["level"] == "ERROR") {
            *alarms.entry(line["event"].as_str().unwrap_or("not an event")).or_default() += 1;
        }
        if alarms != self.alarms {
            faults.push(format!("{}: {alarms:?} in place of {:?}", self.name, self.alarms));
        }
        let told = count(&["http_retry", "http_failed"]);
        if told != self.failed_attempts {
            faults.push(format!("{}: {} failed attempts, {told} told", self.name, self.failed_attempts));
        }
        for id in self.accepted() {
            let ends = self.lines.iter().filter(|line| {
                ENDS.contains(&line["event"].as_str().unwrap_or("")) && line["message_id"] == id.as_str()
            });
            let (ends, wanted) = (ends.count(), 1 + usize::from(self.end_twice.contains(&id)));
            if ends != wanted {
                faults.push(format!("{}: {id} ends {ends} times in place of {wanted}", self.name));
            }
        }
        faults
    }

    fn accepted(&self) -> Vec<String> {
        let accepted = self.lines.iter().filter(|line| line["event"] == "message_accepted");
        accepted.filter_map(|line| line["message_id"].as_str()).map(str::to_owned).collect()
    }
}

/// Requests that were made for a message and did not work. Typing and health calls are told by no line.
fn failed_attempts(world: &World) -> usize {
    let of_a_message = |route: Option<Route>| {
        route.is_some_and(|route| {
            !matches!(route, Route::Read | Route::Number | Route::Models | Route::Subscription)
        })
    };
    let failed = |outcome: &Outcome| !matches!(outcome, Outcome::Answered { status: 200, .. });
    let sandbox = &world.sandbox;
    let sends = sandbox.meta.look(|records| {
        let failed = |request: &&Request| of_a_message(request.route) && !request.answered_ok();
        records.requests().filter(failed).count()
    });
    let questions = sandbox.openai.look(|calls| {
        let failed = |call: &&Call| of_a_message(call.route) && failed(&call.outcome);
        calls.all().filter(failed).count()
    });
    let speeches = sandbox.elevenlabs.look(|speeches| {
        let failed = |speech: &&Speech| of_a_message(speech.route) && failed(&speech.outcome);
        speeches.all().filter(failed).count()
    });
    sends + questions + speeches
}

/// All runs, at the same time: each waits more than it works.
pub(super) async fn all() -> Vec<Scene> {
    let scenes: [LocalBoxFuture<'static, Scene>; 7] = [
        doors().boxed_local(),
        open_doors().boxed_local(),
        model().boxed_local(),
        whatsapp_and_voice().boxed_local(),
        panics().boxed_local(),
        full_disk().boxed_local(),
        broken_disk().boxed_local(),
    ];
    join_all(scenes).await
}

async fn writes(world: &World, server: &Process, phone: &str, words: &str, end: &str) -> String {
    let id = world.sandbox.meta.deliver(Inbound::text(phone, words));
    server.log.wait_for(end, &id).await;
    id
}

async fn posts(world: &World, body: String, mode: SignatureMode) -> u16 {
    let meta = &world.sandbox.meta;
    let number = meta.deliver_raw(body.into_bytes(), &mode);
    meta.wait_posted(number).await.unwrap().answer.unwrap()
}

/// What comes to the webhook and is refused, or needs no answer; a reload; the end.
async fn doors() -> Scene {
    let world = World::new().set("PERSONA_FILE", "persona.toml");
    let persona = world.dir.path().join("persona.toml");
    std::fs::write(&persona, JOE).unwrap();
    let server = world.start().await;
    let (meta, log, phone) = (&world.sandbox.meta, &server.log, a_phone());
    let id = writes(&world, &server, &phone, "ciao", "task_completed").await;
    assert!(meta.redeliver(&id));
    log.wait_for("duplicate_message_skipped", &id).await;
    let two_days_ago = u64::try_from(parlante::real::SystemClock.now().0 / 1000).unwrap() - 2 * 24 * 3600;
    let old = meta.deliver(Inbound::text(&phone, "ciao").at(two_days_ago));
    log.wait_for("stale_message_skipped", &old).await;
    let nobody = format!("IT.{phone}");
    let unnamed = meta.deliver(Inbound::text(&phone, "ciao").no_phone().bsuid(&nobody));
    let told = log.wait_for("task_completed", &unnamed).await;
    assert_eq!(told["user_id"], format!("IT.******{}", &phone[phone.len() - 3..]));
    let liked = meta.deliver(Inbound::reaction(&phone, &id, Some("👍")));
    log.wait_for("item_ignored", &liked).await;
    let busy = a_phone();
    let burst = meta.deliver_batch((0..11).map(|_| Inbound::text(&busy, "ciao")).collect());
    log.wait_for("user_queue_overflow", &burst[10]).await;
    log.wait_for("task_completed", &burst[9]).await;
    let body = json!({"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "flows", "value": {}}]}]});
    assert_eq!(posts(&world, body.to_string(), SignatureMode::Right).await, 200);
    log.wait("items_skipped", |_| true).await;
    let body = webhook_of(&world, &[json!({"type": "text"})]);
    assert_eq!(posts(&world, body, SignatureMode::Right).await, 200);
    log.wait("item_ignored", |line| line["message_id"] == "").await;
    let body = || webhook_of(&world, &[text_of(&phone, "wamid.forged", "ciao")]);
    assert_eq!(posts(&world, body(), SignatureMode::Wrong).await, 401);
    assert_eq!(posts(&world, body(), SignatureMode::Missing).await, 401);
    server.signal(Signal::HUP);
    log.wait("reload_completed", |_| true).await;
    std::fs::write(&persona, "name = ").unwrap();
    server.signal(Signal::HUP);
    log.wait("reload_failed", |_| true).await;
    world.drained(&server).await;
    assert!(server.terminate().await.success());
    let alarms = [
        ("duplicate_message_skipped", 1),
        ("stale_message_skipped", 1),
        ("user_queue_overflow", 1),
        ("webhook_signature_invalid", 1),
        ("webhook_signature_missing", 1),
        ("reload_failed", 1),
    ];
    Scene::new("doors", &world, &[&server], &alarms)
}

/// Settings that leave a door open are told of at start.
async fn open_doors() -> Scene {
    let world = World::new()
        .unset("WHATSAPP_APP_SECRET")
        .unset("ELEVENLABS_API_KEY")
        .set("OPENAI_FALLBACK_BASE_URL", "http://model.example/v1")
        .set("OPENAI_FALLBACK_API_KEY", "key")
        .set("OPENAI_FALLBACK_MODEL", "model");
    let server = world.start().await;
    server.log.wait("voice_disabled", |_| true).await;
    assert!(server.terminate().await.success());
    let alarms = [("webhook_verification_skipped", 1), ("connection_unencrypted", 1)];
    Scene::new("open doors", &world, &[&server], &alarms)
}

/// The model fails once, for good, again and again, and for its quota.
async fn model() -> Scene {
    let world = World::new()
        .set("OPENAI_CIRCUIT_FAILURES", "2")
        .set("OPENAI_CIRCUIT_OPEN_MS", "300")
        .set("HEALTH_PROBE_S", "1");
    let script = world.sandbox.openai.script();
    let server = world.start().await;
    let log = &server.log;
    script.next(Route::Chat, 1, Fault::cut(5));
    writes(&world, &server, &a_phone(), "ciao", "task_completed").await;
    script.next(Route::Chat, 1, Fault::code("invalid_prompt"));
    writes(&world, &server, &a_phone(), "ciao", "task_failed").await;
    script.next(Route::Chat, 6, Fault::status(503));
    for _ in 0..2 {
        writes(&world, &server, &a_phone(), "ciao", "task_failed").await;
    }
    log.wait("circuit_opened", |_| true).await;
    // Whoever writes before it may be tried again is told so at once.
    let mut too_early = 0;
    while log.events("circuit_closed").is_empty() {
        let id = world.sandbox.meta.deliver(Inbound::text(&a_phone(), "ciao"));
        let ended = |line: &Value| line["message_id"] == id.as_str();
        tokio::select! {
            _ = log.wait("task_failed", ended) => too_early += 1,
            _ = log.wait("task_completed", ended) => {}
        }
    }
    script.next(Route::Chat, 1, Fault::code("insufficient_quota"));
    writes(&world, &server, &a_phone(), "ciao", "task_completed").await;
    log.wait("channel_resumed", |_| true).await;
    world.drained(&server).await;
    assert!(server.terminate().await.success());
    let alarms = [
        ("http_retry", 1 + 4),
        ("http_failed", 1 + 2 + 1),
        ("task_failed", 1 + 2 + too_early),
        ("circuit_opened", 1),
        ("channel_paused", 1),
    ];
    Scene::new("model", &world, &[&server], &alarms)
}

fn last_tag(world: &World, phone: &str) -> String {
    let sends = world.sandbox.meta.look(|records| records.sends_to(phone).cloned().collect::<Vec<_>>());
    sends.last().and_then(|send| send.tag.clone()).expect("a tag")
}

/// WhatsApp refuses, fails, keeps silent and changes its mind; a voice note cannot be made, or cannot be played.
async fn whatsapp_and_voice() -> Scene {
    let tests = Options::for_tests();
    let silent = Options { meta: MetaOptions { statuses: false, ..tests.meta }, ..tests };
    let world = World::with(silent).set("HEALTH_PROBE_S", "1").set("WHATSAPP_BACKOFF_MS", "0,300");
    let server = world.start().await;
    let (meta, log) = (&world.sandbox.meta, &server.log);
    let aim = |words: &str, fault| meta.script().aim(words, Route::Send, 1, fault);
    aim("refused", Fault::code(131_026));
    writes(&world, &server, &a_phone(), "refused", "message_dead_lettered").await;
    aim("silent", Fault::close());
    writes(&world, &server, &a_phone(), "silent", "task_completed").await;
    world.sandbox.elevenlabs.script().next(Route::Speak, 1, Fault::code("text_too_long"));
    let (speaker, taken_back) = (a_phone(), a_phone());
    let unspoken = meta.deliver(Inbound::voice(&speaker, audio::say("prima")));
    log.wait_for("voice_fallback_to_text", &unspoken).await;
    log.wait_for("task_completed", &unspoken).await;
    let unplayable = meta.deliver(Inbound::voice(&speaker, audio::say("seconda")));
    log.wait_for("task_completed", &unplayable).await;
    meta.status(&last_tag(&world, &speaker), "failed", Some(131_053)).unwrap();
    log.wait_for("voice_fallback_to_text", &unplayable).await;
    let late = writes(&world, &server, &taken_back, "ciao", "task_completed").await;
    meta.status(&last_tag(&world, &taken_back), "failed", Some(131_047)).unwrap();
    log.wait_for("message_dead_lettered", &late).await;
    // One waits for its second attempt while another finds the channel paused: that attempt is not made.
    aim("patient", Fault::status(503));
    let patient = meta.deliver(Inbound::text(&a_phone(), "patient"));
    log.wait_for("http_retry", &patient).await;
    aim("unlucky", Fault::code(131_042));
    let unlucky = meta.deliver(Inbound::text(&a_phone(), "unlucky"));
    for id in [&patient, &unlucky] {
        log.wait_for("task_completed", id).await;
    }
    world.drained(&server).await;
    assert!(server.terminate().await.success());
    let alarms = [
        ("http_retry", 1),
        ("http_failed", 1 + 1 + 1 + 1),
        ("voice_fallback_to_text", 2),
        ("message_dead_lettered", 2),
        ("channel_paused", 1),
    ];
    Scene { end_twice: vec![late], ..Scene::new("WhatsApp and voice", &world, &[&server], &alarms) }
}

/// A conversation panics over one message after the other, until it is given up; then the others get their turn.
async fn panics() -> Scene {
    let world = World::new();
    let first = world.start().await;
    let phone = a_phone();
    let mut ids = Vec::new();
    for words in ["uno", "due", "tre"] {
        ids.push(writes(&world, &first, &phone, words, "task_completed").await);
    }
    world.drained(&first).await;
    assert!(first.terminate().await.success());
    damage::spoil(
        &world.dir.path().join("parlante.db"),
        "400",
        &ids.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let second = world.start().await;
    for id in &ids {
        second.log.wait_for("message_dead_lettered", id).await;
    }
    assert!(second.terminate().await.success());
    let places = second.log.events("panic").into_iter().map(|line| line["place"].clone());
    let reasons = second.log.events("actor_restarted").into_iter().chain(second.log.events("actor_gave_up"));
    let reasons: Vec<String> = reasons.map(|line| line["reason"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<String> = places.map(|place| format!("panic at {}", place.as_str().unwrap())).collect();
    assert_eq!(reasons, expected);
    // Each row four times: its answer has gone out, so that no apology ends it. The panic over which the conversation is
    // given up is no row's.
    let panics = 3 * 4 + 1;
    let alarms = [
        ("panic", panics),
        ("actor_restarted", panics - 1),
        ("actor_gave_up", 1),
        ("message_dead_lettered", 3),
    ];
    Scene { end_twice: ids, ..Scene::new("panics", &world, &[&first, &second], &alarms) }
}

/// A ledger that was in use, and whose server was stopped; its WAL.
async fn used_ledger() -> (World, Process, std::path::PathBuf) {
    let world = World::new();
    let server = world.start().await;
    assert!(server.terminate().await.success());
    let wal = world.dir.path().canonicalize().unwrap().join("parlante.db-wal");
    (world, server, wal)
}

/// The disk is full for a while: each webhook that is sent away is told of.
async fn full_disk() -> Scene {
    let (world, first, wal) = used_ledger().await;
    let world = world.program(Strace::find().failing("pwrite64", &wal, "ENOSPC", "4..9"));
    let server = world.start().await;
    let id = writes(&world, &server, &a_phone(), "ciao", "task_completed").await;
    world.drained(&server).await;
    assert!(server.terminate().await.success());
    let delivery = world.sandbox.meta.wait_acknowledged(&id).await.unwrap();
    let sent_away = delivery.attempts.iter().filter(|attempt| attempt.answer == Ok(503)).count();
    assert!(sent_away > 0);
    assert!(server.log.events("ledger_unavailable").iter().all(|line| line["error_code"] == "unavailable"));
    Scene::new("full disk", &world, &[&first, &server], &[("ledger_unavailable", sent_away)])
}

/// A sync fails: the server ends over it, and the next start goes on.
async fn broken_disk() -> Scene {
    let (world, first, wal) = used_ledger().await;
    let world = world.program(Strace::find().failing("fsync,fdatasync", &wal, "EIO", "3"));
    let broken = world.start().await;
    let id = world.sandbox.meta.deliver(Inbound::text(&a_phone(), "ciao"));
    assert_eq!(broken.ended().await.code(), Some(3));
    let told = broken.log.events("ledger_unavailable");
    assert!(told.iter().all(|line| line["error_code"] == "failed" && line["reason"].is_string()), "{told:?}");
    let world = world.program(vec![BINARY.into()]);
    let last = world.start().await;
    last.log.wait_for("task_completed", &id).await;
    world.drained(&last).await;
    assert!(last.terminate().await.success());
    let alarms = [("ledger_unavailable", 1), ("server_failed", 1)];
    Scene::new("broken disk", &world, &[&first, &broken, &last], &alarms)
}
