//! The crash table: the real binary is killed before its k-th system call, for every k of a scenario with a burst, a
//! duplicate, a voice note that is answered by voice, and retries; then it is started again and has to bring everything
//! to its end. In the second half of the table it has been killed before, in the middle of its work, and is killed again
//! while it recovers.
//!
//! Nothing is lost, doubled or out of order: judged by the stand-ins' records. A provider may be asked once more per
//! kill, since nobody can ask it what it has answered: that is counted, for each step that is paid for. `doubled 0` needs
//! Meta's statuses, also those that it has to deliver again, within `WHATSAPP_RECONCILE_MS` of the start.
//!
//! - [`failpoints`]: the same on both sides of each step, in a build that has failpoints.
//!
//! `CRASH_POINTS=all cargo test --test it crash_table -- --nocapture` kills at every k and prints the table.

#[cfg(feature = "failpoints")]
mod failpoints;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

use futures_util::StreamExt;
use parlante_sandbox::{Fault, Inbound, PATIENCE, Records, Route, audio};

use crate::support::oracle::{Besides, Message, Verdict, VoiceRepeats, cut_off, oracle_with, repeats};
use crate::support::strace::{Strace, most};
use crate::support::{BINARY, Process, World, a_phone};

/// Kills at once: each waits more than it works.
const AT_ONCE: usize = 3;
/// Points in a run that is not of all.
const SAMPLE: usize = 60;
/// Before a kill during recovery, the first life ends when so many sends have arrived.
const FIRST_LIFE_SENDS: usize = 6;

/// The system calls that matter: each row is counted by itself.
const CALLS: [(&str, &str); 6] = [
    ("sync of the journal", "fdatasync,fsync"),
    ("write to the journal", "pwrite64"),
    ("wake-up or log line", "write"),
    ("request or answer out", "sendto,sendmsg,writev"),
    ("request or answer in", "recvfrom,recvmsg,readv"),
    ("new connection", "connect,accept4"),
];

/// In which life of the server it is killed by strace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    First,
    /// The one that recovers from a first kill.
    Second,
}

impl Life {
    /// How often the server has been killed when this life was.
    fn kills(self) -> usize {
        if self == Self::First { 1 } else { 2 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    life: Life,
    /// An index into [`CALLS`].
    calls: usize,
    k: usize,
}

/// What the people write.
struct Scenario {
    messages: Vec<Message>,
    refused: Vec<Message>,
}

impl Scenario {
    /// Anna writes eleven at once, of which ten are taken; Bruno's first comes twice, and the model fails it at first;
    /// Carla's answer has two parts, and WhatsApp refuses its first at first; Dora speaks before she writes, and the
    /// voice fails at first.
    fn new(world: &World) -> Self {
        let (meta, openai) = (&world.sandbox.meta, &world.sandbox.openai);
        let [anna, bruno, carla, dora] = [a_phone(), a_phone(), a_phone(), a_phone()];
        world.sandbox.elevenlabs.script().next(Route::Speak, 1, Fault::status(503));
        openai.script().aim("bruno one", Route::Chat, 1, Fault::status(503));
        meta.script().aim("echo: carla", Route::Send, 1, Fault::status(429));
        let message = |person: &String, words: &str, id| Message {
            person: person.clone(),
            echo: format!("echo: {words}"),
            id,
        };
        let burst: Vec<_> = (1..=11).map(|number| format!("anna {number}")).collect();
        let ids = meta.deliver_batch(burst.iter().map(|words| Inbound::text(&anna, words)).collect());
        let mut messages: Vec<_> =
            burst.iter().zip(ids).map(|(words, id)| message(&anna, words, id)).collect();
        let refused = messages.split_off(10);
        let twice = meta.deliver_times(Inbound::text(&bruno, "bruno one"), 2);
        messages.push(message(&bruno, "bruno one", twice));
        messages.push(message(&bruno, "bruno two", meta.deliver(Inbound::text(&bruno, "bruno two"))));
        let long = format!("carla{}\n\n{}", "a".repeat(2500), "b".repeat(2500));
        messages.push(message(&carla, &long, meta.deliver(Inbound::text(&carla, &long))));
        let note = meta.deliver(Inbound::voice(&dora, audio::say("dora one")));
        messages.push(Message { person: dora.clone(), echo: "[voice] echo: dora one".to_owned(), id: note });
        messages.push(message(&dora, "dora two", meta.deliver(Inbound::text(&dora, "dora two"))));
        Self { messages, refused }
    }
}

/// What came of one point.
#[derive(Debug)]
struct Outcome {
    killed: bool,
    verdict: Verdict,
    /// Questions that the model was asked again.
    repeated: usize,
    /// The same for the voice note's steps.
    voice: VoiceRepeats,
    /// The most for one step of one message.
    repeated_most: usize,
    /// Something that was on its way at a kill, by the stand-ins' records.
    cut_webhook: bool,
    cut_question: bool,
}

impl Outcome {
    /// Nothing went wrong, and no step was paid for again more than once for each kill.
    fn is_right_after(&self, kills: usize) -> bool {
        self.verdict == Verdict::default() && self.repeated_most <= kills
    }
}

fn world() -> World {
    World::new()
        // A free one at every start: the old one may have gone to somebody else meanwhile.
        .set("PORT", "0")
}

/// Runs the scenario, or what is left of it, until it is through or the server has been killed. True if killed.
async fn live(world: &World, server: &Process, scenario: &mut Option<Scenario>) -> bool {
    let life = async {
        world.found_at(server.address().await.port());
        scenario.get_or_insert_with(|| Scenario::new(world));
        world.drained(server).await;
    };
    let status = tokio::select! {
        status = server.ended() => status,
        // It may be killed at its last calls, too.
        () = life => server.terminate().await,
    };
    assert!(status.success() || status.signal() == Some(9), "{status}");
    !status.success()
}

/// Where the life to be killed begins. A second life follows a first that was killed in the middle of its work.
async fn before(life: Life) -> (World, Option<Scenario>) {
    let world = world();
    if life == Life::First {
        return (world, None);
    }
    let server = world.start().await;
    let scenario = Scenario::new(&world);
    let some = |records: &Records| (records.sends().count() >= FIRST_LIFE_SENDS).then_some(());
    world.sandbox.meta.wait(some, PATIENCE).await.expect("the server works");
    server.kill().await;
    (world, Some(scenario))
}

async fn crash(strace: &Strace, point: Point) -> Outcome {
    let deadly = strace.kill_at(CALLS[point.calls].1, point.k);
    die_and_recover(point.life, |world| world.program(deadly), |world| world.program(vec![BINARY.into()]))
        .await
}

/// A life that `arm` makes deadly, and one that brings everything to its end.
async fn die_and_recover(
    life: Life,
    arm: impl FnOnce(World) -> World,
    disarm: impl FnOnce(World) -> World,
) -> Outcome {
    let (mut world, mut scenario) = before(life).await;
    world = arm(world);
    let server = Process::spawn(&world, &["serve"]);
    let killed = live(&world, &server, &mut scenario).await;
    drop(server);
    world = disarm(world);
    let server = world.start().await;
    let scenario = scenario.unwrap_or_else(|| Scenario::new(&world));
    // Whatever is not answered by then is counted as lost.
    let _ = tokio::time::timeout(PATIENCE, world.drained(&server)).await;
    assert!(server.terminate().await.success());
    judge(&world, &scenario, killed)
}

fn judge(world: &World, scenario: &Scenario, killed: bool) -> Outcome {
    let chats = world.sandbox.openai.chats();
    let besides = Besides { refused: &scenario.refused, ..Besides::default() };
    let (asked_most, repeated) = repeats(&chats, &scenario.messages);
    let voice = VoiceRepeats::of(world, &scenario.messages);
    let cut = |records: &Records| {
        let mut attempts = records.deliveries().flat_map(|delivery| &delivery.attempts);
        attempts.any(|attempt| attempt.answer.is_err())
    };
    Outcome {
        killed,
        verdict: world.sandbox.meta.look(|records| oracle_with(records, &scenario.messages, &besides)),
        repeated,
        voice,
        repeated_most: asked_most.max(voice.most()),
        cut_webhook: world.sandbox.meta.look(cut),
        cut_question: chats.iter().any(cut_off),
    }
}

/// How many calls of each kind the busiest thread makes in a life that is not cut short.
async fn lengths(strace: &Strace, life: Life) -> Vec<usize> {
    let (mut world, mut scenario) = before(life).await;
    let file = world.dir.path().join("calls");
    let all = CALLS.map(|(_, calls)| calls).join(",");
    world = world.program(strace.listen(&all, &file));
    let server = Process::spawn(&world, &["serve"]);
    assert!(!live(&world, &server, &mut scenario).await);
    let outcome = judge(&world, &scenario.expect("it was told"), false);
    assert!(outcome.is_right_after(life.kills() - 1), "without another kill: {outcome:?}");
    // strace writes its last lines after the server has closed its pipe, which is not before its own end.
    server.output();
    let listing = std::fs::read_to_string(file).expect("strace wrote");
    CALLS.iter().map(|(_, calls)| most(&listing, calls)).collect()
}

/// Every point, or a sample spread evenly over them.
async fn points(strace: &Strace) -> Vec<Point> {
    let mut points = Vec::new();
    for life in [Life::First, Life::Second] {
        for (calls, length) in lengths(strace, life).await.into_iter().enumerate() {
            assert!(length > 0, "no {} was seen in the {life:?} life", CALLS[calls].1);
            points.extend((1..=length).map(|k| Point { life, calls, k }));
        }
    }
    if all() {
        return points;
    }
    (0..SAMPLE).map(|nth| points[nth * points.len() / SAMPLE]).collect()
}

fn all() -> bool {
    std::env::var("CRASH_POINTS").is_ok_and(|value| value == "all")
}

#[derive(Default)]
struct Row {
    points: usize,
    sum: Verdict,
    /// Points at which the model was asked again.
    repeated: usize,
    /// Those at which a note was heard, spoken or uploaded again.
    voice: VoiceRepeats,
    cut_webhook: usize,
    cut_question: usize,
    not_reached: usize,
}

/// The table's rows, and the points at which something went wrong.
#[derive(Default)]
struct Table {
    rows: BTreeMap<(Life, usize), Row>,
    wrong: Vec<(Point, Verdict, usize)>,
}

impl Table {
    fn add(&mut self, point: Point, outcome: Outcome) {
        let row = self.rows.entry((point.life, point.calls)).or_default();
        // Threads share the work differently each time, so a life may end before the last few points.
        if !outcome.killed {
            row.not_reached += 1;
            return;
        }
        row.points += 1;
        row.sum.add(&outcome.verdict);
        row.repeated += usize::from(outcome.repeated > 0);
        row.voice.heard += usize::from(outcome.voice.heard > 0);
        row.voice.spoken += usize::from(outcome.voice.spoken > 0);
        row.voice.uploaded += usize::from(outcome.voice.uploaded > 0);
        row.cut_webhook += usize::from(outcome.cut_webhook);
        row.cut_question += usize::from(outcome.cut_question);
        if !outcome.is_right_after(point.life.kills()) {
            eprintln!("wrong at {point:?}: {:?}, asked again {}", outcome.verdict, outcome.repeated_most);
            self.wrong.push((point, outcome.verdict, outcome.repeated_most));
        }
    }

    fn points(&self) -> usize {
        self.rows.values().map(|row| row.points).sum()
    }

    fn print(&self) {
        eprintln!("{:>77}", "once more");
        eprintln!(
            "{:<7} {:<22} {:>6} {:>5} {:>9} {:>7} {:>7} {:>6} {:>6} {:>7} {:>9} {:>11} {:>12}",
            "life",
            "killed before",
            "points",
            "lost",
            "disorder",
            "doubled",
            "strange",
            "asked",
            "heard",
            "spoken",
            "uploaded",
            "cut webhook",
            "cut question"
        );
        for ((life, calls), row) in &self.rows {
            eprintln!(
                "{:<7} {:<22} {:>6} {:>5} {:>9} {:>7} {:>7} {:>6} {:>6} {:>7} {:>9} {:>11} {:>12}",
                format!("{life:?}"),
                CALLS[*calls].0,
                row.points,
                row.sum.lost,
                row.sum.out_of_order,
                row.sum.doubled,
                row.sum.strange,
                row.repeated,
                row.voice.heard,
                row.voice.spoken,
                row.voice.uploaded,
                row.cut_webhook,
                row.cut_question
            );
        }
        let not_reached: usize = self.rows.values().map(|row| row.not_reached).sum();
        eprintln!("{} points; {not_reached} more were not reached", self.points());
    }
}

#[actix_rt::test]
async fn a_kill_before_any_system_call_loses_nothing_doubles_nothing_and_keeps_the_order() {
    let strace = Strace::find();
    let points = points(&strace).await;
    let wanted = points.len();
    eprintln!("{wanted} points to try");
    let outcomes = futures_util::stream::iter(points).map(|point| {
        let strace = strace.clone();
        async move { (point, crash(&strace, point).await) }
    });
    let mut outcomes = std::pin::pin!(outcomes.buffer_unordered(AT_ONCE));
    let mut table = Table::default();
    while let Some((point, outcome)) = outcomes.next().await {
        table.add(point, outcome);
    }
    table.print();
    assert!(table.wrong.is_empty(), "{:#?}", table.wrong);
    assert!(table.points() * 10 > wanted * 8, "only {} of {wanted} points were reached", table.points());
    let again = |count: fn(&Row) -> usize| table.rows.values().map(count).sum::<usize>();
    assert!(again(|row| row.repeated) > 0, "no kill fell between the model's answer and its record");
    if all() {
        assert!(again(|row| row.voice.heard) > 0, "none between a transcript and its record");
        assert!(again(|row| row.voice.spoken) > 0, "none between a voice and its record");
        assert!(again(|row| row.voice.uploaded) > 0, "none between an upload and its record");
    }
}
