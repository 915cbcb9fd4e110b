//! `/admin`: who is let in, and that nobody is named.

use parlante_sandbox::Inbound;
use serde_json::{Value, json};

use super::{complain, dies, tell};
use crate::support::ask::{Ask, Reply};
use crate::support::{Process, World, a_phone};

const TOKEN: &str = "an-admin-token-of-some-length";

fn gets() -> [&'static str; 3] {
    ["/admin/trace?message_id=wamid.1", "/admin/dead", "/admin/dead?refused=true"]
}

fn posts(world: &World) -> [(&'static str, Value); 4] {
    [
        ("/admin/replay", json!({"all": true})),
        ("/admin/replay", json!({"message_id": "wamid.1"})),
        ("/admin/forget", json!({"person": "393330000000"})),
        ("/admin/backup", json!({"file": world.dir.path().join("copy.db")})),
    ]
}

fn post(server: &Process, path: &str, body: &Value) -> Ask {
    Ask::post(&server.url(path)).header("content-type", "application/json").body(body.to_string())
}

/// The kind of refusal, and that it says something.
fn why(reply: &Reply) -> String {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_else(|_| panic!("{reply:?}"));
    assert!(body["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
    body["error"].as_str().unwrap().to_owned()
}

#[actix_rt::test]
async fn without_the_token_nothing_is_said_and_nothing_is_done() {
    let world = World::new().set("ADMIN_TOKEN", TOKEN);
    let server = world.start().await;
    let wrong = [None, Some("Bearer wrong"), Some(TOKEN)];
    for authorization in wrong {
        let offering = |ask: Ask| match authorization {
            Some(value) => ask.header("authorization", value),
            None => ask,
        };
        let mut replies = Vec::new();
        for path in gets() {
            replies.push(offering(Ask::get(&server.url(path))).send().await);
        }
        for (path, body) in posts(&world) {
            replies.push(offering(post(&server, path, &body)).send().await);
        }
        for reply in replies {
            assert_eq!((reply.status, why(&reply).as_str()), (401, "denied"), "{reply:?}");
        }
    }
    assert!(!world.dir.path().join("copy.db").exists());
    assert_eq!(tell(&world, &["dead", "list"]).await, "no message is dead\n");
    let world = world.set("ADMIN_TOKEN", "another-token-of-some-length");
    let complaint = complain(&world, &["dead", "list"], 2).await;
    assert!(complaint.contains("ADMIN_TOKEN") && !complaint.contains("another-token"), "{complaint}");
}

#[actix_rt::test]
async fn a_page_in_the_browser_cannot_make_the_server_act() {
    let world = World::new();
    let server = world.start().await;
    for (path, body) in posts(&world) {
        for kind in ["text/plain", "application/x-www-form-urlencoded"] {
            let ask = Ask::post(&server.url(path)).header("content-type", kind).body(body.to_string());
            let reply = ask.send().await;
            assert_eq!((reply.status, why(&reply).as_str()), (400, "malformed"), "{path} as {kind}");
        }
        let reply = post(&server, path, &body).header("host", "evil.example").send().await;
        assert_eq!((reply.status, why(&reply).as_str()), (403, "denied"), "{path}");
    }
    assert!(!world.dir.path().join("copy.db").exists());
}

#[actix_rt::test]
async fn a_request_that_makes_no_sense_is_told_so() {
    let world = World::new();
    let server = world.start().await;
    for (path, body) in [
        ("/admin/replay", json!({})),
        ("/admin/replay", json!({"message_id": "wamid.1", "all": true})),
        ("/admin/forget", json!({})),
        ("/admin/forget", json!({"person": "9".repeat(20_000)})),
        ("/admin/backup", json!({"file": "copy.db"})),
    ] {
        let reply = post(&server, path, &body).send().await;
        assert_eq!((reply.status, why(&reply).as_str()), (400, "malformed"), "{path}");
    }
    let reply = Ask::get(&server.url("/admin/trace")).send().await;
    assert_eq!((reply.status, why(&reply).as_str()), (400, "malformed"));
    let unknown = [
        Ask::get(&server.url("/admin/trace?message_id=wamid.1")).send().await,
        post(&server, "/admin/replay", &json!({"message_id": "wamid.1"})).send().await,
        post(&server, "/admin/forget", &json!({"person": "393330000000"})).send().await,
    ];
    for reply in unknown {
        assert_eq!((reply.status, why(&reply).as_str()), (404, "unknown"));
        assert!(!reply.body.contains("393330000000"), "{reply:?}");
    }
}

#[actix_rt::test]
async fn no_answer_holds_a_number_a_name_or_a_text() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let named = |words| Inbound::text(&phone, words).name("Ermenegilda");
    let done = world.sandbox.meta.deliver(named("a secret"));
    server.log.wait_for("task_completed", &done).await;
    let dead = dies(&world, &server, &phone, "another secret").await;
    let stale = world.sandbox.meta.deliver(named("an old secret").at(1_500_000_000));
    server.log.wait_for("stale_message_skipped", &stale).await;
    let mut said = String::new();
    for id in [&done, &dead, &stale] {
        let id = id.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let reply = Ask::get(&server.url(&format!("/admin/trace?message_id={id}"))).send().await;
        assert_eq!(reply.status, 200);
        said += &reply.body;
    }
    for path in &gets()[1..] {
        said += &Ask::get(&server.url(path)).send().await.body;
    }
    for (path, body) in
        [("/admin/replay", json!({"message_id": dead})), ("/admin/forget", json!({"person": phone}))]
    {
        let reply = post(&server, path, &body).send().await;
        assert_eq!(reply.status, 200, "{reply:?}");
        said += &reply.body;
    }
    assert!(said.contains(&dead) && said.contains(&super::masked(&phone)), "{said}");
    for hidden in [phone.as_str(), "secret", "Ermenegilda"] {
        assert!(!said.contains(hidden), "{hidden} in {said}");
    }
}
