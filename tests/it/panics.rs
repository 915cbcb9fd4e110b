//! A panic in any actor: it is told, the actor goes on, and nobody at WhatsApp can tell.

use std::time::Duration;

use parlante_sandbox::{Fault, Inbound, MetaOptions, Options, PATIENCE, Records, Route};
use serde_json::Value;

use crate::support::{InProcess, TestClock, TestFaults, World, a_phone, get, persona_text};

/// As long as an unknown send waits for its status.
const RECONCILE: Duration = Duration::from_secs(1);

async fn supervisor(server: &InProcess) -> Value {
    let (status, body) = get(&server.url("/stats")).await;
    assert_eq!(status, 200);
    serde_json::from_str::<Value>(&body).unwrap()["supervisor"].clone()
}

fn masked(phone: &str) -> String {
    format!("{}******{}", &phone[..3], &phone[phone.len() - 3..])
}

/// A server, a person who is about to meet a panic, and another one whose message is just being answered.
struct Scene {
    world: World,
    server: InProcess,
    faults: TestFaults,
    clock: TestClock,
    person: String,
    bystander: String,
    held: String,
}

impl Scene {
    /// Both have been answered before; the bystander's second message stands at the model.
    async fn new() -> Self {
        let (world, faults, clock) = (World::new(), TestFaults::default(), TestClock::default());
        let server = world.start_in_process(&clock, &faults).await;
        let (meta, person, bystander) = (&world.sandbox.meta, a_phone(), a_phone());
        for phone in [&person, &bystander] {
            let id = meta.deliver(Inbound::text(phone, "before"));
            server.log.wait_for("task_completed", &id).await;
        }
        // A status on its way would meet the fault in the message's place: 3 for each disclosure and each answer.
        let told = |records: &Records| {
            let told =
                records.deliveries().filter(|delivery| delivery.status.is_some() && delivery.acknowledged());
            (told.count() == 12).then_some(())
        };
        meta.wait(told, PATIENCE).await.unwrap();
        let script = world.sandbox.openai.script();
        script.aim("meanwhile", Route::Chat, 1, Fault::Gate("model".to_owned()));
        let held = meta.deliver(Inbound::text(&bystander, "meanwhile"));
        script.wait_at_gate("model", 1, PATIENCE).await.unwrap();
        Self { world, server, faults, clock, person, bystander, held }
    }

    /// The person writes two messages; the first passes `point` at a panic.
    async fn panic_at(&self, point: &'static str) {
        self.faults.panic(point, 1);
        let texts = ["first", "second"].map(|words| Inbound::text(&self.person, words));
        let ids = self.world.sandbox.meta.deliver_batch(texts.to_vec());
        if matches!(point, "conversation.send" | "whatsapp.send") {
            // Nobody knows whether it was sent, so it waits for a status.
            let restarted = |line: &Value| self.is_restart(line, point);
            self.server.log.wait("actor_restarted", restarted).await;
            self.unknown().await;
            self.clock.advance(RECONCILE);
        }
        for id in &ids {
            self.server.log.wait_for("task_completed", id).await;
        }
    }

    /// Waits until the person's send is held as unknown.
    async fn unknown(&self) {
        loop {
            let (_, body) = get(&self.server.url("/stats")).await;
            let stats: Value = serde_json::from_str(&body).unwrap();
            let queues = stats["queueStats"]["queues"].as_array().unwrap();
            let held =
                |queue: &Value| queue["user_id"] == masked(&self.person) && queue["processing"] == false;
            if queues.iter().any(held) {
                return;
            }
        }
    }

    fn is_restart(&self, line: &Value, point: &str) -> bool {
        let actor = point.split('.').next().unwrap();
        let user_id = if actor == "conversation" { masked(&self.person).into() } else { Value::Null };
        line["actor"] == actor && line["user_id"] == user_id
    }

    /// Everybody got every answer once and in order, and the restart was told and counted.
    async fn all_is_well(self, point: &'static str) {
        let (meta, openai) = (&self.world.sandbox.meta, &self.world.sandbox.openai);
        openai.script().open("model");
        self.server.log.wait_for("task_completed", &self.held).await;
        let echoes = |words: &[&str]| {
            let echoes = words.iter().map(|words| format!("echo: {words}"));
            std::iter::once(persona_text("disclosure")).chain(echoes).collect::<Vec<_>>()
        };
        assert_eq!(meta.answers_to(&self.person), echoes(&["before", "first", "second"]), "{point}");
        assert_eq!(meta.answers_to(&self.bystander), echoes(&["before", "meanwhile"]), "{point}");
        let asked = openai.chats().into_iter().filter_map(|call| call.last_user).collect::<Vec<_>>();
        for words in ["first", "second", "meanwhile"] {
            assert_eq!(
                asked.iter().filter(|asked| *asked == words).count(),
                1,
                "{point}: {words} is paid for once"
            );
        }
        assert_eq!(meta.sends().len(), 7, "{point}: nothing was sent in vain");
        let told = self.server.log.wait("actor_restarted", |line| self.is_restart(line, point)).await;
        assert_eq!(told["level"], "ERROR");
        assert!(told["reason"].as_str().is_some_and(|reason| reason.starts_with("panic")), "{told}");
        assert_eq!((&told["restarts"], &told["backoff_ms"]), (&1.into(), &0.into()), "{told}");
        assert!(told["mailbox"].is_u64(), "{told}");
        let actor = point.split('.').next().unwrap();
        let counted = serde_json::json!({"restarts": 1, "by_actor": {actor: 1}});
        assert_eq!(supervisor(&self.server).await, counted);
    }
}

async fn nobody_notices(point: &'static str) {
    let scene = Scene::new().await;
    scene.panic_at(point).await;
    scene.all_is_well(point).await;
}

#[actix_rt::test]
async fn ingress_may_panic_over_a_webhook() {
    nobody_notices("ingress.deliver").await;
}

#[actix_rt::test]
async fn every_ingress_comes_back() {
    let (world, faults) = (World::new(), TestFaults::default());
    let server = world.start_in_process(&TestClock::default(), &faults).await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    // More than the four web workers that there are at most.
    faults.panic("ingress.deliver", 5);
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    let delivery = meta.wait_acknowledged(&id).await.unwrap();
    let answers: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.answer.clone()).collect();
    assert_eq!(answers, [503, 503, 503, 503, 503, 200].map(Ok));
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(meta.answers_to(&phone), [persona_text("disclosure"), "echo: ciao".to_owned()]);
    assert_eq!(supervisor(&server).await["by_actor"]["ingress"], 5);
}

#[actix_rt::test]
async fn dedup_may_panic_before_it_asks_the_ledger() {
    nobody_notices("dedup.accept").await;
}

#[actix_rt::test]
async fn dedup_may_panic_after_the_commit_and_before_the_200() {
    let scene = Scene::new().await;
    scene.panic_at("dedup.committed").await;
    let deliveries = scene.world.sandbox.meta.deliveries();
    let last = deliveries.iter().rfind(|delivery| delivery.status.is_none()).unwrap();
    assert_eq!(last.attempts[0].answer, Ok(503), "it was not acknowledged at first");
    for id in &last.ids {
        scene.server.log.wait_for("duplicate_message_skipped", id).await;
        assert_eq!(scene.server.log.count("task_started", id), 1);
    }
    scene.all_is_well("dedup.committed").await;
}

#[actix_rt::test]
async fn a_conversation_may_panic_as_it_takes_up_a_message() {
    nobody_notices("conversation.take_up").await;
}

#[actix_rt::test]
async fn a_conversation_may_panic_as_it_asks_the_model() {
    nobody_notices("conversation.ask").await;
}

#[actix_rt::test]
async fn a_conversation_may_panic_as_it_sends() {
    nobody_notices("conversation.send").await;
}

#[actix_rt::test]
async fn a_conversation_may_panic_over_the_answer_of_the_model() {
    nobody_notices("conversation.asked").await;
}

#[actix_rt::test]
async fn a_conversation_may_panic_over_the_answer_of_whatsapp() {
    nobody_notices("conversation.sent").await;
}

#[actix_rt::test]
async fn a_send_that_was_accepted_is_known_after_the_panic_without_any_status() {
    let tests = Options::for_tests();
    let silent = Options { meta: MetaOptions { statuses: false, ..tests.meta }, ..tests };
    let (world, faults) = (World::with(silent).set("WHATSAPP_RECONCILE_MS", "600000"), TestFaults::default());
    let server = world.start_in_process(&TestClock::default(), &faults).await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    faults.panic("conversation.sent", 1);
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(meta.answers_to(&phone), [persona_text("disclosure"), "echo: ciao".to_owned()]);
    assert_eq!(supervisor(&server).await["by_actor"]["conversation"], 1);
}

#[actix_rt::test]
async fn the_client_of_the_model_may_panic() {
    nobody_notices("openai.ask").await;
}

#[actix_rt::test]
async fn the_client_of_whatsapp_may_panic() {
    nobody_notices("whatsapp.send").await;
}

#[actix_rt::test]
async fn a_call_under_way_survives_a_panic_of_its_client() {
    let (world, faults) = (World::new(), TestFaults::default());
    let server = world.start_in_process(&TestClock::default(), &faults).await;
    let (meta, openai, other) = (&world.sandbox.meta, world.sandbox.openai.script(), a_phone());
    let gate = |name: &str| Fault::Gate(name.to_owned());
    openai.aim("domanda", Route::Chat, 1, gate("model"));
    meta.script().aim("echo: risposta", Route::Send, 1, gate("whatsapp"));
    let phones = [a_phone(), a_phone()];
    let asked = meta.deliver(Inbound::text(&phones[0], "domanda"));
    let sent = meta.deliver(Inbound::text(&phones[1], "risposta"));
    openai.wait_at_gate("model", 1, PATIENCE).await.unwrap();
    meta.script().wait_at_gate("whatsapp", 1, PATIENCE).await.unwrap();
    faults.panic("openai.ask", 1);
    let id = meta.deliver(Inbound::text(&other, "panic"));
    server.log.wait_for("task_completed", &id).await;
    openai.open("model");
    meta.script().open("whatsapp");
    for (id, phone) in [(asked, &phones[0]), (sent, &phones[1])] {
        server.log.wait_for("task_completed", &id).await;
        assert_eq!(meta.look(|records| records.sends_to(phone).count()), 2);
    }
    assert_eq!(world.sandbox.openai.chats().len(), 3);
}

#[actix_rt::test]
async fn a_message_that_makes_its_conversation_panic_three_times_is_given_up_with_an_apology() {
    let (world, faults) = (World::new(), TestFaults::default());
    let server = world.start_in_process(&TestClock::default(), &faults).await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    faults.panic("conversation.ask", 3);
    let ids = meta.deliver_batch(["poison", "next"].map(|words| Inbound::text(&phone, words)).to_vec());
    let dead = server.log.wait_for("message_dead_lettered", &ids[0]).await;
    assert_eq!(dead["error_code"], "panic");
    server.log.wait_for("task_completed", &ids[1]).await;
    let texts = ["disclosure", "apology"].map(persona_text).into_iter().chain(["echo: next".to_owned()]);
    assert_eq!(meta.answers_to(&phone), texts.collect::<Vec<_>>());
    assert_eq!(meta.look(|records| records.sends_to(&phone).count()), 3);
    assert_eq!(world.sandbox.openai.chats().len(), 1, "the poisoned one never got so far");
    assert_eq!(server.log.count("task_failed", &ids[0]) + server.log.count("task_completed", &ids[0]), 0);
    assert_eq!(supervisor(&server).await["by_actor"]["conversation"], 3);
    let waits = |line: &Value| line["user_id"] == masked(&phone).as_str();
    let told = server.log.events("actor_restarted").into_iter().filter(waits);
    let told: Vec<_> = told.map(|line| (line["restarts"].clone(), line["backoff_ms"].clone())).collect();
    let expected = [(1, 0), (2, 50), (3, 100)].map(|(restarts, wait)| (restarts.into(), wait.into()));
    assert_eq!(told, expected);
}
