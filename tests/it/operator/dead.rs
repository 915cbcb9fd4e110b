//! `parlante dead`: what got no answer, and another try.

use parlante_sandbox::{Inbound, PATIENCE};

use super::{complain, dies, listed, masked, overflows, tell, trace};
use crate::support::{Process, TestClock, TestFaults, World, a_phone, persona_text};

/// What `phone` got, sent once each.
fn got_once(world: &World, phone: &str, words: &[&str]) {
    let echoes = words.iter().map(|words| format!("echo: {words}"));
    let expected: Vec<String> = std::iter::once(persona_text("disclosure")).chain(echoes).collect();
    assert_eq!(world.sandbox.meta.answers_to(phone), expected);
}

/// How often the model was asked these words.
fn asked(world: &World, words: &str) -> usize {
    let calls = world.sandbox.openai.chats();
    calls.iter().filter(|call| call.last_user.as_deref() == Some(words)).count()
}

async fn completed(server: &Process, id: &str) {
    server.log.wait_for("task_completed", id).await;
}

#[actix_rt::test]
async fn what_got_no_answer_is_listed_by_the_server_and_by_the_file() {
    let world = World::new();
    let server = world.start().await;
    assert_eq!(tell(&world, &["dead", "list"]).await, "no message is dead\n");
    assert_eq!(tell(&world, &["dead", "list", "--refused"]).await, "no message was refused\n");
    let phone = a_phone();
    let dead = [dies(&world, &server, &phone, "one").await, dies(&world, &server, &phone, "two").await];
    let many = overflows(&world, &server, &a_phone()).await;
    let check = async || {
        assert_eq!(listed(&world, &[]).await, dead);
        assert_eq!(listed(&world, &["--refused"]).await, many[10..]);
        let table = tell(&world, &["dead", "list"]).await;
        let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row[1..], [&masked(&phone), "text", "400/131026", "2", &dead[0]]);
        assert!(!table.contains(&phone), "{table}");
    };
    check().await;
    world.sandbox.openai.script().open("model");
    assert!(server.terminate().await.success());
    check().await;
}

#[actix_rt::test]
async fn a_long_list_is_read_to_its_end() {
    let world = World::new();
    let server = world.start().await;
    let messages = (0..206).map(|at| Inbound::text(&a_phone(), &format!("{at}")).at(1_500_000_000));
    let ids = world.sandbox.meta.deliver_batch(messages.collect());
    server.log.wait_count("stale_message_skipped", ids.len(), |_| true).await;
    assert_eq!(listed(&world, &["--refused"]).await, ids);
}

#[actix_rt::test]
async fn a_replay_sends_the_answer_that_was_paid_for_once() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let id = dies(&world, &server, &phone, "lost").await;
    assert_eq!(tell(&world, &["dead", "replay", &id]).await, "1 message is answered now\n");
    completed(&server, &id).await;
    got_once(&world, &phone, &["lost"]);
    assert_eq!(asked(&world, "lost"), 1, "the model's answer was there");
    let told = trace(&world, &id).await["message"].clone();
    assert_eq!((&told["state"], &told["replays"]), (&"done".into(), &1.into()));
    assert_eq!(listed(&world, &[]).await, [""; 0]);
    let complaint = complain(&world, &["dead", "replay", &id], 1).await;
    assert!(complaint.contains(&id) && complaint.contains("done"), "{complaint}");
}

#[actix_rt::test]
async fn a_replay_in_the_file_is_answered_by_the_next_server() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let id = dies(&world, &server, &phone, "lost").await;
    assert!(server.terminate().await.success());
    let said = tell(&world, &["dead", "replay", &id]).await;
    assert_eq!(said, "1 message is open; the next start of the server answers it\n");
    let server = world.start().await;
    completed(&server, &id).await;
    got_once(&world, &phone, &["lost"]);
    assert_eq!(asked(&world, "lost"), 1);
}

#[actix_rt::test]
async fn all_dead_messages_are_replayed_at_once() {
    let world = World::new();
    let server = world.start().await;
    assert_eq!(tell(&world, &["dead", "replay", "--all"]).await, "no message is dead\n");
    let phones = [a_phone(), a_phone(), a_phone()];
    let mut ids = Vec::new();
    for phone in &phones {
        ids.push(dies(&world, &server, phone, "lost").await);
    }
    assert_eq!(tell(&world, &["dead", "replay", "--all"]).await, "3 messages are answered now\n");
    for (phone, id) in phones.iter().zip(&ids) {
        completed(&server, id).await;
        got_once(&world, phone, &["lost"]);
    }
    assert_eq!(listed(&world, &[]).await, [""; 0]);
}

#[actix_rt::test]
async fn a_refused_message_is_answered_when_it_is_replayed() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let ids = overflows(&world, &server, &phone).await;
    world.sandbox.openai.script().open("model");
    for id in &ids[..10] {
        completed(&server, id).await;
    }
    tell(&world, &["dead", "replay", &ids[10]]).await;
    completed(&server, &ids[10]).await;
    let answers = world.sandbox.meta.answers_to(&phone);
    assert_eq!(answers.iter().filter(|answer| *answer == "echo: much 10").count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == persona_text("overflow")).count(), 1);
    assert_eq!(answers.len(), 13, "disclosure, notice and eleven answers: {answers:?}");
}

#[actix_rt::test]
async fn one_whose_first_message_was_too_old_is_told_who_speaks_when_it_is_replayed() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "long ago").at(1_500_000_000));
    server.log.wait_for("stale_message_skipped", &id).await;
    tell(&world, &["dead", "replay", &id]).await;
    let end = |line: &serde_json::Value| line["message_id"] == id.as_str();
    server.log.wait("task_completed", end).await;
    got_once(&world, &phone, &["long ago"]);
}

#[actix_rt::test]
async fn a_message_that_got_an_apology_gets_its_answer_when_it_is_replayed() {
    let (world, faults) = (World::new(), TestFaults::default());
    let server = world.start_in_process(&TestClock::default(), &faults).await;
    let phone = a_phone();
    faults.panic("conversation.ask", 3);
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    server.log.wait_for("message_dead_lettered", &id).await;
    let before = world.sandbox.meta.wait_answers(&phone, 2).await.unwrap();
    assert_eq!(before, [persona_text("disclosure"), persona_text("apology")]);
    let wakes = faults.passed("dedup.wake");
    tell(&world, &["dead", "replay", &id]).await;
    assert_eq!(faults.passed("dedup.wake"), wakes + 1, "nobody has to wait for the sweep");
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone).last().unwrap(), "echo: ciao");
    world.sandbox.meta.wait_settled().await.unwrap();
    assert_eq!(world.sandbox.meta.answers_to(&phone).len(), 3);
}

#[actix_rt::test]
async fn an_open_or_unknown_message_cannot_be_replayed() {
    let world = World::new();
    let server = world.start().await;
    let ids = overflows(&world, &server, &a_phone()).await;
    let complaint = complain(&world, &["dead", "replay", &ids[0]], 1).await;
    assert!(complaint.contains(&ids[0]) && complaint.contains("open"), "{complaint}");
    let complaint = complain(&world, &["dead", "replay", "wamid.nobody"], 1).await;
    assert!(complaint.contains("wamid.nobody"), "{complaint}");
    for wrong in [&["dead", "replay"][..], &["dead", "replay", "--all", "wamid.1"], &["dead"]] {
        assert_eq!(world.run(wrong).await.0, 2, "{wrong:?}");
    }
    assert_eq!(world.sandbox.openai.script().wait_at_gate("model", 1, PATIENCE).await, Ok(()));
}
