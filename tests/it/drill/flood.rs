//! One person writes more than may wait.

use std::time::Duration;

use parlante_sandbox::{Fault, Route};

use super::{OnCall, masked, world};
use crate::support::{TestClock, TestFaults, a_phone, persona_text};

/// `/health` tells of it for so long.
const TOLD_FOR: Duration = Duration::from_secs(5 * 60);
const REASON: &str = "messages were refused: somebody wrote more than may wait (event user_queue_overflow)";

#[actix_rt::test]
async fn one_person_writes_more_than_may_wait() {
    let (world, clock) = (world(), TestClock::default());
    let server = world.start_in_process(&clock, &TestFaults::default()).await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    let openai = world.sandbox.openai.script();
    openai.next(Route::Chat, 1, Fault::Gate("model".to_owned()));
    let (phone, other) = (a_phone(), a_phone());
    let words: Vec<String> = (1..=12).map(|at| format!("numero {at}")).collect();
    let ids = on_call.writes_all(&phone, &words.iter().map(String::as_str).collect::<Vec<_>>());
    for id in &ids[10..] {
        let told = server.log.wait_for("user_queue_overflow", id).await;
        assert_eq!((&told["level"], &told["backlog"]), (&"WARN".into(), &10.into()), "{told}");
        assert_eq!(told["user_id"], masked(&phone));
    }
    on_call.health_says(200, "degraded", &[("queue", "degraded", REASON)]).await;
    on_call.is_called(&["ParlanteMessagesRefused"], &["user_queue_overflow"]).await;
    // Nobody else waits for it.
    server.log.wait_for("task_completed", &on_call.writes(&other, "ciao")).await;
    on_call.got(&other, &["echo: ciao"]);

    openai.open("model");
    server.log.wait_for("task_completed", &ids[9]).await;
    let listed = on_call.types(&["dead", "list", "--refused"]).await;
    for id in &ids[10..] {
        assert!(listed.contains(id.as_str()), "{listed}");
        assert_eq!(on_call.types(&["dead", "replay", id]).await, "1 message is answered now\n");
        server.log.wait_for("task_completed", id).await;
    }
    assert_eq!(on_call.types(&["dead", "list", "--refused"]).await, "no message was refused\n");
    let (notice, echoes) = (persona_text("overflow"), words.iter().map(|words| format!("echo: {words}")));
    let expected: Vec<String> = std::iter::once(notice).chain(echoes).collect();
    on_call.got(&phone, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    clock.advance(TOLD_FOR);
    on_call.sees_the_end(&["queue"]).await;
}
