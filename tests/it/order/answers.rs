//! The disclosure, the history, parts and marks.

use parlante_sandbox::{Call, Fault, Inbound, Route};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Process, World, a_phone, persona_text};

/// Somebody writes and is answered.
async fn say(world: &World, server: &Process, phone: &str, words: &str) {
    let id = world.sandbox.meta.deliver(Inbound::text(phone, words));
    server.log.wait_for("task_completed", &id).await;
}

fn messages(call: &Call) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let messages = call.json["messages"].as_array().unwrap();
    messages.iter().map(|message| (text(&message["role"]), text(&message["content"]))).collect()
}

#[actix_rt::test]
async fn that_an_ai_speaks_is_said_once_to_each_person_and_before_the_first_answer() {
    let world = World::new();
    let (meta, one, two) = (&world.sandbox.meta, a_phone(), a_phone());
    let disclosure = persona_text("disclosure");
    let server = world.start().await;
    say(&world, &server, &one, "first").await;
    say(&world, &server, &one, "second").await;
    assert!(server.terminate().await.success());
    let server = world.start().await;
    say(&world, &server, &one, "third").await;
    say(&world, &server, &two, "hello").await;
    assert_eq!(meta.answers_to(&one), [&disclosure, "echo: first", "echo: second", "echo: third"]);
    assert_eq!(meta.answers_to(&two), [&disclosure, "echo: hello"]);
}

#[actix_rt::test]
async fn the_answer_waits_until_the_disclosure_is_accepted() {
    let world = World::new();
    let server = world.start().await;
    let (meta, phone, other) = (&world.sandbox.meta, a_phone(), a_phone());
    meta.script().aim(&phone, Route::Send, 1, Fault::Gate("send".into()));
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    meta.script().wait_at_gate("send", 1, PATIENCE).await.unwrap();
    say(&world, &server, &other, "hello").await;
    assert_eq!(meta.wait_sends(&phone, 1).await.unwrap().len(), 1);
    assert_eq!(meta.answers_to(&other).len(), 2);
    meta.script().open("send");
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(meta.answers_to(&phone), [&persona_text("disclosure"), "echo: ciao"]);
}

#[actix_rt::test]
async fn the_model_is_sent_the_persona_and_the_conversation_so_far() {
    let world = World::new();
    let (openai, phone) = (&world.sandbox.openai, a_phone());
    let server = world.start().await;
    say(&world, &server, &phone, "I am Ada").await;
    say(&world, &server, &a_phone(), "somebody else").await;
    assert!(server.terminate().await.success());
    let server = world.start().await;
    say(&world, &server, &phone, "who am I?").await;
    let chats = openai.chats();
    let joe: toml::Table = include_str!("../../../personas/joe.toml").parse().unwrap();
    let prompt = joe["prompt"].as_str().unwrap();
    let told = messages(&chats[2]);
    assert_eq!(told[0].0, "system");
    assert_eq!(told[0].1.trim(), prompt.trim());
    let expected = [("user", "I am Ada"), ("assistant", "echo: I am Ada"), ("user", "who am I?")];
    assert_eq!(told[1..], expected.map(|(role, words)| (role.to_owned(), words.to_owned())));
    assert_eq!(messages(&chats[1]).len(), 2, "nobody hears of another person's conversation");
    assert_eq!(chats[2].json["stream"], json!(true));
    assert_eq!(chats[2].json["model"], "gpt-5.4-mini");
}

#[actix_rt::test]
async fn the_persona_remembers_a_name_because_it_was_told_the_conversation() {
    let options = parlante_sandbox::Options {
        openai: parlante_sandbox::OpenAiOptions::default(),
        ..parlante_sandbox::Options::for_tests()
    };
    let world = World::with(options);
    let server = world.start().await;
    let phone = a_phone();
    say(&world, &server, &phone, "Hi, my name is Ada").await;
    say(&world, &server, &phone, "What is my name?").await;
    let answer = world.sandbox.meta.answers_to(&phone).pop().unwrap();
    assert!(answer.contains("Ada"), "{answer}");
}

#[actix_rt::test]
async fn the_history_keeps_to_its_budget_and_drops_the_oldest() {
    // Three characters a token and four for the frame: a line of 300 characters is 104.
    let world = World::new().set("OPENAI_HISTORY_TOKENS", "520");
    let server = world.start().await;
    let (openai, phone) = (&world.sandbox.openai, a_phone());
    openai.answer_with(|turns| format!("{:b>300}", turns.last().unwrap().text.len()));
    for n in 0..6 {
        say(&world, &server, &phone, &format!("{n:a>300}")).await;
    }
    let sizes: Vec<_> = openai.chats().iter().map(|call| messages(call).len()).collect();
    // The persona and the new message always; of the rest what fits, beginning with the person's.
    assert_eq!(sizes, [2, 4, 6, 6, 6, 6]);
    let told = messages(&openai.chats()[5]);
    assert!(told[1].0 == "user" && told[1].1.ends_with('3') && told[3].1.ends_with('4'), "{told:?}");
}

#[actix_rt::test]
async fn without_a_history_budget_the_model_hears_only_the_message() {
    let world = World::new().set("OPENAI_HISTORY_TOKENS", "0");
    let server = world.start().await;
    let phone = a_phone();
    say(&world, &server, &phone, "one").await;
    say(&world, &server, &phone, "two").await;
    let told = messages(&world.sandbox.openai.chats()[1]);
    assert_eq!(told[1..], [("user".to_owned(), "two".to_owned())]);
}

#[actix_rt::test]
async fn a_long_answer_comes_in_parts_each_after_the_one_before_was_accepted() {
    let world = World::new().set("OPENAI_MAX_ANSWER_TOKENS", "4000");
    let server = world.start().await;
    let (meta, phone, other) = (&world.sandbox.meta, a_phone(), a_phone());
    say(&world, &server, &phone, "ciao").await;
    let paragraphs: Vec<_> =
        ["alpha", "beta", "gamma"].iter().map(|word| format!("{word} ").repeat(450)).collect();
    let paragraphs: Vec<_> = paragraphs.iter().map(|text| text.trim().to_owned()).collect();
    let answer = paragraphs.join("\n\n");
    world.sandbox.openai.answer_with(move |_| answer.clone());
    for word in ["alpha", "beta"] {
        meta.script().aim(word, Route::Send, 1, Fault::Gate(word.into()));
    }
    let id = meta.deliver(Inbound::text(&phone, "tell me all"));
    for (sent, word) in [(3, "alpha"), (4, "beta")] {
        meta.script().wait_at_gate(word, 1, PATIENCE).await.unwrap();
        // A sticker is answered by the persona's own text: the gates hold the model's words only.
        let note = meta.deliver(Inbound::sticker(&other, "1"));
        server.log.wait_for("task_completed", &note).await;
        assert_eq!(meta.wait_sends(&phone, sent).await.unwrap().len(), sent, "the next part waits");
        meta.script().open(word);
    }
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(meta.answers_to(&phone)[2..], paragraphs);
    let sends = meta.wait_sends(&phone, 5).await.unwrap();
    let mut tags: Vec<_> = sends.iter().map(|send| send.tag.clone().unwrap()).collect();
    assert!(tags.iter().all(|tag| !tag.contains(&phone)), "{tags:?}");
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 5, "every part has a tag of its own");
    // The history holds the answer as one.
    say(&world, &server, &phone, "and?").await;
    let told = messages(&world.sandbox.openai.chats()[2]);
    assert_eq!(told[4].1, paragraphs.join("\n\n"));
}

#[actix_rt::test]
async fn a_part_has_at_most_4096_characters_whatever_the_model_writes() {
    let world = World::new().set("OPENAI_MAX_ANSWER_TOKENS", "4000");
    let server = world.start().await;
    let phone = a_phone();
    let answer = "è".repeat(9000);
    let whole = answer.clone();
    world.sandbox.openai.answer_with(move |_| answer.clone());
    say(&world, &server, &phone, "ciao").await;
    let parts = &world.sandbox.meta.answers_to(&phone)[1..];
    let sizes: Vec<_> = parts.iter().map(|part| part.chars().count()).collect();
    assert_eq!(sizes, [4096, 4096, 808]);
    assert_eq!(parts.concat(), whole);
}

#[actix_rt::test]
async fn markdown_becomes_the_marks_that_whatsapp_shows() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let (written, shown) = (
        "## Carbonara\nNo **cream**, ~~ever~~.\n\n* eggs\n* `pecorino **D.O.P.**`\n\nSee [the recipe](https://example.org/c).",
        "*Carbonara*\nNo *cream*, ~ever~.\n\n- eggs\n- `pecorino **D.O.P.**`\n\nSee the recipe (https://example.org/c).",
    );
    world.sandbox.openai.answer_with(move |_| written.to_owned());
    say(&world, &server, &phone, "carbonara?").await;
    assert_eq!(world.sandbox.meta.answers_to(&phone)[1..], [shown]);
    say(&world, &server, &phone, "and?").await;
    let told = messages(&world.sandbox.openai.chats()[1]);
    assert_eq!(told[2].1, written, "the model sees its own words");
}
