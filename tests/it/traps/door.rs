//! Our own door, when those who knock are slow: they do not keep the others out.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use parlante_sandbox::{Inbound, sign};

use crate::support::ask::Ask;
use crate::support::innocent::persons_got_no_errors;
use crate::support::{Process, World, a_phone, persona_text, text_of, webhook_of};

/// Bodies that may be on their way from one address.
const PER_ADDRESS_MAX: usize = 64;
const KIB: usize = 1024;

/// A delivery, signed by us if `body` is what it brings.
fn knock(world: &World, server: &Process, body: &str) -> Ask {
    let signature = sign(&world.sandbox.meta.options().app_secret, body.as_bytes());
    Ask::post(&server.url("/webhook")).header("x-hub-signature-256", &signature)
}

/// Whoever wrote this was answered.
fn is_answered(world: &World, phone: &str) {
    assert_eq!(world.sandbox.meta.answers_to(phone), [persona_text("disclosure"), "echo: ciao".to_owned()]);
    persons_got_no_errors(world);
}

#[actix_rt::test]
async fn slow_senders_at_one_address_leave_room_for_those_at_another() {
    let world = World::new();
    let server = world.start().await;
    // They bring enough to be let go on for ten seconds, and then nothing more.
    let beginning = " ".repeat(640 * KIB);
    let slow = || knock(&world, &server, "").promising(3 * KIB * KIB).beginning(beginning.clone());
    let mut slow: FuturesUnordered<_> =
        (0..2 * PER_ADDRESS_MAX).map(|_| actix_rt::spawn(slow().from([127, 0, 0, 2]).send())).collect();
    for _ in 0..PER_ADDRESS_MAX {
        let refused = slow.next().await.unwrap().unwrap();
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
    }
    let another = || knock(&world, &server, "[]").body("[]");
    assert_eq!(another().from([127, 0, 0, 2]).send().await.status, 503);
    assert_eq!(another().from([127, 0, 0, 3]).send().await.status, 400);
    let phone = a_phone();
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    let delivery = world.sandbox.meta.wait_acknowledged(&id).await.unwrap();
    assert_eq!(delivery.attempts.len(), 1, "let in at the first knock");
    server.log.wait_for("task_completed", &id).await;
    is_answered(&world, &phone);
}

#[actix_rt::test]
async fn slow_senders_at_many_addresses_are_sent_away_long_before_they_have_said_all() {
    let world = World::new();
    let server = world.start().await;
    let body = " ".repeat(2 * KIB);
    let slow = |address: [u8; 4]| {
        let slow = knock(&world, &server, &body).body(body.clone()).slowly(Duration::from_millis(20));
        actix_rt::spawn(slow.from(address).send())
    };
    let slow: Vec<_> = (0..120).map(|at| slow([127, 0, 0, 2 + at % 2])).collect();
    let phone = a_phone();
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    for reply in join_all(slow).await {
        let reply = reply.unwrap();
        assert_eq!(reply.status, 408);
        // In ten seconds it would have been 500.
        assert!(reply.sent < 300, "{} bytes in a place that another wanted", reply.sent);
    }
    server.log.wait_for("task_completed", &id).await;
    is_answered(&world, &phone);
}

#[actix_rt::test]
async fn a_small_body_may_come_byte_by_byte() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    let body = webhook_of(&world, &[text_of(&phone, "wamid.slow", "ciao")]);
    let reply = knock(&world, &server, &body).body(body.clone()).slowly(Duration::ZERO).send().await;
    assert_eq!((reply.status, reply.sent), (200, body.len()));
    server.log.wait_for("task_completed", "wamid.slow").await;
    is_answered(&world, &phone);
}
