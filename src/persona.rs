//! The persona's file. Joe is compiled in; `PERSONA_FILE` names another.

use std::path::{Path, PathBuf};

use derive_more::{Display, Error};
use parlante_domain::Persona;

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
    toml::from_str(&text).map_err(|error| named(error.to_string()))
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
}
