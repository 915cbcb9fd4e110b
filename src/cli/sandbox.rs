//! `parlante sandbox`: the server with stand-ins of Meta, OpenAI and ElevenLabs, and a phone page.
//!
//! The stand-ins live in this process; the server is a child of it, so that "kill the server now" is a real `kill -9`
//! and the stand-ins are there when it comes back. The server lives in `data/sandbox/`, where a `.env` leads it to the
//! stand-ins: it does not know that they are not the real ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use parlante_sandbox::{Options, PageOptions, Sandbox, Status};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::{Failure, say};
use crate::lifecycle::StopSignals;
use crate::real::SystemRandomness;
use crate::settings::{self, Source};

const HOME: &str = "data/sandbox";
/// Long enough to see on the page that the server is gone.
const DOWN: Duration = Duration::from_millis(1500);
/// How often a starting server is asked whether it is ready, and how often at most: it has a minute.
const ASK_EVERY: Duration = Duration::from_millis(100);
const ASK_MAX: u32 = 600;

#[derive(Args)]
pub(super) struct Arguments {
    /// The server's port; the page and the stand-ins take free ones
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The page's port
    #[arg(long)]
    page_port: Option<u16>,
    /// No artificial latency
    #[arg(long)]
    fast: bool,
    /// Providers that are asked for real, with their variables from the environment or .env; Meta stays simulated
    #[arg(long, value_delimiter = ',')]
    real: Vec<Real>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Real {
    Openai,
    Elevenlabs,
}

impl Real {
    fn section(self) -> &'static str {
        match self {
            Self::Openai => "OPENAI",
            Self::Elevenlabs => "ELEVENLABS",
        }
    }
}

pub(super) fn run(config: Option<PathBuf>, arguments: &Arguments) -> Result<(), Failure> {
    let sandbox = Sandbox::start(Options {
        fast: arguments.fast,
        page: Some(PageOptions { port: arguments.page_port }),
        ..Options::default()
    })
    .map_err(|error| Failure::failed(format!("cannot start the stand-ins: {error}")))?;
    sandbox.meta.set_webhook(&format!("http://127.0.0.1:{}/webhook", arguments.port));
    let home = prepare(&sandbox, arguments)?;
    let keeper = Keeper { home, config, port: arguments.port, real: real_variables(arguments)? };
    actix_rt::System::new().block_on(keeper.keep(sandbox))
}

/// Writes the `.env` that leads the server, and every command in that folder, to the stand-ins.
fn prepare(sandbox: &Sandbox, arguments: &Arguments) -> Result<PathBuf, Failure> {
    let home = PathBuf::from(HOME);
    let failed = |error| Failure::failed(format!("cannot write {HOME}/.env: {error}"));
    fs::create_dir_all(&home).map_err(failed)?;
    let (meta, openai, elevenlabs) =
        (sandbox.meta.options(), sandbox.openai.options(), sandbox.elevenlabs.options());
    let mut lines = vec![
        "# Written anew by every `parlante sandbox`.".to_owned(),
        format!("PORT={}", arguments.port),
        format!("SERVER_PUBLIC_URL=http://127.0.0.1:{}", arguments.port),
        "LEDGER_PATH=parlante.db".to_owned(),
        format!("ADMIN_TOKEN={}", SystemRandomness::default().token()),
        format!("WHATSAPP_APP_SECRET={}", meta.app_secret),
        format!("WHATSAPP_VERIFY_TOKEN={}", meta.verify_token),
        format!("WHATSAPP_ACCESS_TOKEN={}", meta.access_token),
        format!("WHATSAPP_PHONE_NUMBER_ID={}", meta.phone_number_id),
        format!("WHATSAPP_BUSINESS_ACCOUNT_ID={}", meta.business_account_id),
        format!("WHATSAPP_BASE_URL={}", sandbox.meta.base_url()),
        // A person at the page does not wait half a minute for a message that was cut off, or for a mended fault.
        "WHATSAPP_RECONCILE_MS=4000".to_owned(),
        "HEALTH_PROBE_S=3".to_owned(),
        "WHATSAPP_CIRCUIT_OPEN_MS=4000".to_owned(),
        "OPENAI_CIRCUIT_OPEN_MS=4000".to_owned(),
        "ELEVENLABS_CIRCUIT_OPEN_MS=4000".to_owned(),
    ];
    if !arguments.real.contains(&Real::Openai) {
        lines.push(format!("OPENAI_API_KEY={}", openai.api_key));
        lines.push(format!("OPENAI_BASE_URL={}", sandbox.openai.base_url()));
    }
    if !arguments.real.contains(&Real::Elevenlabs) {
        lines.push(format!("ELEVENLABS_API_KEY={}", elevenlabs.api_key));
        lines.push(format!("ELEVENLABS_VOICE_ID={}", elevenlabs.voices.first().map_or("", String::as_str)));
        lines.push(format!("ELEVENLABS_BASE_URL={}", sandbox.elevenlabs.base_url()));
    }
    let file = home.join(".env");
    fs::write(&file, lines.join("\n") + "\n").map_err(failed)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(home)
}

/// The variables of the providers that are asked for real, from the environment and `.env`.
fn real_variables(arguments: &Arguments) -> Result<Vec<(String, String)>, Failure> {
    let sections: Vec<&str> = arguments.real.iter().map(|real| real.section()).collect();
    settings::given(&Source::from_process(None), &sections).map_err(Failure::wrong)
}

/// Keeps the server running.
struct Keeper {
    home: PathBuf,
    config: Option<PathBuf>,
    port: u16,
    real: Vec<(String, String)>,
}

impl Keeper {
    async fn keep(self, mut sandbox: Sandbox) -> Result<(), Failure> {
        let stop = StopSignals::listen().map_err(Failure::failed)?.first();
        let mut stop = std::pin::pin!(stop);
        let mut child = self.start(&sandbox).await?;
        say(format!("\n  the phone page:  {}\n", sandbox.page_url.as_deref().unwrap_or_default()))?;
        say(format!("  the server:      http://127.0.0.1:{}", self.port))?;
        say("  Ctrl-C ends both.\n")?;
        loop {
            tokio::select! {
                () = &mut stop => {
                    terminate(&child);
                    let _ = child.wait().await;
                    return Ok(());
                }
                ended = child.wait() => {
                    return Err(Failure::failed(format!("the server ended by itself: {}", outcome(ended))));
                }
                Some(()) = sandbox.kill.recv() => {
                    child.kill().await.map_err(Failure::failed)?;
                    sandbox.server_is(Status::Down);
                    say("the server was killed; it comes back in a moment")?;
                    actix_rt::time::sleep(DOWN).await;
                    child = self.start(&sandbox).await?;
                }
            }
        }
    }

    async fn start(&self, sandbox: &Sandbox) -> Result<Child, Failure> {
        sandbox.server_is(Status::Starting);
        let mut child = self.command()?.spawn().map_err(Failure::failed)?;
        for _ in 0..ASK_MAX {
            if let Some(ended) = child.try_wait().map_err(Failure::failed)? {
                return Err(Failure::failed(format!("the server did not start: {ended}")));
            }
            if is_ready(self.port).await {
                sandbox.server_is(Status::Up);
                return Ok(child);
            }
            actix_rt::time::sleep(ASK_EVERY).await;
        }
        Err(Failure::failed("the server did not become ready within a minute"))
    }

    fn command(&self) -> Result<Command, Failure> {
        let program = std::env::current_exe().map_err(Failure::failed)?;
        let mut command = Command::new(program);
        if let Some(config) = &self.config {
            let config = absolute(config)?;
            command.arg("--config").arg(config);
        }
        // A group of its own: Ctrl-C reaches only us, and a second signal would keep the server from draining.
        command.arg("serve").current_dir(&self.home).kill_on_drop(true).process_group(0);
        for name in settings::variables() {
            // How to print is a matter of this terminal, not of a provider.
            if !name.starts_with("LOG_") && name != "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.envs(self.real.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(Failure::failed)
}

fn outcome(ended: std::io::Result<std::process::ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}

async fn is_ready(port: u16) -> bool {
    let client = awc::Client::builder().timeout(Duration::from_secs(1)).finish();
    let asked = client.get(format!("http://127.0.0.1:{port}/health/ready")).send().await;
    asked.is_ok_and(|answer| answer.status().is_success())
}

/// Asks the server to drain.
fn terminate(child: &Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // It may have ended meanwhile.
        let _ = kill_process(id, Signal::TERM);
    }
}
