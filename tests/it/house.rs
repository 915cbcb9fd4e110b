//! The house's own rules, held by machine: who may import whom, how long a file may be, what is locked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may import whom; nothing else in the workspace.
const MAY_IMPORT: [(&str, &[&str]); 6] = [
    ("parlante-domain", &[]),
    ("parlante-wire", &["parlante-domain"]),
    ("parlante-ledger", &["parlante-domain"]),
    ("parlante-actors", &["parlante-domain", "parlante-ledger", "parlante-wire"]),
    (
        "parlante",
        &["parlante-actors", "parlante-domain", "parlante-ledger", "parlante-sandbox", "parlante-wire"],
    ),
    ("parlante-sandbox", &[]),
];
/// Longest file, in lines.
const LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What cargo says of the workspace. `--locked`: it fails if Cargo.lock is missing or would change.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--no-deps"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap()
}

/// The crates of ours that a package depends on. Tests of a crate may use the stand-ins: they are no part of it.
fn imports(package: &Value) -> BTreeSet<&str> {
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    let is_test = |dependency: &Value| dependency["kind"] == "dev" && name(dependency) == "parlante-sandbox";
    dependencies.filter(|one| !is_test(one)).map(name).filter(|name| name.starts_with("parlante")).collect()
}

#[test]
fn every_crate_imports_only_what_it_may() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<_> = packages.iter().map(name).collect();
    assert_eq!(ours, MAY_IMPORT.iter().map(|(name, _)| *name).collect(), "a crate without a rule");
    for (crate_name, may) in MAY_IMPORT {
        let package = packages.iter().find(|package| name(package) == crate_name).unwrap();
        let may: BTreeSet<_> = may.iter().copied().collect();
        let beyond: Vec<_> = imports(package).difference(&may).copied().collect();
        assert_eq!(beyond, [""; 0], "{crate_name} may not import these");
    }
}

#[test]
fn the_domain_has_neither_clock_nor_randomness_nor_input_nor_output() {
    let forbidden =
        ["SystemTime", "Instant", "std::fs", "std::net", "std::env", "std::thread", "tokio", "rand"];
    for file in sources(&root().join("crates/domain/src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code: Vec<_> = code.filter(|line| line.contains("use ") || line.contains("::")).collect();
        for word in forbidden {
            let hits: Vec<_> = code.iter().filter(|line| has_word(line, word)).collect();
            assert!(hits.is_empty(), "{}: {hits:?}", file.display());
        }
    }
}

fn has_word(line: &str, word: &str) -> bool {
    let is_edge = |edge: Option<char>| edge.is_none_or(|edge| !edge.is_alphanumeric() && edge != '_');
    line.match_indices(word).any(|(at, _)| {
        is_edge(line[..at].chars().next_back()) && is_edge(line[at + word.len()..].chars().next())
    })
}

#[test]
fn only_the_command_that_starts_both_knows_the_stand_ins() {
    let knows = |file: &PathBuf| std::fs::read_to_string(file).unwrap().contains("parlante_sandbox");
    let knowing: Vec<_> = sources(&root().join("src")).into_iter().filter(knows).collect();
    assert_eq!(knowing, [root().join("src/cli/sandbox.rs")]);
}

#[test]
fn no_file_is_longer_than_its_reader_can_hold() {
    let folders = ["src", "actors", "crates", "tests", "bench"].map(|folder| root().join(folder));
    let files: Vec<_> =
        folders.iter().filter(|folder| folder.exists()).flat_map(|folder| sources(folder)).collect();
    assert!(files.len() > 80, "only {} files were found", files.len());
    let lines = |file: &PathBuf| std::fs::read_to_string(file).unwrap().lines().count();
    let long: Vec<_> =
        files.iter().map(|file| (file, lines(file))).filter(|(_, lines)| *lines > LINES_MAX).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn every_version_is_locked() {
    assert!(root().join("Cargo.lock").is_file());
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    assert!(!ignored.contains("Cargo.lock"), "it has to be committed");
    metadata();
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
