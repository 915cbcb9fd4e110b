//! What can be wrong with the settings, said so that the reader knows what to mend and where.

use std::fmt;
use std::path::PathBuf;

/// Everything that is wrong with the settings. Prints one fault per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// Never empty; in the order of discovery.
    pub faults: Vec<Fault>,
}

impl std::error::Error for SettingsError {}

impl From<Fault> for SettingsError {
    fn from(fault: Fault) -> Self {
        Self { faults: vec![fault] }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong. Holds no value of any setting: a secret pasted into the wrong place stays unprinted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The variable, key or file at fault.
    pub name: String,
    /// Where the wrong value stands.
    pub origin: Origin,
    /// What is wrong, as the rest of a sentence that begins with the name.
    pub problem: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.problem)?;
        if self.origin != Origin::Nowhere {
            write!(f, " ({})", self.origin)?;
        }
        write!(f, "; {}", self.mend)
    }
}

/// What serde says of a wrong value, without the value: it may be a secret, or somebody's number.
pub(crate) fn unquoted(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((quoting, expected))
            if ["invalid ", "unknown variant "].iter().any(|begin| quoting.contains(begin)) =>
        {
            format!("expected {expected}")
        }
        _ => message.to_owned(),
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is not set anywhere.
    Nowhere,
    /// The `config.toml` that is compiled in.
    BuiltIn,
    /// A whole file, for example one that cannot be read.
    File {
        /// As it was given.
        path: PathBuf,
    },
    /// A TOML file.
    Line {
        /// As it was given.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// The file `.env`.
    DotEnv {
        /// With the working directory before it.
        path: PathBuf,
        /// From 1; of a value over several lines the last.
        line: usize,
        /// As it is spelled there.
        variable: String,
    },
    /// The environment of the process.
    Environment {
        /// As it is spelled there.
        variable: String,
    },
    /// A file that a variable ending in `_FILE` names.
    ValueFile {
        /// With the working directory before it if it is relative.
        path: PathBuf,
        /// Where that variable stands.
        named_by: Box<Origin>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => write!(f, "not set"),
            Self::BuiltIn => write!(f, "built-in config.toml"),
            Self::File { path } => write!(f, "{}", path.display()),
            Self::Line { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::DotEnv { path, line, variable } => write!(f, "{}, line {line}, {variable}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::ValueFile { path, named_by } => write!(f, "file {}, named by {named_by}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::unquoted;

    #[test]
    fn a_wrong_value_is_not_repeated() {
        for (said, left) in [
            (
                "invalid type: string \"393, expected 7\", expected a boolean at line 1",
                "expected a boolean at line 1",
            ),
            ("Json deserialize error: invalid type: integer `393`, expected a string", "expected a string"),
            ("unknown variant `393`, expected `a` or `b`", "expected `a` or `b`"),
            (
                "unknown field `excuse`, expected one of `apology`",
                "unknown field `excuse`, expected one of `apology`",
            ),
            ("missing field `person` at line 1 column 2", "missing field `person` at line 1 column 2"),
        ] {
            assert_eq!(unquoted(said), left);
        }
    }
}
