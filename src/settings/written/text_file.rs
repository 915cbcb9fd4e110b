//! Reading a small text file, with a bound on its size and without ever blocking on it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use derive_more::{Display, From};

/// Largest file that is read, in bytes. The built-in `config.toml` has about 10 KiB, a secret far less.
const SIZE_MAX: u64 = 1024 * 1024;

/// Why a file was not read, as the rest of a sentence that begins with its name.
#[derive(Debug, Display, From)]
pub(crate) enum Unreadable {
    /// The system said no.
    #[display("cannot be read: {_0}")]
    Io(io::Error),
    /// A directory, pipe or device. A pipe that nobody writes to would hang the start, and each reload.
    #[display("is not a regular file")]
    NotAFile,
    /// Beyond [`SIZE_MAX`].
    #[display("is larger than 1 MiB")]
    TooLarge,
    /// Bytes that are no text.
    #[display("is not UTF-8 text")]
    NotText,
}

impl Unreadable {
    /// Whether there is no such file at all.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The whole text, without a byte order mark.
pub(crate) fn read(path: &Path) -> Result<String, Unreadable> {
    if !fs::metadata(path)?.is_file() {
        return Err(Unreadable::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(Unreadable::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| Unreadable::NotText)?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
