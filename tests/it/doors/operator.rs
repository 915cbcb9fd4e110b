//! `/stats`, `/health`, and whose address is logged.

use std::time::Duration;

use parlante_sandbox::{Fault, Inbound, Route};
use serde_json::{Value, json};

use crate::support::ask::Ask;
use crate::support::{PATIENCE, Process, World, get, get_with};

async fn stats(server: &Process) -> Value {
    let (status, body) = get(&server.url("/stats")).await;
    assert_eq!(status, 200);
    serde_json::from_str(&body).unwrap()
}

#[actix_rt::test]
async fn stats_tell_who_waits_and_what_was_known() {
    let world = World::new();
    let server = world.start().await;
    let (meta, openai) = (&world.sandbox.meta, &world.sandbox.openai);
    let empty = stats(&server).await;
    assert_eq!(empty["activeConversations"], 0);
    assert_eq!(empty["dedupStats"], json!({"keys": 0, "hits": 0, "misses": 0}));
    assert_eq!(empty["queueStats"], json!({"active_queues": 0, "queues": []}));

    openai.script().always(Route::Chat, Fault::Gate("model".into()));
    let (busy, calm) = ("393247722154", "393247799876");
    meta.deliver_batch(["one", "two", "three"].map(|words| Inbound::text(busy, words)).to_vec());
    meta.deliver_times(Inbound::text(calm, "one"), 2);
    openai.script().wait_at_gate("model", 2, PATIENCE).await.unwrap();
    meta.wait_settled().await.unwrap();
    let full = stats(&server).await;
    assert_eq!(full["activeConversations"], 2);
    assert_eq!(full["dedupStats"], json!({"keys": 4, "hits": 1, "misses": 4}));
    let queue = |masked, pending| json!({"user_id": masked, "tasks_pending": pending, "processing": true});
    let queues = json!([queue("393******154", 2), queue("393******876", 0)]);
    assert_eq!(full["queueStats"], json!({"active_queues": 2, "queues": queues}));
    assert_eq!(full["supervisor"], json!({"restarts": 0, "by_actor": {}}));
    assert_eq!((&full["deadLetters"], &full["refused"]), (&json!(0), &json!(0)));
    assert!(full["uptimeSeconds"].is_u64() && full["version"].is_string(), "{full}");

    openai.script().open("model");
    meta.wait_answers(busy, 4).await.unwrap();
    meta.wait_answers(calm, 2).await.unwrap();
    for words in meta.look(|records| records.deliveries().flat_map(|d| d.ids.clone()).collect::<Vec<_>>()) {
        if server.log.count("message_accepted", &words) == 1 {
            server.log.wait_for("task_completed", &words).await;
        }
    }
    let done = stats(&server).await;
    assert_eq!(done["queueStats"], json!({"active_queues": 0, "queues": []}));
    assert_eq!(done["dedupStats"], json!({"keys": 4, "hits": 1, "misses": 4}), "statuses count in neither");
}

/// Asks until so many conversations are in memory.
async fn until_active(server: &Process, conversations: u64) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let found = tokio::time::timeout(PATIENCE, async {
        while stats(server).await["activeConversations"] != conversations {
            ticks.tick().await;
        }
    });
    assert_eq!(found.await, Ok(()), "{conversations} conversations");
}

#[actix_rt::test]
async fn an_idle_conversation_leaves_memory_and_a_busy_one_stays() {
    let world = World::new().set("CONVERSATION_IDLE_S", "1");
    let server = world.start().await;
    let (meta, openai) = (&world.sandbox.meta, &world.sandbox.openai);
    openai.script().aim("wait", Route::Chat, 1, Fault::Gate("model".into()));
    let (busy, calm) = ("393247722154", "393247799876");
    meta.deliver(Inbound::text(busy, "wait"));
    openai.script().wait_at_gate("model", 1, PATIENCE).await.unwrap();
    meta.deliver(Inbound::text(calm, "ciao"));
    meta.wait_answers(calm, 2).await.unwrap();
    until_active(&server, 1).await;
    openai.script().open("model");
    meta.wait_answers(busy, 2).await.unwrap();
    until_active(&server, 0).await;
    meta.deliver(Inbound::text(calm, "e poi?"));
    assert_eq!(meta.wait_answers(calm, 3).await.unwrap()[2], "echo: e poi?", "and comes back");
}

#[actix_rt::test]
async fn with_an_admin_token_stats_are_told_to_whoever_has_it() {
    let world = World::new().set("ADMIN_TOKEN", "let-me-in");
    let server = world.start().await;
    let url = server.url("/stats");
    assert_eq!(get(&url).await, (401, String::new()));
    for wrong in ["Bearer let-me-i", "Bearer let-me-in2", "Bearer ", "Basic let-me-in", "let-me-in", ""] {
        let (status, body) = get_with(&url, &[("authorization", wrong)]).await;
        assert_eq!((status, body.as_str()), (401, ""), "{wrong:?}");
    }
    let right = ("authorization", "Bearer let-me-in");
    assert_eq!(get_with(&url, &[right]).await.0, 200);
    let behind_a_proxy = [right, ("x-forwarded-for", "203.0.113.7")];
    assert_eq!(get_with(&url, &behind_a_proxy).await.0, 200);
}

#[actix_rt::test]
async fn without_an_admin_token_stats_are_told_to_this_machine_only() {
    let world = World::new();
    let server = world.start().await;
    let ask = |host: &str| Ask::get(&server.url("/stats")).header("host", host);
    for host in ["localhost", "LOCALHOST:3000", "127.0.0.1:80", "[::1]:3000"] {
        assert_eq!(ask(host).send().await.status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
        let reply = ask(host).send().await;
        assert_eq!((reply.status, reply.body.as_str()), (403, ""), "{host}");
    }
    for name in ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"] {
        let reply = ask("localhost").header(name, "203.0.113.7").send().await;
        assert_eq!((reply.status, reply.body.as_str()), (403, ""), "{name}");
    }
}

#[actix_rt::test]
async fn health_is_told_to_everybody() {
    let world = World::new().set("ADMIN_TOKEN", "let-me-in");
    let server = world.start().await;
    let (status, body) = get(&server.url("/health")).await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({"status": "ok"}));
    assert_eq!(get(&server.url("/health/live")).await.0, 200);
    assert_eq!(get(&server.url("/health/ready")).await.0, 200);
    assert_eq!(get(&server.url("/nowhere")).await.0, 404);
}

/// The `ip` that is logged for an unsigned webhook with this header.
async fn logged_ip(world: &World, forwarded: &str) -> String {
    let server = world.start().await;
    let ask = Ask::post(&server.url("/webhook")).header("x-forwarded-for", forwarded);
    assert_eq!(ask.body("{}").send().await.status, 401);
    let told = server.log.wait("webhook_signature_missing", |_| true).await;
    told["ip"].as_str().unwrap().to_owned()
}

#[actix_rt::test]
async fn a_forwarded_address_is_believed_only_from_a_trusted_proxy() {
    let world = World::new();
    assert_eq!(logged_ip(&world, "203.0.113.7").await, "127.0.0.1");
    let elsewhere = World::new().set("SERVER_TRUSTED_PROXIES", "10.0.0.0/8");
    assert_eq!(logged_ip(&elsewhere, "203.0.113.7").await, "127.0.0.1");
    let trusting = World::new().set("SERVER_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8");
    assert_eq!(logged_ip(&trusting, "203.0.113.7").await, "203.0.113.7");
    assert_eq!(logged_ip(&trusting, "6.6.6.6, 203.0.113.7, 10.1.2.3").await, "203.0.113.7");
    assert_eq!(logged_ip(&trusting, "nonsense").await, "127.0.0.1");
    assert_eq!(logged_ip(&trusting, "203.0.113.7, <script>").await, "127.0.0.1");
}

#[actix_rt::test]
async fn a_forged_webhook_is_logged_with_the_address_that_the_proxy_tells() {
    let world = World::new().set("SERVER_TRUSTED_PROXIES", "127.0.0.0/8");
    let server = world.start().await;
    let signature = format!("sha256={}", "0".repeat(64));
    let ask = Ask::post(&server.url("/webhook")).header("x-forwarded-for", "203.0.113.7");
    let reply = ask.header("x-hub-signature-256", &signature).body("{}").send().await;
    assert_eq!(reply.status, 401);
    let told = server.log.wait("webhook_signature_invalid", |_| true).await;
    assert_eq!(told["ip"], "203.0.113.7");
}
