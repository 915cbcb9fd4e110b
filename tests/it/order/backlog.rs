//! Two quick messages, eleven, and what others notice of it.

use parlante_sandbox::{Fault, Inbound, MetaOptions, OpenAi, Options, Order, Route, Rule, When};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Process, World, a_phone, get, persona_text};

/// Whatever is asked about this word stands at the gate "model".
fn hold_the_model(openai: &OpenAi, word: &str) {
    let fault = Fault::Gate("model".into());
    openai.script().add(Rule {
        route: Route::Chat,
        containing: Some(word.to_owned()),
        when: When::Always,
        fault,
    });
}

async fn queues(server: &Process) -> Value {
    let stats: Value = serde_json::from_str(&get(&server.url("/stats")).await.1).unwrap();
    stats["queueStats"]["queues"].clone()
}

/// The ids of one event, in the order in which it was logged.
fn ids(server: &Process, event: &str) -> Vec<String> {
    server.log.events(event).iter().map(|line| line["message_id"].as_str().unwrap().to_owned()).collect()
}

/// Eleven messages are under way: one was refused and told of, the first of the others is at the model. Tells which
/// was refused.
async fn eleven_have_come(world: &World, server: &Process, phone: &str) -> String {
    world.sandbox.openai.script().wait_at_gate("model", 1, PATIENCE).await.unwrap();
    server.log.wait("user_queue_overflow", |line| line["user_id"] == masked(phone)).await;
    world.sandbox.meta.wait_settled().await.unwrap();
    server.log.wait_count("message_accepted", 10, |_| true).await;
    let told = server.log.events("user_queue_overflow");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["level"], &told[0]["backlog"]), (&json!("WARN"), &json!(10)));
    let queue = json!([{"user_id": masked(phone), "tasks_pending": 9, "processing": true}]);
    assert_eq!(queues(server).await, queue);
    told[0]["message_id"].as_str().unwrap().to_owned()
}

/// The gate opens: ten answers, each once and one after the other, and one notice that stands at `notice` among what
/// the person got. Tells the ten in the order in which they were answered.
async fn ten_are_answered(world: &World, server: &Process, phone: &str, notice: &[usize]) -> Vec<String> {
    let (meta, openai) = (&world.sandbox.meta, &world.sandbox.openai);
    openai.script().open("model");
    server.log.wait_count("task_completed", 10, |_| true).await;
    let answered = ids(server, "task_completed");
    let words: Vec<_> = answered.iter().map(|id| words_of(world, id)).collect();
    let mut answers = meta.answers_to(phone);
    let at = answers.iter().position(|answer| *answer == persona_text("overflow")).unwrap();
    assert!(notice.contains(&at), "{answers:?}");
    answers.remove(at);
    let mut expected: Vec<_> = words.iter().map(|words| format!("echo: {words}")).collect();
    expected.insert(0, persona_text("disclosure"));
    assert_eq!(answers, expected);
    let asked: Vec<_> = openai.chats().into_iter().filter_map(|call| call.last_user).collect();
    assert_eq!(asked, words, "each was asked once");
    assert_eq!(openai.look(|calls| calls.peak()), 1, "one after the other");
    answered
}

/// Whatever was acknowledged before another was even posted comes before it.
fn assert_in_order(world: &World, ids: &[String]) {
    let time = |id: &String| {
        let attempt = world.sandbox.meta.look(|records| {
            let delivery = records.deliveries_of(id).next().unwrap();
            delivery.attempts.iter().find(|attempt| attempt.answer == Ok(200)).unwrap().clone()
        });
        (attempt.at_ms, attempt.at_ms + attempt.took_ms)
    };
    let times: Vec<_> = ids.iter().map(time).collect();
    for (n, (posted, _)) in times.iter().enumerate() {
        assert!(times[n..].iter().all(|(_, acknowledged)| acknowledged >= posted), "{times:?}");
    }
}

/// The refused message is known: delivered again, it is nothing; and the person is served again.
async fn the_refused_one_stays_refused(world: &World, server: &Process, phone: &str, refused: &str) {
    let meta = &world.sandbox.meta;
    let before = meta.answers_to(phone).len();
    assert!(meta.redeliver(refused));
    server.log.wait_for("duplicate_message_skipped", refused).await;
    let next = meta.deliver(Inbound::text(phone, "and now?"));
    server.log.wait_for("task_completed", &next).await;
    assert_eq!(meta.answers_to(phone)[before..], ["echo: and now?"]);
    assert_eq!(server.log.count("task_completed", refused), 0);
    assert_eq!(queues(server).await, json!([]));
    let stats: Value = serde_json::from_str(&get(&server.url("/stats")).await.1).unwrap();
    assert_eq!((&stats["refused"], &stats["deadLetters"]), (&json!(1), &json!(0)));
}

fn masked(phone: &str) -> String {
    format!("{}******{}", &phone[..3], &phone[phone.len() - 3..])
}

/// What a message said.
fn words_of(world: &World, id: &str) -> String {
    let body = world.sandbox.meta.look(|records| records.deliveries_of(id).next().unwrap().body.clone());
    let webhook: Value = serde_json::from_slice(&body).unwrap();
    let messages = webhook["entry"][0]["changes"][0]["value"]["messages"].as_array().unwrap();
    let message = messages.iter().find(|message| message["id"] == id).unwrap();
    message["text"]["body"].as_str().unwrap().to_owned()
}

#[actix_rt::test]
async fn two_quick_messages_are_answered_in_order() {
    let world = World::new();
    let server = world.start().await;
    let (meta, openai, phone) = (&world.sandbox.meta, &world.sandbox.openai, a_phone());
    // The first takes its time, the second would be quick.
    openai.script().aim("slow one", Route::Chat, 1, Fault::Gate("model".into()));
    meta.deliver(Inbound::text(&phone, "slow one"));
    openai.script().wait_at_gate("model", 1, PATIENCE).await.unwrap();
    let second = meta.deliver(Inbound::text(&phone, "quick one"));
    meta.wait_acknowledged(&second).await.unwrap();
    assert_eq!(openai.chats().len(), 1, "the second waits");
    openai.script().open("model");
    server.log.wait_for("task_completed", &second).await;
    assert_eq!(meta.answers_to(&phone)[1..], ["echo: slow one", "echo: quick one"]);
    assert_eq!(openai.look(|calls| calls.peak()), 1);
}

#[actix_rt::test]
async fn of_eleven_webhooks_at_once_ten_are_answered_in_order_and_the_person_is_told_once() {
    let world = World::new();
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    hold_the_model(&world.sandbox.openai, "burst");
    meta.hold();
    for n in 0..11 {
        meta.deliver(Inbound::text(&phone, &format!("burst {n}")));
    }
    meta.release(Order::Queued);
    let refused = eleven_have_come(&world, &server, &phone).await;
    // The notice waits for whatever has begun by then: the disclosure, perhaps the first answer.
    let answered = ten_are_answered(&world, &server, &phone, &[1, 2]).await;
    assert_in_order(&world, &answered);
    the_refused_one_stays_refused(&world, &server, &phone, &refused).await;
}

#[actix_rt::test]
async fn of_eleven_webhooks_one_after_the_other_the_last_is_refused_and_the_notice_comes_between_two_turns() {
    let meta = MetaOptions { in_flight: 1, ..Options::for_tests().meta };
    let world = World::with(Options { meta, ..Options::for_tests() });
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    hold_the_model(&world.sandbox.openai, "burst");
    let mut sent = vec![meta.deliver(Inbound::text(&phone, "burst 0"))];
    world.sandbox.openai.script().wait_at_gate("model", 1, PATIENCE).await.unwrap();
    sent.extend((1..11).map(|n| meta.deliver(Inbound::text(&phone, &format!("burst {n}")))));
    let refused = eleven_have_come(&world, &server, &phone).await;
    assert_eq!(refused, sent[10]);
    let answered = ten_are_answered(&world, &server, &phone, &[2]).await;
    assert_eq!(answered, sent[..10]);
    the_refused_one_stays_refused(&world, &server, &phone, &refused).await;
}

#[actix_rt::test]
async fn of_eleven_in_one_batch_the_last_is_refused_and_the_batch_is_taken() {
    let world = World::new();
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    hold_the_model(&world.sandbox.openai, "burst");
    let batch = (0..11).map(|n| Inbound::text(&phone, &format!("burst {n}"))).collect();
    let sent = meta.deliver_batch(batch);
    let refused = eleven_have_come(&world, &server, &phone).await;
    assert_eq!(refused, sent[10]);
    assert_eq!(meta.wait_acknowledged(&refused).await.unwrap().attempts.len(), 1);
    // No turn had begun: it is said before the first.
    let answered = ten_are_answered(&world, &server, &phone, &[1]).await;
    assert_eq!(answered, sent[..10]);
    // The whole batch again: eleven duplicates.
    the_refused_one_stays_refused(&world, &server, &phone, &refused).await;
    assert_eq!(server.log.events("duplicate_message_skipped").len(), 11);
}

#[actix_rt::test]
async fn a_burst_is_told_of_once_and_the_next_burst_again() {
    let world = World::new();
    let server = world.start().await;
    let (meta, openai, phone) = (&world.sandbox.meta, &world.sandbox.openai, a_phone());
    let mut last = String::new();
    for round in 1..=2 {
        openai.script().shut("model");
        hold_the_model(openai, "burst");
        let batch = (0..13).map(|n| Inbound::text(&phone, &format!("burst {round} {n}"))).collect();
        last = meta.deliver_batch(batch)[9].clone();
        server.log.wait_count("user_queue_overflow", 3 * round, |_| true).await;
        openai.script().clear();
        server.log.wait_for("task_completed", &last).await;
    }
    let notice = persona_text("overflow");
    let answers = meta.answers_to(&phone);
    let told: Vec<_> = (0..answers.len()).filter(|at| answers[*at] == notice).collect();
    assert_eq!(told.len(), 2, "three were refused twice, and each time it was said once: {answers:?}");
    assert_eq!(answers.len(), 1 + 2 * 11);
    assert!((1..12).contains(&told[0]) && (12..23).contains(&told[1]), "{told:?}");
    assert_eq!(server.log.count("task_completed", &last), 1);
}

#[actix_rt::test]
async fn a_setting_says_how_many_may_wait() {
    let world = World::new().set("CONVERSATION_BACKLOG", "2");
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    hold_the_model(&world.sandbox.openai, "burst");
    let ids = meta.deliver_batch((0..3).map(|n| Inbound::text(&phone, &format!("burst {n}"))).collect());
    server.log.wait_for("user_queue_overflow", &ids[2]).await;
    world.sandbox.openai.script().open("model");
    server.log.wait_for("task_completed", &ids[1]).await;
    let expected = [&persona_text("disclosure"), &persona_text("overflow"), "echo: burst 0", "echo: burst 1"];
    assert_eq!(meta.answers_to(&phone), expected);
}

#[actix_rt::test]
async fn while_one_person_waits_others_are_answered() {
    let world = World::new();
    let server = world.start().await;
    let (meta, stuck, free) = (&world.sandbox.meta, a_phone(), a_phone());
    hold_the_model(&world.sandbox.openai, "burst");
    meta.deliver_batch((0..11).map(|n| Inbound::text(&stuck, &format!("burst {n}"))).collect());
    world.sandbox.openai.script().wait_at_gate("model", 1, PATIENCE).await.unwrap();
    for n in 0..3 {
        let id = meta.deliver(Inbound::text(&free, &format!("calm {n}")));
        server.log.wait_for("task_completed", &id).await;
    }
    assert_eq!(meta.answers_to(&free)[1..], ["echo: calm 0", "echo: calm 1", "echo: calm 2"]);
    assert_eq!(meta.answers_to(&stuck), [persona_text("disclosure"), persona_text("overflow")]);
}

#[actix_rt::test]
async fn people_are_answered_in_parallel_and_each_one_message_at_a_time() {
    let world = World::new();
    let server = world.start().await;
    let (meta, openai) = (&world.sandbox.meta, &world.sandbox.openai);
    let people: Vec<_> = (0..12).map(|_| a_phone()).collect();
    openai.script().always(Route::Chat, Fault::Gate("model".into()));
    let mut last = Vec::new();
    for phone in &people {
        meta.deliver(Inbound::text(phone, &format!("first of {phone}")));
    }
    openai.script().wait_at_gate("model", 12, PATIENCE).await.unwrap();
    for phone in &people {
        last.push(meta.deliver(Inbound::text(phone, &format!("second of {phone}"))));
    }
    meta.wait_settled().await.unwrap();
    assert_eq!(openai.look(|calls| (calls.running(), calls.peak())), (12, 12));
    openai.script().open("model");
    for (phone, id) in people.iter().zip(&last) {
        server.log.wait_for("task_completed", id).await;
        let expected = [format!("echo: first of {phone}"), format!("echo: second of {phone}")];
        assert_eq!(meta.answers_to(phone)[1..], expected);
    }
    assert_eq!(openai.look(|calls| calls.peak()), 12, "nobody was ever asked about twice at a time");
}
