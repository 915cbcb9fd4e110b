//! What the documents and the files for operators say is true: names, links, commands, alerts, settings.

mod commands;
mod machine;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use parlante::settings;

use crate::support::{PATIENCE, World, get_with};

const ALERTS: &str = include_str!("../../deploy/alerts.yml");
const ALERTS_TEST: &str = include_str!("../../deploy/alerts_test.yml");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder that end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn documents() -> Vec<PathBuf> {
    let mut documents = files(&root().join("docs"), ".md");
    documents.push(root().join("README.md"));
    documents
}

/// The pages of the runbook, without its contents.
fn pages() -> Vec<(String, String)> {
    let pages = files(&root().join("docs/runbook"), ".md").into_iter();
    let named = pages.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), read(&path)));
    named.filter(|(name, _)| name != "README.md").collect()
}

/// All that the code logs, by name.
fn events() -> BTreeSet<String> {
    let sources = ["src", "actors/src", "crates/ledger/src"].map(|folder| root().join(folder));
    let texts = sources.iter().flat_map(|folder| files(folder, ".rs")).map(|file| read(&file));
    texts.flat_map(|text| between(&text, "event = \"", "\"").map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn alerts() -> BTreeSet<&'static str> {
    ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split(after).next())
}

/// What stands in backticks outside of code blocks.
fn ticked(text: &str) -> Vec<&str> {
    let outside = text.split("```").step_by(2);
    outside.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

/// The lines of the blocks of commands, without comments.
fn commands(document: &str) -> Vec<&str> {
    let blocks = document.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_settings_page_is_what_the_code_says() {
    let (page, place) = (settings::reference(), root().join("docs/settings.md"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&place, &page).unwrap();
    }
    assert!(page == read(&place), "make docs/settings.md anew: UPDATE_DOCS=1 cargo test --test it docs");
}

#[test]
fn every_link_resolves() {
    let mut seen = 0;
    for document in documents() {
        for link in between(&read(&document), "](", ")") {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.starts_with("https://") {
                let target = document.parent().unwrap().join(file);
                assert!(target.exists(), "{}: {link}", document.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "only {seen} links were found");
}

#[test]
fn every_invariant_is_held_by_tests_that_exist() {
    let folders = ["tests", "src", "actors", "crates"].map(|folder| root().join(folder));
    let sources: Vec<String> =
        folders.iter().flat_map(|folder| files(folder, ".rs")).map(|f| read(&f)).collect();
    let is_function = |name: &str| sources.iter().any(|source| source.contains(&format!("fn {name}(")));
    let document = read(&root().join("docs/ARCHITECTURE.md"));
    let invariants = document.split("## Invariants").nth(1).unwrap().split("\n## ").next().unwrap();
    let numbered: Vec<&str> = invariants.split("\n**").flat_map(|text| text.split(". **").skip(1)).collect();
    assert!(numbered.len() >= 13, "{}", numbered.len());
    for invariant in numbered {
        let held =
            invariant.split_once("Held by ").unwrap_or_else(|| panic!("held by nothing: {invariant}")).1;
        let names = ticked(held);
        assert!(!names.is_empty(), "{invariant}");
        for name in names {
            assert!(is_function(name), "there is no test {name}");
        }
    }
}

/// Reads the words after `Alert:` or `Events:` at the head of a page.
fn heads<'a>(page: &'a str, word: &str) -> Vec<&'a str> {
    let head = page.split("\n## ").next().unwrap_or_default();
    let lines =
        head.lines().filter(|line| line.strip_prefix("- ").is_some_and(|line| line.starts_with(word)));
    // What follows `with` is a field, not an event.
    lines.flat_map(|line| ticked(line.split(" with ").next().unwrap_or_default())).collect()
}

#[test]
fn every_alert_has_its_page_and_every_page_its_alert_or_event() {
    let (alerts, events, pages) = (alerts(), events(), pages());
    let contents = read(&root().join("docs/runbook/README.md"));
    assert!(alerts.len() >= 14, "{alerts:?}");
    for (name, page) in &pages {
        let (of_alerts, of_events) = (heads(page, "Alert"), heads(page, "Event"));
        assert!(!of_alerts.is_empty() || !of_events.is_empty(), "{name} is about nothing");
        assert!(of_alerts.iter().all(|alert| alerts.contains(alert)), "{name}: {of_alerts:?}");
        assert!(of_events.iter().all(|event| events.contains(*event)), "{name}: {of_events:?}");
        assert!(contents.contains(&format!("({name})")), "{name} is not in the contents");
        for part in ["What it means", "How to see it", "What to do", "How to know that it is over"] {
            assert!(page.contains(&format!("\n## {part}\n")), "{name} does not say {part}");
        }
    }
    for rule in ALERTS.split("- alert: ").skip(1) {
        let alert = rule.lines().next().unwrap();
        let linked = rule.lines().find_map(|line| line.trim().strip_prefix("runbook: docs/runbook/"));
        let page = pages.iter().find(|(name, _)| Some(name.as_str()) == linked);
        assert!(page.is_some_and(|(_, page)| heads(page, "Alert").contains(&alert)), "{alert}: {linked:?}");
        assert!(ALERTS_TEST.contains(&format!("alertname: {alert}\n")), "{alert} is never seen to fire");
        assert!(ALERTS_TEST.contains(&format!("alertname: {alert},")), "{alert} is never seen to keep quiet");
    }
}

#[test]
fn the_runbook_knows_every_event() {
    let contents = read(&root().join("docs/runbook/README.md"));
    let (named, events) = (ticked(&contents), events());
    assert!(events.len() > 30, "{events:?}");
    let unknown: Vec<_> = events.iter().filter(|event| !named.contains(&event.as_str())).collect();
    assert!(unknown.is_empty(), "in no list: {unknown:?}");
    let needs_a_hand = contents.split("These need no hand").next().unwrap_or_default();
    let pages: Vec<String> = pages().into_iter().map(|(_, page)| page).collect();
    for event in ticked(needs_a_hand).into_iter().filter(|name| events.contains(*name)) {
        assert!(pages.iter().any(|page| heads(page, "Event").contains(&event)), "{event} has no page");
    }
}

/// Whoever is called for a provider is told of the command that asks it.
#[actix_rt::test]
async fn the_pages_name_the_checks_of_doctor() {
    let (_, json, _) = World::new().run(&["doctor", "--json"]).await;
    let checks: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let checks: Vec<&str> = checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
    let (doctor, mut named) = ("sudo --user parlante parlante doctor", BTreeSet::new());
    for (name, page) in pages() {
        let of_provider = ["whatsapp", "openai", "elevenlabs", "provider", "ledger"];
        if of_provider.iter().any(|provider| name.starts_with(provider)) {
            assert!(commands(&page).contains(&doctor), "{name} does not say to run doctor");
        }
        let is_check = |word: &&str| {
            let family = ["whatsapp_", "openai_", "elevenlabs_", "webhook_loop"];
            family.iter().any(|family| word.starts_with(family)) && !word.contains(' ')
        };
        for word in ticked(&page).into_iter().filter(is_check) {
            assert!(checks.contains(&word), "{name}: doctor has no check {word}: {checks:?}");
            named.insert(word.to_owned());
        }
    }
    assert!(named.len() >= 10, "{named:?}");
}

/// The page of metrics, once every provider has been probed.
async fn probed(url: &str) -> String {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let page = tokio::time::timeout(PATIENCE, async {
        loop {
            ticks.tick().await;
            let (status, page) = get_with(url, &[]).await;
            assert_eq!(status, 200);
            if ["provider_healthy", "provider_characters_left"]
                .iter()
                .all(|told| page.contains(&format!("parlante_{told}{{")))
            {
                return page;
            }
        }
    });
    page.await.expect("a health call within its time")
}

#[actix_rt::test]
async fn every_metric_that_is_spoken_of_is_there() {
    let world = World::new().set("HEALTH_PROBE_S", "1");
    let server = world.start().await;
    let page = probed(&server.url("/metrics")).await;
    let families: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let texts = pages().into_iter().map(|(_, page)| page).chain([ALERTS.to_owned(), ALERTS_TEST.to_owned()]);
    let mut spoken = BTreeSet::new();
    for text in texts {
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let metrics = words.filter(|word| word.starts_with("parlante_"));
        spoken.extend(
            metrics.map(|word| word.trim_end_matches("_total").trim_end_matches("_bucket").to_owned()),
        );
    }
    // The name of a file, not of a metric.
    spoken.remove("parlante_admin_token");
    assert!(spoken.len() >= 10, "{spoken:?}");
    let missing: Vec<_> = spoken.iter().filter(|name| !families.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?} of {families:?}");
}

/// Prometheus' own tool reads the rules, and sees each fire when it should and not before.
#[test]
fn the_alerts_fire_when_they_should_and_not_before() {
    for arguments in [
        ["check", "rules", "alerts.yml"].as_slice(),
        &["check", "config", "--syntax-only", "prometheus.yml"],
        &["test", "rules", "alerts_test.yml"],
    ] {
        let told = Command::new("promtool").args(arguments).current_dir(root().join("deploy")).output();
        let told = told.expect("promtool runs: it comes with Debian's package prometheus");
        let words = [told.stdout, told.stderr].map(|words| String::from_utf8_lossy(&words).into_owned());
        assert!(told.status.success(), "{arguments:?}: {}", words.concat());
    }
}

#[test]
fn the_image_is_built_from_all_that_the_program_is_made_of() {
    let dockerfile = read(&root().join("Dockerfile"));
    let admitted = read(&root().join(".dockerignore"));
    let admitted: Vec<&str> = admitted.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let workspace: toml::Table = read(&root().join("Cargo.toml")).parse().unwrap();
    for member in workspace["workspace"]["members"].as_array().unwrap() {
        let member = member.as_str().unwrap();
        if member != "." {
            let copied = format!("\nCOPY {member}/Cargo.toml {member}/\n");
            assert!(dockerfile.contains(&copied), "{member} has no place in the dependency layer");
            assert!(
                dockerfile.contains(&format!(" {member} ")) || dockerfile.contains(&format!(" {member};"))
            );
        }
    }
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    for copy in copies.filter(|copy| !copy.starts_with("--from")) {
        for source in copy.split_whitespace().rev().skip(1) {
            assert!(root().join(source).exists(), "{source} does not exist");
            assert!(admitted.contains(&source.split('/').next().unwrap()), "{source} is kept out");
        }
    }
    for base in dockerfile.lines().filter(|line| line.starts_with("FROM ")) {
        let digest = base.split("@sha256:").nth(1).unwrap_or_default().split(' ').next().unwrap();
        assert!(digest.len() == 64, "{base} is not pinned");
    }
}

/// The variables that the files for operators set.
#[test]
fn the_files_for_operators_set_only_what_there_is() {
    let known: BTreeSet<String> = settings::variables().collect();
    let foreign = ["DOMAIN", "SQLITE_TMPDIR", "UPSTREAM"];
    let text = ["Dockerfile", "deploy/compose.yaml", "deploy/parlante.service"]
        .map(|file| read(&root().join(file)))
        .concat();
    let mut set = BTreeSet::new();
    for line in text.lines().map(|line| line.trim_start_matches(['#', ' '])) {
        for word in line.trim_start_matches("Environment=").trim_start_matches("ENV ").split_whitespace() {
            let name = word.split(['=', ':']).next().unwrap_or_default();
            let is_set = word.len() > name.len() && name.len() > 3;
            if is_set && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
                set.insert(name.to_owned());
            }
        }
    }
    assert!(set.len() >= 10, "{set:?}");
    let unknown: Vec<_> =
        set.iter().filter(|name| !known.contains(*name) && !foreign.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// What stood in the unit, the operator's commands would not see.
#[test]
fn the_unit_has_no_setting() {
    let known: BTreeSet<String> = settings::variables().collect();
    let unit = read(&root().join("deploy/parlante.service"));
    let set = machine::values(&unit, "Environment").flat_map(str::split_whitespace);
    let set: Vec<&str> = set.filter_map(|word| Some(word.split_once('=')?.0)).collect();
    assert!(set.contains(&"SQLITE_TMPDIR"), "{set:?}");
    assert!(!set.iter().any(|name| known.contains(*name)), "{set:?}");
}

/// A reload by a signal is a stop by hand to Docker, where it heeds one.
#[test]
fn a_reload_in_a_container_does_not_end_its_restarts() {
    let compose = read(&root().join("deploy/compose.yaml"));
    let server =
        compose.split("\n  parlante:\n").nth(1).and_then(|rest| rest.split("\n  caddy:\n").next()).unwrap();
    assert!(server.contains("\n    restart: always\n"), "{server}");
    // Without it every signal counts as one to stop.
    assert!(read(&root().join("Dockerfile")).contains("\nSTOPSIGNAL SIGTERM\n"));
}
