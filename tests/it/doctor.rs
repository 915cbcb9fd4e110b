//! `parlante doctor`: with the stand-ins all is well; with each fault in turn exactly its own check fails, and says
//! what to do.

use std::collections::BTreeSet;
use std::path::PathBuf;

use parlante_sandbox::{Fault, Route};
use serde_json::{Value, json};

use crate::support::{Process, World, get};

/// Every check, in the order in which they are printed.
const CHECKS: [&str; 17] = [
    "settings",
    "ledger",
    "clock",
    "whatsapp_token",
    "whatsapp_permissions",
    "whatsapp_number",
    "whatsapp_account",
    "whatsapp_subscription",
    "openai_key",
    "openai_model",
    "openai_transcription_model",
    "openai_quota",
    "openai_fallback",
    "elevenlabs_key",
    "elevenlabs_characters",
    "elevenlabs_voice",
    "elevenlabs_model",
];
const LOOP: &str = "webhook_loop";
/// Stands for a secret of the operator's that is not the right one.
const WRONG: &str = "a-wrong-secret-of-the-test";

/// Settings with nothing left out.
fn whole() -> World {
    let world = World::new();
    let account = world.sandbox.meta.options().business_account_id.clone();
    world.set("WHATSAPP_BUSINESS_ACCOUNT_ID", &account).set("ADMIN_TOKEN", "token-of-the-operator")
}

/// A server that runs, and is found at its public address.
async fn running() -> (World, Process) {
    let world = whole();
    let server = world.start().await;
    let world = world.set("SERVER_PUBLIC_URL", &server.url(""));
    (world, server)
}

/// What doctor found.
struct Report {
    code: i32,
    checks: Vec<Value>,
}

impl Report {
    fn named(&self, status: &str) -> Vec<&str> {
        let named = self.checks.iter().filter(|check| check["status"] == status);
        named.map(|check| check["check"].as_str().unwrap()).collect()
    }

    fn of(&self, name: &str) -> &Value {
        self.checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{name} is missing"))
    }
}

/// Runs doctor twice, once for a script and once for a person; both have to tell the same, and no secret.
async fn examine(world: &World) -> Report {
    let (code, json, complaint) = world.run(&["doctor", "--json"]).await;
    let checks: Vec<Value> =
        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}{complaint}"));
    let (code_of_page, page, complaint_of_page) = world.run(&["doctor"]).await;
    assert_eq!((code, &complaint), (code_of_page, &complaint_of_page), "{page}");
    for check in &checks {
        let mut keys: Vec<&String> = check.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["check", "found", "meaning", "mend", "required", "status"]);
        let (status, name) = (check["status"].as_str().unwrap(), check["check"].as_str().unwrap());
        let line = page.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
        assert!(line.is_some_and(|line| line.starts_with(status)), "{name} is not {status} in {page}");
        for words in ["meaning", "mend"].map(|key| &check[key]) {
            assert_eq!(words.is_string(), check["meaning"].is_string(), "both or none: {check}");
            assert!(words.as_str().is_none_or(|words| page.contains(words)), "{words} is missing in {page}");
        }
        assert!(status != "failed" || check["mend"].is_string(), "no mend: {check}");
    }
    assert_no_secret(world, &[&json, &page, &complaint, &complaint_of_page]);
    Report { code, checks }
}

fn assert_no_secret(world: &World, outputs: &[&String]) {
    let (meta, openai) = (world.sandbox.meta.options(), world.sandbox.openai.options());
    let secrets = [
        &meta.app_secret,
        &meta.verify_token,
        &meta.access_token,
        &openai.api_key,
        &world.sandbox.elevenlabs.options().api_key,
        "token-of-the-operator",
        WRONG,
    ];
    for secret in secrets {
        assert!(outputs.iter().all(|output| !output.contains(secret)), "{secret} is shown: {outputs:?}");
    }
}

/// Exactly this check fails; the whole fails with it if it is required.
async fn assert_fails(world: &World, check: &str) -> Report {
    let report = examine(world).await;
    assert_eq!(report.named("failed"), [check], "{:#?}", report.checks);
    let is_voice = check.starts_with("elevenlabs");
    assert_eq!(
        (report.of(check)["required"] == false, report.code),
        (is_voice, i32::from(!is_voice)),
        "{check}"
    );
    report
}

#[actix_rt::test]
async fn all_is_well_with_a_server_that_runs() {
    let (world, server) = running().await;
    let report = examine(&world).await;
    let names: Vec<&str> = report.checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(names, [&CHECKS[..], &[LOOP]].concat());
    assert_eq!(report.named("failed"), [""; 0], "{:#?}", report.checks);
    assert_eq!(report.named("skipped"), ["openai_fallback"], "{:#?}", report.checks);
    assert_eq!(report.code, 0);
    let found = |name: &str| report.of(name)["found"].as_str().unwrap().to_owned();
    assert!(found("ledger").contains("the server at 127.0.0.1:"), "{}", found("ledger"));
    assert!(found("whatsapp_number").contains("+15550001111, quality GREEN, throughput STANDARD"));
    assert!(found("elevenlabs_characters").contains("1000000 left"));
    assert_not_disturbed(&server).await;
}

/// The server has made no call for it and holds no message of it; it saw one wrong signature per run.
async fn assert_not_disturbed(server: &Process) {
    assert_eq!(server.log.events("message_accepted"), [] as [Value; 0]);
    assert_eq!(server.log.events("webhook_signature_invalid").len(), 2);
    assert_eq!(server.log.events("circuit_opened"), [] as [Value; 0]);
    let (status, health) = get(&server.url("/health")).await;
    assert_eq!((status, health.as_str()), (200, r#"{"status":"ok"}"#));
}

#[actix_rt::test]
async fn all_is_well_before_the_first_start_and_nothing_is_left_behind() {
    let world = whole();
    let report = examine(&world).await;
    assert_eq!((report.code, report.named("failed")), (0, vec![]), "{:#?}", report.checks);
    assert_eq!(report.named("skipped"), ["openai_fallback", LOOP]);
    assert!(report.of("ledger")["found"].as_str().unwrap().starts_with("none yet"));
    let left: Vec<_> =
        std::fs::read_dir(world.dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[actix_rt::test]
async fn all_is_well_between_two_runs_of_the_server() {
    let world = whole();
    world.start().await.terminate().await;
    let report = examine(&world).await;
    assert_eq!((report.code, report.named("failed")), (0, vec![]), "{:#?}", report.checks);
    assert!(report.of("ledger")["found"].as_str().unwrap().contains("is whole"));
    world.start().await.terminate().await;
}

#[actix_rt::test]
async fn what_is_wrong_with_whatsapp_is_told() {
    let (world, _server) = running().await;
    let script = world.sandbox.meta.script();
    let token = |scopes: Value| {
        json!({"data": {"app_id": "600500400300201", "is_valid": true, "expires_at": 0, "scopes": scopes}})
            .to_string()
    };
    let both = json!(["whatsapp_business_messaging", "whatsapp_business_management"]);

    let graph = [Route::Token, Route::Number, Route::PhoneNumbers, Route::SubscribedApps];
    for route in graph {
        script.always(route, Fault::code(190));
    }
    let expired = assert_fails(&world, "whatsapp_token").await;
    assert!(expired.named("skipped").contains(&"whatsapp_number"), "nothing more is asked with it");
    script.clear();

    script.always(Route::Token, Fault::Body(json!({"data": {"is_valid": false}}).to_string()));
    assert_fails(&world, "whatsapp_token").await;
    script.clear();

    script.always(Route::Token, Fault::Body(token(json!(["whatsapp_business_management"]))));
    let lacking = assert_fails(&world, "whatsapp_permissions").await;
    assert_eq!(lacking.of("whatsapp_permissions")["found"], "not granted: whatsapp_business_messaging");
    script.clear();

    script.always(Route::Number, Fault::code(33));
    assert_fails(&world, "whatsapp_number").await;
    script.clear();

    script.always(Route::PhoneNumbers, Fault::Body(json!({"data": [{"id": "1"}]}).to_string()));
    assert_fails(&world, "whatsapp_account").await;
    script.clear();

    let others = json!([{"whatsapp_business_api_data": {"id": "1", "name": "Another"}}]);
    for (apps, found) in [(json!([]), "no app is subscribed"), (others, "only other apps are subscribed")] {
        script.always(Route::SubscribedApps, Fault::Body(json!({"data": apps}).to_string()));
        let report = assert_fails(&world, "whatsapp_subscription").await;
        assert_eq!(report.of("whatsapp_subscription")["found"], found);
        script.clear();
    }

    let answer = Fault::status(200).with_body(token(both));
    script.always(Route::Token, answer.with_header("date", "Wed, 21 Oct 2026 07:28:00 GMT"));
    assert_fails(&world, "clock").await;
}

#[actix_rt::test]
async fn what_meta_does_not_tell_is_unknown_and_fails_nothing() {
    let (world, _server) = running().await;
    world.sandbox.meta.script().always(Route::Token, Fault::code(100));
    let report = examine(&world).await;
    assert_eq!((report.code, report.named("failed")), (0, vec![]), "{:#?}", report.checks);
    for check in ["whatsapp_token", "whatsapp_permissions", "whatsapp_subscription"] {
        assert!(report.of(check)["found"].as_str().unwrap().contains("unknown"), "{}", report.of(check));
    }
}

#[actix_rt::test]
async fn what_is_wrong_with_openai_is_told() {
    let (world, _server) = running().await;
    let script = world.sandbox.openai.script().clone();

    script.always(Route::Chat, Fault::code("insufficient_quota"));
    let spent = assert_fails(&world, "openai_quota").await;
    assert_eq!(spent.of("openai_quota")["found"], "refused with 429 (insufficient_quota)");
    script.clear();

    script.always(Route::Chat, Fault::close());
    assert_fails(&world, "openai_quota").await;
    script.clear();

    let right = world.sandbox.openai.options().api_key.clone();
    let world = world.set("OPENAI_API_KEY", WRONG);
    assert_fails(&world, "openai_key").await;
    let world = world.set("OPENAI_API_KEY", &right).set("OPENAI_MODEL", "gpt-0");
    let missing = assert_fails(&world, "openai_model").await;
    assert_eq!(missing.named("skipped"), ["openai_quota", "openai_fallback"]);
    let world = world.unset("OPENAI_MODEL").set("OPENAI_TRANSCRIPTION_MODEL", "ear-0");
    assert_fails(&world, "openai_transcription_model").await;

    let base = world.sandbox.openai.base_url().to_owned();
    let world = world.unset("OPENAI_TRANSCRIPTION_MODEL");
    let world = world.set("OPENAI_FALLBACK_BASE_URL", &base).set("OPENAI_FALLBACK_MODEL", "gpt-4o-mini");
    let world = world.set("OPENAI_FALLBACK_API_KEY", &right);
    assert_eq!(examine(&world).await.of("openai_fallback")["status"], "ok");
    let world = world.set("OPENAI_FALLBACK_API_KEY", WRONG);
    assert_fails(&world, "openai_fallback").await;
}

#[actix_rt::test]
async fn what_is_wrong_with_elevenlabs_is_told_and_costs_only_the_voice() {
    let (world, _server) = running().await;
    let elevenlabs = world.sandbox.elevenlabs.clone();

    elevenlabs.set_characters_left(0);
    assert_fails(&world, "elevenlabs_characters").await;
    elevenlabs.set_characters_left(500);

    elevenlabs.script().always(Route::Subscription, Fault::code("missing_permissions"));
    let narrow = examine(&world).await;
    assert_eq!(narrow.of("elevenlabs_key")["status"], "ok", "it may speak and not read");
    assert_eq!(narrow.of("elevenlabs_characters")["status"], "skipped");
    elevenlabs.script().clear();

    let right = elevenlabs.options().clone();
    let world = world.set("ELEVENLABS_API_KEY", WRONG);
    assert_fails(&world, "elevenlabs_key").await;
    let world = world.set("ELEVENLABS_API_KEY", &right.api_key).set("ELEVENLABS_VOICE_ID", "nobody");
    assert_fails(&world, "elevenlabs_voice").await;
    let world = world.set("ELEVENLABS_VOICE_ID", &right.voices[0]).set("ELEVENLABS_MODEL", "eleven_none");
    assert_fails(&world, "elevenlabs_model").await;
    let world = world.unset("ELEVENLABS_MODEL").unset("ELEVENLABS_VOICE_ID");
    let silent = examine(&world).await;
    assert_eq!((silent.code, silent.named("skipped").len()), (0, 5), "{:#?}", silent.checks);
    assert!(silent.of("settings")["meaning"].as_str().unwrap().contains("answers are text only"));
}

#[actix_rt::test]
async fn what_is_wrong_with_the_loop_is_told() {
    let (world, server) = running().await;
    let secret = world.sandbox.meta.options().app_secret.clone();
    let world = world.set("WHATSAPP_APP_SECRET", WRONG);
    let other = assert_fails(&world, LOOP).await;
    assert!(
        other.of(LOOP)["found"].as_str().unwrap().ends_with("/webhook answers 401"),
        "{}",
        other.of(LOOP)
    );
    let world = world.set("WHATSAPP_APP_SECRET", &secret);

    // Somebody else answers there: with 404, or with 200 to whatever comes.
    let meta = world.sandbox.meta.base_url().to_owned();
    let world = world.set("SERVER_PUBLIC_URL", &meta);
    assert_fails(&world, LOOP).await;
    let world = world.set("SERVER_PUBLIC_URL", "http://127.0.0.1:1");
    let nobody = assert_fails(&world, LOOP).await;
    assert!(nobody.of(LOOP)["mend"].as_str().unwrap().contains("proxy"));
    let url = server.url("");
    server.terminate().await;
    assert_fails(&world.set("SERVER_PUBLIC_URL", &url), LOOP).await;
}

#[actix_rt::test]
async fn a_server_that_believes_anybody_fails_the_loop() {
    let world = whole();
    let secret = world.sandbox.meta.options().app_secret.clone();
    let world = world.unset("WHATSAPP_APP_SECRET");
    let server = world.start().await;
    let world = world.set("SERVER_PUBLIC_URL", &server.url(""));
    let unsigned = examine(&world).await;
    assert_eq!((unsigned.code, unsigned.of(LOOP)["status"].as_str()), (0, Some("ok")));
    let report = assert_fails(&world.set("WHATSAPP_APP_SECRET", &secret), LOOP).await;
    assert!(report.of(LOOP)["found"].as_str().unwrap().contains("200 to a wrong signature"));
}

#[actix_rt::test]
async fn what_is_wrong_with_the_ledger_is_told() {
    let world = whole();
    let file = world.dir.path().join("parlante.db");
    std::fs::write(&file, "not a database, but long enough to look like one ".repeat(400)).unwrap();
    let before = std::fs::read(&file).unwrap();
    assert_fails(&world, "ledger").await;
    assert_eq!(std::fs::read(&file).unwrap(), before, "it is left as it is");
    let world = world.set("LEDGER_PATH", "parlante.db/below/a/file.db");
    assert_fails(&world, "ledger").await;
    assert_fails(&world.set("LEDGER_PATH", "/proc/nowhere/parlante.db"), "ledger").await;
}

/// Where SQLite keeps the version of the schema in a file's header, big-endian.
const USER_VERSION: std::ops::Range<usize> = 60..64;

/// As on the eve of an upgrade, when the version before is still to run on it.
#[actix_rt::test]
async fn a_ledger_of_an_older_version_stays_one() {
    let world = whole();
    world.start().await.terminate().await;
    let file = world.dir.path().join("parlante.db");
    let mut older = std::fs::read(&file).unwrap();
    older[USER_VERSION].copy_from_slice(&2_u32.to_be_bytes());
    std::fs::write(&file, &older).unwrap();
    let before = names(&world);
    let report = examine(&world).await;
    assert_eq!((report.code, report.named("failed")), (0, vec![]), "{:#?}", report.checks);
    let found = report.of("ledger")["found"].as_str().unwrap();
    assert!(found.ends_with("it will be taken over from version 2"), "{found}");
    assert!(std::fs::read(&file).unwrap() == older, "it is not what it was");
    assert_eq!(names(&world), before);
}

/// Every file in the world's folder.
fn names(world: &World) -> BTreeSet<PathBuf> {
    std::fs::read_dir(world.dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[actix_rt::test]
async fn a_ledger_that_somebody_else_holds_is_told() {
    let world = whole();
    let server = world.start().await;
    // Where nobody listens.
    let report = assert_fails(&world.set("PORT", "1"), "ledger").await;
    assert!(report.of("ledger")["found"].as_str().unwrap().contains("another process holds it"));
    assert_eq!(server.log.events("ledger_unavailable"), [] as [Value; 0]);
}

#[actix_rt::test]
async fn settings_that_are_wrong_end_it_before_anything_is_asked() {
    let world = whole().set("OPENAI_TIMEOUT_MS", "soon");
    let (code, stdout, stderr) = world.run(&["doctor", "--json"]).await;
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("OPENAI_TIMEOUT_MS"), "{stderr}");
    assert_eq!(world.sandbox.meta.look(|records| records.requests().count()), 0);
}

#[actix_rt::test]
async fn a_setting_that_is_missing_fails_its_check() {
    let world = whole().unset("WHATSAPP_ACCESS_TOKEN");
    assert_fails(&world, "whatsapp_token").await;
    let (world, key) = (whole(), "OPENAI_API_KEY");
    let report = assert_fails(&world.unset(key), "openai_key").await;
    assert_eq!(report.of("openai_key")["found"], "OPENAI_API_KEY is not set");
}
