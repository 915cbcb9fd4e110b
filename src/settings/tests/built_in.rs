//! The built-in `config.toml`: complete, in order, commented, and with the defaults that were promised.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{World, shown};
use crate::settings::table::{Kind, TABLE};
use crate::settings::written::BUILT_IN;
use crate::settings::{AmbiguousSend, AppEnv, LogFormat, VoicePolicy};

/// The defaults as the documentation promises them, by variable.
const PROMISED: &[(&str, &str)] = &[
    ("APP_ENV", "development"),
    ("SERVER_HOST", "127.0.0.1"),
    ("SERVER_PORT", "3000"),
    ("SERVER_DRAIN_S", "8"),
    ("SERVER_TRUSTED_PROXIES", "(none)"),
    ("WHATSAPP_BASE_URL", "https://graph.facebook.com"),
    ("WHATSAPP_API_VERSION", "v25.0"),
    ("WHATSAPP_MEDIA_HOSTS", "lookaside.fbsbx.com"),
    ("WHATSAPP_RECONCILE_MS", "30000"),
    ("WHATSAPP_AMBIGUOUS_SEND", "resend"),
    ("WHATSAPP_TIMEOUT_MS", "8000"),
    ("WHATSAPP_MAX_ATTEMPTS", "3"),
    ("WHATSAPP_BACKOFF_MS", "0,1000,2000"),
    ("WHATSAPP_CIRCUIT_FAILURES", "5"),
    ("WHATSAPP_CIRCUIT_OPEN_MS", "30000"),
    ("OPENAI_BASE_URL", "https://api.openai.com/v1"),
    ("OPENAI_MODEL", "gpt-5.4-mini"),
    ("OPENAI_TRANSCRIPTION_MODEL", "gpt-4o-mini-transcribe"),
    ("OPENAI_HISTORY_TOKENS", "3000"),
    ("OPENAI_MAX_ANSWER_TOKENS", "700"),
    ("OPENAI_TIMEOUT_MS", "15000"),
    ("OPENAI_MAX_ATTEMPTS", "3"),
    ("OPENAI_BACKOFF_MS", "0,1000,2000"),
    ("OPENAI_CIRCUIT_FAILURES", "5"),
    ("OPENAI_CIRCUIT_OPEN_MS", "30000"),
    ("ELEVENLABS_BASE_URL", "https://api.elevenlabs.io"),
    ("ELEVENLABS_MODEL", "eleven_flash_v2_5"),
    ("ELEVENLABS_TIMEOUT_MS", "15000"),
    ("ELEVENLABS_MAX_ATTEMPTS", "3"),
    ("ELEVENLABS_BACKOFF_MS", "0,1000,2000"),
    ("ELEVENLABS_CIRCUIT_FAILURES", "5"),
    ("ELEVENLABS_CIRCUIT_OPEN_MS", "30000"),
    ("CONVERSATION_BACKLOG", "10"),
    ("CONVERSATION_TURN_MS", "90000"),
    ("CONVERSATION_HOLD_MS", "120000"),
    ("CONVERSATION_STALE_HOURS", "24"),
    ("CONVERSATION_IDLE_S", "300"),
    ("CONVERSATION_VOICE", "mirror"),
    ("DEDUP_TTL_HOURS", "192"),
    ("LEDGER_PATH", "data/parlante.db"),
    ("LEDGER_DONE_DAYS", "30"),
    ("LEDGER_DEAD_DAYS", "90"),
    ("LEDGER_HISTORY_DAYS", "90"),
    ("HEALTH_PROBE_S", "30"),
    ("LOG_FORMAT", "auto"),
    ("LOG_FILTER", "info"),
];

#[test]
fn the_defaults_are_the_promised_ones_and_nothing_else_is_set() {
    let world = World::new();
    for setting in TABLE {
        let variable = setting.variable();
        let promised = PROMISED.iter().find(|(name, _)| *name == variable);
        let expected = match promised {
            Some((_, value)) => format!("{value}  # built-in config.toml"),
            None => "(not set)".to_owned(),
        };
        assert_eq!(shown(&world, &variable), expected, "{variable}");
        assert_eq!(promised.is_some(), setting.kind == Kind::Defaulted, "{variable}");
    }
}

#[test]
fn every_unit_becomes_the_right_duration() {
    let settings = World::new().load();
    let seconds = Duration::from_secs;
    assert_eq!(settings.server.drain, seconds(8));
    assert_eq!(settings.whatsapp.reconcile, seconds(30));
    assert_eq!(settings.whatsapp.timeout, seconds(8));
    assert_eq!(settings.openai.timeout, seconds(15));
    assert_eq!(settings.elevenlabs.timeout, seconds(15));
    for backoff in [&settings.whatsapp.backoff, &settings.openai.backoff, &settings.elevenlabs.backoff] {
        assert_eq!(*backoff, [seconds(0), seconds(1), seconds(2)]);
    }
    for open in
        [settings.whatsapp.circuit_open, settings.openai.circuit_open, settings.elevenlabs.circuit_open]
    {
        assert_eq!(open, seconds(30));
    }
    assert_eq!(settings.conversation.turn, seconds(90));
    assert_eq!(settings.conversation.hold, seconds(120));
    assert_eq!(settings.conversation.stale, seconds(24 * 3600));
    assert_eq!(settings.conversation.idle, seconds(300));
    assert_eq!(settings.dedup.ttl, seconds(8 * 86_400));
    assert_eq!(settings.ledger.done, seconds(30 * 86_400));
    assert_eq!(settings.ledger.dead, seconds(90 * 86_400));
    assert_eq!(settings.ledger.history, seconds(90 * 86_400));
    assert_eq!(settings.health.probe, seconds(30));
}

#[test]
fn the_other_defaults_have_their_types() {
    let settings = World::new().load();
    assert_eq!(settings.app.env, AppEnv::Development);
    assert!(!settings.is_production());
    assert_eq!((settings.server.host.to_string().as_str(), settings.server.port), ("127.0.0.1", 3000));
    assert!(settings.server.public_url.is_none() && settings.server.trusted_proxies.is_empty());
    assert!(settings.whatsapp.app_secrets.is_empty() && settings.whatsapp.access_token.is_none());
    assert_eq!(settings.whatsapp.ambiguous_send, AmbiguousSend::Resend);
    assert_eq!(settings.whatsapp.media_hosts[0].as_str(), "lookaside.fbsbx.com");
    assert_eq!(settings.whatsapp.max_attempts, 3);
    assert!(settings.openai.fallback.is_none() && settings.openai.api_key.is_none());
    assert_eq!((settings.openai.history_tokens, settings.openai.max_answer_tokens), (3000, 700));
    assert!(settings.elevenlabs.voice_id.is_none());
    assert_eq!((settings.conversation.backlog, settings.conversation.voice), (10, VoicePolicy::Mirror));
    assert!(settings.persona.file.is_none() && settings.admin.token.is_none());
    assert_eq!((settings.log.format, settings.log.filter.as_str()), (LogFormat::Auto, "info"));
}

#[test]
fn it_holds_exactly_the_keys_of_the_table_that_are_no_secrets() {
    let file: toml::Table = toml::from_str(BUILT_IN).unwrap();
    let keys = file.iter().flat_map(|(section, content)| {
        let keys = content.as_table().unwrap().keys();
        keys.map(move |key| format!("{section}.{key}"))
    });
    let public = TABLE.iter().filter(|setting| setting.kind != Kind::Secret);
    let expected = public.map(|setting| format!("{}.{}", setting.section, setting.key));
    assert_eq!(keys.collect::<BTreeSet<_>>(), expected.collect::<BTreeSet<_>>());
}

#[test]
fn its_keys_stand_in_the_order_of_the_table() {
    let mut section = "";
    let mut found = Vec::new();
    for line in BUILT_IN.lines() {
        match line.split_once(" = ") {
            _ if line.starts_with('[') => section = line.trim_matches(['[', ']']),
            Some((key, _)) if !line.starts_with('#') => found.push((section, key)),
            _ => {}
        }
    }
    let public = TABLE.iter().filter(|setting| setting.kind != Kind::Secret);
    assert_eq!(found, public.map(|setting| (setting.section, setting.key)).collect::<Vec<_>>());
}

#[test]
fn every_key_has_a_comment_and_every_secret_is_named() {
    let mut above = "";
    for line in BUILT_IN.lines() {
        if line.contains(" = ") && !line.starts_with('#') && above != "fallback_base_url" {
            assert!(above.starts_with('#'), "no comment above {line}");
        }
        // The two keys of the fallback share one comment.
        above = if line.starts_with("fallback_base_url") { "fallback_base_url" } else { line };
    }
    for secret in TABLE.iter().filter(|setting| setting.kind == Kind::Secret) {
        let own_section = BUILT_IN.split(&format!("[{}]\n", secret.section)).nth(1).unwrap();
        let own_section = own_section.split("\n[").next().unwrap();
        let named =
            own_section.lines().any(|line| line.starts_with('#') && line.contains(&secret.variable()));
        assert!(named, "{} is not named in its section", secret.variable());
    }
}
