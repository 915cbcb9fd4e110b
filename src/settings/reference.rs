//! The page of all settings, `docs/settings.md`: the table's rules beside what the built-in `config.toml` says. A test
//! holds the page to it.

use std::collections::BTreeMap;

use super::table::{Kind, Setting, TABLE};
use super::valid::REQUIRED_IN_PRODUCTION;
use super::written::BUILT_IN;

const HEAD: &str = "\
# Settings

Made from the program itself by `UPDATE_DOCS=1 cargo test --test it docs`; do not edit it by hand.

Key `timeout_ms` of section `[openai]` in `config.toml` is the variable `OPENAI_TIMEOUT_MS`; `OPENAI_TIMEOUT_MS_FILE` \
names a file that holds the value. The first of these counts: the environment, `.env`, your own `config.toml`, the \
default. Secrets come from the first two, or from a `_FILE`, only. An empty value counts as not set. Lists are written \
with commas. `parlante check --show` prints what is in force and where each value came from.
";

/// The page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let (said, mut page, mut section) = (Said::read(BUILT_IN), HEAD.to_owned(), "");
    for setting in TABLE {
        if setting.section != section {
            section = setting.section;
            page +=
                &format!("\n## {section}\n\n| variable | default | value | what for |\n|---|---|---|---|\n");
        }
        page += &said.row(setting);
    }
    page
}

/// What the built-in file says, by variable.
#[derive(Default)]
struct Said {
    defaults: BTreeMap<String, String>,
    comments: BTreeMap<String, String>,
}

impl Said {
    fn read(file: &str) -> Self {
        let (mut said, mut section, mut comment) = (Self::default(), String::new(), String::new());
        // Whose comment a line goes on with: a secret's, or that of the key to come.
        let (mut secret, mut ended) = (None::<String>, false);
        for line in file.lines() {
            if let Some(named) = line.strip_prefix("# Secret: ") {
                let (name, rest) = named.split_once([',', '.']).unwrap_or((named, ""));
                said.comments.insert(name.to_owned(), rest.trim().to_owned());
                secret = Some(name.to_owned());
            } else if let Some(text) = line.strip_prefix('#') {
                let spoken = secret.as_ref().and_then(|name| said.comments.get_mut(name));
                if spoken.is_none() && ended {
                    comment.clear();
                    ended = false;
                }
                append(spoken.unwrap_or(&mut comment), text.trim());
            } else if let Some((key, value)) = line.split_once(" = ") {
                let variable = format!("{section}_{key}").to_ascii_uppercase();
                let value = value.trim_matches(['"', '[', ']']).replace(", ", ",");
                said.defaults.insert(variable.clone(), value);
                said.comments.insert(variable, comment.clone());
                // Kept: the next key may share it.
                ended = true;
            } else {
                if line.starts_with('[') {
                    section = line.trim_matches(['[', ']']).to_owned();
                }
                comment.clear();
                secret = None;
            }
        }
        said
    }

    fn row(&self, setting: &Setting) -> String {
        let variable = setting.variable();
        let names: Vec<String> = [Some(variable.clone()), setting.alias.map(str::to_owned)]
            .into_iter()
            .flatten()
            .map(|name| format!("`{name}`"))
            .collect();
        let default = match setting.kind {
            Kind::Secret => "secret".to_owned(),
            Kind::Optional => "not set".to_owned(),
            Kind::Defaulted => match self.defaults.get(&variable).map(String::as_str) {
                None | Some("") => "none".to_owned(),
                Some(value) => format!("`{value}`"),
            },
        };
        let (value, comment) = (setting.rule.wants(), self.what_for(&variable));
        format!("| {} | {default} | {value} | {} |\n", names.join(", "), comment.replace('|', "\\|"))
    }

    fn what_for(&self, variable: &str) -> String {
        let own = self.comments.get(variable).filter(|comment| !comment.is_empty());
        // A secret may be named in the comment of the keys that it goes with.
        let shared = || self.comments.values().find(|comment| comment.contains(variable));
        let mut comment = own.or_else(shared).cloned().unwrap_or_default();
        if let Some(first) = comment.get(..1).map(str::to_uppercase) {
            comment.replace_range(..1, &first);
        }
        if REQUIRED_IN_PRODUCTION.contains(&variable) {
            append(&mut comment, "Production does not start without it.");
        }
        comment
    }
}

fn append(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_there_with_its_purpose() {
        let page = reference();
        for setting in TABLE {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{}`", setting.variable())));
            let cells: Vec<&str> = row.unwrap().trim_matches('|').split(" | ").collect();
            assert_eq!(cells.len(), 4, "{cells:?}");
            assert!(cells.iter().all(|cell| cell.trim().len() > 1), "{cells:?}");
        }
    }

    #[test]
    fn a_comment_goes_to_its_keys_and_secrets_and_to_no_other() {
        let said = Said::read(
            "# The whole.\n\n[a]\n# Secret: A_ONE, the first\n# of two.\n# Secret: A_TWO.\n\n# For b\n# and c, with A_TWO.\nb = 1\nc = \"x\"\n# For d.\nd = [1, 2]\n",
        );
        assert_eq!(said.what_for("A_ONE"), "The first of two.");
        assert_eq!(said.what_for("A_B"), "For b and c, with A_TWO.");
        assert_eq!(said.what_for("A_C"), said.what_for("A_B"));
        assert_eq!(said.what_for("A_TWO"), said.what_for("A_B"));
        assert_eq!(said.what_for("A_D"), "For d.");
        assert_eq!((said.defaults["A_B"].as_str(), said.defaults["A_C"].as_str()), ("1", "x"));
        assert_eq!(said.defaults["A_D"], "1,2");
    }
}
