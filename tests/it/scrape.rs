//! A real Prometheus reads `/metrics`.

use std::process::Stdio;
use std::time::Duration;

use parlante_sandbox::Inbound;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::support::{PATIENCE, World, a_phone, get, get_with};

const TOKEN: &str = "op-token-for-prometheus";

/// Prometheus, scraping `target` once a second. Ended when dropped.
struct Prometheus {
    _child: Child,
    url: String,
}

impl Prometheus {
    fn start(world: &World, target: &str) -> Self {
        let dir = world.dir.path();
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: parlante\n  authorization: \
             {{credentials: {TOKEN}}}\n  static_configs: [{{targets: [\"{target}\"]}}]\n"
        );
        std::fs::write(dir.join("prometheus.yml"), config).expect("a file");
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
        let child = Command::new("prometheus")
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=prometheus")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus is installed (Debian's package `prometheus`)");
        Self { _child: child, url: format!("http://127.0.0.1:{port}") }
    }

    /// The first series that answers `query`, once there is one that fits.
    async fn until(&self, query: &str, fits: impl Fn(&str) -> bool) -> String {
        let url = format!("{}/api/v1/query?query={query}", self.url);
        let asked = async {
            loop {
                if let Some(value) = first(&url).await.filter(|value| fits(value)) {
                    return value;
                }
                // Prometheus tells nobody when it has scraped.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("nothing fits for {query}"))
    }
}

async fn first(url: &str) -> Option<String> {
    let mut answer = awc::Client::new().get(url).send().await.ok()?;
    let body: Value = serde_json::from_slice(&answer.body().await.ok()?).ok()?;
    body["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
}

#[actix_rt::test]
async fn prometheus_scrapes_every_family() {
    let world = World::new().set("ADMIN_TOKEN", TOKEN);
    let server = world.start().await;
    let id = world.sandbox.meta.deliver(Inbound::text(&a_phone(), "ciao"));
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(get(&server.url("/metrics")).await.0, 401);
    let (status, page) =
        get_with(&server.url("/metrics"), &[("authorization", &format!("Bearer {TOKEN}"))]).await;
    assert_eq!((status, page.lines().last()), (200, Some("# EOF")));
    assert!(!page.contains("39333"), "no person is in it");

    let target = server.url("").trim_start_matches("http://").to_owned();
    let prometheus = Prometheus::start(&world, &target);
    prometheus.until("up", |up| up == "1").await;
    prometheus.until("parlante_messages_accepted_total", |accepted| accepted == "1").await;
    let families: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(families.len() >= 25, "{families:?}");
    for family in families.iter().filter(|family| **family != "parlante_provider_healthy") {
        // By its beginning, since counters and histograms have endings of their own.
        let query = format!("count(%7B__name__%3D~%22{family}(_total%7C_count%7C_info)%3F%22%7D)");
        prometheus.until(&query, |count| count != "0").await;
    }
}
