//! docs/events.md, read, and the judgement of one line by it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/events.md");
/// What every line has.
const COMMON: [&str; 3] = ["timestamp", "level", "event"];
const SERVICES: [&str; 3] = ["whatsapp", "openai", "elevenlabs"];

struct Event {
    level: String,
    required: BTreeSet<String>,
    /// Those with a `?`.
    optional: BTreeSet<String>,
}

pub(super) struct Table {
    events: BTreeMap<String, Event>,
    /// By field: whether it is a number; else it is a string.
    numbers: BTreeMap<String, bool>,
}

impl Table {
    /// Five cells make an event, three a field.
    pub(super) fn read() -> Self {
        let mut table = Self { events: BTreeMap::new(), numbers: BTreeMap::new() };
        for line in PAGE.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let name = cells[0].trim_matches('`').to_owned();
            let before = match cells[..] {
                [_, level, fields, means, pages] => {
                    assert!(!means.is_empty(), "{line}");
                    check_pages(&name, pages);
                    table.events.insert(name, Event::read(level, fields)).is_some()
                }
                [_, kind, is] => {
                    assert!(["string", "number"].contains(&kind) && !is.is_empty(), "{line}");
                    table.numbers.insert(name, kind == "number").is_some()
                }
                _ => panic!("not understood: {line}"),
            };
            assert!(!before, "twice: {line}");
        }
        table
    }

    pub(super) fn names(&self) -> BTreeSet<String> {
        self.events.keys().cloned().collect()
    }

    pub(super) fn fields(&self) -> BTreeSet<String> {
        self.numbers.keys().cloned().collect()
    }

    pub(super) fn fields_of_events(&self) -> BTreeSet<String> {
        self.events.values().flat_map(|event| event.required.union(&event.optional)).cloned().collect()
    }

    /// Every event with each of its fields.
    pub(super) fn all_that_can_be_told(&self) -> BTreeSet<(String, String)> {
        let of = |(name, event): (&String, &Event)| {
            let fields = event.required.union(&event.optional).cloned().collect::<Vec<_>>();
            let all = fields.into_iter().chain(COMMON.map(str::to_owned));
            all.map(|field| (name.clone(), field)).collect::<Vec<_>>()
        };
        self.events.iter().flat_map(of).collect()
    }

    /// Whether a line is as the page has it.
    pub(super) fn judge(&self, line: &Value) -> Result<(), String> {
        let name = line["event"].as_str().ok_or("no event")?;
        let event = self.events.get(name).ok_or("an event that the page has not")?;
        if line["level"] != event.level.as_str() {
            return Err(format!("it should be {}", event.level));
        }
        if !line["timestamp"].as_str().is_some_and(is_utc) {
            return Err("timestamp is no RFC 3339 time in UTC".to_owned());
        }
        let given: BTreeSet<&str> = line.as_object().ok_or("no object")?.keys().map(String::as_str).collect();
        if let Some(missing) = event.required.iter().find(|field| !given.contains(field.as_str())) {
            return Err(format!("{missing} is missing"));
        }
        for field in given.into_iter().filter(|field| !COMMON.contains(field)) {
            if !event.required.contains(field) && !event.optional.contains(field) {
                return Err(format!("the page does not know of {field}"));
            }
            let value = &line[field];
            let fits = if self.numbers[field] { value.is_u64() } else { value.is_string() };
            if !fits || !value.as_str().is_none_or(|text| is_sound(field, text)) {
                return Err(format!("{field} is not what it should be"));
            }
        }
        Ok(())
    }
}

impl Event {
    fn read(level: &str, fields: &str) -> Self {
        assert!(["info", "warn", "error"].contains(&level), "{level}");
        let (mut required, mut optional) = (BTreeSet::new(), BTreeSet::new());
        for field in fields.split(", ").filter(|field| !field.is_empty()) {
            let set = if field.ends_with('?') { &mut optional } else { &mut required };
            set.insert(field.trim_end_matches('?').trim_matches('`').to_owned());
        }
        Self { level: level.to_uppercase(), required, optional }
    }
}

/// The pages of the runbook that an event leads to are about it.
fn check_pages(event: &str, cell: &str) {
    for link in cell.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(link);
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{link}: {error}"));
        assert!(page.contains(&format!("`{event}`")), "{link} does not speak of {event}");
    }
}

/// `2026-11-24T09:12:03.481903Z`: RFC 3339, 5.6, with the `Z` of UTC.
fn is_utc(text: &str) -> bool {
    let Some((date, time)) = text.strip_suffix('Z').and_then(|text| text.split_once('T')) else {
        return false;
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let numbers = |text: &str, mark: char| -> Vec<(usize, u32)> {
        text.split(mark).map(|part| (part.len(), part.parse().unwrap_or(u32::MAX))).collect()
    };
    let is_date = matches!(numbers(date, '-')[..], [(4, 2020..=2999), (2, 1..=12), (2, 1..=31)]);
    let is_time = matches!(numbers(time, ':')[..], [(2, 0..=23), (2, 0..=59), (2, 0..=60)]);
    is_date && is_time && !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a text must look like, by its field.
fn is_sound(field: &str, text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.+".contains(&byte);
    match field {
        "user_id" => is_masked(text),
        "service" => SERVICES.contains(&text),
        "ip" => text.parse::<IpAddr>().is_ok(),
        "address" => text.parse::<SocketAddr>().is_ok(),
        "version" => text == env!("CARGO_PKG_VERSION"),
        "error_code" | "provider_code" | "kind" | "actor" => !text.is_empty() && text.bytes().all(is_word),
        // Something that could not be read has none.
        "message_id" => text.is_empty() || text.starts_with("wamid."),
        "place" => text.contains(".rs:"),
        _ => !text.is_empty(),
    }
}

fn is_masked(text: &str) -> bool {
    text.chars().count() == 12 && text.chars().skip(3).take(6).all(|letter| letter == '*')
}

#[test]
fn a_line_that_is_not_as_the_page_has_it_is_found() {
    let table = Table::read();
    let good = serde_json::json!({
        "timestamp": "2026-11-24T09:12:03.481903Z", "level": "ERROR", "event": "http_failed", "service": "openai",
        "message_id": "wamid.1", "attempt": 3, "error_code": "503", "duration_ms": 12
    });
    assert_eq!(table.judge(&good), Ok(()));
    for (field, value) in [
        ("event", "http_broken".into()),
        ("level", "WARN".into()),
        ("timestamp", "2026-11-24T09:12:03+01:00".into()),
        ("timestamp", "2026-11-24T25:12:03Z".into()),
        ("service", "twilio".into()),
        ("attempt", "3".into()),
        ("error_code", 503.into()),
        ("error_code", "no answer: ciao".into()),
        ("duration_ms", 1.5.into()),
        ("duration_ms", Value::Null),
        ("user_id", "393******154".into()),
    ] {
        let mut line = good.clone();
        line[field] = value;
        assert!(table.judge(&line).is_err(), "{line}");
    }
    let mut line = good.clone();
    line.as_object_mut().unwrap().remove("attempt");
    assert_eq!(table.judge(&line), Err("attempt is missing".to_owned()));
    for (person, is_sound) in [("393******154", true), ("393247722154", false), ("39******2154", false)] {
        assert_eq!(is_masked(person), is_sound, "{person}");
    }
}
