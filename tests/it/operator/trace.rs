//! `parlante trace`: why was a message answered, or why not.

use parlante_sandbox::Inbound;
use serde_json::Value;

use super::{complain, dies, masked, overflows, tell, trace};
use crate::support::{Process, World, a_phone, persona_text};

/// One message of every fate.
struct Scene {
    world: World,
    server: Process,
    phone: String,
    answered: String,
    dead: String,
    /// The first stands at the model, the last was refused.
    many: Vec<String>,
    noted: String,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new();
        let server = world.start().await;
        let (meta, phone) = (&world.sandbox.meta, a_phone());
        let answered = meta.deliver(Inbound::text(&phone, "secret words"));
        server.log.wait_for("task_completed", &answered).await;
        assert!(meta.redeliver(&answered));
        server.log.wait_for("duplicate_message_skipped", &answered).await;
        let dead = dies(&world, &server, &phone, "lost").await;
        let many = overflows(&world, &server, &a_phone()).await;
        let noted = meta.deliver(Inbound::reaction(&phone, &answered, Some("👍")));
        server.log.wait_for("item_ignored", &noted).await;
        meta.wait_settled().await.unwrap();
        Self { world, server, phone, answered, dead, many, noted }
    }

    async fn all_is_told(&self) {
        self.the_answered_one().await;
        self.the_dead_one().await;
        self.the_others().await;
        for id in [&self.answered, &self.dead, &self.many[0], &self.many[10], &self.noted] {
            let told = tell(&self.world, &["trace", id]).await + &trace(&self.world, id).await.to_string();
            for hidden in [&self.phone, "secret words", "much 0", &persona_text("disclosure")] {
                assert!(!told.contains(hidden), "{hidden} in {told}");
            }
        }
    }

    async fn the_answered_one(&self) {
        let told = trace(&self.world, &self.answered).await;
        let message = &told["message"];
        assert_eq!((&told["record"], &message["state"]), (&"kept".into(), &"done".into()));
        assert_eq!((&message["user_id"], &message["kind"]), (&masked(&self.phone).into(), &"text".into()));
        let steps = message["steps"].as_array().unwrap();
        assert_eq!(steps.len(), 2, "a duplicate leaves no trace: {steps:#?}");
        assert_eq!((&steps[0]["step"], &steps[0]["attempts"]), (&"complete".into(), &1.into()));
        assert!(steps[0]["usage"]["prompt_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{}", steps[0]);
        assert_eq!((&steps[1]["step"], &steps[1]["part"]), (&"send".into(), &1.into()));
        let sent = self.world.sandbox.meta.sends().into_iter().find(|send| {
            send.text.as_deref() == Some("echo: secret words") && send.person.as_deref() == Some(&self.phone)
        });
        assert_eq!(steps[1]["outbound_id"].as_str(), sent.unwrap().accepted.as_deref());
        assert_eq!(steps[1]["status"], "read");
        let disclosure = &told["beside"][0];
        assert_eq!((&disclosure["purpose"], &disclosure["state"]), (&"disclosure".into(), &"done".into()));
        let order =
            ["sent_at", "accepted_at", "started_at", "ended_at"].map(|at| message[at].as_str().unwrap());
        assert!(order.is_sorted(), "{order:?}");
        let page = tell(&self.world, &["trace", &self.answered]).await;
        for line in [format!("message   {}", self.answered), "outcome   answered".to_owned()] {
            assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
        }
        assert!(page.contains("before it, the disclosure, was sent"), "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    }

    async fn the_dead_one(&self) {
        let message = trace(&self.world, &self.dead).await["message"].clone();
        assert_eq!((&message["state"], &message["reason"]), (&"dead".into(), &"400".into()));
        let steps = message["steps"].as_array().unwrap();
        assert_eq!((&steps[0]["state"], &steps[1]["state"]), (&"done".into(), &"failed".into()));
        assert_eq!(steps[1]["error_code"], "400");
        let page = tell(&self.world, &["trace", &self.dead]).await;
        assert!(page.contains("outcome   not answered\nreason    400"), "{page}");
    }

    async fn the_others(&self) {
        let state = async |id: &str| trace(&self.world, id).await["message"].clone();
        let (first, second) = (state(&self.many[0]).await, state(&self.many[1]).await);
        assert_eq!((&first["state"], &first["steps"][0]["state"]), (&"open".into(), &"intended".into()));
        assert_eq!((&second["state"], &second["started_at"]), (&"open".into(), &Value::Null));
        let refused = state(&self.many[10]).await;
        assert_eq!((&refused["state"], &refused["reason"]), (&"refused".into(), &"overflow".into()));
        let noted = trace(&self.world, &self.noted).await;
        assert_eq!((&noted["record"], &noted["message"]), (&"not_kept".into(), &Value::Null));
        let complaint = complain(&self.world, &["trace", "wamid.nobody/+="], 1).await;
        assert!(complaint.contains("wamid.nobody/+="), "{complaint}");
    }
}

#[actix_rt::test]
async fn a_trace_tells_the_fate_of_every_message_by_the_server_and_by_the_file() {
    let scene = Scene::new().await;
    scene.all_is_told().await;
    scene.server.signal(rustix::process::Signal::KILL);
    scene.server.ended().await;
    scene.all_is_told().await;
}

#[actix_rt::test]
async fn without_a_file_and_without_a_server_the_complaint_names_both() {
    let world = World::new().set("PORT", "9");
    let complaint = complain(&world, &["trace", "wamid.1"], 3).await;
    assert!(complaint.contains("parlante.db") && complaint.contains("127.0.0.1:9"), "{complaint}");
    assert!(!world.dir.path().join("parlante.db").exists(), "a question made a file");
}

#[actix_rt::test]
async fn a_server_that_cannot_be_reached_keeps_the_file_closed() {
    let world = World::new();
    let server = world.start().await;
    let world = world.set("PORT", "9");
    let complaint = complain(&world, &["dead", "list"], 3).await;
    assert!(complaint.contains("parlante.db.lock") && complaint.contains("127.0.0.1:9"), "{complaint}");
    drop(server);
}
