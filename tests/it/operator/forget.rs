//! `parlante forget`: nothing of a person stays, and who writes again is new.

use parlante_sandbox::{Fault, Inbound, PATIENCE, Route};
use serde_json::Value;

use super::{complain, tell, trace};
use crate::support::{Process, World, a_phone, get, persona_text};

/// What must not be found anywhere once its person is forgotten.
const NAME: &str = "Ermenegilda Quattrocchi";
const WORDS: &str = "the zanzibar cupboard";

fn letter(phone: &str) -> Inbound {
    // Meta's ids hold the number too, if not in clear.
    Inbound::text(phone, WORDS).name(NAME).id(&format!("wamid.of-{phone}/+="))
}

/// Every byte of the ledger's files.
fn bytes(world: &World) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(world.dir.path()).unwrap().map(|file| file.unwrap().path());
    let ledger = files.filter(|file| file.file_name().unwrap().to_string_lossy().starts_with("parlante.db"));
    ledger.map(|file| (file.display().to_string(), std::fs::read(&file).unwrap())).collect()
}

/// The files that hold these bytes.
fn holding(world: &World, words: &str) -> Vec<String> {
    let holds = |bytes: &[u8]| bytes.windows(words.len()).any(|window| window == words.as_bytes());
    bytes(world).into_iter().filter(|(_, bytes)| holds(bytes)).map(|(file, _)| file).collect()
}

fn nothing_is_left(world: &World, phone: &str) {
    for words in [phone, NAME, WORDS] {
        assert_eq!(holding(world, words), [""; 0], "{words}");
    }
}

/// A person who has been answered.
async fn answered(world: &World, server: &Process, phone: &str) -> String {
    let id = world.sandbox.meta.deliver(letter(phone));
    server.log.wait_for("task_completed", &id).await;
    world.sandbox.meta.wait_settled().await.unwrap();
    for words in [phone, NAME, WORDS] {
        assert_ne!(holding(world, words), [""; 0], "{words} has to be there first");
    }
    id
}

/// The person writes again: the disclosure comes again, and the old message is no news.
async fn is_new(world: &World, server: &Process, phone: &str, old: &str) {
    let meta = &world.sandbox.meta;
    let id = meta.deliver(Inbound::text(phone, "it is me"));
    server.log.wait_for("task_completed", &id).await;
    let twice = [persona_text("disclosure"), format!("echo: {WORDS}"), persona_text("disclosure")];
    assert_eq!(meta.answers_to(phone), [&twice[..], &["echo: it is me".to_owned()]].concat());
    let calls = world.sandbox.openai.chats();
    let call = calls.iter().find(|call| call.last_user.as_deref() == Some("it is me")).unwrap();
    assert!(!call.json.to_string().contains(WORDS), "the model was told of the past");
    assert!(meta.redeliver(old));
    server.log.wait_for("duplicate_message_skipped", old).await;
    assert_eq!(meta.answers_to(phone).len(), 4);
    assert_eq!(trace(world, old).await["record"], "not_kept");
}

#[actix_rt::test]
async fn a_person_is_forgotten_while_the_server_runs() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let id = answered(&world, &server, &phone).await;
    // As people write numbers.
    let written = format!("+{} {}-{}", &phone[..2], &phone[2..5], &phone[5..]);
    let said = tell(&world, &["forget", &written]).await;
    assert_eq!(said, "forgotten: 1 message, with number, names, texts and history\n");
    nothing_is_left(&world, &phone);
    let stats: Value = serde_json::from_str(&get(&server.url("/stats")).await.1).unwrap();
    assert_eq!(stats["activeConversations"], 0);
    is_new(&world, &server, &phone, &id).await;
}

#[actix_rt::test]
async fn a_person_is_forgotten_in_the_file() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let id = answered(&world, &server, &phone).await;
    assert!(server.terminate().await.success());
    tell(&world, &["forget", &phone]).await;
    nothing_is_left(&world, &phone);
    let server = world.start().await;
    is_new(&world, &server, &phone, &id).await;
}

#[actix_rt::test]
async fn a_person_who_is_just_being_answered_is_forgotten_and_nobody_else_waits() {
    let world = World::new();
    let server = world.start().await;
    let (meta, script) = (&world.sandbox.meta, world.sandbox.openai.script());
    let (phone, other) = (a_phone(), a_phone());
    script.aim(WORDS, Route::Chat, 1, Fault::Gate("model".to_owned()));
    let id = meta.deliver(letter(&phone));
    script.wait_at_gate("model", 1, PATIENCE).await.unwrap();
    tell(&world, &["forget", &phone]).await;
    script.open("model");
    let next = meta.deliver(Inbound::text(&other, "and I?"));
    server.log.wait_for("task_completed", &next).await;
    assert!(server.terminate().await.success());
    nothing_is_left(&world, &phone);
    assert_eq!(meta.answers_to(&phone), [persona_text("disclosure")], "the answer came too late");
    assert_eq!(server.log.count("task_completed", &id) + server.log.count("task_failed", &id), 0);
}

#[actix_rt::test]
async fn one_who_gives_no_number_is_forgotten_by_their_other_id() {
    let world = World::new();
    let server = world.start().await;
    let bsuid = format!("IT.{}", a_phone());
    let id = world.sandbox.meta.deliver(Inbound::text("393330000000", WORDS).bsuid(&bsuid).no_phone());
    server.log.wait_for("task_completed", &id).await;
    tell(&world, &["forget", &bsuid]).await;
    assert_eq!(holding(&world, &bsuid), [""; 0]);
}

#[actix_rt::test]
async fn nobody_is_forgotten_by_mistake() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    answered(&world, &server, &phone).await;
    let complaint = complain(&world, &["forget", "390000000000"], 1).await;
    assert!(complaint.contains("390000000000"), "{complaint}");
    assert_ne!(holding(&world, WORDS), [""; 0]);
}
