//! The real binary: its exit codes, what it says and what it never says.

use std::net::TcpListener;

use parlante_sandbox::{Fault, Inbound, Route, SignatureMode, bsuid_of};
use serde_json::Value;

use crate::support::{BINARY, Process, World, a_phone, get, get_with, persona_text};

/// SQLite's page.
const PAGE: usize = 4096;

#[cfg(not(feature = "failpoints"))]
#[actix_rt::test]
async fn the_default_build_ignores_failpoints() {
    let points = "ingress.deliver=panic;dedup.accept=panic;ledger.commit=return";
    let world = World::new().set("FAILPOINTS", points);
    let server = world.start().await;
    let phone = a_phone();
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), [persona_text("disclosure"), "echo: ciao".to_owned()]);
    let delivery = world.sandbox.meta.wait_acknowledged(&id).await.unwrap();
    assert_eq!(delivery.attempts.len(), 1, "the first was taken");
    assert_eq!(server.log.events("actor_restarted"), [] as [Value; 0]);
}

#[cfg(feature = "failpoints")]
#[actix_rt::test]
async fn a_build_for_it_hears_failpoints() {
    let world = World::new().set("FAILPOINTS", "ingress.deliver=1*panic;ledger.commit=2*off->1*return->off");
    let server = world.start().await;
    let phone = a_phone();
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    server.log.wait("actor_restarted", |line| line["actor"] == "ingress").await;
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(world.sandbox.meta.answers_to(&phone), [persona_text("disclosure"), "echo: ciao".to_owned()]);
}

#[actix_rt::test]
async fn check_says_that_the_settings_are_valid() {
    let world = World::new();
    let (code, stdout, stderr) = world.run(&["check"]).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("settings are valid; the persona is Joe"), "{stdout}");
    assert!(!world.dir.path().join("parlante.db").exists(), "nothing is started");
}

#[actix_rt::test]
async fn check_shows_each_setting_with_its_source_and_no_secret() {
    let world = World::new().set("ADMIN_TOKEN", "token-of-the-operator");
    let (code, stdout, _) = world.run(&["check", "--show"]).await;
    assert_eq!(code, 0);
    let line = |name: &str| stdout.lines().find(|line| line.contains(name)).unwrap_or_default();
    assert!(
        line("LEDGER_PATH").contains("parlante.db") || line("[ledger] path").contains("parlante.db"),
        "{stdout}"
    );
    let (meta, openai) = (world.sandbox.meta.options(), world.sandbox.openai.options());
    let secrets =
        [&meta.app_secret, &meta.verify_token, &meta.access_token, &openai.api_key, "token-of-the-operator"];
    for secret in secrets {
        assert!(!stdout.contains(secret), "{secret} is shown: {stdout}");
    }
}

/// The binary refuses to start: nothing is listened to and no ledger is made.
async fn refused(world: &World, code: i32, words: &[&str]) {
    for command in [&["serve"][..], &["check"], &[]] {
        let (ended, stdout, stderr) = world.run(command).await;
        assert_eq!(ended, code, "{command:?}: {stdout}{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{command:?} does not say {word}: {stderr}");
        }
    }
    assert!(!world.dir.path().join("parlante.db").exists());
}

#[actix_rt::test]
async fn an_unknown_key_is_refused() {
    let world = World::new();
    std::fs::write(world.dir.path().join("config.toml"), "[openai]\ntimeout_sm = 1\n").unwrap();
    refused(&world, 2, &["timeout_sm", "config.toml"]).await;
}

#[actix_rt::test]
async fn a_broken_persona_is_refused() {
    let world = World::new().set("PERSONA_FILE", "tony.toml");
    refused(&world, 2, &["tony.toml"]).await;
    let file = world.dir.path().join("tony.toml");
    std::fs::write(&file, "name = ").unwrap();
    refused(&world, 2, &["tony.toml"]).await;
    let joe = include_str!("../../personas/joe.toml");
    std::fs::write(&file, joe.replace("\napology = ", "\nexcuse = ")).unwrap();
    refused(&world, 2, &["tony.toml", "apology"]).await;
    std::fs::write(&file, joe).unwrap();
    assert_eq!(world.run(&["check"]).await.0, 0);
}

#[actix_rt::test]
async fn a_second_process_on_the_same_ledger_is_refused() {
    let world = World::new();
    let server = world.start().await;
    let (code, _, stderr) = world.run(&["serve"]).await;
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("parlante.db") && stderr.contains("another process"), "{stderr}");
    let id = world.sandbox.meta.deliver(Inbound::text(&a_phone(), "ciao"));
    server.log.wait_for("task_completed", &id).await;
}

#[actix_rt::test]
async fn a_damaged_ledger_is_refused_and_left_as_it_is() {
    let world = World::new();
    let server = world.start().await;
    let id = world.sandbox.meta.deliver(Inbound::text(&a_phone(), "ciao"));
    server.log.wait_for("task_completed", &id).await;
    assert!(server.terminate().await.success());
    let file = world.dir.path().join("parlante.db");
    let whole = std::fs::read(&file).unwrap();
    let holed = (1..whole.len() / PAGE).map(|page| {
        let mut holed = whole.clone();
        holed[page * PAGE..][..PAGE].fill(0x55);
        holed
    });
    let useless = [b"this is no ledger".repeat(500), whole[..whole.len() / 2].to_vec()];
    for damaged in useless.into_iter().chain(holed) {
        std::fs::write(&file, &damaged).unwrap();
        let (code, stdout, stderr) = world.run(&["serve"]).await;
        assert_eq!(code, 3, "{stdout}{stderr}");
        assert!(stderr.contains("parlante.db") && stderr.contains("damaged"), "{stderr}");
        assert!(std::fs::read(&file).unwrap() == damaged, "the file was changed");
    }
    std::fs::write(&file, &whole).unwrap();
    world.start().await;
}

#[actix_rt::test]
async fn a_place_that_does_not_exist_is_refused() {
    let world = World::new().set("LEDGER_PATH", "/proc/nowhere/parlante.db");
    let (code, _, stderr) = world.run(&["serve"]).await;
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("/proc/nowhere/parlante.db"), "{stderr}");
}

#[actix_rt::test]
async fn a_port_in_use_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let world = World::new().set("PORT", &address.port().to_string());
    let (code, _, stderr) = world.run(&["serve"]).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains(&address.to_string()) && stderr.contains("PORT"), "{stderr}");
}

/// Everything that a person or an operator would not like to read in a log.
struct Marks {
    phone: String,
    nobody: String,
    texts: Vec<String>,
}

impl Marks {
    fn new() -> Self {
        let texts = ["Zanzibarese", "Quokkamarsh", "Brontolino", "Xylofonista"].map(str::to_owned).to_vec();
        Self { phone: a_phone(), nobody: "IT.77665544332211".to_owned(), texts }
    }

    fn all(&self, world: &World) -> Vec<String> {
        let (meta, openai) = (world.sandbox.meta.options(), world.sandbox.openai.options());
        let secrets =
            [&meta.app_secret, &meta.verify_token, &meta.access_token, &openai.api_key].map(Clone::clone);
        let people =
            [self.phone.clone(), bsuid_of(&self.phone), self.nobody.clone(), "op-token-4711".to_owned()];
        self.texts.iter().cloned().chain(secrets).chain(people).collect()
    }

    /// A run with everything in it: answers, failures, refusals, broken items, wrong doors.
    async fn run(&self, world: &World, server: &Process) {
        let (meta, openai) = (&world.sandbox.meta, world.sandbox.openai.script());
        let says = |text: &str| Inbound::text(&self.phone, text).name("Brontolino Xylofonista");
        let error = format!(r#"{{"error":{{"message":"{} Quokkamarsh","code":"x"}}}}"#, self.phone);
        openai.aim("Zanzibarese fails", Route::Chat, 1, Fault::status(400).with_body(error.clone()));
        meta.script().aim("Zanzibarese refused", Route::Send, 1, Fault::status(400).with_body(error.clone()));
        meta.script().aim("Zanzibarese repeated", Route::Send, 1, Fault::status(429).with_body(error));
        meta.verify_webhook().await.unwrap();
        meta.handshake("wrong Quokkamarsh", "x").await.unwrap();
        let texts = ["Zanzibarese", "Zanzibarese fails", "Zanzibarese refused", "Zanzibarese repeated"];
        let mut ids = meta.deliver_batch(texts.map(says).to_vec());
        ids.push(meta.deliver(Inbound::text(&self.phone, "Zanzibarese").no_phone().bsuid(&self.nobody)));
        meta.deliver(Inbound::edit(&self.phone, "wamid.1", "Quokkamarsh"));
        meta.deliver(Inbound::raw(serde_json::json!({"from": self.phone, "text": ["Quokkamarsh"]})));
        let ended =
            ["task_completed", "task_failed", "message_dead_lettered", "task_completed", "task_completed"];
        for (id, event) in ids.iter().zip(ended) {
            server.log.wait_for(event, id).await;
        }
        meta.deliver_times(says("Zanzibarese").id(&ids[0]), 2);
        for mode in
            [SignatureMode::Wrong, SignatureMode::Missing, SignatureMode::Malformed("Quokkamarsh".into())]
        {
            let number = meta.deliver_raw(format!("{{\"Quokkamarsh\":\"{}\"}}", self.phone), &mode);
            meta.wait_posted(number).await.unwrap();
        }
        let number = meta.deliver_raw(format!("Quokkamarsh {}", self.phone), &SignatureMode::Right);
        meta.wait_posted(number).await.unwrap();
        meta.wait_settled().await.unwrap();
    }
}

#[actix_rt::test]
async fn no_number_name_text_or_secret_is_ever_told() {
    for filter in ["info", "trace"] {
        let world = World::new().set("RUST_LOG", filter).set("ADMIN_TOKEN", "op-token-4711");
        let (server, marks) = (world.start().await, Marks::new());
        marks.run(&world, &server).await;
        let mut told = String::new();
        for path in ["/stats", "/health", "/health?token=op-token-4711", "/Quokkamarsh"] {
            let bearer = [("authorization", "Bearer op-token-4711")];
            told += &get_with(&server.url(path), &bearer).await.1;
            told += &get_with(&server.url(path), &[("authorization", "Bearer op-token-4712")]).await.1;
        }
        assert!(told.contains("\"deadLetters\":1"), "{told}");
        assert!(server.terminate().await.success());
        told += &server.output();
        assert!(told.contains("message_dead_lettered") && told.contains("webhook_signature_invalid"));
        for mark in marks.all(&world) {
            assert!(!told.contains(&mark), "{filter}: `{mark}` is told:\n{told}");
        }
    }
}

#[actix_rt::test]
async fn every_line_on_stdout_is_an_object_with_time_level_and_event() {
    for filter in ["info", "trace"] {
        let world = World::new().set("RUST_LOG", filter);
        let (server, marks) = (world.start().await, Marks::new());
        marks.run(&world, &server).await;
        assert_eq!(get(&server.url("/health/live")).await.0, 200);
        assert!(server.terminate().await.success());
        let output = server.output();
        let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert!(lines.len() > 10);
        lines.iter().for_each(is_an_event);
    }
}

fn is_an_event(line: &Value) {
    let time = line["timestamp"].as_str().unwrap_or_default();
    assert!(time.len() >= 20 && time.contains('T') && time.ends_with('Z'), "{line}");
    assert!(line["level"].as_str().is_some_and(|level| !level.is_empty()), "{line}");
    assert!(line["event"].as_str().is_some_and(|event| !event.is_empty()), "{line}");
    assert!(line["error_code"].is_null() || line["error_code"].is_string(), "{line}");
}

#[test]
fn whoever_reads_only_the_first_lines_gets_no_complaint() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let world = tempfile::TempDir::new().unwrap();
    let told = std::process::Command::new(BINARY)
        .args(["check", "--show"])
        .current_dir(world.path())
        .env_clear()
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .unwrap();
    assert_eq!((told.status.code(), String::from_utf8_lossy(&told.stderr).as_ref()), (Some(0), ""));
}

#[actix_rt::test]
async fn a_setting_that_is_wrong_for_the_next_start_does_not_make_the_running_server_ill() {
    let world = World::new();
    let _server = world.start().await;
    let world = world.set("OPENAI_TIMEOUT_MS", "soon").set("APP_ENV", "production");
    assert_eq!(world.run(&["check"]).await.0, 2);
    assert_eq!(world.run(&["healthcheck"]).await, (0, String::new(), String::new()));
    let world = world.set("PORT", "soon");
    let (code, _, complaint) = world.run(&["healthcheck"]).await;
    assert!(code == 2 && complaint.contains("PORT"), "{code}: {complaint}");
    // Who knows where the server is, if what may say so cannot be read?
    let world = world.unset("PORT");
    std::fs::write(world.dir.path().join(".env"), b"PORT=\xff\n").unwrap();
    assert_eq!(world.run(&["healthcheck"]).await.0, 2);
}
