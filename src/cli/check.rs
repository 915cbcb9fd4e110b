//! `parlante check`: validates the settings, and the persona with them.

use std::path::PathBuf;

use super::{Failure, say, settings};
use crate::persona;

pub(super) fn run(config: Option<PathBuf>, show: bool) -> Result<(), Failure> {
    let settings = settings(config)?;
    let persona = persona::load(settings.persona.file.as_deref()).map_err(Failure::wrong)?;
    if show {
        say(settings.show().trim_end())?;
    }
    for warning in settings.warnings() {
        say(format!("warning: {warning}"))?;
    }
    say(format!("settings are valid; the persona is {}", persona.name))
}
