//! What it costs to look: `/stats`, `/health` and `/metrics`, each asked once a second, while the server answers as
//! many messages as it can.
//!
//! - [`history`]: what its ledger holds before.
//! - [`load`] sends [`webhooks`], [`providers`] answer for WhatsApp and the model.
//! - [`watch`]: who looks.
//! - [`server`]: the product, in a process of its own: see [`process`].
//!
//! Every answer has to be 200, and every message answered once; there is no bound on the time.
//!
//! `bench/README.md` says how to run it, and what came out.
#![expect(clippy::print_stdout, reason = "the tables are what the bench is run for")]

mod history;
mod load;
mod process;
mod providers;
mod rules;
mod server;
mod watch;
mod webhooks;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::Instant;
use bytes::Bytes;
use parlante_domain::ports::NoFaults;
use parlante_ledger::{Ledger, Sqlite};
use parlante_sandbox::MetaOptions;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use load::{Answered, Load};
use process::Process;
use providers::Providers;
use server::Role;
use watch::{Answer, Operator, ROUTES};

/// Each has two halves: in one somebody looks, in the other nobody does. Who is first changes.
const ROUNDS: usize = 8;
/// One half: five looks at each route.
const HALF: Duration = Duration::from_secs(5);
/// Messages under way at once: enough for the server to be at its limit, and no queue that grows.
const UNDER_WAY: usize = 256;
/// Webhooks that are laid out for a half: more than the product answers in it.
const WEBHOOKS: usize = 12_000;
/// Our numbers, to which people write: WhatsApp takes 80 messages a second from each, which would otherwise be all
/// that is measured.
const NUMBERS: usize = 100;
/// Numbers of webhooks in a row that go to one of ours: a multiple of what one person writes.
const IN_A_ROW: usize = 10;
/// Looks at each route of which the CPU time is taken: a clock tick is then a twentieth of a millisecond of each.
const LOOKS: usize = 200;
const LEDGER: &str = "parlante.db";
const TOKEN: &str = "operator";

/// With the name of a role it is the server, else the bench.
fn main() -> Result<(), Box<dyn Error>> {
    match Role::of_this_process() {
        Some(role) => role.serve(),
        None => actix_rt::System::new().block_on(measure()),
    }
}

async fn measure() -> Result<(), Box<dyn Error>> {
    // On the disk where the build is: in memory nothing would have to be read.
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
    let began = Instant::now();
    history::fill(&dir.path().join(LEDGER)).await?;
    println!(
        "before: {} messages answered, {} people with {} open ones each; written in {:.1} s",
        history::ANSWERED,
        history::WAITING,
        history::WAITING_EACH,
        began.elapsed().as_secs_f64()
    );
    let mut bench = Bench::start(dir.path())?;
    let costs = bench.costs().await?;
    let rounds = bench.rounds().await?;
    latencies(&rounds);
    shares(&costs, &rounds);
    bench.check(dir.path()).await
}

/// The server, and those around it.
struct Bench {
    providers: Providers,
    server: Process,
    meta: MetaOptions,
    /// No number is used twice.
    next_webhook: usize,
    /// Numbers of the webhooks that were sent, rising.
    sent: Vec<usize>,
}

/// A stretch of load at the server's limit, until the last message of it is answered.
struct Half {
    took: Duration,
    cpu: Duration,
    webhooks: Answered,
    /// What was seen meanwhile.
    looks: Vec<Answer>,
}

impl Half {
    /// CPU seconds of the server by message.
    fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() / self.webhooks.count().max(1) as f64
    }
}

/// Two halves that had the same minute.
struct Round {
    watched: Half,
    alone: Half,
}

impl Bench {
    fn start(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let (providers, meta) = (Providers::start()?, MetaOptions::default());
        let env = BTreeMap::from([
            ("PORT", "0".to_owned()),
            ("LEDGER_PATH", LEDGER.to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("ADMIN_TOKEN", TOKEN.to_owned()),
            ("WHATSAPP_APP_SECRET", meta.app_secret.clone()),
            // No number: each answer goes out from the one that was written to.
            ("WHATSAPP_ACCESS_TOKEN", "token".to_owned()),
            ("WHATSAPP_BASE_URL", format!("http://{}", providers.address)),
            ("OPENAI_API_KEY", "key".to_owned()),
            ("OPENAI_BASE_URL", format!("http://{}/v1", providers.address)),
        ]);
        let server = Process::start(Role::Whole, dir, &env)?;
        Ok(Self { providers, server, meta, next_webhook: 0, sent: Vec::new() })
    }

    fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        Ok(self
            .server
            .cpu()
            .ok_or_else(|| format!("{}: no CPU time is told here", self.server.role.name()))?)
    }

    /// What one look at each route costs the server, beyond the message that comes before it.
    async fn costs(&mut self) -> Result<Vec<Duration>, Box<dyn Error>> {
        println!();
        println!("one at a time   CPU ms  p50 ms");
        let message = self.one_at_a_time(None).await?.cpu / LOOKS as u32;
        println!("message        {:7.2}", millis(message));
        let mut costs = Vec::new();
        for route in ROUTES {
            let half = self.one_at_a_time(Some(route)).await?;
            let cost = (half.cpu / LOOKS as u32).saturating_sub(message);
            println!(
                "and {route:10} {:7.2}  {:6.2}",
                millis(cost),
                millis(of_route(&half.looks, route).percentile(0.5))
            );
            costs.push(cost);
        }
        Ok(costs)
    }

    /// A message, a look, a message, a look. Each commit voids what the ledger's readers have kept of its pages, so a
    /// look costs what it costs under load.
    async fn one_at_a_time(&mut self, route: Option<&'static str>) -> Result<Half, Box<dyn Error>> {
        let (first, requests) = self.requests(LOOKS);
        let room = Arc::new(Semaphore::new(1));
        let load = Load { requests, again: false, duration: Duration::MAX, room: Some(room.clone()) };
        let mut operator = Operator::connect(self.server.address, TOKEN)?;
        let (began, before) = (Instant::now(), self.cpu()?);
        let look = async {
            let mut looks = Vec::new();
            for number in 1..=LOOKS {
                self.providers.answered(self.sent.len() + number).await?;
                looks.extend(route.map(|route| operator.ask(route)).transpose()?);
                room.add_permits(1);
            }
            room.close();
            Ok::<_, Box<dyn Error>>(looks)
        };
        let send = async { Ok(load::send(self.server.address, load).await?) };
        let (webhooks, looks) = tokio::try_join!(send, look)?;
        self.sent.extend(first..first + webhooks.count());
        Ok(Half { took: began.elapsed(), cpu: self.cpu()? - before, webhooks, looks })
    }

    async fn rounds(&mut self) -> Result<Vec<Round>, Box<dyn Error>> {
        println!();
        println!(
            "round             messages  per second  webhooks p99 ms  CPU seconds a second  CPU µs each"
        );
        let mut rounds = Vec::new();
        for round in 1..=ROUNDS {
            // The ledger grows, and with it the cost of a message: neither half may always be the later one.
            let (first, second) = (self.half(round % 2 == 1).await?, self.half(round % 2 == 0).await?);
            let (watched, alone) = if round % 2 == 1 { (first, second) } else { (second, first) };
            row(round, "watched", &watched);
            row(round, "alone", &alone);
            rounds.push(Round { watched, alone });
        }
        Ok(rounds)
    }

    async fn half(&mut self, is_watched: bool) -> Result<Half, Box<dyn Error>> {
        let (first, requests) = self.requests(WEBHOOKS);
        let room = Arc::new(Semaphore::new(UNDER_WAY));
        let load = Load { requests, again: false, duration: HALF, room: Some(room.clone()) };
        let operator = Operator::connect(self.server.address, TOKEN)?;
        let (began, before) = (Instant::now(), self.cpu()?);
        let watch = is_watched.then(|| operator.watch());
        let webhooks = tokio::select! {
            webhooks = load::send(self.server.address, load) => webhooks?,
            ended = self.make_room(&room) => return Err(ended),
        };
        self.sent.extend(first..first + webhooks.count());
        self.providers.answered(self.sent.len()).await?;
        let looks = watch.map_or(Ok(Vec::new()), watch::Watch::stop)?;
        Ok(Half { took: began.elapsed(), cpu: self.cpu()? - before, webhooks, looks })
    }

    /// One more message may be under way for each that was answered. Ends only if none is any more.
    async fn make_room(&self, room: &Semaphore) -> Box<dyn Error> {
        let mut answered = self.sent.len();
        loop {
            let now = match self.providers.answered(answered + 1).await {
                Ok(now) => now,
                Err(error) => return error,
            };
            room.add_permits(now - answered);
            answered = now;
        }
    }

    /// The next webhooks, to all of our numbers, and the number of the first.
    fn requests(&mut self, count: usize) -> (usize, Vec<Bytes>) {
        let first = self.next_webhook;
        self.next_webhook += count;
        let requests = (first..self.next_webhook).step_by(IN_A_ROW).flat_map(|first| {
            let number = format!("10655{:04}", first / IN_A_ROW % NUMBERS);
            let meta = MetaOptions { phone_number_id: number, ..self.meta.clone() };
            webhooks::requests(&meta, first..first + IN_A_ROW)
        });
        (first, requests.collect())
    }

    /// Ends the server.
    ///
    /// # Errors
    /// If a message was not answered, or one was twice, or the ledger knows another number of them.
    async fn check(self, dir: &Path) -> Result<(), Box<dyn Error>> {
        let memory = self.server.memory_peak().unwrap_or_default();
        self.server.stop()?;
        let mut answered = self.providers.numbers();
        answered.sort_unstable();
        let ledger = Sqlite::open(&dir.join(LEDGER), Arc::new(NoFaults))?;
        let counts = ledger.counts(0).await?;
        ledger.close().await?;
        let ids = history::ANSWERED + history::WAITING * history::WAITING_EACH + self.sent.len();
        let held = (counts.ids, counts.people, counts.dead);
        if answered != self.sent || held != (ids as u64, history::WAITING as u64, 0) {
            let (answered, sent) = (answered.len(), self.sent.len());
            return Err(
                format!("{answered} answers to {sent} messages; in the ledger {held:?} of {ids}").into()
            );
        }
        println!(
            "{} messages, each answered once; {} MiB of memory at the peak",
            answered.len(),
            memory >> 20
        );
        Ok(())
    }
}

fn row(round: usize, which: &str, half: &Half) {
    println!(
        "{round:5}  {which:8}  {:9}  {:10.0}  {:15.2}  {:20.2}  {:11.0}",
        half.webhooks.count(),
        half.webhooks.per_second(),
        millis(half.webhooks.percentile(0.99)),
        half.cpu.div_duration_f64(half.took),
        1e6 * half.cpu_each()
    );
}

/// How long the answers took under the load, and how long they are.
fn latencies(rounds: &[Round]) {
    let looks: Vec<Answer> = rounds.iter().flat_map(|round| round.watched.looks.iter().copied()).collect();
    println!();
    println!("under load  looks  p50 ms  p95 ms  max ms  bytes  (aim: 50 ms in the median)");
    for route in ROUTES {
        let answered = of_route(&looks, route);
        println!(
            "{route:10}  {:5}  {:6.2}  {:6.2}  {:6.2}  {:5}",
            answered.count(),
            millis(answered.percentile(0.50)),
            millis(answered.percentile(0.95)),
            millis(answered.percentile(1.0)),
            looks.iter().filter(|look| look.route == route).map(|look| look.bytes).max().unwrap_or_default(),
        );
    }
}

/// What part of the CPU time under load is spent on being looked at.
fn shares(costs: &[Duration], rounds: &[Round]) {
    let load = middle(rounds.iter().map(|round| round.alone.cpu.div_duration_f64(round.alone.took)));
    println!();
    println!("one look a second, of the {load:.2} CPU seconds that the server uses in it (aim: below 2 %)");
    for (route, cost) in ROUTES.into_iter().zip(costs) {
        println!("{route:10}  {:5.2} %", 100.0 * cost.as_secs_f64() / load);
    }
    let more = |round: &Round| 100.0 * (round.watched.cpu_each() / round.alone.cpu_each() - 1.0);
    let each: Vec<String> = rounds.iter().map(|round| format!("{:+.1}", more(round))).collect();
    println!(
        "all three, watched beside alone: {:+.1} % ({})",
        middle(rounds.iter().map(more)),
        each.join("  ")
    );
}

/// The answers of one route, as if they were a load's.
fn of_route(looks: &[Answer], route: &str) -> Answered {
    let mut latencies: Vec<_> =
        looks.iter().filter(|look| look.route == route).map(|look| look.took).collect();
    latencies.sort_unstable();
    Answered { took: latencies.iter().sum(), latencies }
}

/// The median.
fn middle(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let half = numbers.len() / 2;
    let (below, above) = (numbers.get(half.saturating_sub(1)), numbers.get(half));
    match numbers.len() % 2 {
        0 => below.zip(above).map_or(0.0, |(below, above)| f64::midpoint(*below, *above)),
        _ => above.copied().unwrap_or_default(),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
