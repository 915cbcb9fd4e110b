//! `parlante`: see `parlante help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    parlante::cli::run()
}
