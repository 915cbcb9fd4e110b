//! No number, name, text or secret is told, whatever goes wrong: in runs in which every such thing is a word that stands
//! nowhere else, all that the program says to anybody is searched.
//!
//! - [`marks`]: the words.
//! - [`search`]: looks for them, also in pieces and other spellings.
//! - [`told`]: what was said, where.
//! - [`people`]: what people write, and providers that quote it in their errors.
//! - [`doors`]: wrong webhooks and wrong requests.
//! - [`verbs`]: the commands, and settings that are wrong.
//!
//! A person may of course see what they wrote and what the model answered, but nothing of the operator's. What is left out
//! of the search: the ledger itself, and Meta's message ids.

mod doors;
mod marks;
mod people;
mod search;
mod told;
mod verbs;

use parlante_sandbox::{ElevenLabsOptions, MetaOptions, OpenAiOptions, Options, Sandbox};
use rustix::process::Signal;

use crate::events::damage;
use crate::support::strace::Strace;
use crate::support::{BINARY, World};
use marks::{ACCESS, ADMIN, FALLBACK, LOST, OPENAI, SECRETS, TEXT, VERIFY, VOICE};
use told::Told;

/// A world whose secrets are all marked, and a second model that knows nobody.
fn world() -> (World, Sandbox) {
    let tests = Options::for_tests();
    let meta = MetaOptions {
        app_secret: SECRETS[0].to_owned(),
        verify_token: VERIFY.to_owned(),
        access_token: ACCESS.to_owned(),
        // Those that come late are told by hand.
        statuses: false,
        ..tests.meta
    };
    let openai = OpenAiOptions { api_key: OPENAI.to_owned(), ..tests.openai.clone() };
    let elevenlabs = ElevenLabsOptions { api_key: VOICE.to_owned(), ..tests.elevenlabs };
    let world = World::with(Options { meta, openai, elevenlabs, ..Options::for_tests() });
    let fallback = OpenAiOptions { api_key: FALLBACK.to_owned(), ..tests.openai };
    let second = Sandbox::start(Options { openai: fallback, ..Options::for_tests() }).unwrap();
    let account = world.sandbox.meta.options().business_account_id.clone();
    let world = world
        .set("WHATSAPP_APP_SECRET", &SECRETS.join(","))
        .set("WHATSAPP_BUSINESS_ACCOUNT_ID", &account)
        .set("OPENAI_FALLBACK_BASE_URL", second.openai.base_url())
        .set("OPENAI_FALLBACK_API_KEY", FALLBACK)
        .set("OPENAI_FALLBACK_MODEL", "gpt-5.4-mini")
        .set("ADMIN_TOKEN", ADMIN)
        .set("HEALTH_PROBE_S", "1")
        .set("OPENAI_TIMEOUT_MS", "1500")
        .set("ELEVENLABS_TIMEOUT_MS", "1500")
        .set("WHATSAPP_TIMEOUT_MS", "1500");
    let world = ["WHATSAPP", "OPENAI", "ELEVENLABS"]
        .iter()
        .fold(world, |world, name| world.set(&format!("{name}_CIRCUIT_FAILURES"), "100"));
    (world, second)
}

/// The server with everything that people, providers and strangers can do to it.
async fn tells_nothing(filter: &str, format: &str) {
    let (world, second) = world();
    let persona = world.dir.path().join("persona.toml");
    std::fs::write(&persona, include_str!("../../personas/joe.toml")).unwrap();
    let world = world.set("PERSONA_FILE", "persona.toml").set("RUST_LOG", filter).set("LOG_FORMAT", format);
    let mut told = Told::default();
    let server = told::started(&world).await;
    let ids = people::talk(&world, &second, &server).await;
    doors::knock(&world, &server, &mut told).await;
    verbs::ask(&world, &ids, &mut told).await;
    for content in [format!("name = \"{LOST}\n"), format!("texts = \"{LOST}\""), LOST.to_owned()] {
        std::fs::write(&persona, content).unwrap();
        server.process.signal(Signal::HUP);
        told.run(&world, &["check"]).await;
    }
    server.logged("reload_failed", 3).await;
    std::fs::write(&persona, include_str!("../../personas/joe.toml")).unwrap();
    assert!(server.process.terminate().await.success());
    told.add("the server's output", server.process.output());
    let answered = &ids[0];
    damage::spoil(&world.dir.path().join("parlante.db"), TEXT, &[answered]);
    let server = told::started(&world).await;
    server.ends(answered, 1).await;
    verbs::forget(&world, &mut told).await;
    assert!(server.process.terminate().await.success());
    let output = server.process.output();
    assert!(output.contains("actor_restarted") && output.contains("panic at "), "{output}");
    told.add("the output of a server that panics", output);
    told.add_what_was_received(&world, &second);
    told.holds_no_mark();
}

#[actix_rt::test]
async fn nothing_is_told_in_json_at_the_finest_level() {
    tells_nothing("trace", "json").await;
}

#[actix_rt::test]
async fn nothing_is_told_to_a_terminal_whatever_is_asked_of_other_modules() {
    let filter = "debug,parlante=trace,actix_http=trace,actix_web=trace,awc=trace,rustls=trace,tokio=trace";
    tells_nothing(filter, "pretty").await;
}

#[actix_rt::test]
async fn nothing_is_told_when_the_disk_fails() {
    for (error, calls, when) in [("ENOSPC", "pwrite64", "4..9"), ("EIO", "fsync,fdatasync", "3")] {
        let (world, second) = world();
        let mut told = Told::default();
        assert!(told::started(&world).await.process.terminate().await.success());
        let wal = world.dir.path().canonicalize().unwrap().join("parlante.db-wal");
        let world = world.set("RUST_LOG", "trace").program(Strace::find().failing(calls, &wal, error, when));
        let server = told::started(&world).await;
        let id = people::says_one(&world);
        if error == "EIO" {
            assert_eq!(server.process.ended().await.code(), Some(3));
        } else {
            server.ends(&id, 1).await;
            doors::look(&server, &mut told).await;
            assert!(server.process.terminate().await.success());
        }
        let output = server.process.output();
        assert!(output.contains("ledger_unavailable"), "{output}");
        told.add("the output of a server whose disk fails", output);
        let world = world.program(vec![BINARY.into()]);
        verbs::ask(&world, &[id], &mut told).await;
        told.add_what_was_received(&world, &second);
        told.holds_no_mark();
    }
}

#[actix_rt::test]
async fn nothing_is_told_when_the_settings_are_wrong() {
    let mut told = Told::default();
    verbs::start_with_wrong_settings(&mut told).await;
    told.holds_no_mark();
}
