//! A provider stops: nobody listens there any more, or it answers 503.

use std::net::SocketAddr;

use parlante_sandbox::{Fault, Route};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{OnCall, world};
use crate::support::{Process, a_phone, persona_text};

/// The way to a stand-in. Cut, its port refuses connections, and those under way are gone.
struct Way {
    here: SocketAddr,
    there: SocketAddr,
    /// Takes connections and has all of them in hand.
    open: JoinHandle<()>,
}

impl Way {
    async fn to(there: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        Self { here, there, open: tokio::spawn(carry(listener, there)) }
    }

    async fn cut(&mut self) {
        self.open.abort();
        assert!((&mut self.open).await.unwrap_err().is_cancelled());
    }

    async fn mend(&mut self) {
        let listener = TcpListener::bind(self.here).await.unwrap();
        self.open = tokio::spawn(carry(listener, self.there));
    }
}

async fn carry(listener: TcpListener, there: SocketAddr) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((mut from, _)) = listener.accept().await {
        connections.spawn(async move {
            let mut to = TcpStream::connect(there).await?;
            tokio::io::copy_bidirectional(&mut from, &mut to).await
        });
    }
}

/// How an open circuit is told: level and failures in a row.
async fn is_open(server: &Process, service: &str, failures: u64) {
    let told = server.log.wait("circuit_opened", |line| line["service"] == service).await;
    assert_eq!((&told["level"], &told["failures"]), (&"WARN".into(), &failures.into()), "{told}");
}

#[actix_rt::test]
async fn nobody_listens_at_openai() {
    let world = world().set("OPENAI_CIRCUIT_FAILURES", "2").set("OPENAI_CIRCUIT_OPEN_MS", "1000");
    let stand_in = world.sandbox.openai.base_url().to_owned();
    let address = stand_in.trim_start_matches("http://").trim_end_matches("/v1");
    let mut way = Way::to(address.parse().unwrap()).await;
    let world = world.set("OPENAI_BASE_URL", &format!("http://{}/v1", way.here));
    let server = world.start().await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    way.cut().await;
    let phone = a_phone();
    let ids = on_call.writes_all(&phone, &["uno", "due"]);
    for id in &ids {
        let told = server.log.wait_for("task_failed", id).await;
        assert_eq!((&told["level"], &told["error_code"]), (&"ERROR".into(), &"network".into()), "{told}");
    }
    is_open(&server, "openai", 2).await;
    let apology = persona_text("apology");
    on_call.got(&phone, &[&apology, &apology]);
    on_call.health_says(200, "degraded", &[("openai", "degraded", "circuit open")]).await;
    let alerts = ["ParlanteOpenAICircuitOpen openai", "ParlanteProviderUnhealthy openai"];
    on_call.is_called(&alerts, &["circuit_opened", "circuit_closed", "http_failed"]).await;

    // The next to write is the probe.
    way.mend().await;
    server.log.wait_for("task_completed", &on_call.writes(&phone, "tre")).await;
    server.log.wait("circuit_closed", |line| line["service"] == "openai").await;
    on_call.got(&phone, &[&apology, &apology, "echo: tre"]);
    on_call.sees_the_end(&["openai"]).await;
}

#[actix_rt::test]
async fn whatsapp_answers_503() {
    let world = world().set("WHATSAPP_CIRCUIT_FAILURES", "1").set("WHATSAPP_CIRCUIT_OPEN_MS", "1000");
    let server = world.start().await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    let meta = &world.sandbox.meta;
    let broken = meta.script().always(Route::Send, Fault::status(503));
    let phones = [a_phone(), a_phone()];
    let mut ids = on_call.writes_all(&phones[0], &["uno", "due"]);
    ids.push(on_call.writes(&phones[1], "tre"));
    is_open(&server, "whatsapp", 1).await;
    on_call.health_says(503, "down", &[("whatsapp", "down", "circuit open")]).await;
    let alerts = ["ParlanteWhatsAppCircuitOpen whatsapp"];
    on_call.is_called(&alerts, &["circuit_opened", "circuit_closed", "http_failed"]).await;
    assert_eq!(phones.each_ref().map(|phone| meta.answers_to(phone)), [[""; 0], []]);

    // There is nothing to do but wait for Meta.
    meta.script().remove(broken);
    server.log.wait("circuit_closed", |line| line["service"] == "whatsapp").await;
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
    }
    on_call.got(&phones[0], &["echo: uno", "echo: due"]);
    on_call.got(&phones[1], &["echo: tre"]);
    on_call.sees_the_end(&["whatsapp"]).await;
}
