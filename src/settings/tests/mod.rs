//! Settings are loaded from a directory of the test's own and from variables given as values; the environment of the
//! test process has no part in it.

mod built_in;
mod config_file;
mod dotenv;
mod layers;
mod rules;
mod secrets;
mod together;
mod values;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Settings, SettingsError, Source};

/// A working directory and an environment.
struct World {
    dir: TempDir,
    config: Option<PathBuf>,
    env: Vec<(OsString, OsString)>,
}

impl World {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), config: None, env: Vec::new() }
    }

    /// Writes a file of the working directory.
    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.dir.path().join(name), content).unwrap();
        self
    }

    fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// As from `--config`.
    fn config(mut self, path: &str) -> Self {
        self.config = Some(path.into());
        self
    }

    /// Every secret and id that production demands.
    fn production(self) -> Self {
        self.env("APP_ENV", "production")
            .env("WHATSAPP_APP_SECRET", "app-secret")
            .env("WHATSAPP_VERIFY_TOKEN", "verify-token")
            .env("WHATSAPP_ACCESS_TOKEN", "access-token")
            .env("WHATSAPP_PHONE_NUMBER_ID", "106540352242922")
            .env("OPENAI_API_KEY", "openai-key")
            .env("ADMIN_TOKEN", "admin-token")
    }

    fn without(mut self, name: &str) -> Self {
        self.env.retain(|(variable, _)| variable != name);
        self
    }

    fn try_load(&self) -> Result<Settings, SettingsError> {
        let (config, env) = (self.config.clone(), self.env.clone());
        Settings::load(Source { config, dir: self.dir.path().to_owned(), env })
    }

    fn load(&self) -> Settings {
        self.try_load().map_err(|error| error.to_string()).expect("these settings should be accepted")
    }

    /// The faults, one a line, without the path of the working directory.
    fn refused(&self) -> String {
        let error = self.try_load().expect_err("these settings should be refused");
        assert!(!error.faults.is_empty());
        let dir = format!("{}/", self.dir.path().display());
        let text = error.to_string().replace(&dir, "");
        assert_eq!(text.lines().count(), error.faults.len(), "one line a fault:\n{text}");
        text
    }
}

/// What `show` says of a setting: value and origin, without the path of the working directory.
fn shown(world: &World, variable: &str) -> String {
    let start = format!("{variable} = ");
    let text = world.load().show();
    let line = text.lines().find_map(|line| line.strip_prefix(&start)).expect("every setting is shown");
    line.replace(&format!("{}/", world.dir.path().display()), "")
}
