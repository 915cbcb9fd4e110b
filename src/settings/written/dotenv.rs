//! The variables of `.env`, with their lines, without touching the process environment.
//!
//! dotenvy parses; its errors quote the line, which may hold a secret, and know no line number. So the text is fed
//! to it line by line, and only the number is kept.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use super::text_file;
use super::variables::{Variable, is_ours};
use crate::settings::fault::{Fault, Origin};

/// Our variables in the file at `path`: none if there is no such file, `None` if it cannot be read.
pub(super) fn variables(path: &Path, faults: &mut Vec<Fault>) -> Option<Vec<Variable>> {
    match text_file::read(path) {
        Ok(text) => Some(parse(&text, path, faults)),
        Err(error) if error.is_absent() => Some(Vec::new()),
        Err(error) => {
            faults.push(Fault {
                name: path.display().to_string(),
                origin: Origin::Nowhere,
                problem: error.to_string(),
                mend: "make it a readable text file, or remove it".into(),
            });
            None
        }
    }
}

fn parse(text: &str, path: &Path, faults: &mut Vec<Fault>) -> Vec<Variable> {
    // dotenvy takes a space after the last value for an error if no line end follows.
    let text = format!("{text}\n");
    let line = Rc::new(Cell::new(0));
    let mut variables = Vec::new();
    for item in dotenvy::from_read_iter(Lines { rest: text.as_bytes(), line: Rc::clone(&line) }) {
        match item {
            Ok((name, value)) if is_ours(&name) => {
                let origin =
                    Origin::DotEnv { path: path.to_owned(), line: line.get(), variable: name.clone() };
                variables.push(Variable { name, value, origin });
            }
            Ok(_) => {}
            Err(error) => faults.extend(fault(&text, path, line.get(), &error)),
        }
    }
    variables
}

/// The fault of an item that ends in `line`. An item of somebody else's on a line of its own is let pass: we would
/// ignore its value too, and other programs read this file by other rules.
fn fault(text: &str, path: &Path, line: usize, error: &dotenvy::Error) -> Option<Fault> {
    let breaks = match error {
        dotenvy::Error::LineParse(item, _) => item.strip_suffix('\n').unwrap_or(item).matches('\n').count(),
        _ => 0,
    };
    let line = line.saturating_sub(breaks).max(1);
    let content = text.lines().nth(line - 1).unwrap_or_default().trim();
    let name =
        content.strip_prefix("export ").unwrap_or(content).split('=').next().unwrap_or_default().trim();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if breaks == 0 && is_name && content.contains('=') && !is_ours(name) {
        return None;
    }
    Some(Fault {
        name: if is_ours(name) { name.to_owned() } else { path.display().to_string() },
        origin: Origin::Line { path: path.to_owned(), line },
        problem: "cannot be read as NAME=value".into(),
        mend: "put 'single quotes' around a value with spaces, quotes, $ or #".into(),
    })
}

/// Hands out one line per read and counts them; a line longer than the buffer comes in pieces.
struct Lines<'a> {
    rest: &'a [u8],
    line: Rc<Cell<usize>>,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.rest.iter().position(|&byte| byte == b'\n').map_or(self.rest.len(), |at| at + 1);
        let piece = end.min(buffer.len());
        let (given, rest) = self.rest.split_at(piece);
        buffer[..piece].copy_from_slice(given);
        self.rest = rest;
        if given.ends_with(b"\n") {
            self.line.set(self.line.get() + 1);
        }
        Ok(piece)
    }
}
