//! Wrong webhooks, wrong requests, wrong operators.

use std::io::{Read, Write};
use std::net::TcpStream;

use parlante_sandbox::{Inbound, sign};
use serde_json::{Value, json};

use super::marks::*;
use super::people;
use super::told::{Server, Told, quoted};
use crate::support::ask::Ask;
use crate::support::{PATIENCE, World, webhook_of};

/// Every route that tells something, with every token there could be.
pub(super) async fn look(server: &Server, told: &mut Told) {
    for path in [
        "/stats",
        "/metrics",
        "/health",
        "/health/ready",
        "/health/live",
        "/admin/dead",
        "/admin/dead?refused=true",
    ] {
        for token in [None, Some(ADMIN), Some(OFFERED)] {
            let ask = Ask::get(&server.url(path));
            let ask = match token {
                Some(token) => ask.header("authorization", &format!("Bearer {token}")),
                None => ask,
            };
            told.ask(&format!("GET {path} with {token:?}"), ask).await;
        }
    }
}

pub(super) async fn knock(world: &World, server: &Server, told: &mut Told) {
    wrong_webhooks(world, server, told).await;
    handshakes(world, server, told).await;
    wrong_requests(server, told).await;
    look(server, told).await;
    people::fall_ill(world);
    // Each is asked once a second; what the last one said stands in `/health` until the next.
    server_is_ill(server).await;
    look(server, told).await;
}

async fn server_is_ill(server: &Server) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    let ill = tokio::time::timeout(PATIENCE, async {
        loop {
            ticks.tick().await;
            let ask = Ask::get(&server.url("/health")).header("authorization", &format!("Bearer {ADMIN}"));
            let health: Value = serde_json::from_str(&ask.send().await.body).unwrap();
            let is_ill = |check: &str| health["checks"][check]["status"] == "degraded";
            if ["whatsapp", "openai", "elevenlabs"].into_iter().all(is_ill) {
                return;
            }
        }
    });
    ill.await.expect("every health call has failed");
}

async fn wrong_webhooks(world: &World, server: &Server, told: &mut Told) {
    let url = server.url("/webhook");
    let text = json!({"from": PHONES[0], "id": "wamid.forged", "timestamp": "1", "type": "text", "text": {"body": TEXT}});
    let whole = webhook_of(world, &[text]);
    let half =
        format!("{{\"object\":\"whatsapp_business_account\",\"entry\":[{{\"changes\":{}", quoted(BROKEN));
    let lone =
        format!(r#"{{"object":"whatsapp_business_account","entry":["\ud83d {BROKEN}"],"{BROKEN}":1}}"#);
    let surrogate = whole.replace(TEXT, &format!(r"\ud83d {BROKEN} \udc00"));
    let huge = format!("{{\"{BROKEN}\":\"{}\"}}", BROKEN.repeat(200_000));
    let list = format!("[{}]", quoted(BROKEN));
    let other = json!({"object": BROKEN, "entry": BROKEN}).to_string();
    let bytes = [BROKEN.as_bytes(), &[0xff, 0xfe, 0]].concat();
    let bodies: Vec<Vec<u8>> =
        [whole.clone(), half, lone, surrogate, huge, list, other].map(String::into_bytes).into();
    for body in bodies.into_iter().chain([bytes, Vec::new()]) {
        let right = sign(SECRETS[0], &body);
        for signature in [right, format!("sha256={FORGED}"), format!("sha1={FORGED}"), OFFERED.to_owned()] {
            let ask = Ask::post(&url)
                .header("x-hub-signature-256", &signature)
                .header("x-hub-signature", &format!("sha1={FORGED}"))
                .header("x-forwarded-for", OFFERED)
                .header("authorization", &format!("Bearer {OFFERED}"))
                .header("content-type", OFFERED);
            told.ask(&format!("POST /webhook signed {signature:.20}"), ask.body(body.clone())).await;
        }
        told.ask("POST /webhook unsigned", Ask::post(&url).header("user-agent", OFFERED).body(body)).await;
    }
    // The last of them is refused, and its person told so.
    let burst = (0..12).map(|_| Inbound::text(PHONES[3], TEXT).name(NAME)).collect();
    let ids = world.sandbox.meta.deliver_batch(burst);
    server.logged("user_queue_overflow", 1).await;
    for id in &ids[..10] {
        server.ends(id, 1).await;
    }
    world.sandbox.meta.redeliver(&ids[0]);
    server.logged("duplicate_message_skipped", 1).await;
}

async fn handshakes(world: &World, server: &Server, told: &mut Told) {
    for (token, mode) in [(OFFERED, "subscribe"), (VERIFY, QUERY), (VERIFY, "subscribe")] {
        let path = format!(
            "/webhook?hub.mode={mode}&hub.verify_token={token}&hub.challenge=1158201444&{QUERY}={QUERY}"
        );
        told.ask("a handshake", Ask::get(&server.url(&path))).await;
    }
    world.sandbox.meta.verify_webhook().await.unwrap();
    for path in [
        format!("/webhook?hub.verify_token={OFFERED}&hub.verify_token={VERIFY}"),
        format!("/webhook?%ff={QUERY}"),
        format!("/{QUERY}?token={OFFERED}"),
        format!("/webhook/{QUERY}/..%2f{QUERY}"),
        format!("/stats?token={ADMIN}&{QUERY}"),
        format!("/health?access_token={ADMIN}"),
    ] {
        told.ask("GET of a wrong path", Ask::get(&server.url(&path))).await;
        told.ask("POST to a wrong path", Ask::post(&server.url(&path)).body(BROKEN)).await;
    }
    // No HTTP at all, and a head that is none.
    for bytes in [
        format!("{QUERY} / HTTP/9\r\n\r\n"),
        format!("GET /{QUERY} HTTP/1.1\r\n{OFFERED}\r\nhost\u{1}: x\r\n\r\n"),
    ] {
        let mut socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(bytes.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A reset is an answer too.
        let _ = socket.read_to_end(&mut answer);
        told.add("the answer to no HTTP", String::from_utf8_lossy(&answer).into_owned());
    }
}

/// What an operator, or somebody who has their token, asks wrongly.
async fn wrong_requests(server: &Server, told: &mut Told) {
    let number: u64 = PHONES[0].parse().unwrap();
    let bodies = [
        json!({"person": number}),
        json!({"person": [NAME]}),
        json!({"person": OTHERS[1]}),
        json!({"message_id": {TEXT: TEXT}}),
        json!({"all": TEXT}),
        json!({"message_id": number, "all": TEXT}),
        json!({"file": number}),
        json!({"file": ["a", TEXT]}),
        json!(TEXT),
        json!([number]),
    ];
    let texts = [format!("{{\"person\": {TEXT}"), format!("person={}", PHONES[0]), TEXT.repeat(2000)];
    for path in ["/admin/forget", "/admin/replay", "/admin/backup"] {
        for body in bodies.iter().map(Value::to_string).chain(texts.clone()) {
            for token in [ADMIN, OFFERED] {
                for kind in ["application/json", "text/plain"] {
                    let ask = Ask::post(&server.url(path))
                        .header("authorization", &format!("Bearer {token}"))
                        .header("content-type", kind)
                        .body(body.clone());
                    told.ask(&format!("POST {path} of {body:.60}"), ask).await;
                }
            }
        }
    }
    for path in [
        format!("/admin/trace?id={}", PHONES[0]),
        format!("/admin/dead?refused={QUERY}"),
        format!("/admin/dead?after={QUERY}"),
        format!("/admin/dead?after={}{}", PHONES[0], PHONES[0]),
        format!("/admin/{QUERY}"),
    ] {
        let ask = Ask::get(&server.url(&path)).header("authorization", &format!("Bearer {ADMIN}"));
        told.ask(&format!("GET {path:.30}"), ask).await;
    }
}
