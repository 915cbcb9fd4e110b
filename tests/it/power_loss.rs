//! The power fails at any moment, and all that was not synced is gone: what was acknowledged is answered all the same,
//! once and in order. Meta does not deliver again what it saw acknowledged, so that only the disk can know of it.
//!
//! The disk is `tests/power_loss/shim.c` ([`disk`]); the judge is the oracle over the stand-in's records. That the test
//! can fail is shown by the same program with one word changed: `synchronous=NORMAL` loses messages.
//!
//! `POWER_LOSS=all cargo test --test it power_loss -- --nocapture` takes many more points and prints the counts.

mod disk;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

use futures_util::StreamExt;
use parlante_sandbox::{Inbound, Records};
use rustix::process::Signal;

use self::disk::{Lab, Synchronous};
use crate::support::oracle::{Message, Verdict, oracle};
use crate::support::{PATIENCE, Process, World, a_phone};

/// Power losses at once: each waits more than it works.
const AT_ONCE: usize = 4;
/// How often people write before the server is told to stop, whereupon it checkpoints.
const WAVES: usize = 6;
/// The power fails again within so many points of the next start.
const AGAIN_WITHIN: usize = 24;

fn full() -> bool {
    std::env::var("POWER_LOSS").is_ok_and(|value| value == "all")
}

/// What came of one power loss, or two.
struct Outcome {
    /// Where the power failed; none if it failed after the server had ended.
    point: Option<String>,
    /// Messages that Meta had seen acknowledged by then.
    acknowledged: usize,
    /// Bytes that were written and not synced.
    dropped: u64,
    verdict: Verdict,
}

/// Three people, who write in different ways.
struct People {
    phones: [String; 3],
    messages: Vec<Message>,
}

impl People {
    fn new() -> Self {
        Self { phones: [a_phone(), a_phone(), a_phone()], messages: Vec::new() }
    }

    fn write(&mut self, wave: usize, world: &World) {
        let meta = &world.sandbox.meta;
        let texts: Vec<_> = [0, 1, 2, wave % 3]
            .iter()
            .enumerate()
            .map(|(place, who)| (self.phones[*who].clone(), format!("wave {wave}, {place}")))
            .collect();
        let inbound = |(phone, words): &(String, String)| Inbound::text(phone, words);
        let ids = match wave % 3 {
            0 => texts.iter().map(|text| meta.deliver_times(inbound(text), 2)).collect(),
            1 => meta.deliver_batch(texts.iter().map(inbound).collect()),
            _ => texts.iter().map(|text| meta.deliver(inbound(text))).collect(),
        };
        let message = |((person, words), id)| Message { person, echo: format!("echo: {words}"), id };
        self.messages.extend(texts.into_iter().zip(ids).map(message));
    }

    /// Everybody writes, and again when most of it is answered; then the server is told to stop.
    async fn live(&mut self, world: &World, server: &Process) {
        server.address().await;
        for wave in 0..WAVES {
            self.write(wave, world);
            let enough = self.messages.len() - 2;
            let answered = |records: &Records| {
                let texts = self.phones.iter().flat_map(|phone| records.answers_to(phone));
                (texts.filter(|text| text.starts_with("echo: ")).count() >= enough).then_some(())
            };
            world.sandbox.meta.wait(answered, PATIENCE).await.expect("they are answered");
        }
        server.signal(Signal::TERM);
        std::future::pending().await
    }

    fn acknowledged(&self, world: &World) -> usize {
        let taken = |records: &Records, id: &str| records.deliveries_of(id).any(|one| one.acknowledged());
        let meta = &world.sandbox.meta;
        meta.look(|records| self.messages.iter().filter(|message| taken(records, &message.id)).count())
    }
}

/// Until nothing is left to do, or the power fails before that.
async fn drained(world: &World, server: &Process) {
    server.address().await;
    world.drained(server).await;
}

/// The power fails at this point of a server's life, and perhaps again soon after the next start; then all is well.
async fn power_loss(lab: &Lab, synchronous: Synchronous, at: usize) -> Outcome {
    let (mut world, disk) = lab.world(synchronous);
    let mut people = People::new();
    world = disk.fails_at(world, at);
    let server = Process::spawn(&world, &["serve"]);
    tokio::select! {
        status = server.ended() => assert!(status.signal() == Some(9) || status.success(), "{status}"),
        () = people.live(&world, &server) => {}
    }
    drop(server);
    let acknowledged = people.acknowledged(&world);
    let point = disk.last_point(at);
    let mut dropped = disk.restore();
    if at.is_multiple_of(2) {
        world = disk.fails_at(world, 1 + at / 2 % AGAIN_WITHIN);
        let server = Process::spawn(&world, &["serve"]);
        tokio::select! {
            status = server.ended() => assert_eq!(status.signal(), Some(9)),
            () = drained(&world, &server) => {}
        }
        server.kill().await;
        dropped += disk.restore();
    }
    world = disk.never_fails(world);
    let server = world.start().await;
    drained(&world, &server).await;
    assert!(server.terminate().await.success());
    let verdict = world.sandbox.meta.look(|records| oracle(records, &people.messages));
    Outcome { point, acknowledged, dropped, verdict }
}

/// What came of many.
#[derive(Default)]
struct Tally {
    runs: usize,
    acknowledged: usize,
    dropped: u64,
    runs_with_loss: usize,
    sum: Verdict,
    points: BTreeMap<String, usize>,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        let Outcome { point, acknowledged, dropped, verdict } = outcome;
        self.runs += 1;
        self.acknowledged += acknowledged;
        self.dropped += dropped;
        self.runs_with_loss += usize::from(verdict.lost > 0);
        self.sum.add(&verdict);
        *self.points.entry(point.unwrap_or_else(|| "after the end".to_owned())).or_default() += 1;
    }

    fn print(&self, synchronous: Synchronous) {
        eprintln!(
            "synchronous={synchronous:?}: {} power losses, {} of them lost acknowledged messages; {} messages were \
             acknowledged before, {} kB never synced; {:?}",
            self.runs,
            self.runs_with_loss,
            self.acknowledged,
            self.dropped / 1024,
            self.sum
        );
        for (point, runs) in &self.points {
            eprintln!("  {runs:4} {point}");
        }
    }
}

/// So many power losses, spread evenly over a server's life.
async fn power_losses(lab: &Lab, synchronous: Synchronous, runs: usize) -> Tally {
    let life = life(lab, synchronous).await;
    assert!(life > runs, "only {life} points: does the shim see the calls?");
    let points = (0..runs).map(|run| 1 + run * life / runs);
    let losses = futures_util::stream::iter(points).map(|at| power_loss(lab, synchronous, at));
    let mut tally = Tally::default();
    losses
        .buffer_unordered(AT_ONCE)
        .for_each(|outcome| {
            tally.add(outcome);
            std::future::ready(())
        })
        .await;
    tally.print(synchronous);
    tally
}

/// How many points a whole life has; another one may have some more or less.
async fn life(lab: &Lab, synchronous: Synchronous) -> usize {
    let (world, disk) = lab.world(synchronous);
    let world = disk.fails_at(world, 0);
    let server = Process::spawn(&world, &["serve"]);
    let mut people = People::new();
    tokio::select! {
        status = server.ended() => assert!(status.success(), "{status}"),
        () = people.live(&world, &server) => {}
    }
    let points = disk.points();
    for call in ["after fsync parlante.db-wal", "pwrite parlante.db", "unlink parlante.db-wal"] {
        assert!(points.iter().any(|point| point == call), "the shim does not see `{call}`: {points:?}");
    }
    points.len()
}

#[actix_rt::test]
async fn a_power_loss_at_any_moment_loses_nothing_that_was_acknowledged() {
    let tally = power_losses(&Lab::new(), Synchronous::Full, if full() { 400 } else { 40 }).await;
    assert!(tally.acknowledged > 5 * tally.runs && tally.dropped > 0, "that was no loss of power");
    assert_eq!(tally.sum, Verdict::default());
}

#[actix_rt::test]
async fn with_synchronous_normal_the_same_power_losses_lose_messages() {
    let tally = power_losses(&Lab::new(), Synchronous::Normal, if full() { 200 } else { 10 }).await;
    assert!(tally.runs_with_loss > 0, "the test cannot fail");
}
