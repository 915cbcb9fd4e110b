//! Third stage: every rule of the table, then the rules between settings, then the typed value.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::fault::{Fault, Origin, SettingsError};
use super::merged::Merged;
use super::sections::Fallback;
use super::table::{self, TABLE};
use super::value::{is_loopback, parse_host};
use super::{AppEnv, Settings};

/// Without these a public installation would answer nobody, answer anybody, or stand open to strangers.
pub(super) const REQUIRED_IN_PRODUCTION: [&str; 6] = [
    "WHATSAPP_APP_SECRET",
    "WHATSAPP_VERIFY_TOKEN",
    "WHATSAPP_ACCESS_TOKEN",
    "WHATSAPP_PHONE_NUMBER_ID",
    "OPENAI_API_KEY",
    "ADMIN_TOKEN",
];

/// The three that make a second model server.
const FALLBACK: [&str; 3] = ["OPENAI_FALLBACK_BASE_URL", "OPENAI_FALLBACK_API_KEY", "OPENAI_FALLBACK_MODEL"];

/// Checks all rules. `complete`: every layer could be read, so that what is not there is really missing.
pub(super) fn check(merged: &Merged, complete: bool, faults: &mut Vec<Fault>) {
    check_each(merged, faults);
    if complete {
        check_production(merged, faults);
        check_signature(merged, faults);
        check_fallback(merged, faults);
    }
}

/// Checks what each value is by itself.
pub(super) fn check_each(merged: &Merged, faults: &mut Vec<Fault>) {
    for setting in TABLE {
        let variable = setting.variable();
        let Some(entry) = merged.get(&variable) else { continue };
        if let Err(problem) = setting.rule.check(&entry.text) {
            faults.push(Fault {
                name: variable,
                origin: entry.origin.clone(),
                problem: problem.to_owned(),
                mend: format!("set it to {}", setting.rule.wants()),
            });
        }
    }
}

fn check_production(merged: &Merged, faults: &mut Vec<Fault>) {
    if !is(merged, "APP_ENV", "production") {
        return;
    }
    for variable in REQUIRED_IN_PRODUCTION {
        missing(merged, faults, variable, "is not set, and APP_ENV is production", "");
    }
}

/// Unsigned webhooks are believed without an app secret, so then nobody but this machine may send any.
fn check_signature(merged: &Merged, faults: &mut Vec<Fault>) {
    let host = merged.get("SERVER_HOST").and_then(|entry| parse_host(&entry.text).ok());
    if is(merged, "APP_ENV", "development") && host.is_some_and(|host| !is_loopback(host)) {
        let problem = format!(
            "is not set, and HOST is no loopback address ({}): anybody could forge webhooks",
            merged.origin("SERVER_HOST")
        );
        missing(merged, faults, "WHATSAPP_APP_SECRET", &problem, ", or set HOST to 127.0.0.1");
    }
}

fn check_fallback(merged: &Merged, faults: &mut Vec<Fault>) {
    if FALLBACK.iter().any(|variable| merged.is_set(variable)) {
        for variable in FALLBACK {
            let problem = "is not set, though another part of the fallback is";
            missing(merged, faults, variable, problem, ", or none of OPENAI_FALLBACK_*");
        }
    }
}

fn is(merged: &Merged, variable: &str, value: &str) -> bool {
    merged.get(variable).is_some_and(|entry| entry.text == value)
}

/// Adds a fault if `variable` is not set, unless one of its spellings is at fault already.
fn missing(merged: &Merged, faults: &mut Vec<Fault>, variable: &str, problem: &str, alternative: &str) {
    let Some(setting) = table::named(variable) else { return };
    let known = setting.spellings().any(|name| faults.iter().any(|fault| fault.name == name));
    if !known && !merged.is_set(variable) {
        faults.push(Fault {
            name: variable.to_owned(),
            origin: Origin::Nowhere,
            problem: problem.to_owned(),
            mend: format!("{}{alternative}", setting.mend_unset()),
        });
    }
}

/// The typed value of checked texts; relative paths start from `dir`.
///
/// # Errors
/// Only if a type here and the table disagree, which the tests rule out.
pub(super) fn settings(merged: &Merged, dir: &Path) -> Result<Settings, SettingsError> {
    let mut settings = Settings {
        app: section(merged, "APP_")?,
        server: section(merged, "SERVER_")?,
        whatsapp: section(merged, "WHATSAPP_")?,
        openai: section(merged, "OPENAI_")?,
        elevenlabs: section(merged, "ELEVENLABS_")?,
        conversation: section(merged, "CONVERSATION_")?,
        dedup: section(merged, "DEDUP_")?,
        ledger: section(merged, "LEDGER_")?,
        persona: section(merged, "PERSONA_")?,
        admin: section(merged, "ADMIN_")?,
        health: section(merged, "HEALTH_")?,
        log: section(merged, "LOG_")?,
        shown: merged.show(),
    };
    if merged.is_set(FALLBACK[0]) {
        settings.openai.fallback = Some(section::<Fallback>(merged, "OPENAI_FALLBACK_")?);
    }
    settings.ledger.path = dir.join(&settings.ledger.path);
    settings.persona.file = settings.persona.file.map(|file| dir.join(file));
    Ok(settings)
}

/// One section from its variables. envy's errors quote the value and leave out the prefix, so of them only the name
/// of a missing field is kept.
pub(super) fn section<T: DeserializeOwned>(merged: &Merged, prefix: &str) -> Result<T, SettingsError> {
    envy::prefixed(prefix).from_iter(merged.pairs()).map_err(|error| {
        let (name, problem) = match error {
            envy::Error::MissingValue(field) => {
                (format!("{prefix}{}", field.to_ascii_uppercase()), "is not set")
            }
            envy::Error::Custom(_) => (format!("{prefix}*"), "holds a value that cannot be read"),
        };
        let origin = merged.origin(&name);
        let mend = "compare it with the built-in config.toml".to_owned();
        Fault { name, origin, problem: problem.to_owned(), mend }.into()
    })
}

/// What is allowed but should be said at start. Prints as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, derive_more::Display)]
pub enum Warning {
    /// No app secret (development only): webhooks are believed unsigned.
    #[display("WHATSAPP_APP_SECRET is not set: webhooks are believed without a signature")]
    VerificationSkipped,
    /// No ElevenLabs key or no voice: answers are text only.
    #[display("ELEVENLABS_API_KEY or ELEVENLABS_VOICE_ID is not set: answers are text only")]
    VoiceDisabled,
    /// A secret would travel unencrypted to another machine. The name is that of the address's variable.
    #[display("{_0} begins with http:// and is another machine: the secret sent there travels unencrypted")]
    Unencrypted(&'static str),
}

/// The warnings that `settings` deserve.
pub(super) fn warnings(settings: &Settings) -> Vec<Warning> {
    let Settings { whatsapp, openai, elevenlabs, .. } = settings;
    let mut warnings = Vec::new();
    if whatsapp.app_secrets.is_empty() {
        warnings.push(Warning::VerificationSkipped);
    }
    if elevenlabs.api_key.is_none() || elevenlabs.voice_id.is_none() {
        warnings.push(Warning::VoiceDisabled);
    }
    let fallback = openai.fallback.as_ref();
    let addresses = [
        ("WHATSAPP_BASE_URL", whatsapp.access_token.as_ref().map(|_| &whatsapp.base_url)),
        ("OPENAI_BASE_URL", openai.api_key.as_ref().map(|_| &openai.base_url)),
        ("OPENAI_FALLBACK_BASE_URL", fallback.map(|fallback| &fallback.base_url)),
        ("ELEVENLABS_BASE_URL", elevenlabs.api_key.as_ref().map(|_| &elevenlabs.base_url)),
    ];
    for (variable, url) in addresses {
        if url.is_some_and(|url| !url.is_https() && !url.is_loopback()) {
            warnings.push(Warning::Unencrypted(variable));
        }
    }
    warnings
}

impl Settings {
    /// Whether this is a production installation.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.app.env == AppEnv::Production
    }
}
