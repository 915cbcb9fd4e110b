//! The settings: read once, checked as a whole, then handed round as one value that needs no second look.
//!
//! Three stages, each with a type of its own:
//! 1. `written`: what stands in each layer, as strings with their origin. From low to high: the built-in
//!    `config.toml`, a file of the operator's, `.env`, the environment.
//! 2. `merged`: of each setting the highest value, still a string.
//! 3. `valid`: every rule kept, alone and together; the only stage that leaves this module, as [`Settings`].
//!
//! `table` lists every setting once. Layering, the refusal of unknown keys, `check --show` and the tests follow it.
//! No error and no `Debug` in here ever shows a value, so none can show a secret.

pub(crate) mod fault;
mod merged;
mod reference;
mod rule;
mod secret;
mod sections;
mod table;
mod valid;
mod value;
pub(crate) mod written;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

pub use fault::{Fault, Origin, SettingsError};
pub use reference::reference;
pub use secret::Secret;
pub use sections::{
    Admin, App, Conversation, Dedup, ElevenLabs, Fallback, Health, Ledger, Log, OpenAi, Persona, Server,
    WhatsApp,
};
pub use valid::Warning;
pub use value::{AmbiguousSend, AppEnv, BaseUrl, HostName, LogFormat, Network, VoicePolicy};

/// Where settings are read from. A value, so that tests need neither the process environment nor its directory.
///
/// It holds secrets and therefore has no `Debug`.
#[derive(Clone)]
pub struct Source {
    /// A file that must exist, from `--config`; without it `config.toml` in `dir` is read if there is one.
    pub config: Option<PathBuf>,
    /// The working directory: holds `.env` and `config.toml`, and relative paths in settings start from it.
    /// Empty: the process's own.
    pub dir: PathBuf,
    /// The environment; of variables with the same name the last counts.
    pub env: Vec<(OsString, OsString)>,
}

impl Source {
    /// The environment and the working directory of this process.
    #[must_use]
    pub fn from_process(config: Option<PathBuf>) -> Self {
        Self { config, dir: PathBuf::new(), env: std::env::vars_os().collect() }
    }
}

/// All settings, valid alone and together. Made by [`Settings::load`] only.
#[derive(Debug)]
pub struct Settings {
    /// What kind of installation this is.
    pub app: App,
    /// Our own HTTP server.
    pub server: Server,
    /// Meta's WhatsApp Cloud API.
    pub whatsapp: WhatsApp,
    /// The model that answers and the one that listens.
    pub openai: OpenAi,
    /// The voice.
    pub elevenlabs: ElevenLabs,
    /// How one person is served.
    pub conversation: Conversation,
    /// How long message ids are remembered.
    pub dedup: Dedup,
    /// Where everything is kept, and for how long.
    pub ledger: Ledger,
    /// Who speaks.
    pub persona: Persona,
    /// The operator's access.
    pub admin: Admin,
    /// How providers are probed.
    pub health: Health,
    /// What is logged, and how.
    pub log: Log,
    shown: String,
}

impl Settings {
    /// Reads every layer and checks the whole.
    ///
    /// # Errors
    /// Everything that is wrong, at once; see [`SettingsError`]. Nothing was started by then.
    pub fn load(source: Source) -> Result<Self, SettingsError> {
        let mut faults = Vec::new();
        let written = written::read(&source, &mut faults);
        let merged = merged::Merged::of(written.layers);
        valid::check(&merged, written.complete, &mut faults);
        if faults.is_empty() { valid::settings(&merged, &source.dir) } else { Err(SettingsError { faults }) }
    }

    /// Reads where our own server is found, and nothing else: what is wrong elsewhere shows at its next start and says
    /// nothing about the one that runs.
    ///
    /// # Errors
    /// If one of `[server]` is wrong.
    pub fn server(source: &Source) -> Result<Server, SettingsError> {
        let mut faults = Vec::new();
        let written = written::read(source, &mut faults);
        let merged = merged::Merged::of(written.layers);
        valid::check_each(&merged, &mut faults);
        if written.complete {
            let own = || table::TABLE.iter().filter(|setting| setting.section == "server");
            faults.retain(|fault| own().flat_map(table::Setting::spellings).any(|name| name == fault.name));
        }
        if faults.is_empty() { valid::section(&merged, "SERVER_") } else { Err(SettingsError { faults }) }
    }

    /// One line per setting, in the order of `config.toml`: `NAME = value  # where from`. A secret that is set
    /// reads `********`; what is not set reads `(not set)`.
    #[must_use]
    pub fn show(&self) -> String {
        self.shown.clone()
    }

    /// What is allowed but should be said at start.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        valid::warnings(self)
    }
}

/// What the environment and `.env` give to the settings of `sections`, by variable; the environment wins.
///
/// # Errors
/// If one of the two cannot be read as settings.
pub fn given(source: &Source, sections: &[&str]) -> Result<Vec<(String, String)>, SettingsError> {
    let mut faults = Vec::new();
    let layers = written::read(source, &mut faults).layers;
    if !faults.is_empty() {
        return Err(SettingsError { faults });
    }
    // The two highest layers are `.env` and the environment.
    let environment = layers.into_iter().rev().take(2).rev().flatten();
    Ok(environment
        .filter(|(name, _)| sections.iter().any(|section| name.starts_with(&format!("{section}_"))))
        .map(|(name, entry)| (name, entry.text))
        .collect())
}

/// The name of every variable that is read: `SECTION_KEY`, its `_FILE`, and the short ones like `PORT`.
pub fn variables() -> impl Iterator<Item = String> {
    table::TABLE.iter().flat_map(table::Setting::spellings)
}
