//! What the README says is there: its commands, its files and its settings; and what it calls missing is missing.

use std::collections::BTreeSet;
use std::path::Path;

use parlante::settings;

use crate::support::World;

const README: &str = include_str!("../../README.md");

#[actix_rt::test]
async fn the_commands_exist() {
    let world = World::new();
    let (code, help, _) = world.run(&["--help"]).await;
    assert_eq!(code, 0);
    // Each line of a code block that calls the program, with or without cargo before it.
    let lines = blocks().flat_map(str::lines).map(|line| line.split('#').next().unwrap_or_default());
    let calls = lines.filter_map(|line| {
        line.trim().strip_prefix("parlante ").or_else(|| Some(line.split_once("cargo run --release -- ")?.1))
    });
    let calls: Vec<Vec<&str>> = calls.map(|call| call.split_whitespace().collect()).collect();
    assert!(calls.len() >= 3, "{calls:?}");
    for call in calls {
        assert!(help.contains(&format!("\n  {} ", call[0])), "{} is not a command:\n{help}", call[0]);
        let (code, _, complaint) = world.run(&[&call[..], &["--help"]].concat()).await;
        assert_eq!(code, 0, "{call:?}: {complaint}");
    }
    let not_yet = README.split("## Not yet").nth(1).and_then(|rest| rest.split("## ").next());
    for command in ticked(not_yet.expect("a list of what is not there yet")) {
        assert!(!help.contains(&format!("\n  {command} ")), "{command} exists by now");
    }
}

#[test]
fn the_files_exist() {
    let links: Vec<&str> = README.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let files: Vec<&&str> = links.iter().filter(|link| !link.starts_with("https://")).collect();
    assert!(files.len() >= 3, "{links:?}");
    for file in files.into_iter().chain([&"test", &".ci/run"]) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists(), "{file} does not exist");
    }
}

#[test]
fn the_variables_exist() {
    let known: BTreeSet<String> = settings::variables().collect();
    let rows = README.lines().filter(|line| line.starts_with("| `") && line.contains('_'));
    let cells = rows.filter_map(|row| row.split('|').nth(1)).flat_map(ticked);
    let named: BTreeSet<&str> =
        cells.filter(|name| !name.contains(|letter: char| letter.is_lowercase())).collect();
    assert!(named.len() >= 20, "{named:?}");
    for name in named {
        assert!(known.contains(name), "{name} is not a setting");
    }
}

/// The insides of the code blocks.
fn blocks() -> impl Iterator<Item = &'static str> {
    README.split("```").skip(1).step_by(2)
}

/// What stands in backticks.
fn ticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
