//! Every command of the documents is run as it stands there, in a shell, beside a running server with something to
//! tell. Where a command is somebody else's service manager, a stand-in of the test's leads it to that server.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use parlante_sandbox::{Fault, Inbound, Route};

use super::{between, commands, documents, events, read};
use crate::support::{BINARY, PATIENCE, Process, World, a_phone};

const TOKEN: &str = "let-me-in";
/// Whose answer WhatsApp refuses for good.
const UNREACHABLE: u32 = 131_026;
/// Run elsewhere, or not in a test: the long runs (their short forms are tests of their own), the sandbox (the tests of
/// the page start it), the server itself (it runs already), installing, and other people's sites.
const ELSEWHERE: [&str; 9] = [
    "cargo run --release -- sandbox",
    "cargo install --path .",
    "CRASH_POINTS=all cargo test --test it crash_table -- --nocapture",
    "SOAK=full cargo test --test it soak -- --nocapture",
    "CHAOS=full cargo test --test it chaos -- --nocapture",
    "POWER_LOSS=all cargo test --test it power_loss -- --nocapture",
    "./test",
    "parlante serve",
    "curl --silent --head https://",
];

/// What a document says, and where; settings alone on a line are no commands.
fn lines() -> BTreeMap<String, PathBuf> {
    let mut lines = BTreeMap::new();
    for document in documents() {
        for line in commands(&read(&document)) {
            if !line.split_whitespace().all(|word| word.contains('=')) {
                lines.insert(line.to_owned(), document.clone());
            }
        }
    }
    lines
}

/// A server with a message that was given up, and one that was answered.
struct Scene {
    world: World,
    server: Process,
    phone: String,
    dead: String,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().set("ADMIN_TOKEN", TOKEN);
        let account = world.sandbox.meta.options().business_account_id.clone();
        let world = world.set("WHATSAPP_BUSINESS_ACCOUNT_ID", &account);
        let server = world.start().await;
        let world = world.set("SERVER_PUBLIC_URL", &server.url(""));
        let (phone, meta) = (a_phone(), &world.sandbox.meta);
        let id = meta.deliver(Inbound::text(&phone, "ciao"));
        server.log.wait_for("task_completed", &id).await;
        meta.script().aim("echo: no", Route::Send, 2, Fault::code(UNREACHABLE));
        let dead = meta.deliver(Inbound::text(&phone, "no"));
        server.log.wait_for("message_dead_lettered", &dead).await;
        let scene = Self { world, server, phone, dead };
        scene.tools();
        scene
    }

    fn bin(&self) -> PathBuf {
        self.world.dir.path().join("bin")
    }

    /// The program under its name, and a service manager that has one service: this server.
    fn tools(&self) {
        std::fs::create_dir(self.bin()).unwrap();
        symlink(BINARY, self.bin().join("parlante")).unwrap();
        let reload = format!(
            "case $1 in reload) kill -HUP {};; restart|status) ;; *) exit 4;; esac",
            self.server.pid()
        );
        self.tool("systemctl", &reload);
        // A line of each event, written as the server writes it.
        let written = self.server.raw.lock().unwrap().clone();
        let line = written.lines().find(|line| line.contains("\"event\":\"server_started\"")).unwrap();
        let log: Vec<String> = events().iter().map(|event| line.replace("server_started", event)).collect();
        let exits = "parlante.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED";
        std::fs::write(self.world.dir.path().join("journal"), log.join("\n") + "\n" + exits).unwrap();
        self.tool("journalctl", "[ \"$1 $2\" = '--unit parlante' ] && cat journal");
    }

    fn tool(&self, name: &str, script: &str) {
        let place = self.bin().join(name);
        std::fs::write(&place, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The line with this test's id, person, address and folder in place of the example's.
    fn here(&self, line: &str) -> String {
        line.replace("wamid.HBgM…", &format!("'{}'", self.dead))
            .replace("393247722154", &self.phone)
            .replace("http://127.0.0.1:3000", &self.server.url(""))
            .replace("/var/lib/parlante", &self.world.dir.path().display().to_string())
    }

    async fn run(&self, line: &str, document: &Path) {
        let path = format!("{}:{}", self.bin().display(), std::env::var("PATH").unwrap());
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-ec", &self.here(line)]).current_dir(self.world.dir.path()).env_clear();
        shell.envs(self.world.environment()).env("PATH", path).stdin(Stdio::null()).kill_on_drop(true);
        let ended = tokio::time::timeout(PATIENCE, shell.output()).await.expect("it ends").expect("a shell");
        let words = [&ended.stdout, &ended.stderr].map(|words| String::from_utf8_lossy(words).into_owned());
        assert!(
            ended.status.success(),
            "{}: {line}: {}: {}",
            document.display(),
            ended.status,
            words.concat()
        );
        assert!(!words[0].is_empty() || is_silent(line), "{}: {line} says nothing", document.display());
    }
}

/// Commands that have done their work when they say nothing.
fn is_silent(line: &str) -> bool {
    ["systemctl", "parlante healthcheck"].iter().any(|silent| line.starts_with(silent))
}

#[actix_rt::test]
async fn every_command_is_run() {
    let (lines, scene) = (lines(), Scene::new().await);
    let unknown: Vec<_> =
        ELSEWHERE.iter().filter(|line| !lines.keys().any(|one| one.starts_with(**line))).collect();
    assert!(unknown.is_empty(), "in no document any more: {unknown:?}");
    let here = lines.iter().filter(|(line, _)| !ELSEWHERE.iter().any(|other| line.starts_with(other)));
    let (forget, others): (Vec<_>, Vec<_>) = here.partition(|(line, _)| line.starts_with("parlante forget "));
    assert!(others.len() > 30 && forget.len() == 1, "{others:?}, {forget:?}");
    // It takes away what the others ask for.
    for (line, document) in others.into_iter().chain(forget) {
        scene.run(line, document).await;
        // Two pages name the same copy, and a copy is never written over.
        let _ = std::fs::remove_file(scene.world.dir.path().join("copy.db"));
    }
    scene.server.log.wait("reload_completed", |_| true).await;
}

#[actix_rt::test]
async fn what_is_looked_for_is_what_is_written() {
    let events = events();
    let looked_for: BTreeSet<String> = lines()
        .keys()
        .flat_map(|line| between(line, "\"event\":\"", "\"").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(looked_for.len() > 15, "{looked_for:?}");
    let unknown: Vec<_> = looked_for.difference(&events).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
