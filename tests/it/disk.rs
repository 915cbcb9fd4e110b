//! The disk fails under the ledger, as strace makes it: it is full for a while, it hangs, or a sync fails. What was not
//! made durable is not acknowledged, `/health` says so, and all of it is answered in the end, once and in order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use parlante::real::SystemClock;
use parlante_domain::Clock;
use parlante_sandbox::{Inbound, Records, sign};
use serde_json::Value;

use crate::health::after;
use crate::support::ask::{Ask, Reply};
use crate::support::disk::Disk;
use crate::support::oracle::{Message, Verdict, oracle};
use crate::support::strace::Strace;
use crate::support::{BINARY, PATIENCE, Process, World, a_phone, get, text_of, webhook_of};

/// How many writes in a row fail on a full disk.
const FULL_FOR: usize = 6;
/// The thread that opens the ledger makes so many of these calls on the WAL. Calls are counted by thread: a greater
/// number is the writer's.
const WRITES_OF_OPENING: usize = 3;
const SYNCS_OF_OPENING: usize = 2;

/// A ledger that was in use and was closed, and its WAL.
async fn world_with_ledger() -> (World, PathBuf) {
    let world = World::new();
    let server = world.start().await;
    assert!(server.terminate().await.success());
    let wal = world.dir.path().canonicalize().expect("a path").join("parlante.db-wal");
    (world, wal)
}

/// The binary, on a disk that is full from the writer's `first` write on, for a while.
fn full(strace: &Strace, wal: &Path, first: usize) -> Vec<OsString> {
    assert!(first > WRITES_OF_OPENING);
    strace.failing("pwrite64", wal, "ENOSPC", &format!("{first}..{}", first + FULL_FOR - 1))
}

/// Two people write three times each, all at once.
fn write(world: &World) -> Vec<Message> {
    let meta = &world.sandbox.meta;
    let mut messages = Vec::new();
    for person in [a_phone(), a_phone()] {
        for words in ["one", "two", "three"] {
            let id = meta.deliver(Inbound::text(&person, words));
            messages.push(Message { person: person.clone(), echo: format!("echo: {words}"), id });
        }
    }
    messages
}

/// Posts a webhook with one text, once.
async fn post(world: &World, server: &Process, phone: &str, id: &str) -> Reply {
    let body = webhook_of(world, &[text_of(phone, id, "ciao")]);
    let signature = sign(&world.sandbox.meta.options().app_secret, body.as_bytes());
    Ask::post(&server.url("/webhook")).header("x-hub-signature-256", &signature).body(body).send().await
}

/// The check `ledger` of `/health`.
async fn ledger(server: &Process) -> Value {
    let (_, health) = get(&server.url("/health")).await;
    serde_json::from_str::<Value>(&health).expect("JSON")["checks"]["ledger"].take()
}

/// How `/health`, `/health/ready` and the gauge say that the ledger is.
async fn told(server: &Process) -> (u16, u16, bool) {
    let (_, page) = get(&server.url("/metrics")).await;
    let is_durable = page.lines().any(|line| line == "parlante_ledger_durable 1");
    assert!(is_durable || page.lines().any(|line| line == "parlante_ledger_durable 0"), "{page}");
    (get(&server.url("/health")).await.0, get(&server.url("/health/ready")).await.0, is_durable)
}

const WELL: (u16, u16, bool) = (200, 200, true);
const ILL: (u16, u16, bool) = (503, 503, false);

/// Nobody is told when it turns, so it is asked again and again.
async fn until_well(server: &Process) {
    let asked = async { while told(server).await != WELL {} };
    assert!(tokio::time::timeout(PATIENCE, asked).await.is_ok(), "it is still not well");
}

/// How often a webhook of Meta's was answered with this status.
fn answers(records: &Records, status: u16) -> usize {
    let attempts = records.deliveries().flat_map(|delivery| &delivery.attempts);
    attempts.filter(|attempt| attempt.answer == Ok(status)).count()
}

async fn end_well(world: &World, server: &Process, messages: &[Message]) {
    world.drained(server).await;
    assert!(server.terminate().await.success());
    assert_eq!(world.sandbox.meta.look(|records| oracle(records, messages)), Verdict::default());
}

#[actix_rt::test]
async fn on_a_full_disk_a_webhook_is_answered_503_and_the_server_goes_on() {
    let strace = Strace::find();
    let (world, wal) = world_with_ledger().await;
    let world = world.program(full(&strace, &wal, WRITES_OF_OPENING + 1));
    let server = world.start().await;
    let (phone, id) = (a_phone(), "wamid.full");
    let refused = post(&world, &server, &phone, id).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
    assert_eq!(server.log.count("message_accepted", id), 0);
    let (_, health) = get(&server.url("/health")).await;
    assert!(health.starts_with(r#"{"status":"down""#), "{health}");
    assert_eq!(told(&server).await, ILL);
    let messages = write(&world);
    world.sandbox.meta.wait_settled().await.expect("Meta delivers again until there is room");
    assert_eq!(post(&world, &server, &phone, id).await.status, 200);
    assert_eq!(told(&server).await, WELL);
    world.sandbox.meta.wait_answers(&phone, 2).await.expect("there was room");
    assert!(world.sandbox.meta.look(|records| answers(records, 503)) > 0);
    end_well(&world, &server, &messages).await;
}

#[actix_rt::test]
async fn a_disk_that_is_full_in_the_middle_of_the_work_leaves_nothing_half_written() {
    let strace = Strace::find();
    for first in [5, 10, 30, 60, 90, 120, 150, 200] {
        let (world, wal) = world_with_ledger().await;
        let world = world.program(full(&strace, &wal, first));
        let server = world.start().await;
        let messages = write(&world);
        end_well(&world, &server, &messages).await;
        assert!(!server.log.events("ledger_unavailable").is_empty(), "the disk was never full: {first}");
    }
}

#[actix_rt::test]
async fn a_full_disk_is_told_until_there_is_room_and_no_longer() {
    let (world, disk) = Disk::under(World::new());
    let server = world.start().await;
    let (phone, id) = (a_phone(), "wamid.full");
    disk.fill();
    assert_eq!(post(&world, &server, &phone, id).await.status, 503);
    assert_eq!(told(&server).await, ILL);
    // It has nothing to do, and so "commits" well.
    let world = world.program(vec![BINARY.into()]);
    let (code, said, complaint) = world.run(&["dead", "replay", "--all"]).await;
    assert_eq!(code, 0, "{said}{complaint}");
    assert_eq!(told(&server).await, ILL);
    assert_eq!(ledger(&server).await["reason"], "the last commit failed");
    disk.make_room();
    // Meta has nothing to deliver: nobody but the server itself can find out.
    until_well(&server).await;
    assert_eq!(post(&world, &server, &phone, id).await.status, 200);
    world.sandbox.meta.wait_answers(&phone, 2).await.expect("there is room");
    end_well(&world, &server, &[]).await;
}

#[actix_rt::test]
async fn a_disk_that_hangs_is_told_before_a_webhook_gives_up() {
    let (world, wal) = world_with_ledger().await;
    let server = world.start().await;
    let (phone, id) = (a_phone(), "wamid.hangs");
    let from = SystemClock.now().0;
    let hold = Strace::find().hold(server.pid(), "fsync,fdatasync", &wal);
    assert_eq!(post(&world, &server, &phone, id).await.status, 503);
    // Nobody has asked until now.
    let until = SystemClock.now().0;
    let hangs = ledger(&server).await;
    assert!((5000..until - from).contains(&after(&hangs, from)), "{hangs}, from {from} to {until}");
    assert_eq!(hangs["status"], "down");
    assert!(
        hangs["reason"].as_str().is_some_and(|why| why.starts_with("nothing has been committed for ")),
        "{hangs}"
    );
    assert_eq!(told(&server).await, ILL);
    assert_eq!(server.log.wait("ledger_unavailable", |_| true).await["error_code"], "timeout");
    assert_eq!(server.log.count("message_accepted", id), 0);

    let messages = write(&world);
    drop(hold);
    until_well(&server).await;
    assert_eq!(post(&world, &server, &phone, id).await.status, 200);
    world.sandbox.meta.wait_answers(&phone, 2).await.expect("the disk goes on");
    end_well(&world, &server, &messages).await;
}

#[actix_rt::test]
async fn a_sync_that_fails_ends_the_server_with_3_and_the_next_start_goes_on() {
    let strace = Strace::find();
    for k in SYNCS_OF_OPENING + 1..SYNCS_OF_OPENING + 9 {
        let (world, wal) = world_with_ledger().await;
        let world = world.program(strace.failing("fsync,fdatasync", &wal, "EIO", &k.to_string()));
        let server = world.start().await;
        let messages = write(&world);
        assert_eq!(server.ended().await.code(), Some(3), "at the sync {k}");
        assert!(!server.log.events("ledger_unavailable").is_empty());
        let world = world.program(vec![BINARY.into()]);
        let server = world.start().await;
        end_well(&world, &server, &messages).await;
    }
}
