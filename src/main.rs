//! The `callboard` program: a thin skin over the library.

use std::process::ExitCode;

/// Much of what an event needs is allocated on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    callboard::cli::run()
}
