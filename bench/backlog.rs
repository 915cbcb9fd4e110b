//! A server that starts on a ledger full of open messages: how long until it is ready, in which order it answers, and
//! how much memory that takes, beside a start on an empty ledger and a plain read of the file.
//!
//! - [`providers`]: who answers for WhatsApp and the model.
//! - [`server`]: the product, in a process of its own: see [`process`].
//!
//! `bench/README.md` says how to run it, and what came out.
#![expect(clippy::print_stdout, reason = "the table is what the bench is run for")]

mod process;
mod providers;
mod rules;
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::Instant;
use parlante::real::SystemClock;
use parlante_domain::ports::NoFaults;
use parlante_domain::{Clock, Content, Inbound, Item, Kind, Sender};
use parlante_ledger::{Accept, Ledger, Recover, Sqlite};
use tempfile::TempDir;

use process::Process;
use providers::{Providers, words};
use rules::rules;
use server::Role;

/// Open messages.
const MESSAGES: usize = 100_000;
/// Our numbers, to which they came in turn: WhatsApp takes 80 messages a second from each, which would otherwise be
/// all that is measured.
const NUMBERS: usize = 100;
/// Messages that are answered before the clock stops, unless `BACKLOG=all`.
const ANSWERED: usize = 20_000;
/// Items of one webhook here: as many as one transaction takes.
const WEBHOOK: usize = 1000;
/// Webhooks that wait for their commit.
const WAITING: usize = 8;
const LEDGER: &str = "parlante.db";
const MIB: f64 = 1024.0 * 1024.0;
/// What 100,000 open messages may add to the server's memory: SQLite's caches, and people being answered.
const MEMORY_MAX: u64 = 256 * 1024 * 1024;

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
    let empty = start_on_empty(dir.path()).await?;
    println!("empty ledger: ready in {:.0} ms, {:.0} MiB", millis(empty.ready), empty.memory as f64 / MIB);
    for people in [MESSAGES / 10, MESSAGES] {
        let dir = dir.path().join(people.to_string());
        fs::create_dir(&dir)?;
        backlog(&dir, people, &empty).await?;
    }
    Ok(())
}

/// A start, and the peak of memory when it was over.
struct Start {
    ready: Duration,
    memory: u64,
}

async fn start_on_empty(dir: &Path) -> Result<Start, Box<dyn Error>> {
    let providers = Providers::start()?;
    let dir = dir.join("empty");
    fs::create_dir(&dir)?;
    let (server, ready) = start(&dir, &providers).await?;
    let memory = server.memory_peak().unwrap_or_default();
    server.stop()?;
    Ok(Start { ready, memory })
}

/// Starts the server and waits until it says that it is ready.
async fn start(dir: &Path, providers: &Providers) -> Result<(Process, Duration), Box<dyn Error>> {
    let began = Instant::now();
    let server = Process::start(Role::Whole, dir, &environment(providers))?;
    let asked = awc::Client::new().get(format!("http://{}/health/ready", server.address)).send().await;
    let status = asked.map_err(|error| error.to_string())?.status();
    let ready = began.elapsed();
    if status.is_success() {
        Ok((server, ready))
    } else {
        Err(format!("{}: {status}", server.role.name()).into())
    }
}

fn environment(providers: &Providers) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("PORT", "0".to_owned()),
        ("LEDGER_PATH", LEDGER.to_owned()),
        ("LOG_FORMAT", "json".to_owned()),
        // No number: each answer goes out from the one that was written to.
        ("WHATSAPP_ACCESS_TOKEN", "token".to_owned()),
        ("WHATSAPP_BASE_URL", format!("http://{}", providers.address)),
        ("OPENAI_API_KEY", "key".to_owned()),
        ("OPENAI_BASE_URL", format!("http://{}/v1", providers.address)),
    ])
}

async fn backlog(dir: &Path, people: usize, empty: &Start) -> Result<(), Box<dyn Error>> {
    println!();
    println!("{MESSAGES} open messages, {} of each of {people} people", MESSAGES / people);
    let file = dir.join(LEDGER);
    let filled = fill(&file, people).await?;
    let (bytes, read) = plain_read(&file)?;
    println!("filled in {:.1} s; {:.0} MiB on the disk", filled.as_secs_f64(), bytes as f64 / MIB);
    row("plain read of the file", read, read);
    let (opened, recovered) = open(&file).await?;
    row("of the start: opening the ledger", opened, read);
    row("of the start: recovery", recovered, read);

    let providers = Providers::start()?;
    let (server, ready) = start(dir, &providers).await?;
    row("ready", ready, read);
    println!(
        "{:34} {:8.1} times that of an empty ledger",
        "",
        ready.as_secs_f64() / empty.ready.as_secs_f64()
    );
    let wanted = if std::env::var("BACKLOG").is_ok_and(|it| it == "all") { MESSAGES } else { ANSWERED };
    let (began, before) = (Instant::now(), server.cpu());
    let answered = providers.answered(wanted).await?;
    let (took, cpu) = (began.elapsed(), server.cpu().zip(before).map(|(after, before)| after - before));
    let memory = server.memory_peak().unwrap_or_default();
    server.stop()?;
    let ahead = in_order(&providers.numbers(), people)?;
    println!(
        "{answered} answered in {:.1} s, {:.0} a second, {:.0} µs of CPU each; in each person's order; people in \
         their order, but for {ahead} places",
        took.as_secs_f64(),
        answered as f64 / took.as_secs_f64(),
        cpu.unwrap_or_default().as_secs_f64() * 1e6 / answered as f64
    );
    println!(
        "memory at its peak: {:.0} MiB, {:.0} more than on an empty ledger",
        memory as f64 / MIB,
        memory.saturating_sub(empty.memory) as f64 / MIB
    );
    if memory.saturating_sub(empty.memory) > MEMORY_MAX {
        return Err(format!("{memory} bytes are too many").into());
    }
    Ok(())
}

/// Person after person writes one message, then each their next: a number is a message, and says whose it is.
async fn fill(file: &Path, people: usize) -> Result<Duration, Box<dyn Error>> {
    let began = Instant::now();
    let (ledger, now) = (Sqlite::open(file, Arc::new(NoFaults))?, SystemClock.now());
    let mut waiting = VecDeque::new();
    for first in (0..MESSAGES).step_by(WEBHOOK) {
        let items = (first..first + WEBHOOK)
            .map(|number| {
                let phone = format!("39333{:07}", number % people);
                Item::Message(Inbound {
                    id: format!("wamid.HBgMMzkz{:016X}AA==", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
                        .into(),
                    number: format!("10655{:04}", number % people % NUMBERS).into(),
                    sender: Sender { phone: Some(phone.as_str().into()), ..Sender::default() },
                    sent_at: now,
                    kind: Kind::Text,
                    content: Content::Words(words(number)),
                })
            })
            .collect();
        waiting.push_back(ledger.accept(Accept { items, now, rules: rules() }));
        if waiting.len() == WAITING
            && let Some(accepted) = waiting.pop_front()
        {
            accepted.await?;
        }
    }
    for accepted in waiting {
        accepted.await?;
    }
    let held = ledger.counts(0).await?.ids;
    ledger.close().await?;
    if held == MESSAGES as u64 { Ok(began.elapsed()) } else { Err(format!("it holds {held}").into()) }
}

/// The least that whoever wants to know the file has to do.
fn plain_read(file: &PathBuf) -> Result<(u64, Duration), Box<dyn Error>> {
    let began = Instant::now();
    let bytes = fs::read(file)?.len() as u64;
    Ok((bytes, began.elapsed()))
}

/// What the server does first, apart: opening, recovery.
async fn open(file: &Path) -> Result<(Duration, Duration), Box<dyn Error>> {
    let began = Instant::now();
    let ledger = Sqlite::open(file, Arc::new(NoFaults))?;
    let opened = began.elapsed();
    let now = SystemClock.now();
    ledger.recover(Recover { now, reconcile_until: now }).await?;
    let recovered = began.elapsed() - opened;
    ledger.close().await?;
    Ok((opened, recovered))
}

/// How many places ahead of their turn somebody was taken up at most. Once somebody is, all they wrote is answered.
///
/// # Errors
/// If a person's messages were not answered in their order, or one was answered twice.
fn in_order(answered: &[usize], people: usize) -> Result<usize, Box<dyn Error>> {
    let mut next: BTreeMap<usize, usize> = BTreeMap::new();
    for number in answered {
        let next = next.entry(number % people).or_insert(number % people);
        if number != next {
            return Err(format!("{number} was answered where {next} was due").into());
        }
        *next += people;
    }
    let turns = answered.iter().filter(|number| **number < people);
    Ok(turns.enumerate().map(|(place, number)| number.saturating_sub(place)).max().unwrap_or(0))
}

fn row(what: &str, took: Duration, read: Duration) {
    println!(
        "{what:34} {:8.0} ms {:8.1} times the plain read",
        millis(took),
        took.as_secs_f64() / read.as_secs_f64()
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
