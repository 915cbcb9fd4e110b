//! One person under several ids: phone, BSUID, or both.

use parlante_sandbox::{Call, Fault, Inbound, OpenAi, Route, bsuid_of};

use crate::support::{PATIENCE, World, a_phone, persona_text};

/// How a message names its sender.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Under {
    Phone,
    Bsuid,
    Both,
}
use Under::{Both, Bsuid, Phone};

fn text(phone: &str, words: &str, under: Under) -> Inbound {
    let message = Inbound::text(phone, words);
    match under {
        Phone => message.no_bsuid(),
        Bsuid => message.no_phone(),
        Both => message,
    }
}

/// The conversation that the model was sent with a call, without the persona's prompt.
fn conversation(call: &Call) -> Vec<String> {
    let messages = call.json["messages"].as_array().unwrap();
    assert_eq!(messages[0]["role"], "system");
    messages[1..].iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

fn was_asked(openai: &OpenAi, words: &str) -> bool {
    openai.chats().iter().any(|call| call.last_user.as_deref() == Some(words))
}

#[actix_rt::test]
async fn one_person_under_all_ids_is_one_conversation_in_order() {
    for order in [[Both, Phone, Bsuid], [Both, Bsuid, Phone], [Phone, Both, Bsuid], [Bsuid, Both, Phone]] {
        let world = World::new();
        let server = world.start().await;
        let (meta, openai, phone) = (&world.sandbox.meta, &world.sandbox.openai, a_phone());
        openai.script().always(Route::Chat, Fault::Gate("model".into()));
        let mut last = String::new();
        for (n, under) in order.into_iter().enumerate() {
            last = meta.deliver(text(&phone, &format!("message {n}"), under));
            meta.wait_acknowledged(&last).await.unwrap();
        }
        openai.script().wait_at_gate("model", 1, PATIENCE).await.unwrap();
        assert_eq!(openai.chats().len(), 1, "{order:?}: the others wait for the first");
        openai.script().open("model");
        server.log.wait_for("task_completed", &last).await;
        let answers = meta.answers_to(&phone);
        let expected = [&persona_text("disclosure"), "echo: message 0", "echo: message 1", "echo: message 2"];
        assert_eq!(answers, expected, "{order:?}");
        let expected = ["message 0", "echo: message 0", "message 1", "echo: message 1", "message 2"];
        assert_eq!(conversation(&openai.chats()[2]), expected, "{order:?}");
        assert_eq!(openai.look(|calls| calls.peak()), 1, "{order:?}");
    }
}

#[actix_rt::test]
async fn two_who_turn_out_to_be_one_go_on_as_one_conversation() {
    for [first, second] in [[Phone, Bsuid], [Bsuid, Phone]] {
        let world = World::new();
        let server = world.start().await;
        let (meta, openai, phone) = (&world.sandbox.meta, &world.sandbox.openai, a_phone());
        // Nobody can know yet that these two are one.
        for (words, under) in [("one", first), ("two", second)] {
            let id = meta.deliver(text(&phone, words, under));
            server.log.wait_for("task_completed", &id).await;
        }
        let third = meta.deliver(text(&phone, "three", Both));
        server.log.wait_for("task_completed", &third).await;
        let expected = ["one", "echo: one", "two", "echo: two", "three"];
        assert_eq!(conversation(&openai.chats()[2]), expected);
        // From now on they wait for each other.
        openai.script().next(Route::Chat, 1, Fault::Gate("model".into()));
        meta.deliver(text(&phone, "four", first));
        openai.script().wait_at_gate("model", 1, PATIENCE).await.unwrap();
        let five = meta.deliver(text(&phone, "five", second));
        meta.wait_acknowledged(&five).await.unwrap();
        let other = meta.deliver(Inbound::text(&a_phone(), "hello"));
        server.log.wait_for("task_completed", &other).await;
        assert!(!was_asked(openai, "five"));
        openai.script().open("model");
        server.log.wait_for("task_completed", &five).await;
        assert_eq!(conversation(&openai.chats()[5]).len(), 9);
        let answers = meta.answers_to(&phone);
        assert_eq!(answers[4..], ["echo: three", "echo: four", "echo: five"]);
        let disclosure = persona_text("disclosure");
        assert_eq!(answers.iter().filter(|answer| **answer == disclosure).count(), 2, "{answers:?}");
    }
}

#[actix_rt::test]
async fn who_is_found_to_be_one_while_both_are_at_the_model_is_asked_about_once_at_a_time_from_then_on() {
    let world = World::new();
    let server = world.start().await;
    let (meta, openai, phone) = (&world.sandbox.meta, &world.sandbox.openai, a_phone());
    openai.script().next(Route::Chat, 1, Fault::Gate("one".into()));
    meta.deliver(text(&phone, "one", Phone));
    openai.script().wait_at_gate("one", 1, PATIENCE).await.unwrap();
    openai.script().next(Route::Chat, 1, Fault::Gate("two".into()));
    let two = meta.deliver(text(&phone, "two", Bsuid));
    openai.script().wait_at_gate("two", 1, PATIENCE).await.unwrap();
    let three = meta.deliver(text(&phone, "three", Both));
    meta.wait_acknowledged(&three).await.unwrap();
    openai.script().open("one");
    meta.wait(|records| records.answers_to(&phone).contains(&"echo: one".to_owned()).then_some(()), PATIENCE)
        .await
        .unwrap();
    // Another is served meanwhile: whoever could go on has had the time to.
    let other = meta.deliver(Inbound::text(&a_phone(), "hello"));
    server.log.wait_for("task_completed", &other).await;
    assert!(!was_asked(openai, "three"), "it waits for the second, which is still at the model");
    openai.script().open("two");
    server.log.wait_for("task_completed", &two).await;
    server.log.wait_for("task_completed", &three).await;
    let answers = meta.answers_to(&phone);
    assert_eq!(answers[2..], ["echo: one", "echo: two", "echo: three"]);
    let last = openai.chats().pop().unwrap();
    assert_eq!(conversation(&last).last().map(String::as_str), Some("three"));
    assert_eq!(conversation(&last).len(), 5);
}

#[actix_rt::test]
async fn an_answer_goes_to_the_phone_where_it_is_known_and_else_to_the_bsuid() {
    let world = World::new();
    let server = world.start().await;
    let (meta, hidden, shown) = (&world.sandbox.meta, a_phone(), a_phone());
    for message in [text(&hidden, "hidden", Bsuid), text(&shown, "shown", Phone)] {
        let id = meta.deliver(message);
        server.log.wait_for("task_completed", &id).await;
    }
    let to_hidden = meta.wait_sends(&hidden, 2).await.unwrap();
    for send in &to_hidden {
        assert_eq!(send.json["recipient"], bsuid_of(&hidden));
        assert_eq!(send.json.get("to"), None);
    }
    let to_shown = meta.wait_sends(&shown, 2).await.unwrap();
    for send in &to_shown {
        assert_eq!(send.json["to"], format!("+{shown}"));
        assert_eq!(send.json.get("recipient"), None);
    }
    // The hidden one shows the number, and hides it again: it stays known.
    for (words, under) in [("here I am", Both), ("gone again", Bsuid)] {
        let id = meta.deliver(text(&hidden, words, under));
        server.log.wait_for("task_completed", &id).await;
        let send = meta.wait_sends(&hidden, 3).await.unwrap().pop().unwrap();
        assert_eq!(
            (send.json["to"].as_str(), send.json.get("recipient")),
            (Some(&*format!("+{hidden}")), None)
        );
    }
}

#[actix_rt::test]
async fn the_backlog_counts_a_person_under_all_ids() {
    let world = World::new().set("CONVERSATION_BACKLOG", "4");
    let server = world.start().await;
    let (meta, openai, phone) = (&world.sandbox.meta, &world.sandbox.openai, a_phone());
    openai.script().always(Route::Chat, Fault::Gate("model".into()));
    let mut last = String::new();
    for (n, under) in [Both, Phone, Bsuid, Phone, Bsuid].into_iter().enumerate() {
        last = meta.deliver(text(&phone, &format!("message {n}"), under));
        meta.wait_acknowledged(&last).await.unwrap();
    }
    server.log.wait_for("user_queue_overflow", &last).await;
    assert_eq!(server.log.events("user_queue_overflow").len(), 1);
    openai.script().open("model");
    server.log.wait_count("task_completed", 4, |_| true).await;
    assert_eq!(meta.answers_to(&phone).len(), 1 + 4 + 1);
}
