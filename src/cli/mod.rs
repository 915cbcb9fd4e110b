//! The commands, and what their outcomes are called as exit codes: 0 done, 1 failed, 2 settings or usage wrong, 3 the
//! ledger.

mod backup;
mod check;
mod dead;
mod doctor;
mod forget;
mod healthcheck;
mod operator;
mod reason;
mod sandbox;
mod serve;
mod trace;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::{Settings, Source};

/// Puts a persona on WhatsApp: every acknowledged message is answered once, in order, or listed with the reason why
/// not.
#[derive(Parser)]
#[command(name = "parlante", version)]
struct Cli {
    /// Settings file [default: config.toml in the working directory, else the built-in copy]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server (also without a command)
    Serve,
    /// Runs the server with stand-ins of Meta and OpenAI and a phone page: no account, key or network
    Sandbox(sandbox::Arguments),
    /// Validates the settings
    Check {
        /// Prints each setting with where it came from, secrets masked
        #[arg(long)]
        show: bool,
    },
    /// Proves the path to each provider and back, and says what to do where it is broken
    Doctor {
        /// An array of JSON objects
        #[arg(long)]
        json: bool,
    },
    /// Shows why a message was answered, or why not
    Trace {
        /// Meta's id of the message (wamid.…), as it stands in the log
        message_id: String,
        /// The page as JSON
        #[arg(long)]
        json: bool,
    },
    /// Lists messages that got no answer, and tries them again
    #[command(subcommand)]
    Dead(dead::Verb),
    /// Erases a person: number, names, texts, history
    Forget {
        /// A phone number, or the BSUID where there is none
        person: String,
    },
    /// Asks the running server whether it is ready, for Docker and systemd
    Healthcheck,
    /// Copies the ledger while it is in use
    Backup {
        /// A file that does not exist yet
        file: PathBuf,
    },
}

/// Something that a command could not do.
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// It failed.
    pub(crate) fn failed(message: impl Display) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    /// Settings or usage are wrong; nothing was started.
    pub(crate) fn wrong(message: impl Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }

    /// The ledger failed or cannot be opened.
    pub(crate) fn ledger(message: impl Display) -> Self {
        Self { code: 3, message: message.to_string() }
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    run_with(std::env::args_os())
}

fn run_with(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help and version to stdout with 0, and usage errors to stderr with 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(cli.config),
        Command::Sandbox(arguments) => sandbox::run(cli.config, &arguments),
        Command::Check { show } => check::run(cli.config, show),
        Command::Doctor { json } => doctor::run(cli.config, json),
        Command::Trace { message_id, json } => trace::run(cli.config, message_id, json),
        Command::Dead(verb) => dead::run(cli.config, verb),
        Command::Forget { person } => forget::run(cli.config, person),
        Command::Healthcheck => healthcheck::run(cli.config),
        Command::Backup { file } => backup::run(cli.config, &file),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to tell it to if stderr is gone.
            let _ = writeln!(std::io::stderr(), "parlante: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

pub(crate) fn settings(config: Option<PathBuf>) -> Result<Settings, Failure> {
    Settings::load(Source::from_process(config)).map_err(Failure::wrong)
}

/// Prints one line for the person at the terminal. One who has seen enough (`| head`) is no failure.
pub(crate) fn say(line: impl Display) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::failed),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
