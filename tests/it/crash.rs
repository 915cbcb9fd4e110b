//! `kill -9` at any moment, again and again: nothing is lost, doubled or out of order, and nothing is done anew that
//! was done before. Judged by the stand-ins' records only.

use std::time::Duration;

use parlante_sandbox::{Answer, Fault, Inbound, Options, PATIENCE, Records, Route, Sandbox};

use crate::support::load::Load;
use crate::support::oracle::{Verdict, oracle};
use crate::support::{Process, World, a_phone, persona_text};

const KILLS: usize = 50;
const PEOPLE: usize = 20;
/// Longest life of a server from its first send.
const LIFE_MS: u64 = 300;

/// The stand-ins take a few milliseconds for what they do, so that a kill finds something half done.
fn slow_down(sandbox: &Sandbox, seed: u64) {
    let pause = Fault::Latency(Duration::from_millis(30));
    sandbox.openai.script().share(Route::Chat, 0.5, seed, pause.clone());
    sandbox.meta.script().share(Route::Send, 0.5, seed, pause);
}

/// What was half done at the moment of a kill.
#[derive(Debug, Default)]
struct HalfDone {
    questions: usize,
    sends: usize,
}

impl HalfDone {
    fn count(&mut self, sandbox: &Sandbox) {
        self.questions += usize::from(sandbox.openai.look(|calls| calls.running()) > 0);
        let pending = |records: &Records| records.sends().any(|send| send.answer == Answer::Pending);
        self.sends += usize::from(sandbox.meta.look(pending));
    }
}

#[actix_rt::test]
async fn fifty_kills_under_load_lose_nothing_double_nothing_and_keep_the_order() {
    let seed = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_124);
    let world = World::with(Options::for_tests()).set("WHATSAPP_RECONCILE_MS", "1500");
    slow_down(&world.sandbox, seed);
    let (mut load, mut half_done) = (Load::new(PEOPLE, seed), HalfDone::default());
    let mut server = world.start().await;
    for _ in 0..KILLS {
        let life = Duration::from_millis(load.dice.below(LIFE_MS));
        load.write_for(life, &world.sandbox).await;
        half_done.count(&world.sandbox);
        server.kill().await;
        if load.dice.below(4) == 0 {
            // One more that dies as it starts; the wait is its age.
            let young = Process::spawn(&world, &["serve"]);
            actix_rt::time::sleep(Duration::from_millis(load.dice.below(60))).await;
            young.kill().await;
        }
        server = world.start().await;
    }
    load.drained(&world.sandbox).await;
    assert!(server.terminate().await.success());
    let verdict = world.sandbox.meta.look(|records| oracle(records, &load.messages));
    let written = load.messages.len();
    eprintln!(
        "seed {seed}, {KILLS} kills, {written} messages; half done at the kill: {half_done:?}; {verdict:?}"
    );
    assert!(written > 5 * KILLS && half_done.questions + half_done.sends > KILLS / 5, "that was no load");
    assert_eq!(verdict, Verdict::default());
}

#[actix_rt::test]
async fn what_the_model_has_answered_is_not_asked_again_after_a_kill() {
    let world = World::new().set("WHATSAPP_RECONCILE_MS", "60000");
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    meta.script().aim("echo: ciao", Route::Send, 1, Fault::Gate("send".to_owned()));
    let server = world.start().await;
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    meta.script().wait_at_gate("send", 1, PATIENCE).await.unwrap();
    server.kill().await;
    let server = world.start().await;
    let found = server.log.wait("recovery_completed", |_| true).await;
    assert_eq!((&found["resumed"], &found["reconciled"]), (&1.into(), &1.into()));
    // Meta takes the send of the dead server, and tells the living one.
    meta.script().open("send");
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(world.sandbox.openai.chats().len(), 1);
    assert_eq!(meta.look(|records| records.sends_to(&phone).count()), 2);
    assert_eq!(meta.answers_to(&phone), [persona_text("disclosure"), "echo: ciao".to_owned()]);
}

#[actix_rt::test]
async fn a_send_that_never_left_is_sent_after_a_kill() {
    let world = World::new().set("WHATSAPP_RECONCILE_MS", "300");
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    meta.script().aim("echo: ciao", Route::Send, 1, Fault::hang());
    let server = world.start().await;
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    meta.wait_sends(&phone, 2).await.unwrap();
    server.kill().await;
    let server = world.start().await;
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(world.sandbox.openai.chats().len(), 1);
    assert_eq!(meta.answers_to(&phone), [persona_text("disclosure"), "echo: ciao".to_owned()]);
    assert_eq!(meta.look(|records| records.sends_to(&phone).count()), 3);
}

#[actix_rt::test]
async fn a_send_over_which_the_server_dies_again_and_again_is_made_in_the_end() {
    let world = World::new().set("WHATSAPP_RECONCILE_MS", "100");
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    meta.script().aim("echo: ciao", Route::Send, 3, Fault::hang());
    let mut server = world.start().await;
    let id = meta.deliver(Inbound::text(&phone, "ciao"));
    for kills in 0..3 {
        meta.wait_sends(&phone, 2 + kills).await.unwrap();
        server.kill().await;
        server = world.start().await;
    }
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(meta.answers_to(&phone), [persona_text("disclosure"), "echo: ciao".to_owned()]);
}

#[actix_rt::test]
async fn a_message_that_was_with_the_model_is_answered_after_a_kill_and_those_behind_it_too() {
    let world = World::new();
    let (meta, openai, phone) = (&world.sandbox.meta, &world.sandbox.openai, a_phone());
    openai.script().next(Route::Chat, 1, Fault::hang());
    let server = world.start().await;
    let ids = meta.deliver_batch(["uno", "due"].map(|words| Inbound::text(&phone, words)).to_vec());
    openai.wait_calls(1).await.unwrap();
    server.kill().await;
    let server = world.start().await;
    server.log.wait_for("task_completed", &ids[1]).await;
    let texts = [persona_text("disclosure"), "echo: uno".to_owned(), "echo: due".to_owned()];
    assert_eq!(meta.answers_to(&phone), texts);
    assert_eq!(meta.look(|records| records.sends_to(&phone).count()), 3);
    assert_eq!(openai.chats().len(), 3);
}
