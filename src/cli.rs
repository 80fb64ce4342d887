//! The command line: what can be asked of the program, and how it says that something is wrong.

mod sim;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Hosts Slack bots for many workspaces in one process.
#[derive(Debug, Parser)]
#[command(name = "callboard", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve an offline Slack to try bots against: Web API, Socket Mode, RTM, and a page to type in.
    Sim(sim::Arguments),
}

/// Does what the command line asks. Errors are one line on stderr and exit code 1; clap's own are 2.
#[expect(clippy::print_stderr, reason = "the command line speaks to a person")]
pub fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Sim(arguments) => sim::run(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("callboard: {error:#}");
            ExitCode::FAILURE
        }
    }
}
