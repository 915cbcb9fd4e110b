//! Which layer wins, and what each of them refuses.

use std::net::IpAddr;

use super::{World, shown};

#[test]
fn each_layer_overrides_the_one_below() {
    let world = World::new().file("config.toml", "[openai]\ntimeout_ms = 1001\n");
    assert_eq!(shown(&world, "OPENAI_TIMEOUT_MS"), "1001  # config.toml, line 2");
    let world = world.file(".env", "\nOPENAI_TIMEOUT_MS=1002\n");
    assert_eq!(shown(&world, "OPENAI_TIMEOUT_MS"), "1002  # .env, line 2, OPENAI_TIMEOUT_MS");
    let world = world.env("OPENAI_TIMEOUT_MS", "1003");
    assert_eq!(shown(&world, "OPENAI_TIMEOUT_MS"), "1003  # environment variable OPENAI_TIMEOUT_MS");
    assert_eq!(world.load().openai.timeout.as_millis(), 1003);
}

#[test]
fn a_partial_file_leaves_the_other_defaults() {
    let settings = World::new().file("config.toml", "[openai]\nmodel = \"mine\"\n").load();
    assert_eq!(settings.openai.model, "mine");
    assert_eq!(settings.openai.transcription_model, "gpt-4o-mini-transcribe");
    assert_eq!(settings.server.port, 3000);
}

#[test]
fn a_given_file_takes_the_place_of_the_one_in_the_working_directory() {
    let world = World::new()
        .file("config.toml", "[server]\nport = 1\n[openai]\nmodel = \"unread\"\n")
        .file("other.toml", "[server]\nport = 2\n")
        .config("other.toml");
    assert_eq!(shown(&world, "SERVER_PORT"), "2  # other.toml, line 2");
    assert_eq!(world.load().openai.model, "gpt-5.4-mini");
}

#[test]
fn a_given_file_must_be_there_and_be_text() {
    let missing = World::new().config("missing.toml").refused();
    assert!(missing.starts_with("missing.toml cannot be read: No such file"), "{missing}");
    let bytes = World::new().file("bytes.toml", b"\xff").config("bytes.toml").refused();
    assert!(bytes.starts_with("bytes.toml is not UTF-8 text"), "{bytes}");
    let directory = World::new().config(".").refused();
    assert!(directory.contains("is not a regular file"), "{directory}");
    let large = World::new().file("large.toml", vec![b'#'; 1024 * 1024 + 1]).config("large.toml").refused();
    assert!(large.starts_with("large.toml is larger than 1 MiB"), "{large}");
}

#[test]
fn a_file_that_holds_the_value_is_read_and_one_line_end_cut() {
    for (content, value) in
        [("v1", "v1"), ("v1\n", "v1"), ("v1\r\n", "v1"), ("words in between\n", "words in between")]
    {
        let world = World::new().file("value", content).env("OPENAI_MODEL_FILE", "value");
        assert_eq!(world.load().openai.model, value);
        assert_eq!(
            shown(&world, "OPENAI_MODEL"),
            format!("{value}  # file value, named by environment variable OPENAI_MODEL_FILE")
        );
    }
    let two = World::new().file("value", "v1\n\n").env("OPENAI_MODEL_FILE", "value").refused();
    assert!(two.starts_with("OPENAI_MODEL has a line end"), "{two}");
}

#[test]
fn a_value_file_may_be_named_in_dotenv_and_by_an_absolute_path() {
    let world = World::new().file("token", "t0k3n\n");
    let path = world.dir.path().join("token");
    let world = world.file(".env", format!("ADMIN_TOKEN_FILE={}\n", path.display()));
    assert_eq!(world.load().admin.token.unwrap().expose(), "t0k3n");
    assert_eq!(
        shown(&world, "ADMIN_TOKEN"),
        "********  # file token, named by .env, line 1, ADMIN_TOKEN_FILE"
    );
}

#[test]
fn a_value_file_that_cannot_be_read_or_is_empty_is_refused() {
    let missing = World::new().env("OPENAI_API_KEY_FILE", "missing").refused();
    let start = "OPENAI_API_KEY_FILE names a file that cannot be read: No such file";
    assert!(missing.starts_with(start), "{missing}");
    assert!(missing.contains("(environment variable OPENAI_API_KEY_FILE)"), "{missing}");
    let empty = World::new().file("empty", "\n").env("OPENAI_API_KEY_FILE", "empty").refused();
    assert!(
        empty.starts_with("OPENAI_API_KEY_FILE names a file that is empty (file empty, named by"),
        "{empty}"
    );
    let directory = World::new().env("OPENAI_API_KEY_FILE", ".").refused();
    assert!(directory.contains("names a file that is not a regular file"), "{directory}");
}

#[test]
fn a_variable_and_its_file_exclude_each_other_within_a_layer() {
    let world = World::new().file("value", "from-file").env("OPENAI_MODEL", "plain");
    let both = world.env("OPENAI_MODEL_FILE", "value");
    let refused = both.refused();
    assert!(refused.starts_with("OPENAI_MODEL is set, and so is OPENAI_MODEL_FILE"), "{refused}");
    assert!(refused.ends_with("remove OPENAI_MODEL or OPENAI_MODEL_FILE"), "{refused}");

    let dotenv = World::new().file("value", "x").file(".env", "OPENAI_MODEL=a\nOPENAI_MODEL_FILE=value\n");
    assert!(dotenv.refused().contains(".env, line 2, OPENAI_MODEL_FILE"), "{}", dotenv.refused());
}

#[test]
fn between_layers_the_higher_one_wins_however_it_is_spelled() {
    let world = World::new().file("value", "from-file").file(".env", "OPENAI_MODEL=plain\nSERVER_PORT=1\n");
    let settings = world.env("OPENAI_MODEL_FILE", "value").env("PORT", "2").load();
    assert_eq!((settings.openai.model.as_str(), settings.server.port), ("from-file", 2));
}

#[test]
fn the_short_names_stand_for_the_long_ones() {
    let world = World::new().env("PORT", "8080").env("HOST", "::1").env("RUST_LOG", "debug");
    let settings = world.load();
    assert_eq!((settings.server.port, settings.server.host), (8080, "::1".parse::<IpAddr>().unwrap()));
    assert_eq!(settings.log.filter, "debug");
    assert_eq!(shown(&world, "SERVER_PORT"), "8080  # environment variable PORT");
    assert_eq!(world.env("SERVER_PORT", "8080").load().server.port, 8080);
}

#[test]
fn a_short_name_and_its_long_one_must_agree() {
    for (short, long, one, other) in [
        ("PORT", "SERVER_PORT", "8080", "8081"),
        ("HOST", "SERVER_HOST", "127.0.0.1", "::1"),
        ("RUST_LOG", "LOG_FILTER", "info", "warn"),
    ] {
        let refused = World::new().env(short, one).env(long, other).refused();
        assert!(refused.starts_with(&format!("{long} is set, and so is {short} ")), "{refused}");
    }
    let refused = World::new().file("port", "1").env("PORT", "1").env("SERVER_PORT_FILE", "port").refused();
    assert!(refused.starts_with("PORT is set, and so is SERVER_PORT_FILE "), "{refused}");
}

#[test]
fn the_persona_file_is_a_path_of_its_own() {
    let world = World::new().file("mara.toml", "not looked at").env("PERSONA_FILE", "mara.toml");
    assert_eq!(world.load().persona.file.unwrap(), world.dir.path().join("mara.toml"));
    let world = World::new().file("value", "mara.toml").env("PERSONA_FILE_FILE", "value");
    assert!(world.load().persona.file.is_none());
}

#[test]
fn relative_paths_start_from_the_working_directory() {
    let world = World::new();
    assert_eq!(world.load().ledger.path, world.dir.path().join("data/parlante.db"));
    assert_eq!(world.env("LEDGER_PATH", "/srv/x.db").load().ledger.path.to_str(), Some("/srv/x.db"));
}

#[test]
fn empty_counts_as_not_set_in_every_layer() {
    let world = World::new()
        .file("config.toml", "[openai]\nmodel = \"\"\n[conversation]\nvoice = \"always\"\n")
        .file(".env", "CONVERSATION_VOICE=\nDEDUP_TTL_HOURS=5\nOPENAI_MODEL_FILE=\n")
        .env("DEDUP_TTL_HOURS", "")
        .env("WHATSAPP_APP_SECRET", "")
        .env("PORT", "");
    assert_eq!(shown(&world, "OPENAI_MODEL"), "gpt-5.4-mini  # built-in config.toml");
    assert_eq!(shown(&world, "CONVERSATION_VOICE"), "always  # config.toml, line 4");
    assert_eq!(shown(&world, "DEDUP_TTL_HOURS"), "5  # .env, line 2, DEDUP_TTL_HOURS");
    assert_eq!(shown(&world, "WHATSAPP_APP_SECRET"), "(not set)");
    let both = World::new().file("value", "x").env("OPENAI_MODEL", "").env("OPENAI_MODEL_FILE", "value");
    assert_eq!(both.load().openai.model, "x");
}

#[test]
fn variables_of_others_are_ignored() {
    let world =
        World::new().env("OPENAI_ORG_ID", "x").env("OPENAI_TIMEOUT_MSX", "x").env("openai_model", "x");
    assert_eq!(world.load().openai.model, "gpt-5.4-mini");
}

#[test]
fn of_a_repeated_variable_the_last_counts() {
    assert_eq!(World::new().env("PORT", "1").env("PORT", "2").load().server.port, 2);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_refused_if_it_is_ours() {
    use std::os::unix::ffi::OsStringExt;

    let bytes = || std::ffi::OsString::from_vec(vec![b'x', 0xff]);
    let refused = World::new().env("OPENAI_API_KEY", bytes()).refused();
    let start = "OPENAI_API_KEY is not UTF-8 text (environment variable OPENAI_API_KEY)";
    assert!(refused.starts_with(start), "{refused}");
    World::new().env("PATH", bytes()).load();
}

#[test]
fn the_variables_are_all_listed() {
    let names: Vec<String> = crate::settings::variables().collect();
    for name in
        ["HOST", "PORT", "SERVER_PORT", "SERVER_PORT_FILE", "ADMIN_TOKEN_FILE", "PERSONA_FILE", "RUST_LOG"]
    {
        assert!(names.iter().any(|listed| listed == name), "{name}");
    }
    assert!(!names.iter().any(|listed| listed == "PERSONA_FILE_FILE"));
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "no variable has two meanings");
}
