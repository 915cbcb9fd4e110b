//! The persona's file. Joe is compiled in; `PERSONA_FILE` names another.

use std::path::{Path, PathBuf};

use derive_more::{Display, Error};
use parlante_domain::Persona;

use crate::settings::fault::unquoted;
use crate::settings::written::text_file;

const JOE: &str = include_str!("../personas/joe.toml");

/// A persona that cannot be used. Nothing is started with it.
#[derive(Debug, Display, Error)]
#[display("PERSONA_FILE {}: {reason}", file.display())]
pub struct PersonaError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// What is wrong with it, with line and column where it does not parse.
    pub reason: String,
}

/// Reads the persona from `file`, or the built-in one.
///
/// # Errors
/// [`PersonaError`] if the file cannot be read, does not parse, has an unknown key or lacks a text.
pub fn load(file: Option<&Path>) -> Result<Persona, PersonaError> {
    let named = |reason: String| PersonaError { file: file.unwrap_or(Path::new("joe")).to_owned(), reason };
    let text = match file {
        Some(path) => text_file::read(path).map_err(|error| named(error.to_string()))?,
        None => JOE.to_owned(),
    };
    toml::from_str(&text).map_err(|error| named(wrong(&text, &error)))
}

/// Where it is wrong and why, without what stands there: it may be a file with a secret, named by mistake.
fn wrong(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let (line, column) =
        (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1);
    format!("line {line}, column {column}: {}", unquoted(error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joe_is_complete() {
        assert_eq!(load(None).unwrap().name, "Joe");
    }

    #[test]
    fn a_persona_without_a_text_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mute.toml");
        std::fs::write(&file, JOE.replace("apology", "excuse")).unwrap();
        let error = load(Some(&file)).unwrap_err().to_string();
        assert!(error.contains("mute.toml") && error.contains("excuse"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place_and_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.toml");
        for (text, told) in [
            ("sk-123\n", "line 1, column"),
            ("name = \"Tony\"\nprompt = \"sk-123\n", "line 2, column"),
            ("name = [\"sk-123\"]\n", "line 1, column 8: expected a string"),
            ("texts = \"sk-123\"\n", "line 1, column 9: expected struct"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = load(Some(&file)).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains("sk-123"), "{error}");
        }
    }
}
