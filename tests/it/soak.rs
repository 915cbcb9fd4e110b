//! A long day: many people write, the providers fail now and then in every way that they have, and the server is killed
//! again and again, also while it recovers. In the end every message has its answer, once and in order, and none is dead.
//!
//! `SOAK=full cargo test --test it soak -- --nocapture` is the whole day; `SOAK_SEED` gives another one.

use std::time::Duration;

use parlante_sandbox::{Fault, Route, Sandbox};
use serde_json::Value;

use crate::support::load::Load;
use crate::support::oracle::{Besides, Verdict, oracle_with, repeats};
use crate::support::{Process, World, get, persona_text};

/// Longest life of a server from its first send.
const LIFE_MS: u64 = 400;
/// Longest life of one that dies as it starts.
const YOUNG_MS: u64 = 200;
/// Longest wait for the last answer: a send that was refused three times in a row is tried again after 5 s, and then
/// after 10.
const DRAIN: Duration = Duration::from_secs(60);

struct Size {
    people: usize,
    messages: usize,
    kills: usize,
}

fn size() -> Size {
    if std::env::var("SOAK").is_ok_and(|value| value == "full") {
        Size { people: 60, messages: 2400, kills: 40 }
    } else {
        Size { people: 25, messages: 300, kills: 6 }
    }
}

/// What providers do on a bad day. Nothing that leaves a send unknown without a status to come: then nobody could
/// tell whether it has to be sent again.
fn bad_day(sandbox: &Sandbox, seed: u64) {
    let (openai, meta) = (sandbox.openai.script(), sandbox.meta.script());
    let slow = |ms| Fault::Latency(Duration::from_millis(ms));
    for (nth, (share, fault)) in [
        (0.12, Fault::status(503)),
        (0.06, Fault::status(429)),
        (0.04, Fault::close()),
        (0.04, Fault::CutStream { after: 1 }),
        (0.40, slow(15)),
    ]
    .into_iter()
    .enumerate()
    {
        openai.share(Route::Chat, share, seed + nth as u64, fault);
    }
    for (nth, (share, fault)) in [
        (0.05, Fault::status(503)),
        (0.05, Fault::code(130_429)),
        (0.02, Fault::close().accepted()),
        (0.02, Fault::cut(5).accepted()),
        (0.40, slow(15)),
    ]
    .into_iter()
    .enumerate()
    {
        meta.share(Route::Send, share, seed + 100 + nth as u64, fault);
    }
}

/// A server that is killed as it starts, recovering or not.
async fn die_young(world: &World, load: &mut Load) {
    let young = Process::spawn(world, &["serve"]);
    // The wait is its age.
    actix_rt::time::sleep(Duration::from_millis(load.dice.below(YOUNG_MS))).await;
    young.kill().await;
}

/// Kills server after server under load; the last one lives.
async fn kill_again_and_again(world: &World, load: &mut Load, size: &Size) -> (Process, usize) {
    let mut server = world.start().await;
    let mut kills = 0;
    while kills < size.kills || load.messages.len() < size.messages {
        load.allowance = size.messages.div_ceil(size.kills);
        let life = Duration::from_millis(load.dice.below(LIFE_MS));
        load.write_for(life, &world.sandbox).await;
        server.kill().await;
        kills += 1;
        while load.dice.below(4) == 0 {
            die_young(world, load).await;
            kills += 1;
        }
        server = world.start().await;
    }
    (server, kills)
}

#[actix_rt::test]
async fn a_long_day_of_kills_and_provider_faults_leaves_every_message_answered_once_and_in_order() {
    let seed = std::env::var("SOAK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_124);
    let size = size();
    let world = World::new()
        // A free one at every start: the old one may have gone to somebody else meanwhile.
        .set("PORT", "0")
        .set("WHATSAPP_RECONCILE_MS", "2000")
        // Circuits have tests of their own; here every failure is met.
        .set("OPENAI_CIRCUIT_FAILURES", "1000")
        .set("WHATSAPP_CIRCUIT_FAILURES", "1000");
    bad_day(&world.sandbox, seed);
    let mut load = Load::new(size.people, seed);
    let (server, kills) = kill_again_and_again(&world, &mut load, &size).await;
    tokio::time::timeout(DRAIN, world.drained(&server)).await.expect("everything comes to an end");
    let stats: Value = serde_json::from_str(&get(&server.url("/stats")).await.1).unwrap();
    assert!(server.terminate().await.success());

    let chats = world.sandbox.openai.chats();
    let besides = Besides { chats: &chats, ..Besides::default() };
    let verdict = world.sandbox.meta.look(|records| oracle_with(records, &load.messages, &besides));
    let (_, asked_again) = repeats(&chats, &load.messages);
    let apology = persona_text("apology");
    let apologies = world.sandbox.meta.look(|records| {
        records.sends().filter(|send| send.accepted.is_some() && send.text.as_ref() == Some(&apology)).count()
    });
    eprintln!(
        "seed {seed}: {} messages of {} people, {kills} kills, {} questions to the model, {asked_again} of them asked \
         again, {apologies} apologies, {} dead; {verdict:?}",
        load.messages.len(),
        size.people,
        chats.len(),
        stats["deadLetters"]
    );
    assert_eq!(verdict, Verdict::default());
    assert_eq!((&stats["deadLetters"], &stats["refused"]), (&0.into(), &0.into()));
    assert!(load.messages.len() >= size.messages && kills >= size.kills);
}
