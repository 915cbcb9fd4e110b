//! `parlante forget PERSON`: erases a person.

use std::path::PathBuf;

use super::operator::with_office;
use super::{Failure, say};
use crate::operator::refusal::Why;

pub(super) fn run(config: Option<PathBuf>, person: String) -> Result<(), Failure> {
    with_office(config, async |office| {
        let erased = office.forget(person.clone()).await.map_err(|refusal| match refusal.error {
            // The server's own words mask it; whoever typed it may see it.
            Why::Unknown => Failure::failed(format!("nobody is known as {person}")),
            _ => refusal.into(),
        })?;
        let messages = match erased.messages {
            1 => "1 message".to_owned(),
            count => format!("{count} messages"),
        };
        say(format!("forgotten: {messages}, with number, names, texts and history"))?;
        if !erased.scrubbed {
            say(
                "the file was busy: within minutes of the server's running the last bytes are wiped from it too",
            )?;
        }
        Ok(())
    })
}
