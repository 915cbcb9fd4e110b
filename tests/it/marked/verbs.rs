//! The commands: beside a server, without one, with a wrong token, and with settings that are wrong.

use super::marks::*;
use super::told::Told;
use crate::support::World;

/// Asks for everything about these messages.
pub(super) async fn ask(world: &World, ids: &[String], told: &mut Told) {
    for id in ids {
        told.run(world, &["trace", id]).await;
    }
    told.run(world, &["trace", "--json", &ids[0]]).await;
    told.run(world, &["trace", "wamid.nobody"]).await;
    for words in [
        &["dead", "list"][..],
        &["dead", "list", "--json"],
        &["dead", "list", "--refused"],
        &["dead", "list", "--refused", "--json"],
        &["dead", "replay", "wamid.nobody"],
        &["dead", "replay", &ids[0]],
        &["forget", "39300"],
        &["backup", "copy.db"],
        &["backup", "copy.db"],
        &["healthcheck"],
        &["check"],
        &["check", "--show"],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        told.run(world, words).await;
    }
    // The providers are well again.
    for script in
        [world.sandbox.meta.script(), world.sandbox.openai.script(), world.sandbox.elevenlabs.script()]
    {
        script.clear();
    }
    told.run(world, &["doctor"]).await;
}

/// A person is forgotten, and then unknown.
pub(super) async fn forget(world: &World, told: &mut Told) {
    let (code, stdout, stderr) = world.run(&["forget", PHONES[1]]).await;
    assert_eq!(code, 0, "{stderr}");
    told.add("parlante forget", stdout + &stderr);
}

fn token() -> World {
    World::new()
        .set("WHATSAPP_APP_SECRET", &SECRETS.join(","))
        .set("WHATSAPP_VERIFY_TOKEN", VERIFY)
        .set("WHATSAPP_ACCESS_TOKEN", ACCESS)
        .set("OPENAI_API_KEY", OPENAI)
        .set("ELEVENLABS_API_KEY", VOICE)
        .set("ADMIN_TOKEN", ADMIN)
}

/// Every variable that a secret could be pasted into by mistake.
fn wrong_variables() -> Vec<World> {
    let names = parlante::settings::variables();
    let of = |name: String| -> Vec<World> {
        let values =
            [LOST.to_owned(), format!("{LOST} {LOST}"), format!("https://{LOST}:{LOST}@x.example/?{LOST}")];
        values.iter().map(|value| token().set(&name, value)).collect()
    };
    names.filter(|name| !name.ends_with("_FILE")).flat_map(of).collect()
}

/// Files with a secret where it does not belong.
fn wrong_files() -> Vec<World> {
    let with = |file: &str, content: String, variable: Option<&str>| {
        let world = token();
        std::fs::write(world.dir.path().join(file), content).unwrap();
        match variable {
            Some(name) => world.unset(name.trim_end_matches("_FILE")).set(name, file),
            None => world,
        }
    };
    vec![
        with("config.toml", format!("[openai]\napi_key = \"{LOST}\"\n"), None),
        with("config.toml", format!("[openai]\nmodel = {LOST}\n"), None),
        with("config.toml", format!("[openai]\ntimeout_ms = \"{LOST}\"\n"), None),
        with("config.toml", format!("[openai]\nmodel = [\"{LOST}\"]\n"), None),
        with("config.toml", format!("\"{LOST}\n"), None),
        with(".env", format!("OPENAI_API_KEY={LOST} {LOST}\n"), None),
        with(".env", format!("OPENAI_API_KEY=\"{LOST}\n"), None),
        with(".env", format!("{LOST}\n"), None),
        with(".env", format!("{LOST} = {LOST}\n"), None),
        with("key", format!("{LOST} {LOST}\n"), Some("OPENAI_API_KEY_FILE")),
        with("key", format!("{LOST}\n{LOST}\n"), Some("WHATSAPP_ACCESS_TOKEN_FILE")),
        with("key", format!("{LOST}\n"), Some("PERSONA_FILE")),
        with("key", format!("name = \"{LOST}\"\n"), Some("PERSONA_FILE")),
        with("key", format!("name = [\"{LOST}\"]\n"), Some("PERSONA_FILE")),
        with("key", format!("texts = \"{LOST}\"\n"), Some("PERSONA_FILE")),
        with("key", format!("name = \"{LOST}\n"), Some("PERSONA_FILE")),
        with("key", format!("OPENAI_API_KEY = \"{LOST}\"\n"), Some("PERSONA_FILE")),
        // Both are set.
        with("key", format!("{LOST}\n"), None).set("OPENAI_API_KEY_FILE", "key"),
    ]
}

/// What is wrong is named, and its value is not.
pub(super) async fn start_with_wrong_settings(told: &mut Told) {
    let mut refused = 0;
    for world in wrong_variables().into_iter().chain(wrong_files()) {
        // A server that starts all the same is none of these.
        let code = told.run(&world, &["check"]).await;
        if code != 0 {
            assert_eq!(code, 2);
            refused += 1;
            told.run(&world, &["serve"]).await;
            told.run(&world, &["doctor"]).await;
        }
    }
    assert!(refused > 40, "only {refused} were refused");
}
