//! Every error code of every provider, as a whole body: what it means, and that the tables and `tests/fixtures`
//! hold the same codes.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::Path;

use parlante_wire::outcome::Codes;
use parlante_wire::{Refusal, RetryHints, elevenlabs, graph, openai};
use serde_json::Value;

type Classify = fn(u16, &[u8], RetryHints) -> Refusal;

fn cases(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(file);
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let names: BTreeSet<&str> = cases.iter().map(|case| case["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), cases.len(), "{file}: a name occurs twice");
    cases
}

fn means_what_it_says(cases: &[Value], classify: Classify) {
    for case in cases {
        let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
        let refusal = classify(status, case["body"].to_string().as_bytes(), RetryHints::default());
        assert_eq!(refusal.outcome.to_string(), case["outcome"], "{case}");
        assert_eq!(refusal.provider_code.as_deref(), case["code"].as_str(), "{case}");
        assert!(refusal.is_known, "{case}");
    }
}

fn told(cases: &[Value]) -> BTreeSet<&str> {
    cases.iter().filter_map(|case| case["code"].as_str()).collect()
}

/// Also that none occurs twice.
fn codes(table: Codes) -> BTreeSet<&'static str> {
    let codes: BTreeSet<&str> = table.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes.len(), table.len());
    codes
}

#[test]
fn every_code_of_graph() {
    let cases = cases("graph_codes.json");
    means_what_it_says(&cases, graph::classify);
    let mut told = told(&cases);
    assert!(told.remove("299"), "it stands for 200 to 299");
    assert_eq!(told, codes(graph::CODES));
}

#[test]
fn every_code_and_type_of_openai() {
    let cases = cases("openai_codes.json");
    means_what_it_says(&cases, openai::classify);
    assert_eq!(told(&cases), codes(openai::CODES));
    let types = cases.iter().filter(|case| case["code"].is_null()).map(|case| &case["body"]["error"]["type"]);
    let types: BTreeSet<&str> = types.filter_map(Value::as_str).collect();
    assert!(types.is_superset(&codes(openai::TYPES)), "{types:?}");
}

#[test]
fn every_code_of_elevenlabs() {
    let cases = cases("elevenlabs_codes.json");
    means_what_it_says(&cases, elevenlabs::classify);
    assert_eq!(told(&cases), codes(elevenlabs::CODES));
}
