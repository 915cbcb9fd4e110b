//! How many webhooks a second become durable, beside an actix-web server that only checks their signature.
//!
//! Both servers get the same bytes over the same number of connections, one server after the other, in alternating
//! rounds. What counts is the ratio within a round, for both of its halves had the same machine. Every answer has to
//! be 200, and at the end the ledger has to hold every id that was sent; there is no bound on the time.
//!
//! - [`webhooks`]: what is sent.
//! - [`load`]: who sends it.
//! - [`server`]: what answers, each in a process of its own: see [`process`].
//! - [`report`]: the table.
//!
//! `bench/README.md` says how to run it, and what came out.

mod load;
mod process;
mod report;
mod server;
mod webhooks;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parlante_domain::ports::NoFaults;
use parlante_ledger::{Ledger, Sqlite};
use parlante_sandbox::{Options, Records, Sandbox};
use tempfile::TempDir;

use load::Load;
use process::Process;
use report::Half;
use server::Role;

/// Rounds of the comparison. An odd number has a median that was measured.
const ROUNDS: usize = 5;
/// One server's half of a round: some thousand webhooks, so that the slowest hundredth is more than a few.
const HALF: Duration = Duration::from_millis(1500);
/// Webhooks that are laid out for a round: some 50 MB, and more than the product accepts in its half.
const WEBHOOKS: usize = 40_000;
const LEDGER: &str = "parlante.db";

/// With the name of a role it is one of the servers, else the bench.
fn main() -> Result<(), Box<dyn Error>> {
    match Role::of_this_process() {
        Some(role) => role.serve(),
        None => measure(),
    }
}

fn measure() -> Result<(), Box<dyn Error>> {
    let mut bench = Bench::new()?;
    report::machine(bench.dir.path())?;
    let floor = bench.start(Role::SignatureOnly)?;
    bench.compare(&floor, Role::AcceptOnly, ROUNDS)?;
    bench.compare(&floor, Role::Whole, 1)?;
    floor.stop()?;
    Ok(())
}

struct Bench {
    runtime: actix_rt::Runtime,
    sandbox: Sandbox,
    /// On the disk where the build is: in memory a commit would cost nothing.
    dir: TempDir,
    /// No number is used twice.
    next_webhook: usize,
}

impl Bench {
    fn new() -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            runtime: actix_rt::Runtime::new()?,
            sandbox: Sandbox::start(Options::for_tests())?,
            dir: TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?,
            next_webhook: 0,
        })
    }

    /// Starts the product in `role`, sends the same to it and to `floor` in turn, and checks its ledger at the end.
    fn compare(&mut self, floor: &Process, role: Role, rounds: usize) -> Result<(), Box<dyn Error>> {
        let product = self.start(role)?;
        self.sandbox.meta.set_webhook(&format!("http://{}/webhook", product.address));
        report::heading(role);
        let (mut sent, mut ratios) = (0, Vec::new());
        for round in 1..=rounds {
            let first = self.next_webhook;
            self.next_webhook += WEBHOOKS;
            let requests = webhooks::requests(self.sandbox.meta.options(), first..self.next_webhook);
            let checked = self.half(round, floor, &requests)?;
            let accepted = self.half(round, &product, &requests)?;
            ratios.push(accepted.answered.per_second() / checked.answered.per_second());
            sent += accepted.answered.count();
        }
        report::ratios(ratios);
        let answered = self.answered();
        let memory = product.memory_peak();
        let commits = product.stop()?;
        let held = self.ids_in_ledger(role)?;
        report::ledger(sent, commits, answered, memory);
        if held == sent as u64 {
            Ok(())
        } else {
            Err(format!("of {sent} ids the ledger holds {held}").into())
        }
    }

    fn start(&self, role: Role) -> Result<Process, Box<dyn Error>> {
        let dir = self.dir_of(role);
        fs::create_dir(&dir)?;
        Process::start(role, &dir, &self.environment())
    }

    fn dir_of(&self, role: Role) -> PathBuf {
        self.dir.path().join(role.name())
    }

    /// Only what has to be set; the rest is as everybody has it.
    fn environment(&self) -> BTreeMap<&'static str, String> {
        let (meta, openai) = (self.sandbox.meta.options(), self.sandbox.openai.options());
        BTreeMap::from([
            ("PORT", "0".to_owned()),
            ("LEDGER_PATH", LEDGER.to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("WHATSAPP_APP_SECRET", meta.app_secret.clone()),
            ("WHATSAPP_ACCESS_TOKEN", meta.access_token.clone()),
            ("WHATSAPP_PHONE_NUMBER_ID", meta.phone_number_id.clone()),
            ("WHATSAPP_BASE_URL", self.sandbox.meta.base_url().to_owned()),
            ("OPENAI_API_KEY", openai.api_key.clone()),
            ("OPENAI_BASE_URL", self.sandbox.openai.base_url().to_owned()),
        ])
    }

    fn half(
        &self,
        round: usize,
        server: &Process,
        requests: &[bytes::Bytes],
    ) -> Result<Half, Box<dyn Error>> {
        let again = server.role == Role::SignatureOnly;
        let load = Load { requests: requests.to_vec(), again, duration: HALF, room: None };
        let before = server.cpu();
        let answered = self.runtime.block_on(load::send(server.address, load))?;
        let cpu = server.cpu().zip(before).map(|(after, before)| after - before);
        let half = Half { role: server.role, answered, cpu };
        report::half(round, &half);
        Ok(half)
    }

    /// Answers of the model that the stand-in of WhatsApp has accepted so far.
    fn answered(&self) -> usize {
        let is_answer = |text: &Option<String>| text.as_ref().is_some_and(|text| text.starts_with("echo: "));
        let count = |records: &Records| {
            records.sends().filter(|send| send.accepted.is_some() && is_answer(&send.text)).count()
        };
        self.sandbox.meta.look(count)
    }

    /// Distinct ids that are durable, read from the file when the server is gone.
    fn ids_in_ledger(&self, role: Role) -> Result<u64, Box<dyn Error>> {
        let ledger = Sqlite::open(&self.dir_of(role).join(LEDGER), Arc::new(NoFaults))?;
        let counts = self.runtime.block_on(ledger.counts(0))?;
        self.runtime.block_on(ledger.close())?;
        Ok(counts.ids)
    }
}
