//! The first thing that has to work.

use parlante_sandbox::Inbound;

use crate::support::{TestClock, TestFaults, World, a_phone, persona_text};

#[actix_rt::test]
async fn a_message_is_answered_after_the_disclosure() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    let answers = world.sandbox.meta.wait_answers(&phone, 2).await.unwrap();
    assert_eq!(answers, [persona_text("disclosure"), "echo: ciao".to_owned()]);
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(server.log.count("message_accepted", &id), 1);
    assert!(server.terminate().await.success());
}

#[actix_rt::test]
async fn the_server_runs_within_the_test_too() {
    let world = World::new();
    let server = world.start_in_process(&TestClock::default(), &TestFaults::default()).await;
    let phone = a_phone();
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    world.sandbox.meta.wait_answers(&phone, 2).await.unwrap();
    server.log.wait_for("task_completed", &id).await;
}
