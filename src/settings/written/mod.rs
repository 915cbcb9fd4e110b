//! First stage: what stands in each layer, as text with its origin.

mod config_file;
mod dotenv;
pub(crate) mod text_file;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;

use super::Source;
use super::fault::{Fault, Origin};
use super::table::Setting;

/// The default layer, and the documentation of every setting.
pub(super) const BUILT_IN: &str = include_str!("../../../config.toml");

/// The text of one setting and where it was written. May be a secret, hence no `Debug`.
#[derive(Clone)]
pub(super) struct Entry {
    /// Of a list: the elements trimmed, with commas. Empty only for an empty list.
    pub(super) text: String,
    pub(super) origin: Origin,
}

impl Entry {
    fn new(setting: &Setting, text: &str, origin: Origin) -> Self {
        let text = if setting.rule.is_list() {
            text.split(',').map(str::trim).collect::<Vec<_>>().join(",")
        } else {
            text.to_owned()
        };
        Self { text, origin }
    }
}

/// What one place sets, by `SECTION_KEY`.
pub(super) type Layer = BTreeMap<String, Entry>;

/// Everything that was found.
pub(super) struct Written {
    /// From low to high.
    pub(super) layers: Vec<Layer>,
    /// Whether every layer could be read. If not, nobody can say what is missing.
    pub(super) complete: bool,
}

/// Reads all layers. What is wrong goes to `faults`; the rest is read all the same, to find everything at once.
pub(super) fn read(source: &Source, faults: &mut Vec<Fault>) -> Written {
    let built_in = config_file::layer(BUILT_IN, None, faults);
    let file = operators_file(source, faults);
    let dotenv = dotenv::variables(&source.dir.join(".env"), faults);
    let process = variables::of_process(&source.env, faults);

    let complete = file.is_some() && dotenv.is_some();
    let dotenv = variables::layer(&dotenv.unwrap_or_default(), &source.dir, faults);
    let process = variables::layer(&process, &source.dir, faults);
    let layers = [built_in, file, Some(dotenv), Some(process)].into_iter().flatten().collect();
    Written { layers, complete }
}

/// The layer of the operator's `config.toml`: empty if there is none, `None` if it cannot be read.
fn operators_file(source: &Source, faults: &mut Vec<Fault>) -> Option<Layer> {
    let path = source.dir.join(source.config.as_deref().unwrap_or(Path::new("config.toml")));
    match text_file::read(&path) {
        Ok(text) => config_file::layer(&text, Some(&path), faults),
        Err(error) if error.is_absent() && source.config.is_none() => Some(Layer::new()),
        Err(error) => {
            faults.push(Fault {
                name: path.display().to_string(),
                origin: Origin::Nowhere,
                problem: error.to_string(),
                mend: "make it a readable TOML file, or do without it: the built-in settings suffice".into(),
            });
            None
        }
    }
}
