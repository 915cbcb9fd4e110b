//! A value that must not be seen.

use std::fmt;

use serde::Deserialize;

/// What stands in the place of a secret wherever settings are printed.
pub(super) const MASK: &str = "********";

/// A token, key or password. Printing it in any way gives `********`; it can be neither cloned nor serialised, so
/// every place that gets at the value has to call [`Secret::expose`].
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The value itself; never empty.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}
