//! Every setting, once: its section and key, whether it is a secret, and the rule for its value.

use super::rule::{
    DIGITS, FILTER, Form, HOST, HOST_NAME, IDENTIFIER, NETWORK, Rule, TEXT, TOKEN, URL, VERSION,
};

/// One setting.
pub(super) struct Setting {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    /// A second variable that stands for it, under a name that the world agreed on.
    pub(super) alias: Option<&'static str>,
    pub(super) kind: Kind,
    pub(super) rule: Rule,
}

/// Where a setting may be written, and whether it always has a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The built-in file holds a default.
    Defaulted,
    /// The built-in file holds an empty value: not set.
    Optional,
    /// Never in a file of settings; not set by default; never printed.
    Secret,
}

use Kind::{Defaulted, Optional, Secret};

/// All settings, in the order of `config.toml`.
pub(super) const TABLE: &[Setting] = &[
    setting("app", "env", Defaulted, Rule::Words(&["development", "production"])),
    setting("server", "host", Defaulted, Rule::One(HOST)).or("HOST"),
    setting("server", "port", Defaulted, number("port", 0, 65_535)).or("PORT"),
    setting("server", "drain_s", Defaulted, number("seconds", 0, 300)),
    setting("server", "public_url", Optional, Rule::One(URL)),
    setting("server", "trusted_proxies", Defaulted, list(NETWORK)),
    setting("whatsapp", "app_secret", Secret, Rule::Many { form: TEXT, min: 1 }),
    setting("whatsapp", "verify_token", Secret, Rule::One(TEXT)),
    setting("whatsapp", "access_token", Secret, Rule::One(TOKEN)),
    setting("whatsapp", "phone_number_id", Optional, Rule::One(DIGITS)),
    setting("whatsapp", "business_account_id", Optional, Rule::One(DIGITS)),
    setting("whatsapp", "base_url", Defaulted, Rule::One(URL)),
    setting("whatsapp", "api_version", Defaulted, Rule::One(VERSION)),
    setting("whatsapp", "media_hosts", Defaulted, list(HOST_NAME)),
    setting("whatsapp", "reconcile_ms", Defaulted, number(MS, 0, HOUR_MS)),
    setting("whatsapp", "ambiguous_send", Defaulted, Rule::Words(&["resend", "hold"])),
    setting("whatsapp", "timeout_ms", Defaulted, TIMEOUT),
    setting("whatsapp", "max_attempts", Defaulted, ATTEMPTS),
    setting("whatsapp", "backoff_ms", Defaulted, BACKOFF),
    setting("whatsapp", "circuit_failures", Defaulted, CIRCUIT_FAILURES),
    setting("whatsapp", "circuit_open_ms", Defaulted, CIRCUIT_OPEN),
    setting("openai", "api_key", Secret, Rule::One(TOKEN)),
    setting("openai", "base_url", Defaulted, Rule::One(URL)),
    setting("openai", "model", Defaulted, Rule::One(TEXT)),
    setting("openai", "transcription_model", Defaulted, Rule::One(TEXT)),
    setting("openai", "fallback_base_url", Optional, Rule::One(URL)),
    setting("openai", "fallback_api_key", Secret, Rule::One(TOKEN)),
    setting("openai", "fallback_model", Optional, Rule::One(TEXT)),
    setting("openai", "history_tokens", Defaulted, number("tokens", 0, 1_000_000)),
    setting("openai", "max_answer_tokens", Defaulted, number("tokens", 1, 100_000)),
    setting("openai", "timeout_ms", Defaulted, TIMEOUT),
    setting("openai", "max_attempts", Defaulted, ATTEMPTS),
    setting("openai", "backoff_ms", Defaulted, BACKOFF),
    setting("openai", "circuit_failures", Defaulted, CIRCUIT_FAILURES),
    setting("openai", "circuit_open_ms", Defaulted, CIRCUIT_OPEN),
    setting("elevenlabs", "api_key", Secret, Rule::One(TOKEN)),
    setting("elevenlabs", "voice_id", Optional, Rule::One(IDENTIFIER)),
    setting("elevenlabs", "base_url", Defaulted, Rule::One(URL)),
    setting("elevenlabs", "model", Defaulted, Rule::One(TEXT)),
    setting("elevenlabs", "timeout_ms", Defaulted, TIMEOUT),
    setting("elevenlabs", "max_attempts", Defaulted, ATTEMPTS),
    setting("elevenlabs", "backoff_ms", Defaulted, BACKOFF),
    setting("elevenlabs", "circuit_failures", Defaulted, CIRCUIT_FAILURES),
    setting("elevenlabs", "circuit_open_ms", Defaulted, CIRCUIT_OPEN),
    setting("conversation", "backlog", Defaulted, number("messages", 1, 1000)),
    setting("conversation", "turn_ms", Defaulted, number(MS, 1, HOUR_MS)),
    setting("conversation", "hold_ms", Defaulted, number(MS, 0, DAY_MS)),
    setting("conversation", "stale_hours", Defaulted, number("hours", 1, YEAR_HOURS)),
    setting("conversation", "idle_s", Defaulted, number("seconds", 1, 86_400)),
    setting("conversation", "voice", Defaulted, Rule::Words(&["mirror", "always", "never"])),
    setting("dedup", "ttl_hours", Defaulted, number("hours", 1, YEAR_HOURS)),
    setting("ledger", "path", Defaulted, Rule::One(TEXT)),
    setting("ledger", "done_days", Defaulted, DAYS),
    setting("ledger", "dead_days", Defaulted, DAYS),
    setting("ledger", "history_days", Defaulted, DAYS),
    setting("persona", "file", Optional, Rule::One(TEXT)),
    setting("admin", "token", Secret, Rule::One(TOKEN)),
    setting("health", "probe_s", Defaulted, number("seconds", 1, 3600)),
    setting("log", "format", Defaulted, Rule::Words(&["auto", "json", "pretty"])),
    setting("log", "filter", Defaulted, Rule::One(FILTER)).or("RUST_LOG"),
];

// The bounds are wide: they catch a wrong unit or a slipped digit, not an unusual wish.
const MS: &str = "milliseconds";
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;
const YEAR_HOURS: u64 = 8760;
const TIMEOUT: Rule = number(MS, 1, 300_000);
const ATTEMPTS: Rule = number("attempts", 1, 10);
const BACKOFF: Rule = Rule::Numbers { unit: MS, min: 0, max: 60_000 };
const CIRCUIT_FAILURES: Rule = number("calls", 1, 1000);
const CIRCUIT_OPEN: Rule = number(MS, 1, HOUR_MS);
const DAYS: Rule = number("days", 1, 3650);

const fn setting(section: &'static str, key: &'static str, kind: Kind, rule: Rule) -> Setting {
    Setting { section, key, alias: None, kind, rule }
}

const fn number(unit: &'static str, min: u64, max: u64) -> Rule {
    Rule::Number { unit, min, max }
}

const fn list(form: Form) -> Rule {
    Rule::Many { form, min: 0 }
}

impl Setting {
    const fn or(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    /// `SECTION_KEY`.
    pub(super) fn variable(&self) -> String {
        format!("{}_{}", self.section, self.key).to_ascii_uppercase()
    }

    /// `SECTION_KEY_FILE`. `None` for `PERSONA_FILE`, which is a path already.
    pub(super) fn file_variable(&self) -> Option<String> {
        (self.key != "file").then(|| format!("{}_FILE", self.variable()))
    }

    /// Every variable that can set it.
    pub(super) fn spellings(&self) -> impl Iterator<Item = String> {
        [Some(self.variable()), self.alias.map(str::to_owned), self.file_variable()].into_iter().flatten()
    }

    /// How to set a secret, as an order.
    pub(super) fn mend_unset(&self) -> String {
        match (self.kind, self.file_variable()) {
            (Kind::Secret, Some(file)) => format!("set {} or {file}", self.variable()),
            _ => format!("set {} or [{}] {} in config.toml", self.variable(), self.section, self.key),
        }
    }
}

/// The setting that a key of a section names.
pub(super) fn find(section: &str, key: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.section == section && setting.key == key)
}

/// The setting with this `SECTION_KEY`.
pub(super) fn named(variable: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.variable() == variable)
}
