//! The disk fails under the ledger, as strace makes it: it is full for a while, or a sync fails. What was not made
//! durable is not acknowledged, and all of it is answered in the end, once and in order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use parlante_sandbox::{Inbound, Records, sign};

use crate::support::ask::Ask;
use crate::support::oracle::{Message, Verdict, oracle};
use crate::support::strace::Strace;
use crate::support::{BINARY, Process, World, a_phone, get, text_of, webhook_of};

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
    let body = webhook_of(&world, &[text_of(&phone, id, "ciao")]);
    let signature = sign(&world.sandbox.meta.options().app_secret, body.as_bytes());
    let post = || {
        Ask::post(&server.url("/webhook")).header("x-hub-signature-256", &signature).body(body.clone()).send()
    };
    let refused = post().await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
    assert_eq!(server.log.count("message_accepted", id), 0);
    let (status, health) = get(&server.url("/health")).await;
    assert!(status == 503 && health.starts_with(r#"{"status":"down""#), "{status} {health}");
    assert_eq!(get(&server.url("/health/ready")).await.0, 503);
    let messages = write(&world);
    world.sandbox.meta.wait_settled().await.expect("Meta delivers again until there is room");
    assert_eq!(post().await.status, 200);
    assert_eq!(get(&server.url("/health")).await.0, 200);
    assert_eq!(get(&server.url("/health/ready")).await.0, 200);
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
