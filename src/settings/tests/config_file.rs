//! What a `config.toml` may hold, and how its faults are told.

use super::{World, shown};

fn refused(text: &str) -> String {
    World::new().file("config.toml", text).refused()
}

fn accepted(text: &str) -> World {
    World::new().file("config.toml", text)
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_known_ones() {
    let text = refused("# mine\n[server]\nport = 1\nprot = 2\n");
    assert_eq!(
        text,
        "key `prot` of [server] is unknown (config.toml, line 4); \
         the keys of [server] are host, port, drain_s, public_url, trusted_proxies"
    );
    let file = refused("[openai]\napi_key_file = \"/run/secrets/key\"\n");
    assert!(file.starts_with("key `api_key_file` of [openai] is unknown (config.toml, line 2)"), "{file}");
}

#[test]
fn an_unknown_section_or_a_key_outside_is_refused() {
    let section = refused("[server]\nport = 1\n\n[sevrer]\nport = 1\n");
    assert!(section.starts_with("[sevrer] is not a known section (config.toml, line 4)"), "{section}");
    assert!(section.contains("[app], [server], [whatsapp]"), "{section}");
    let outside = refused("port = 1\n");
    assert!(
        outside.starts_with("key `port` stands outside of every section (config.toml, line 1)"),
        "{outside}"
    );
    let flat = refused("server = 1\n");
    assert!(flat.starts_with("[server] is not a section (config.toml, line 1)"), "{flat}");
}

#[test]
fn a_secret_is_refused_with_the_variable_to_use() {
    for (section, key, variable) in [
        ("whatsapp", "app_secret", "WHATSAPP_APP_SECRET"),
        ("whatsapp", "verify_token", "WHATSAPP_VERIFY_TOKEN"),
        ("whatsapp", "access_token", "WHATSAPP_ACCESS_TOKEN"),
        ("openai", "api_key", "OPENAI_API_KEY"),
        ("openai", "fallback_api_key", "OPENAI_FALLBACK_API_KEY"),
        ("elevenlabs", "api_key", "ELEVENLABS_API_KEY"),
        ("admin", "token", "ADMIN_TOKEN"),
    ] {
        let text = refused(&format!("[{section}]\n{key} = \"hush\"\n"));
        let expected = format!(
            "{variable} is a secret and must not stand in a settings file (config.toml, line 2); \
             remove it there, and set {variable} or {variable}_FILE"
        );
        assert_eq!(text, expected);
        // Not even an empty one: the next hand would fill it in.
        assert_eq!(refused(&format!("[{section}]\n{key} = \"\"\n")), expected);
    }
}

#[test]
fn broken_toml_is_refused_with_its_line_and_without_its_content() {
    let text = refused("[openai]\nmodel = \"x\"\nbase_url = hush-unquoted\n");
    assert!(text.starts_with("config.toml is not TOML: "), "{text}");
    assert!(text.contains("(config.toml, line 3)") && !text.contains("hush"), "{text}");
    let twice = refused("[openai]\nmodel = \"x\"\nmodel = \"y\"\n");
    assert!(twice.contains("duplicate key") && twice.contains("line 3"), "{twice}");
}

#[test]
fn broken_toml_does_not_hide_what_is_wrong_elsewhere() {
    let world = accepted("[openai\n").env("PORT", "many").env("APP_ENV", "production");
    let text = world.refused();
    assert!(
        text.contains("config.toml is not TOML") && text.contains("SERVER_PORT is not a whole number"),
        "{text}"
    );
    // What the unread file would have set is not called missing.
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn lists_are_arrays_or_text_with_commas() {
    for list in ["[1, 2, 3]", "\"1,2,3\"", "\"1, 2 ,3\"", "[\"1\", 2, 0x3]"] {
        let world = accepted(&format!("[openai]\nbackoff_ms = {list}\n"));
        assert_eq!(shown(&world, "OPENAI_BACKOFF_MS"), "1,2,3  # config.toml, line 2", "{list}");
    }
    assert_eq!(
        shown(&accepted("[openai]\nbackoff_ms = 5\n"), "OPENAI_BACKOFF_MS"),
        "5  # config.toml, line 2"
    );
}

#[test]
fn an_empty_array_is_a_value_and_may_be_wrong() {
    let world = accepted("[whatsapp]\nmedia_hosts = []\n");
    assert!(world.load().whatsapp.media_hosts.is_empty());
    assert_eq!(shown(&world, "WHATSAPP_MEDIA_HOSTS"), "(none)  # config.toml, line 2");
    let text = refused("[whatsapp]\nbackoff_ms = []\n");
    assert!(text.starts_with("WHATSAPP_BACKOFF_MS is an empty list (config.toml, line 2)"), "{text}");
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    for (line, problem) in [
        ("port = 1.5", "has the wrong type: float"),
        ("port = true", "has the wrong type: boolean"),
        ("port = [1]", "has the wrong type: array"),
        ("port = { a = 1 }", "has the wrong type: table"),
        ("port = 170141183460469231731687303715884105728", "is out of range"),
        ("port = -1", "is not a whole number"),
        ("trusted_proxies = [\"10.0.0.1,10.0.0.2\"]", "has an empty element, or one with a comma in it"),
        ("trusted_proxies = [\" \"]", "has an empty element, or one with a comma in it"),
        ("trusted_proxies = [[]]", "has the wrong type: array"),
    ] {
        let text = refused(&format!("[server]\n{line}\n"));
        assert!(text.contains(&format!("{problem} (config.toml, line 2); set it to ")), "{line}: {text}");
    }
}

#[test]
fn numbers_and_texts_stand_for_one_another() {
    let settings =
        accepted("[server]\nport = \"81\"\n[whatsapp]\nphone_number_id = 106540352242922\n").load();
    assert_eq!(settings.server.port, 81);
    assert_eq!(settings.whatsapp.phone_number_id.as_deref(), Some("106540352242922"));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let world = accepted("[server]\nprot = 1\ndrain_s = \"long\"\n[admin]\ntoken = \"hush\"\n")
        .file(".env", "DEDUP_TTL_HOURS=0\n")
        .env("CONVERSATION_BACKLOG", "1001")
        .env("OPENAI_API_KEY_FILE", "missing");
    let text = world.refused();
    for name in [
        "`prot`",
        "SERVER_DRAIN_S",
        "ADMIN_TOKEN",
        "DEDUP_TTL_HOURS",
        "CONVERSATION_BACKLOG",
        "OPENAI_API_KEY_FILE",
    ] {
        assert!(text.contains(name), "{name} is missing in:\n{text}");
    }
    assert_eq!(text.lines().count(), 6, "{text}");
}

#[test]
fn a_key_cannot_break_the_lines_of_the_report() {
    let text = refused("[server]\n\"a\\nb\" = 1\n[\"c\\nd\"]\n");
    assert!(text.contains("key `a\\nb`") && text.contains("[c\\nd]"), "{text}");
}
