//! A layer from a TOML file: sections with keys, nothing unknown, no secrets.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{Entry, Layer};
use crate::settings::fault::{Fault, Origin};
use crate::settings::table::{self, Kind, Setting, TABLE};

/// Reads `text`, which stands at `path` or, without one, is built in. `None` if it is not TOML.
pub(super) fn layer(text: &str, path: Option<&Path>, faults: &mut Vec<Fault>) -> Option<Layer> {
    let place = Place { text, path };
    match DeTable::parse(text) {
        Ok(sections) => Some(Reader { place, layer: Layer::new(), faults }.read(sections.get_ref())),
        Err(error) => {
            // Only the message: the error's own Display quotes the line, which may hold a secret.
            faults.push(Fault {
                name: path.unwrap_or(Path::new("config.toml")).display().to_string(),
                origin: place.origin(error.span().map_or(0, |span| span.start)),
                problem: format!("is not TOML: {}", error.message()),
                mend: "mend that line; texts stand in \"quotes\"".into(),
            });
            None
        }
    }
}

/// Turns byte offsets into origins.
struct Place<'a> {
    text: &'a str,
    path: Option<&'a Path>,
}

impl Place<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let line = 1 + self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
        match self.path {
            Some(path) => Origin::Line { path: path.to_owned(), line },
            None => Origin::BuiltIn,
        }
    }
}

struct Reader<'a> {
    place: Place<'a>,
    layer: Layer,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn read(mut self, sections: &DeTable<'_>) -> Layer {
        for (section, content) in sections {
            let origin = self.place.origin(section.span().start);
            let section: &str = section.get_ref();
            let known = TABLE.iter().any(|setting| setting.section == section);
            match content.get_ref() {
                DeValue::Table(keys) if known => self.read_section(section, keys),
                _ if known => {
                    let mend = format!("write [{section}] on a line of its own and its keys below");
                    self.fault(format!("[{section}]"), origin, "is not a section", mend);
                }
                DeValue::Table(_) => {
                    let mend = format!("the sections are {}", section_names());
                    self.fault(
                        format!("[{}]", section.escape_debug()),
                        origin,
                        "is not a known section",
                        mend,
                    );
                }
                _ => {
                    let mend = "a key belongs below its section, for example port below [server]".to_owned();
                    let name = format!("key `{}`", section.escape_debug());
                    self.fault(name, origin, "stands outside of every section", mend);
                }
            }
        }
        self.layer
    }

    fn read_section(&mut self, section: &str, keys: &DeTable<'_>) {
        for (key, value) in keys {
            let origin = self.place.origin(key.span().start);
            let key: &str = key.get_ref();
            match table::find(section, key) {
                None => {
                    let mend = format!("the keys of [{section}] are {}", key_names(section));
                    self.fault(
                        format!("key `{}` of [{section}]", key.escape_debug()),
                        origin,
                        "is unknown",
                        mend,
                    );
                }
                Some(setting) if setting.kind == Kind::Secret => {
                    let mend = format!("remove it there, and {}", setting.mend_unset());
                    let problem = "is a secret and must not stand in a settings file";
                    self.fault(setting.variable(), origin, problem, mend);
                }
                Some(setting) => self.read_value(setting, value.get_ref(), origin),
            }
        }
    }

    fn read_value(&mut self, setting: &Setting, value: &DeValue<'_>, origin: Origin) {
        let text = match value {
            DeValue::Array(elements) if setting.rule.is_list() => elements
                .iter()
                .map(|element| element_text(element.get_ref()))
                .collect::<Result<Vec<_>, _>>()
                .map(|elements| elements.join(",")),
            // Like an empty variable: not set here.
            DeValue::String(text) if text.is_empty() => return,
            scalar => scalar_text(scalar),
        };
        match text {
            Ok(text) => {
                self.layer.insert(setting.variable(), Entry::new(setting, &text, origin));
            }
            Err(problem) => {
                let mend = format!("set it to {}", setting.rule.wants());
                self.fault(setting.variable(), origin, &problem, mend);
            }
        }
    }

    fn fault(&mut self, name: String, origin: Origin, problem: &str, mend: String) {
        self.faults.push(Fault { name, origin, problem: problem.to_owned(), mend });
    }
}

fn scalar_text(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| "is out of range".to_owned()),
        other => Err(format!("has the wrong type: {}", other.type_str())),
    }
}

/// An element of an array; one that would vanish or fall apart between commas is refused.
fn element_text(value: &DeValue<'_>) -> Result<String, String> {
    let text = scalar_text(value)?;
    if text.trim().is_empty() || text.contains(',') {
        return Err("has an empty element, or one with a comma in it".to_owned());
    }
    Ok(text)
}

fn section_names() -> String {
    let mut names: Vec<String> = TABLE.iter().map(|setting| format!("[{}]", setting.section)).collect();
    names.dedup();
    names.join(", ")
}

fn key_names(section: &str) -> String {
    let in_file = |setting: &&Setting| setting.section == section && setting.kind != Kind::Secret;
    let names: Vec<&str> = TABLE.iter().filter(in_file).map(|setting| setting.key).collect();
    if names.is_empty() {
        return "none but secrets, which come from the environment".to_owned();
    }
    names.join(", ")
}
