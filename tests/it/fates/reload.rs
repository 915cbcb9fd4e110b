//! What an operator mends without a restart: SIGHUP reads the persona and the secrets in files anew, all or nothing.

use std::path::PathBuf;

use parlante_sandbox::{Fault, Inbound, Route, SignatureMode};
use rustix::process::Signal;
use serde_json::Value;

use super::{greeted, is_paused, sends, writes};
use crate::support::innocent::{persons_got_no_errors, persons_got_only};
use crate::support::{PATIENCE, Process, World, a_phone, get_with, persona_text, text_of, webhook_of};

const JOE: &str = include_str!("../../../personas/joe.toml");

/// A file of this world.
fn file(world: &World, name: &str) -> PathBuf {
    world.dir.path().join(name)
}

/// The secret of variable `name` stands in a file of that name.
fn in_file(world: World, name: &str, secret: &str) -> World {
    std::fs::write(file(&world, name), format!("{secret}\n")).unwrap();
    world.unset(name).set(&format!("{name}_FILE"), name)
}

/// SIGHUP; waits for what it brought, the `count`th of its kind.
async fn hang_up(server: &Process, event: &str, count: usize) -> Value {
    server.signal(Signal::HUP);
    server.log.wait_count(event, count, |_| true).await;
    server.log.events(event)[count - 1].clone()
}

/// Nothing but SIGHUP finds out that a provider works again.
fn unprobed() -> World {
    World::new().set("HEALTH_PROBE_S", "3600")
}

#[actix_rt::test]
async fn a_new_token_in_its_file_resumes_whatsapp_without_a_restart() {
    let world = in_file(unprobed(), "WHATSAPP_ACCESS_TOKEN", "expired");
    let server = world.start().await;
    let (phones, meta) = ([a_phone(), a_phone()], &world.sandbox.meta);
    let first = writes(&world, &phones[0], "ciao");
    is_paused(&server.url(""), "whatsapp").await;
    let ids = [first, writes(&world, &phones[1], "ciao")];
    server.log.wait_for("message_accepted", &ids[1]).await;
    // The token is still the old one.
    let told = hang_up(&server, "reload_completed", 1).await;
    assert_eq!(told["level"], "INFO");
    assert_eq!(meta.answers_to(&phones[0]), [""; 0]);
    std::fs::write(file(&world, "WHATSAPP_ACCESS_TOKEN"), &meta.options().access_token).unwrap();
    hang_up(&server, "reload_completed", 2).await;
    for (phone, id) in phones.iter().zip(&ids) {
        server.log.wait_for("task_completed", id).await;
        assert_eq!(meta.answers_to(phone), greeted(&["echo: ciao"]));
    }
    server.log.wait("channel_resumed", |_| true).await;
    assert_eq!(sends(&world).len(), 1 + 4, "nothing was tried in vain");
    assert_eq!(super::channel(&server.url(""), "whatsapp").await, ("closed".to_owned(), false));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_new_key_in_its_file_resumes_the_model_without_a_restart() {
    let world = in_file(unprobed(), "OPENAI_API_KEY", "expired");
    let server = world.start().await;
    let phone = a_phone();
    let id = writes(&world, &phone, "ciao");
    is_paused(&server.url(""), "openai").await;
    std::fs::write(file(&world, "OPENAI_API_KEY"), &world.sandbox.openai.options().api_key).unwrap();
    hang_up(&server, "reload_completed", 1).await;
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), greeted(&["echo: ciao"]));
    assert_eq!(world.sandbox.openai.chats().len(), 2, "one that found out, and one that was answered");
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_quota_that_is_back_is_tried_at_once_when_the_operator_says_so() {
    let world = unprobed();
    let rule = world.sandbox.openai.script().always(Route::Chat, Fault::code("insufficient_quota"));
    let server = world.start().await;
    let (phones, openai) = ([a_phone(), a_phone()], &world.sandbox.openai);
    let first = writes(&world, &phones[0], "ciao");
    is_paused(&server.url(""), "openai").await;
    let second = writes(&world, &phones[1], "ciao");
    world.sandbox.meta.wait_answers(&phones[1], 1).await.unwrap();
    hang_up(&server, "reload_completed", 1).await;
    // That probe fails; the next does not.
    super::until(&server.url(""), |stats| stats["providers"]["openai"]["failures"] == 2).await;
    openai.script().remove(rule);
    hang_up(&server, "reload_completed", 2).await;
    for (phone, id) in phones.iter().zip([&first, &second]) {
        server.log.wait_for("task_completed", id).await;
        assert_eq!(world.sandbox.meta.answers_to(phone), greeted(&["echo: ciao"]));
    }
    assert_eq!(openai.chats().len(), 4);
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_new_persona_speaks_from_the_next_message_on_and_a_wrong_one_changes_nothing() {
    let world = in_file(World::new().set("PERSONA_FILE", "persona.toml"), "ADMIN_TOKEN", "old");
    std::fs::write(file(&world, "persona.toml"), JOE).unwrap();
    let server = world.start().await;
    let cannot_open = async || {
        let phone = a_phone();
        let id = world.sandbox.meta.deliver(Inbound::unsupported(&phone));
        server.log.wait_for("task_completed", &id).await;
        world.sandbox.meta.answers_to(&phone)
    };
    let joe = greeted(&[&persona_text("not_understood")]);
    assert_eq!(cannot_open().await, joe);
    // A text is missing; the token beside it is new and must not be taken either.
    std::fs::write(file(&world, "persona.toml"), JOE.replace("not_understood", "understood")).unwrap();
    std::fs::write(file(&world, "ADMIN_TOKEN"), "new").unwrap();
    let told = hang_up(&server, "reload_failed", 1).await;
    assert_eq!((&told["level"], &told["error_code"]), (&"ERROR".into(), &"persona".into()), "{told}");
    assert_eq!(cannot_open().await, joe);
    assert_eq!((status(&server, "old").await, status(&server, "new").await), (200, 401), "all or nothing");
    let changed = JOE.replace(&persona_text("not_understood"), "Eh?").replace("You are Joe", "You are Tony");
    std::fs::write(file(&world, "persona.toml"), changed).unwrap();
    hang_up(&server, "reload_completed", 1).await;
    assert_eq!(cannot_open().await, greeted(&["Eh?"]));
    assert_eq!((status(&server, "old").await, status(&server, "new").await), (401, 200));
    let id = writes(&world, &a_phone(), "ciao");
    server.log.wait_for("task_completed", &id).await;
    let prompt = world.sandbox.openai.chats()[0].json["messages"][0]["content"].clone();
    assert!(prompt.as_str().unwrap().trim().starts_with("You are Tony"), "{prompt}");
    persons_got_only(&world, &[], &["Eh?"]);
}

async fn status(server: &Process, token: &str) -> u16 {
    get_with(&server.url("/stats"), &[("authorization", &format!("Bearer {token}"))]).await.0
}

#[actix_rt::test]
async fn a_secret_that_cannot_be_read_any_more_leaves_everything_as_it_was() {
    let world = in_file(World::new(), "WHATSAPP_ACCESS_TOKEN", "");
    let token = world.sandbox.meta.options().access_token.clone();
    std::fs::write(file(&world, "WHATSAPP_ACCESS_TOKEN"), &token).unwrap();
    let server = world.start().await;
    std::fs::remove_file(file(&world, "WHATSAPP_ACCESS_TOKEN")).unwrap();
    let told = hang_up(&server, "reload_failed", 1).await;
    assert_eq!((&told["level"], &told["error_code"]), (&"ERROR".into(), &"settings".into()), "{told}");
    assert!(!told.to_string().contains(&token), "{told}");
    let phone = a_phone();
    let id = writes(&world, &phone, "ciao");
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), greeted(&["echo: ciao"]));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn the_app_secret_is_rotated_without_a_restart() {
    let world = World::new();
    let old = world.sandbox.meta.options().app_secret.clone();
    let world = in_file(world, "WHATSAPP_APP_SECRET", &old);
    let server = world.start().await;
    let count = std::cell::Cell::new(0);
    let posted = async |secret: &str| {
        count.set(count.get() + 1);
        let body = webhook_of(&world, &[text_of(&a_phone(), &format!("wamid.{}", count.get()), "ciao")]);
        let meta = &world.sandbox.meta;
        let number = meta.deliver_raw(body.into_bytes(), &SignatureMode::Secret(secret.to_owned()));
        meta.wait_posted(number).await.unwrap().answer.unwrap()
    };
    assert_eq!((posted(&old).await, posted("new").await), (200, 401));
    for (secrets, round, expected) in
        [(format!("new,{old}"), 1, (200, 200)), ("new".to_owned(), 2, (401, 200))]
    {
        std::fs::write(file(&world, "WHATSAPP_APP_SECRET"), secrets).unwrap();
        hang_up(&server, "reload_completed", round).await;
        assert_eq!((posted(&old).await, posted("new").await), expected);
    }
    // An empty one would let everybody in.
    std::fs::write(file(&world, "WHATSAPP_APP_SECRET"), "").unwrap();
    server.signal(Signal::HUP);
    server.log.wait("reload_failed", |_| true).await;
    assert_eq!((posted(&old).await, posted("new").await), (401, 200));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_key_that_comes_while_the_old_one_is_being_tried_is_tried_at_once() {
    let world = in_file(unprobed(), "OPENAI_API_KEY", "expired");
    let openai = &world.sandbox.openai;
    let server = world.start().await;
    let id = writes(&world, &a_phone(), "ciao");
    is_paused(&server.url(""), "openai").await;
    openai.script().next(Route::Models, 1, Fault::Gate("models".to_owned()));
    hang_up(&server, "reload_completed", 1).await;
    openai.script().wait_at_gate("models", 1, PATIENCE).await.unwrap();
    std::fs::write(file(&world, "OPENAI_API_KEY"), &openai.options().api_key).unwrap();
    hang_up(&server, "reload_completed", 2).await;
    openai.script().open("models");
    server.log.wait_for("task_completed", &id).await;
    persons_got_no_errors(&world);
}
