//! The table, on stdout.
#![expect(clippy::print_stdout, reason = "the table is what the bench is run for")]

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use actix_rt::time::Instant;

use crate::load::{Answered, CONNECTIONS};
use crate::server::Role;

/// Pages written one after the other to learn what an fsync costs here; a second at most even on a slow disk.
const SYNCS: usize = 51;
const PAGE: [u8; 4096] = [1; 4096];

/// What came of one half of a round.
pub(crate) struct Half {
    pub(crate) role: Role,
    pub(crate) answered: Answered,
    /// What the server used.
    pub(crate) cpu: Option<Duration>,
}

impl Half {
    fn cpu_each(&self) -> String {
        self.cpu.map_or_else(String::new, |cpu| {
            format!("{:.0}", micros(cpu) / self.answered.count().max(1) as f64)
        })
    }
}

/// What has to be known of the machine to read the rest.
pub(crate) fn machine(dir: &Path) -> io::Result<()> {
    let cores = std::thread::available_parallelism()?;
    println!("cores: {cores}  connections: {CONNECTIONS}  fsync of a page: {:.2} ms", millis(fsync(dir)?));
    Ok(())
}

/// The median time until an appended page is on the disk.
fn fsync(dir: &Path) -> io::Result<Duration> {
    let mut file = File::create(dir.join("fsync"))?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

pub(crate) fn heading(product: Role) {
    println!();
    println!("{} beside {}", product.name(), Role::SignatureOnly.name());
    println!("round  server          webhooks  per second  p50 ms  p99 ms  CPU µs each");
}

pub(crate) fn half(round: usize, half: &Half) {
    println!(
        "{round:5}  {:14}  {:8}  {:10.0}  {:6.2}  {:6.2}  {:>11}",
        half.role.name(),
        half.answered.count(),
        half.answered.per_second(),
        millis(half.answered.percentile(0.50)),
        millis(half.answered.percentile(0.99)),
        half.cpu_each(),
    );
}

/// The ratio of each round, then their spread.
pub(crate) fn ratios(mut ratios: Vec<f64>) {
    let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.3}")).collect();
    println!("ratio by round: {}", each.join("  "));
    ratios.sort_unstable_by(f64::total_cmp);
    if let (Some(min), Some(median), Some(max)) =
        (ratios.first(), ratios.get(ratios.len() / 2), ratios.last())
    {
        println!("ratio: min {min:.3}  median {median:.3}  max {max:.3}");
    }
}

/// What the ledger holds in the end, and the server held at most; `answered` while webhooks still came in.
pub(crate) fn ledger(sent: usize, commits: Option<u64>, answered: usize, memory: Option<u64>) {
    let commits = commits.unwrap_or_default();
    let group = sent as f64 / commits.max(1) as f64;
    println!("{sent} webhooks, all durable; {commits} commits, {group:.1} webhooks to one");
    println!("{answered} messages answered meanwhile");
    if let Some(bytes) = memory {
        println!("memory at its peak: {} MiB", bytes / (1024 * 1024));
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
