//! A real Prometheus reads `/metrics`.

use parlante_sandbox::Inbound;

use crate::support::prometheus::Prometheus;
use crate::support::{World, a_phone, get, get_with};

const TOKEN: &str = "op-token-for-prometheus";

#[actix_rt::test]
async fn prometheus_scrapes_every_family() {
    let world = World::new().set("ADMIN_TOKEN", TOKEN).set("HEALTH_PROBE_S", "1");
    let server = world.start().await;
    let id = world.sandbox.meta.deliver(Inbound::text(&a_phone(), "ciao"));
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(get(&server.url("/metrics")).await.0, 401);
    let (status, page) =
        get_with(&server.url("/metrics"), &[("authorization", &format!("Bearer {TOKEN}"))]).await;
    assert_eq!((status, page.lines().last()), (200, Some("# EOF")));
    assert!(!page.contains("39333"), "no person is in it");

    let target = server.url("").trim_start_matches("http://").to_owned();
    let prometheus = Prometheus::start(world.dir.path(), &target, TOKEN, None).await;
    prometheus.until("up", |up| up == "1").await;
    prometheus.until("parlante_messages_accepted_total", |accepted| accepted == "1").await;
    let families: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(families.len() >= 25, "{families:?}");
    for family in families.iter() {
        // By its beginning, since counters and histograms have endings of their own.
        let query = format!("count({{__name__=~\"{family}(_total|_count|_info)?\"}})");
        prometheus.until(&query, |count| count != "0").await;
    }
}
