//! The `callboard` program: a thin skin over the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    callboard::cli::run()
}
