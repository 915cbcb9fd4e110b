//! How a test speaks to the product.
//!
//! - [`World`]: the stand-ins, a folder, and the settings of one server. It outlives the server's restarts.
//! - [`Process`]: the real binary, as a child with its log.
//! - [`InProcess`]: the real server in a thread of this process, with a clock and faults of the test's own.
//! - [`log`]: what was logged.
//! - [`load`]: people who write.
//! - [`innocent`]: whether anything that a person received tells of an error.
//! - [`oracle`]: what went wrong with the messages of a run, by the stand-in's records.
//! - [`ask`]: requests by hand, for what no client would send.
//! - [`raw`]: a plain socket, for providers that break the rules of HTTP.
//! - [`strace`]: kills the real binary at a system call, or lets the call fail or hang.
//! - [`disk`]: a disk that can be filled.
//! - [`prometheus`]: a real Prometheus that reads what the product measures.
//! - [`browser`]: a real Chromium that looks at the phone page.
//!
//! Nothing waits for seconds: every wait is for an event, and says what it saw when it gives up.

pub(crate) mod ask;
pub(crate) mod browser;
pub(crate) mod disk;
mod in_process;
pub(crate) mod innocent;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod oracle;
mod process;
pub(crate) mod prometheus;
pub(crate) mod raw;
pub(crate) mod strace;

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use parlante::real::SystemClock;
use parlante_domain::Clock;
use parlante_sandbox::{Options, Records, Sandbox};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use in_process::{InProcess, TestClock, TestFaults};
pub(crate) use process::Process;

/// Longest wait for an event. Long, since machines are shared; a test that works never comes near it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The real binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_parlante");

/// What the stand-ins and one server's settings are, over all restarts of the server.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) dir: TempDir,
    settings: BTreeMap<String, String>,
    program: Vec<OsString>,
    port: AtomicU16,
    /// How often a server in this process cleans its ledger.
    clean: Duration,
}

impl World {
    /// Fast stand-ins, an echoing model, and settings with short waits.
    pub(crate) fn new() -> Self {
        Self::with(Options::for_tests())
    }

    pub(crate) fn with(options: Options) -> Self {
        let sandbox = Sandbox::start(options).expect("the stand-ins start");
        let (meta, openai) = (sandbox.meta.options().clone(), sandbox.openai.options().clone());
        let elevenlabs = sandbox.elevenlabs.options().clone();
        let settings = [
            ("WHATSAPP_APP_SECRET", meta.app_secret.clone()),
            ("WHATSAPP_VERIFY_TOKEN", meta.verify_token.clone()),
            ("WHATSAPP_ACCESS_TOKEN", meta.access_token.clone()),
            ("WHATSAPP_PHONE_NUMBER_ID", meta.phone_number_id.clone()),
            ("WHATSAPP_BASE_URL", sandbox.meta.base_url().to_owned()),
            ("WHATSAPP_BACKOFF_MS", "0,20,40".to_owned()),
            ("WHATSAPP_RECONCILE_MS", "1000".to_owned()),
            ("OPENAI_API_KEY", openai.api_key.clone()),
            ("OPENAI_BASE_URL", sandbox.openai.base_url().to_owned()),
            ("OPENAI_BACKOFF_MS", "0,20,40".to_owned()),
            ("ELEVENLABS_API_KEY", elevenlabs.api_key),
            ("ELEVENLABS_VOICE_ID", elevenlabs.voices[0].clone()),
            ("ELEVENLABS_BASE_URL", sandbox.elevenlabs.base_url().to_owned()),
            ("ELEVENLABS_BACKOFF_MS", "0,20,40".to_owned()),
            ("LEDGER_PATH", "parlante.db".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
        ];
        Self {
            sandbox,
            dir: TempDir::new().expect("a folder"),
            settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            program: vec![BINARY.into()],
            port: AtomicU16::new(0),
            clean: parlante::retention::EVERY,
        }
    }

    /// What is run in place of [`BINARY`]: another program, or one with arguments that runs it.
    pub(crate) fn program(mut self, words: Vec<OsString>) -> Self {
        self.program = words;
        self
    }

    /// Sets a variable of the server's environment.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn cleaning_every(self, clean: Duration) -> Self {
        Self { clean, ..self }
    }

    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.settings.remove(name);
        self
    }

    /// Starts the real binary and waits until it is ready; the same port at every start, so that Meta finds it.
    pub(crate) async fn start(&self) -> Process {
        let process = Process::spawn(self, &["serve"]);
        let address = process.address().await;
        self.found_at(address.port());
        process
    }

    /// Until Meta has every 200 that it wants, and the server says that nothing is open. Only says when to look: what
    /// was lost is not waited for.
    pub(crate) async fn drained(&self, server: &Process) {
        let meta = &self.sandbox.meta;
        loop {
            let before = meta.look(|records| records.requests().count());
            meta.wait_settled().await.expect("every webhook is acknowledged");
            // No answer: it is being killed.
            let stats = stats(&server.url("/stats")).await.unwrap_or_default();
            if stats["queueStats"]["active_queues"] == 0 {
                return;
            }
            let next = |records: &Records| (records.requests().count() > before).then_some(());
            let _ = meta.wait(next, Duration::from_millis(50)).await;
        }
    }

    /// Runs the binary to its end: exit code, stdout, stderr.
    pub(crate) async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        process::run_to_end(self, arguments).await
    }

    /// Starts the real server in this process.
    pub(crate) async fn start_in_process(&self, clock: &TestClock, faults: &TestFaults) -> InProcess {
        let server = InProcess::start(self, clock, faults).await;
        self.found_at(server.address().port());
        server
    }

    /// Where the server listens; Meta finds it there, and so does its next start.
    pub(crate) fn found_at(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
        self.sandbox.meta.set_webhook(&format!("http://127.0.0.1:{port}/webhook"));
    }

    /// The server's environment.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let mut settings = self.settings.clone();
        // 0 takes a free port at the first start.
        settings.entry("PORT".to_owned()).or_insert_with(|| self.port.load(Ordering::Relaxed).to_string());
        settings.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }
}

/// A person's number that no other test in this process uses.
pub(crate) fn a_phone() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    format!("39333{:07}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A webhook's body with these items in `messages`, for what has to be posted by hand or only once.
pub(crate) fn webhook_of(world: &World, messages: &[Value]) -> String {
    let metadata = json!({"phone_number_id": world.sandbox.meta.options().phone_number_id});
    let value = json!({"messaging_product": "whatsapp", "metadata": metadata, "messages": messages});
    let change = json!({"field": "messages", "value": value});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}).to_string()
}

/// A text as it stands in `messages`, written now.
pub(crate) fn text_of(phone: &str, id: &str, words: &str) -> Value {
    let now = SystemClock.now().0 / 1000;
    json!({"from": phone, "id": id, "timestamp": now.to_string(), "type": "text", "text": {"body": words}})
}

async fn stats(url: &str) -> Option<Value> {
    let mut answer = awc::Client::new().get(url).send().await.ok()?;
    serde_json::from_slice(&answer.body().await.ok()?).ok()
}

/// Asks a route of the server: status and body.
pub(crate) async fn get(url: &str) -> (u16, String) {
    get_with(url, &[]).await
}

pub(crate) async fn get_with(url: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let client = awc::Client::builder().timeout(PATIENCE).finish();
    let request = headers.iter().fold(client.get(url), |request, header| request.insert_header(*header));
    let mut answer = request.send().await.expect("an answer");
    let body = answer.body().await.expect("a body");
    (answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned())
}

/// The persona's own texts, read as an outsider reads them.
pub(crate) fn persona_text(name: &str) -> String {
    joe()[name].as_str().expect("a text").trim().to_owned()
}

/// All of them.
pub(crate) fn persona_texts() -> HashSet<String> {
    joe().values().map(|text| text.as_str().expect("a text").trim().to_owned()).collect()
}

fn joe() -> toml::Table {
    let joe: toml::Table = include_str!("../../../personas/joe.toml").parse().expect("joe.toml parses");
    joe["texts"].as_table().expect("the texts").clone()
}
