//! A layer from variables: `SECTION_KEY`, its alias, or the file that `SECTION_KEY_FILE` names.

use std::ffi::OsString;
use std::path::Path;

use super::{Entry, Layer, text_file};
use crate::settings::fault::{Fault, Origin, SettingsError};
use crate::settings::table::{Setting, TABLE};
use crate::settings::variables;

/// A variable of ours that was found. May hold a secret, hence no `Debug`.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// Whether a setting is read from the variable `name`.
pub(super) fn is_ours(name: &str) -> bool {
    variables().any(|ours| ours == name)
}

/// Our variables in the environment.
pub(super) fn of_process(env: &[(OsString, OsString)], faults: &mut Vec<Fault>) -> Vec<Variable> {
    let mut found = Vec::new();
    for (name, value) in env {
        let Some(name) = name.to_str().filter(|name| is_ours(name)).map(str::to_owned) else { continue };
        let origin = Origin::Environment { variable: name.clone() };
        match value.to_str() {
            Some(value) => found.push(Variable { name, value: value.to_owned(), origin }),
            None => faults.push(Fault {
                name,
                origin,
                problem: "is not UTF-8 text".into(),
                mend: "set it anew, without bytes that are no text".into(),
            }),
        }
    }
    found
}

/// What `variables` set. Files that they name are read, relative paths from `dir`.
pub(super) fn layer(variables: &[Variable], dir: &Path, faults: &mut Vec<Fault>) -> Layer {
    let mut layer = Layer::new();
    for setting in TABLE {
        match entry(setting, variables, dir) {
            Ok(None) => {}
            Ok(Some(entry)) => {
                layer.insert(setting.variable(), entry);
            }
            Err(error) => faults.extend(error.faults),
        }
    }
    layer
}

fn entry(setting: &Setting, variables: &[Variable], dir: &Path) -> Result<Option<Entry>, SettingsError> {
    // Empty counts as not set. The last one wins, as in a shell that reads the file.
    let find =
        |name: String| variables.iter().rfind(|variable| variable.name == name && !variable.value.is_empty());
    let direct = find(setting.variable());
    let alias = setting.alias.and_then(|alias| find(alias.to_owned()));
    let file = setting.file_variable().and_then(find);

    let value = match (direct, alias) {
        (Some(direct), Some(alias)) if direct.value != alias.value => {
            return Err(both_set(direct, alias).into());
        }
        (direct, alias) => direct.or(alias),
    };
    match (value, file) {
        (Some(value), Some(file)) => Err(both_set(value, file).into()),
        (Some(value), None) => Ok(Some(Entry::new(setting, &value.value, value.origin.clone()))),
        (None, Some(file)) => value_file(setting, file, dir).map(Some),
        (None, None) => Ok(None),
    }
}

fn both_set(one: &Variable, other: &Variable) -> Fault {
    Fault {
        name: one.name.clone(),
        origin: one.origin.clone(),
        problem: format!("is set, and so is {} ({}), which stands for the same", other.name, other.origin),
        mend: format!("remove {} or {}", one.name, other.name),
    }
}

fn value_file(setting: &Setting, variable: &Variable, dir: &Path) -> Result<Entry, SettingsError> {
    let path = dir.join(&variable.value);
    let named_by = variable.origin.clone();
    // Where nothing exists, the "path" may be the secret itself, put into the wrong variable: it is not repeated.
    let origin = match path.symlink_metadata() {
        Ok(_) => Origin::ValueFile { path: path.clone(), named_by: Box::new(named_by) },
        Err(_) => named_by,
    };
    let fault = |problem: String| {
        let mend = format!(
            "let it name a readable file that holds the value, or set {} instead",
            setting.variable()
        );
        SettingsError::from(Fault { name: variable.name.clone(), origin: origin.clone(), problem, mend })
    };
    let text = text_file::read(&path).map_err(|error| fault(format!("names a file that {error}")))?;
    let value = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if value.is_empty() {
        return Err(fault("names a file that is empty".into()));
    }
    Ok(Entry::new(setting, value, origin.clone()))
}
