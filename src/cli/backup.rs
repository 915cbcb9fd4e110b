//! `parlante backup FILE`: a consistent copy of the ledger, while it is in use.

use std::path::{Path, PathBuf};

use super::operator::with_office;
use super::{Failure, say};

pub(super) fn run(config: Option<PathBuf>, file: &Path) -> Result<(), Failure> {
    // The server has a working directory of its own.
    let file = std::path::absolute(file).map_err(Failure::wrong)?;
    with_office(config, async |office| {
        office.backup(file.clone()).await?;
        say(format!(
            "{} is a copy of the ledger; a server started with it as LEDGER_PATH goes on from there",
            file.display()
        ))
    })
}
