//! Every command of the documents is run as it stands there, in a shell, on a machine where the server was installed by
//! the words of its unit and has something to tell.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use parlante_sandbox::{Fault, Inbound, Route};

use super::machine::Machine;
use super::{between, commands, documents, events, files, read, root};
use crate::support::{Process, World, a_phone};

const TOKEN: &str = "let-me-in";
/// Whose answer WhatsApp refuses for good.
const UNREACHABLE: u32 = 131_026;
/// How a command of the program is called in the runbook: as root the ledger could not be looked at without harm.
const AS_THE_SERVER: &str = "sudo --user parlante ";
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
/// They have done their work when they say nothing.
const SILENT: [&str; 6] =
    ["systemctl", "sudo --user parlante parlante healthcheck", "install ", "rm ", "cd ", "ADMIN_TOKEN="];

/// What a document says, and where, in its order; settings alone on a line are no commands.
fn lines(documents: Vec<PathBuf>) -> Vec<(String, PathBuf)> {
    let (mut lines, mut seen) = (Vec::new(), HashSet::new());
    for document in documents {
        for line in commands(&read(&document)) {
            let is_command = !line.split_whitespace().all(|word| word.contains('='));
            if is_command && seen.insert(line.to_owned()) {
                lines.push((line.to_owned(), document.clone()));
            }
        }
    }
    lines
}

fn runbook() -> Vec<PathBuf> {
    files(&root().join("docs/runbook"), ".md")
}

/// A server with a message that was given up, and one that was answered.
struct Scene {
    machine: Machine,
    server: Process,
    phone: String,
    dead: String,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().set("ADMIN_TOKEN", TOKEN);
        let account = world.sandbox.meta.options().business_account_id.clone();
        let machine = Machine::installed(world.set("WHATSAPP_BUSINESS_ACCOUNT_ID", &account)).await;
        let (machine, server) = machine.start().await;
        let (phone, meta) = (a_phone(), &machine.world.sandbox.meta);
        let id = meta.deliver(Inbound::text(&phone, "ciao"));
        server.log.wait_for("task_completed", &id).await;
        meta.script().aim("echo: no", Route::Send, usize::MAX, Fault::code(UNREACHABLE));
        let dead = meta.deliver(Inbound::text(&phone, "no"));
        server.log.wait_for("message_dead_lettered", &dead).await;
        let scene = Self { machine, server, phone, dead };
        scene.service_manager();
        scene
    }

    /// A service manager that has one service, this server, and its log: a line of each event, written as the server
    /// writes it.
    fn service_manager(&self) {
        let reload = format!(
            "case $1 in reload) kill -HUP {};; restart|status) ;; *) exit 4;; esac",
            self.server.pid()
        );
        self.machine.tool("systemctl", &reload);
        let written = self.server.raw.lock().unwrap().clone();
        let line = written.lines().find(|line| line.contains("\"event\":\"server_started\"")).unwrap();
        let log: Vec<String> = events().iter().map(|event| line.replace("server_started", event)).collect();
        let exits = "parlante.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED";
        let journal = self.machine.path("journal");
        std::fs::write(&journal, log.join("\n") + "\n" + exits).unwrap();
        let cat = format!("[ \"$1 $2\" = '--unit parlante' ] && cat {}", journal.display());
        self.machine.tool("journalctl", &cat);
    }

    /// The line with this test's id, person, address and folders in place of the example's.
    fn here(&self, line: &str) -> String {
        let line = line
            .replace("wamid.HBgM…", &format!("'{}'", self.dead))
            .replace("393247722154", &self.phone)
            .replace("http://127.0.0.1:3000", &self.server.url(""));
        self.machine.here(&line)
    }

    /// What the line says; it has to end well.
    async fn run(&self, line: &str, document: &str) -> String {
        let ended = self.machine.types(&self.here(line)).await;
        let words = [&ended.stdout, &ended.stderr].map(|words| String::from_utf8_lossy(words).into_owned());
        assert!(ended.status.success(), "{document}: {line}: {}: {}", ended.status, words.concat());
        let [said, _] = words;
        let is_silent = SILENT.iter().any(|silent| line.starts_with(silent));
        assert!(!said.is_empty() || is_silent, "{document}: {line} says nothing");
        // To a stranger it says less, and not that it does.
        assert!(!line.ends_with("/health") || said.contains("\"checks\""), "{document}: {line}: {said}");
        said
    }

    /// Waits until the message is dead again, `replays` later.
    async fn dead_again(&self, replays: usize) {
        let is_dead = |line: &serde_json::Value| line["message_id"] == self.dead;
        self.server.log.wait_count("message_dead_lettered", 1 + replays, is_dead).await;
    }
}

#[actix_rt::test]
async fn every_command_is_run() {
    let (lines, scene) = (lines(documents()), Scene::new().await);
    let is_elsewhere = |line: &str| ELSEWHERE.iter().any(|other| line.starts_with(other));
    let unknown: Vec<_> =
        ELSEWHERE.iter().filter(|other| !lines.iter().any(|(line, _)| line.starts_with(**other))).collect();
    assert!(unknown.is_empty(), "in no document any more: {unknown:?}");
    let here = lines.iter().filter(|(line, _)| !is_elsewhere(line));
    let (forget, others): (Vec<_>, Vec<_>) = here.partition(|(line, _)| line.starts_with("parlante forget "));
    assert!(others.len() > 30 && forget.len() == 1, "{others:?}, {forget:?}");
    let mut replays = 0;
    // It takes away what the others ask for.
    for (line, document) in others.into_iter().chain(forget) {
        scene.run(line, &document.display().to_string()).await;
        if line.contains("dead replay") {
            replays += 1;
            scene.dead_again(replays).await;
        }
        // Two pages name the same copy, and a copy is never written over.
        let _ = std::fs::remove_file(scene.machine.path("var/lib/parlante/copy.db"));
    }
    scene.server.log.wait("reload_completed", |_| true).await;
}

/// The status and the words of doctor's check of the ledger.
fn of_the_ledger(told: &str) -> &str {
    told.lines()
        .find(|line| line.split_whitespace().nth(1) == Some("ledger"))
        .expect("the check of the ledger")
}

/// The runbook's line for this command.
fn typed(command: &str) -> String {
    let line = format!("{AS_THE_SERVER}parlante {command}");
    assert!(lines(runbook()).iter().any(|(typed, _)| *typed == line), "{line} is in no page");
    line
}

#[actix_rt::test]
async fn before_the_first_start_doctor_looks_where_the_ledger_will_be() {
    let machine = Machine::installed(World::new().set("ADMIN_TOKEN", TOKEN)).await;
    let told = String::from_utf8(machine.types(&typed("doctor")).await.stdout).unwrap();
    let folder = machine.ledger().parent().unwrap().display().to_string();
    let of_ledger = of_the_ledger(&told);
    assert!(of_ledger.starts_with("ok ") && of_ledger.contains(&folder), "{of_ledger}");
}

/// Whoever is called at night reads what the server reads, whether it runs or not.
#[actix_rt::test]
async fn the_commands_find_the_servers_ledger() {
    let [check, doctor, list] = ["check", "doctor", "dead list"].map(typed);
    let scene = Scene::new().await;
    let (ledger, up) = (scene.machine.ledger().display().to_string(), "with the server up");
    scene.run(&check, up).await;
    let told = scene.run(&doctor, up).await;
    assert!(of_the_ledger(&told).contains("holds it, and commits"), "{told}");
    assert!(scene.run(&list, up).await.contains(&scene.dead));

    assert!(scene.server.terminate().await.success());
    let down = "with the server down";
    scene.run(&check, down).await;
    let ended = scene.machine.types(&scene.here(&doctor)).await;
    let told = String::from_utf8(ended.stdout).unwrap();
    let of_ledger = of_the_ledger(&told);
    assert!(of_ledger.starts_with("ok ") && of_ledger.contains(&ledger), "{of_ledger}");
    let failed = told.lines().filter_map(|line| line.strip_prefix("failed ")?.split_whitespace().next());
    assert_eq!(failed.collect::<Vec<_>>(), ["webhook_loop"], "{told}");
    assert!(scene.run(&list, down).await.contains(&scene.dead));
}

/// The server has the old one meanwhile.
#[actix_rt::test]
async fn a_new_token_is_tried_before_the_server_gets_it() {
    let machine =
        Machine::installed(World::new().set("WHATSAPP_ACCESS_TOKEN", "expired").set("ADMIN_TOKEN", TOKEN));
    let machine = machine.await;
    let typed = lines(vec![root().join("docs/runbook/whatsapp-paused.md")]);
    let of_token = async |line: &str| {
        let told = String::from_utf8(machine.types(&machine.here(line)).await.stdout).unwrap();
        told.lines().find(|line| line.contains(" whatsapp_token ")).unwrap_or_default().to_owned()
    };
    assert!(of_token(&format!("{AS_THE_SERVER}parlante doctor")).await.starts_with("failed "));
    let mut told = String::new();
    for (line, _) in typed.iter().filter(|(line, _)| line.contains("new-token") && !line.starts_with("rm ")) {
        told = of_token(line).await;
    }
    assert!(told.starts_with("ok "), "{told}");
}

/// As root they would write where the server cannot, and leave files that it cannot open.
#[test]
fn the_runbook_calls_the_program_as_the_servers_user() {
    let (mut seen, as_root) = (0, ["parlante ", "sudo parlante "]);
    for (line, document) in lines(runbook()) {
        assert!(!as_root.iter().any(|root| line.starts_with(root)), "{}: {line}", document.display());
        seen += usize::from(line.starts_with(AS_THE_SERVER));
    }
    assert!(seen > 8, "{seen}");
}

/// Whoever has compose finds another word for each command that needs one.
#[test]
fn the_table_for_compose_has_every_command() {
    let contents = read(&root().join("docs/runbook/README.md"));
    let table = contents.split("| under systemd | with compose |").nth(1).expect("the table");
    let rows: Vec<(&str, &str)> = table
        .split("\n\n")
        .next()
        .unwrap()
        .lines()
        .filter_map(|row| row.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .collect();
    assert!(rows.len() >= 9, "{rows:?}");
    let firsts: Vec<&str> =
        rows.iter().map(|(first, _)| first.trim_matches('`').split('…').next().unwrap()).collect();
    // The same with both.
    let same = ["cd ", "curl ", "dmesg ", "rm ", "vmstat "];
    let typed = lines(runbook());
    for (line, document) in &typed {
        let is_there =
            firsts.iter().any(|first| line.contains(first)) || same.iter().any(|s| line.starts_with(s));
        assert!(is_there, "{}: {line} has no row", document.display());
    }
    for first in firsts {
        assert!(typed.iter().any(|(line, _)| line.contains(first)), "{first} is in no page any more");
    }
    // To docker that is an hour ahead.
    assert!(!rows.iter().any(|(_, other)| other.contains("--since -")), "{rows:?}");
}

#[actix_rt::test]
async fn what_is_looked_for_is_what_is_written() {
    let events = events();
    let looked_for: BTreeSet<String> = lines(documents())
        .iter()
        .flat_map(|(line, _)| between(line, "\"event\":\"", "\"").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(looked_for.len() > 15, "{looked_for:?}");
    let unknown: Vec<_> = looked_for.difference(&events).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
