//! Cleaning: what was kept for its time is taken out while the server runs.

use std::time::Duration;

use parlante_domain::Clock;
use parlante_sandbox::Inbound;

use super::trace;
use crate::support::{PATIENCE, TestClock, TestFaults, World, a_phone};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[actix_rt::test]
async fn an_answered_message_is_kept_for_its_days_and_no_longer() {
    let world = World::new()
        .set("LEDGER_DONE_DAYS", "3")
        .set("LEDGER_HISTORY_DAYS", "3")
        .cleaning_every(Duration::from_millis(20));
    let clock = TestClock::default();
    let server = world.start_in_process(&clock, &TestFaults::default()).await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let old = meta.deliver(Inbound::text(&phone, "old"));
    server.log.wait_for("task_completed", &old).await;
    clock.advance(2 * DAY);
    let later = clock.now().0.unsigned_abs() / 1000;
    let young = meta.deliver(Inbound::text(&phone, "young").at(later));
    server.log.wait_for("task_completed", &young).await;
    clock.advance(DAY + Duration::from_secs(1));
    let gone = async { while trace(&world, &old).await["record"] != "not_kept" {} };
    tokio::time::timeout(PATIENCE, gone).await.expect("it is cleaned out");
    assert_eq!(trace(&world, &young).await["record"], "kept");
    // Its id is remembered for longer.
    assert!(meta.redeliver(&old));
    server.log.wait_for("duplicate_message_skipped", &old).await;
}
