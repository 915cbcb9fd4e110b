//! Rules between settings, and warnings.

use super::World;
use crate::settings::Warning;

const REQUIRED: [&str; 6] = [
    "WHATSAPP_APP_SECRET",
    "WHATSAPP_VERIFY_TOKEN",
    "WHATSAPP_ACCESS_TOKEN",
    "WHATSAPP_PHONE_NUMBER_ID",
    "OPENAI_API_KEY",
    "ADMIN_TOKEN",
];

#[test]
fn production_names_everything_that_is_missing_at_once() {
    let world = World::new().env("APP_ENV", "production").env("HOST", "0.0.0.0");
    let text = world.refused();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, REQUIRED);
    for line in text.lines().filter(|line| !line.starts_with("WHATSAPP_PHONE_NUMBER_ID")) {
        let name = line.split(' ').next().unwrap();
        let expected = format!("is not set, and APP_ENV is production; set {name} or {name}_FILE");
        assert_eq!(line, format!("{name} {expected}"));
    }
    assert!(
        text.contains("set WHATSAPP_PHONE_NUMBER_ID or [whatsapp] phone_number_id in config.toml"),
        "{text}"
    );
}

#[test]
fn production_needs_each_of_them() {
    assert!(World::new().production().env("HOST", "0.0.0.0").load().is_production());
    for name in REQUIRED {
        let text = World::new().production().without(name).refused();
        assert!(text.starts_with(&format!("{name} is not set")) && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn production_in_the_file_counts_too() {
    let text = World::new().file("config.toml", "[app]\nenv = \"production\"\n").refused();
    assert_eq!(text.lines().count(), 6, "{text}");
}

#[test]
fn what_is_at_fault_already_is_not_called_missing_too() {
    let world = World::new().production().without("OPENAI_API_KEY").without("ADMIN_TOKEN");
    let text = world.env("OPENAI_API_KEY_FILE", "missing").env("ADMIN_TOKEN", "a b").refused();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.contains("OPENAI_API_KEY_FILE names a file") && text.contains("ADMIN_TOKEN has a space"),
        "{text}"
    );
}

#[test]
fn without_an_app_secret_only_this_machine_may_reach_us() {
    for host in ["0.0.0.0", "192.168.1.2", "::", "::ffff:10.0.0.1"] {
        let text = World::new().env("HOST", host).refused();
        assert_eq!(
            text,
            "WHATSAPP_APP_SECRET is not set, and HOST is no loopback address (environment variable HOST): \
             anybody could forge webhooks; set WHATSAPP_APP_SECRET or WHATSAPP_APP_SECRET_FILE, \
             or set HOST to 127.0.0.1"
        );
        World::new().env("HOST", host).env("WHATSAPP_APP_SECRET", "x").load();
    }
    for host in ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"] {
        World::new().env("HOST", host).load();
    }
}

#[test]
fn the_fallback_is_whole_or_absent() {
    let parts = [
        ("OPENAI_FALLBACK_BASE_URL", "https://second.example/v1/"),
        ("OPENAI_FALLBACK_API_KEY", "second-key"),
        ("OPENAI_FALLBACK_MODEL", "second-model"),
    ];
    for chosen in 1..7_u8 {
        let given = |index: usize| chosen & (1 << index) != 0;
        let mut world = World::new();
        for (index, (variable, value)) in parts.into_iter().enumerate() {
            world = if given(index) { world.env(variable, value) } else { world };
        }
        let text = world.refused();
        for (index, (variable, _)) in parts.into_iter().enumerate() {
            let named = text.lines().any(|line| line.starts_with(&format!("{variable} is not set, though")));
            assert_eq!(named, !given(index), "{variable}: {text}");
        }
    }
    let whole = parts.into_iter().fold(World::new(), |world, (variable, value)| world.env(variable, value));
    let fallback = whole.load().openai.fallback.unwrap();
    assert_eq!(fallback.base_url.as_str(), "https://second.example/v1");
    assert_eq!((fallback.api_key.expose(), fallback.model.as_str()), ("second-key", "second-model"));
}

#[test]
fn warnings_say_what_is_allowed_but_odd() {
    let bare = World::new().load().warnings();
    assert_eq!(bare, [Warning::VerificationSkipped, Warning::VoiceDisabled]);
    let voice = |world: World| world.env("ELEVENLABS_API_KEY", "k").env("ELEVENLABS_VOICE_ID", "v");
    assert_eq!(voice(World::new().production()).load().warnings(), []);
    let half = World::new().production().env("ELEVENLABS_API_KEY", "k").load().warnings();
    assert_eq!(half, [Warning::VoiceDisabled]);
}

#[test]
fn a_secret_that_would_travel_unencrypted_is_warned_of() {
    let world = || World::new().production().env("ELEVENLABS_API_KEY", "k").env("ELEVENLABS_VOICE_ID", "v");
    for variable in ["WHATSAPP_BASE_URL", "OPENAI_BASE_URL", "ELEVENLABS_BASE_URL"] {
        let warnings = world().env(variable, "http://10.0.0.1/v1").load().warnings();
        assert_eq!(warnings, [Warning::Unencrypted(variable)]);
        assert_eq!(world().env(variable, "http://localhost:9/v1").load().warnings(), []);
    }
    let fallback = world()
        .env("OPENAI_FALLBACK_BASE_URL", "http://second.example")
        .env("OPENAI_FALLBACK_API_KEY", "k")
        .env("OPENAI_FALLBACK_MODEL", "m");
    assert_eq!(fallback.load().warnings(), [Warning::Unencrypted("OPENAI_FALLBACK_BASE_URL")]);
}
