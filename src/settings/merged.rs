//! Second stage: of each setting the value of the highest layer that sets it, still as text.

use super::fault::Origin;
use super::secret::MASK;
use super::table::{Kind, Setting, TABLE};
use super::written::{Entry, Layer};

/// The values in force, by `SECTION_KEY`. Holds secrets, hence no `Debug`.
pub(super) struct Merged(Layer);

impl Merged {
    /// Lays `layers` over one another, the last on top.
    pub(super) fn of(layers: Vec<Layer>) -> Self {
        Self(layers.into_iter().flatten().collect())
    }

    pub(super) fn get(&self, variable: &str) -> Option<&Entry> {
        self.0.get(variable)
    }

    pub(super) fn is_set(&self, variable: &str) -> bool {
        self.0.contains_key(variable)
    }

    pub(super) fn origin(&self, variable: &str) -> Origin {
        self.get(variable).map_or(Origin::Nowhere, |entry| entry.origin.clone())
    }

    /// Names and values, in the form of an environment.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(variable, entry)| (variable.clone(), entry.text.clone()))
    }

    /// One line per setting, secrets masked.
    pub(super) fn show(&self) -> String {
        TABLE.iter().map(|setting| self.show_one(setting)).collect()
    }

    fn show_one(&self, setting: &Setting) -> String {
        let variable = setting.variable();
        let Some(entry) = self.get(&variable) else { return format!("{variable} = (not set)\n") };
        let value = match (setting.kind, entry.text.as_str()) {
            (Kind::Secret, _) => MASK,
            (_, "") => "(none)",
            (_, text) => text,
        };
        format!("{variable} = {value}  # {}\n", entry.origin)
    }
}
