//! Every log event is what docs/events.md says: in a handful of runs each is really logged, with exactly the level and
//! the fields that stand there; and no fact is told twice.
//!
//! - [`table`]: the page, read.
//! - [`scenes`]: the runs, and what each has to tell.
//! - [`damage`]: a ledger that makes the program panic.

pub(crate) mod damage;
mod scenes;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use table::Table;

/// All that the code logs, by name.
fn in_the_code() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = ["src", "actors/src", "crates/ledger/src"]
        .map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text.split("event = \"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(names.map(str::to_owned));
            }
        }
    }
    found
}

#[test]
fn the_page_has_every_event_of_the_code_and_no_other() {
    let (table, code) = (Table::read(), in_the_code());
    assert!(code.len() > 30, "{code:?}");
    assert_eq!(table.names(), code);
    let spare: Vec<_> = table.fields().difference(&table.fields_of_events()).cloned().collect();
    let unexplained: Vec<_> = table.fields_of_events().difference(&table.fields()).cloned().collect();
    assert_eq!((spare, unexplained), (vec![], vec![]), "every field of an event is explained, and no other");
}

/// One test, since only all runs together show that nothing is missing.
#[actix_rt::test]
async fn every_event_is_really_logged_as_the_page_has_it_and_no_fact_is_told_twice() {
    let table = Table::read();
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for scene in scenes::all().await {
        for line in &scene.lines {
            if let Err(why) = table.judge(line) {
                wrong.push(format!("{}: {why}: {line}", scene.name));
            }
            let event = line["event"].as_str().unwrap_or_default();
            seen.extend(line.as_object().unwrap().keys().map(|field| (event.to_owned(), field.clone())));
        }
        wrong.extend(scene.faults());
    }
    let missing = table.all_that_can_be_told().into_iter().filter(|told| !seen.contains(told));
    wrong.extend(missing.map(|(event, field)| format!("{event} with {field} is never logged")));
    assert!(wrong.is_empty(), "{wrong:#?}");
}
