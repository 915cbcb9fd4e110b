//! A bad hour, compressed: one kind of trouble after the other, at every provider, while many people write and speak.
//! In the end every message is accounted for by what the stand-ins received: answered, apologised for, asked to be
//! written, or listed as dead; nothing twice, nothing out of order. And the server is as small as it was.
//!
//! `CHAOS=full cargo test --test it chaos -- --nocapture` is the whole hour, in a few minutes; `CHAOS_SEED` gives another.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use parlante_sandbox::{AudioFault, Fault, Inbound, Options, Route, Sandbox, audio};
use serde_json::Value;

use crate::support::innocent::persons_got_no_errors;
use crate::support::load::Dice;
use crate::support::{Process, World, a_phone, get, persona_text};

/// Longest wait until nothing is open any more: a send that failed three times is tried again after 5 s, then after 10.
const DRAIN: Duration = Duration::from_secs(60);
/// Looks at the server's state this often, where no event tells of a change.
const TICK: Duration = Duration::from_millis(50);
/// Rounds between two moments at which everything has come to its end; fewer than the messages that one person may
/// have open.
const LEG: usize = 6;
/// What a server may grow by on its way: what its allocator keeps, and SQLite's caches.
const GROWTH_MAX: u64 = 16 * 1024 * 1024;

/// Sounds that are looked at once, each in a thread that is kept for some seconds.
const SOUNDS_MAX: usize = 16;

/// Files and sockets of a server at rest that has had to do with so many people, however many messages that were: its
/// own, Meta's connections, and those to the providers, which are kept for a while: one for a person's turn, one for
/// their read receipt, and one that came late.
fn files_max(people: usize) -> usize {
    let (own, of_meta) = (30, Options::for_tests().meta.in_flight);
    own + of_meta + 3 * people
}

struct Size {
    people: usize,
    hours: usize,
}

fn size() -> Size {
    if std::env::var("CHAOS").is_ok_and(|value| value == "full") {
        Size { people: 60, hours: 5 }
    } else {
        Size { people: 24, hours: 1 }
    }
}

/// What is wrong for a while.
struct Trouble {
    name: &'static str,
    faults: Vec<(Route, f64, Fault)>,
    /// It is over when this has been logged of this service; else when the messages of its round have ended.
    until: Option<(&'static str, &'static str)>,
}

fn trouble(name: &'static str, faults: &[(Route, f64, Fault)]) -> Trouble {
    Trouble { name, faults: faults.to_vec(), until: None }
}

/// Everything on these routes fails until the channel is seen to be closed.
fn outage(
    name: &'static str,
    until: (&'static str, &'static str),
    routes: &[Route],
    fault: &Fault,
) -> Trouble {
    let faults = routes.iter().map(|route| (*route, 1.0, fault.clone())).collect();
    Trouble { name, faults, until: Some(until) }
}

fn troubles() -> Vec<Trouble> {
    use Route::{Chat, Download, Media, Models, Number, Send, Speak, Transcribe, Upload};
    let (busy, ill, slow) =
        (Fault::status(503), Fault::status(500), Fault::Latency(Duration::from_millis(40)));
    let voice =
        |fault: &Fault| [Transcribe, Speak, Upload, Media, Download].map(|route| (route, 0.2, fault.clone()));
    let with = |more: &[(Route, f64, Fault)], voice: [(Route, f64, Fault); 5]| [more, &voice].concat();
    let lost = |fault: Fault| (Send, 0.05, fault.accepted());
    vec![
        trouble("slow", &with(&[(Chat, 0.5, slow.clone()), (Send, 0.5, slow.clone())], voice(&slow))),
        trouble(
            "statuses",
            &with(
                &[
                    (Chat, 0.2, busy.clone()),
                    (Chat, 0.1, Fault::status(429)),
                    (Send, 0.1, busy.clone()),
                    (Send, 0.1, Fault::code(130_429)),
                ],
                voice(&ill),
            ),
        ),
        // Both, since they share a circuit: what one is answered begins the count of the other anew.
        outage("no model", ("circuit_opened", "openai"), &[Chat, Transcribe], &busy),
        trouble(
            "cut off",
            &with(
                &[
                    (Chat, 0.15, Fault::close()),
                    (Chat, 0.15, Fault::CutStream { after: 1 }),
                    lost(Fault::close()),
                    lost(Fault::cut(5)),
                ],
                voice(&Fault::cut(20)),
            ),
        ),
        outage(
            "key withdrawn",
            ("channel_paused", "openai"),
            &[Chat, Models],
            &Fault::code("invalid_api_key"),
        ),
        outage("no WhatsApp", ("circuit_opened", "whatsapp"), &[Send], &busy),
        trouble(
            "silence",
            &with(&[(Chat, 0.1, Fault::hang()), lost(Fault::stall(0))], voice(&Fault::stall(10))),
        ),
        outage("token expired", ("channel_paused", "whatsapp"), &[Send, Number], &Fault::code(190)),
        trouble(
            "refused",
            &[
                (Send, 0.25, Fault::code(131_026)),
                (Chat, 0.1, Fault::status(400)),
                (Transcribe, 0.2, Fault::status(400)),
                (Speak, 0.3, Fault::Audio(AudioFault::Truncated)),
                (Speak, 0.3, Fault::Audio(AudioFault::Mp3)),
            ],
        ),
        outage("quota used up", ("channel_paused", "openai"), &[Chat], &Fault::code("insufficient_quota")),
        trouble("no voice", &[(Speak, 1.0, Fault::code("quota_exceeded"))]),
        outage("account locked", ("channel_paused", "whatsapp"), &[Send], &Fault::code(131_031)),
    ]
}

impl Trouble {
    fn begin(&self, sandbox: &Sandbox, seed: u64) {
        for (nth, (route, share, fault)) in self.faults.iter().enumerate() {
            let script = match route {
                Route::Chat | Route::Transcribe | Route::Models => sandbox.openai.script(),
                Route::Speak => sandbox.elevenlabs.script(),
                _ => sandbox.meta.script(),
            };
            script.share(*route, *share, seed + nth as u64, fault.clone());
        }
    }
}

fn all_is_well(sandbox: &Sandbox) {
    sandbox.meta.script().clear();
    sandbox.openai.script().clear();
    sandbox.elevenlabs.script().clear();
}

struct Message {
    id: String,
    words: String,
    is_voice: bool,
}

struct Chaos {
    world: World,
    server: Process,
    dice: Dice,
    /// What each person wrote, in order.
    people: BTreeMap<String, Vec<Message>>,
}

/// What a server holds of its machine.
#[derive(Debug, Clone, Copy)]
struct Footprint {
    memory: u64,
    threads: usize,
    files: usize,
}

impl Chaos {
    /// Everybody writes or speaks once; the ids.
    fn everybody_writes(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        for (person, messages) in &mut self.people {
            let words = format!("{person} numero {}", messages.len());
            let is_voice = self.dice.below(3) == 0;
            let inbound = if is_voice {
                Inbound::voice(person, audio::say(&words))
            } else {
                Inbound::text(person, &words)
            };
            let meta = &self.world.sandbox.meta;
            let twice = self.dice.below(5) == 0;
            let id = if twice { meta.deliver_times(inbound, 2) } else { meta.deliver(inbound) };
            ids.push(id.clone());
            messages.push(Message { id, words, is_voice });
        }
        ids
    }

    async fn round(&mut self, trouble: &Trouble, seed: u64) {
        let log = &self.server.log;
        let is_it = |line: &Value, service: &str| line["service"] == service;
        let before = trouble
            .until
            .map(|(event, service)| log.events(event).iter().filter(|line| is_it(line, service)).count());
        trouble.begin(&self.world.sandbox, seed);
        let ids = self.everybody_writes();
        let log = &self.server.log;
        if let Some(((event, service), before)) = trouble.until.zip(before) {
            log.wait_count(event, before + 1, |line| is_it(line, service)).await;
        } else {
            let wanted = ids.len();
            let ends = || ends_of(&log.lines(), |id| ids.iter().any(|other| other == id));
            let ended = async {
                let mut ticks = tokio::time::interval(TICK);
                while ends().len() < wanted {
                    ticks.tick().await;
                }
            };
            // Some may wait for what a share of faults has closed.
            let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
        }
        all_is_well(&self.world.sandbox);
        self.world.sandbox.meta.wait_settled().await.expect("every webhook is acknowledged");
    }

    async fn stats(&self) -> Value {
        serde_json::from_str(&get(&self.server.url("/stats")).await.1).expect("JSON")
    }

    /// Until nothing is open, and nobody's conversation is in memory.
    async fn at_rest(&self) -> Footprint {
        let rest = async {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                let stats = self.stats().await;
                if stats["queueStats"]["active_queues"] == 0 && stats["activeConversations"] == 0 {
                    return;
                }
            }
        };
        let rested = tokio::time::timeout(DRAIN, rest).await;
        assert!(rested.is_ok(), "it never comes to rest: {:#}", self.stats().await);
        self.footprint()
    }

    fn footprint(&self) -> Footprint {
        let folder = format!("/proc/{}", self.server.pid());
        let status = std::fs::read_to_string(format!("{folder}/status")).expect("a process");
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        let kib: u64 = memory.trim().strip_suffix(" kB").and_then(|kib| kib.parse().ok()).expect("a number");
        let count = |what: &str| std::fs::read_dir(format!("{folder}/{what}")).expect("a folder").count();
        Footprint { memory: kib * 1024, threads: count("task"), files: count("fd") }
    }

    /// The ids of the messages that are listed as dead, with a reason.
    async fn dead(&self) -> HashSet<String> {
        let (mut dead, mut page) = (HashSet::new(), "/admin/dead".to_owned());
        loop {
            let told: Value = serde_json::from_str(&get(&self.server.url(&page)).await.1).expect("JSON");
            for line in told["messages"].as_array().expect("messages") {
                assert!(line["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{line}");
                dead.insert(line["message_id"].as_str().expect("an id").to_owned());
            }
            let Some(next) = told["next"].as_i64() else { return dead };
            page = format!("/admin/dead?after={next}");
        }
    }

    /// What each person got fits what they sent, one for one, in order.
    fn judge(&self, dead: &HashSet<String>) -> BTreeMap<&'static str, usize> {
        let mut tally = BTreeMap::new();
        let own = ["apology", "please_write"].map(|name| (name, persona_text(name)));
        for (person, messages) in &self.people {
            let mut got = self.world.sandbox.meta.answers_to(person);
            // Before anything else, unless WhatsApp refused it.
            got.retain(|text| *text != persona_text("disclosure"));
            let living: Vec<_> = messages.iter().filter(|message| !dead.contains(&message.id)).collect();
            let told = || living.iter().map(|message| &message.words).collect::<Vec<_>>();
            assert_eq!(got.len(), living.len(), "{person} got {got:#?} for {:#?}", told());
            for (text, message) in got.iter().zip(&living) {
                let echo = format!("echo: {}", message.words);
                let own = own.iter().find(|(_, own)| own == text).map(|(name, _)| *name);
                let kind = match own {
                    Some("please_write") => message.is_voice.then_some("asked to write"),
                    Some(_) => Some("apology"),
                    None if *text == echo => Some(if message.is_voice { "in writing" } else { "text" }),
                    None => (message.is_voice && *text == format!("[voice] {echo}")).then_some("voice"),
                };
                let kind = kind.unwrap_or_else(|| panic!("{person} got {text:?} for {:?}", message.words));
                *tally.entry(kind).or_default() += 1;
            }
            *tally.entry("dead").or_default() += messages.len() - living.len();
        }
        tally
    }

    fn messages(&self) -> impl Iterator<Item = &Message> {
        self.people.values().flatten()
    }
}

/// How often each of these messages has been told to have ended.
fn ends_of(lines: &[Value], of: impl Fn(&str) -> bool) -> BTreeMap<String, usize> {
    let mut ends = BTreeMap::new();
    for line in lines {
        let ended =
            ["task_completed", "task_failed", "message_dead_lettered"].iter().any(|it| line["event"] == *it);
        if let Some(id) = line["message_id"].as_str().filter(|id| ended && of(id)) {
            *ends.entry(id.to_owned()).or_default() += 1;
        }
    }
    ends
}

fn world() -> World {
    let mut world = World::new()
        .set("WHATSAPP_RECONCILE_MS", "500")
        .set("HEALTH_PROBE_S", "1")
        .set("CONVERSATION_IDLE_S", "1");
    for service in ["WHATSAPP", "OPENAI", "ELEVENLABS"] {
        world = world
            .set(&format!("{service}_TIMEOUT_MS"), "600")
            .set(&format!("{service}_BACKOFF_MS"), "0,10,20")
            .set(&format!("{service}_CIRCUIT_OPEN_MS"), "200");
    }
    world
}

#[actix_rt::test]
async fn an_hour_of_provider_chaos_costs_nobody_a_message_and_the_server_stays_as_small_as_it_was() {
    let seed = std::env::var("CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(2_411);
    let (world, size) = (world(), size());
    let server = world.start().await;
    let people = (0..size.people).map(|_| (a_phone(), Vec::new())).collect();
    let mut chaos = Chaos { world, server, dice: Dice::of(seed), people };
    let mut footprints = Vec::new();
    for hour in 0..size.hours {
        for (nth, trouble) in troubles().iter().enumerate() {
            eprintln!("hour {hour}: {}", trouble.name);
            chaos.round(trouble, seed + (hour * 1000 + nth * 10) as u64).await;
            if (nth + 1) % LEG == 0 {
                footprints.push(chaos.at_rest().await);
                eprintln!("at rest: {:?}", footprints.last());
            }
        }
    }
    let dead = chaos.dead().await;
    let tally = chaos.judge(&dead);
    let written = chaos.messages().count();
    eprintln!("seed {seed}, {written} messages of {} people: {tally:?}", size.people);
    let ids: HashSet<_> = chaos.messages().map(|message| message.id.as_str()).collect();
    let ends = ends_of(&chaos.server.log.lines(), |id| ids.contains(id));
    assert!(ends.len() == written && ends.values().all(|times| *times == 1), "each ends once: {ends:#?}");
    for kind in ["text", "voice", "in writing", "asked to write", "apology", "dead"] {
        assert!(tally.get(kind).is_some_and(|count| *count > 0), "no {kind}: that was no chaos");
    }
    let (first, last) = (footprints[0], footprints[footprints.len() - 1]);
    assert!(last.memory <= first.memory + GROWTH_MAX, "{footprints:#?}");
    assert!(
        last.threads <= first.threads + SOUNDS_MAX && last.files <= files_max(size.people),
        "{footprints:#?}"
    );
    persons_got_no_errors(&chaos.world);
    assert!(chaos.server.terminate().await.success());
}
