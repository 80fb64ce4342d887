//! The command line: what can be asked of the program, and how it says that something is wrong.

mod bots;
mod connections;
mod inspect;
mod run;
mod sim;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use connections::Change;

/// Hosts Slack bots for many workspaces in one process.
///
/// Without a command it runs two small bots: on Slack when the environment has tokens, else on a simulated
/// Slack with a page to type in.
#[derive(Debug, Parser)]
#[command(name = "callboard", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bots that come with the program.
    Run(run::Arguments),
    /// Serve an offline Slack to try bots against: Web API, Socket Mode, RTM, and a page to type in.
    Sim(sim::Arguments),
    /// Look into a store, in use or not: keys, backlog, outbox, dead letters; or at a running process's connections.
    Inspect(inspect::Arguments),
    /// Try dead letters again.
    Retry(inspect::EditArguments),
    /// Drop dead letters for good.
    Drop(inspect::EditArguments),
    /// Connect an app of a configuration file in the running process.
    Add(connections::AddArguments),
    /// Connect again what was stopped, or waits, in the running process.
    Revive(connections::ChangeArguments),
    /// Close the sockets of a connection in the running process, until it is revived.
    Disconnect(connections::ChangeArguments),
    /// Close the sockets of a connection in the running process, and forget it.
    Remove(connections::ChangeArguments),
}

/// Does what the command line asks. Errors are lines on stderr and exit code 1; clap's own are 2.
#[expect(clippy::print_stderr, reason = "the command line speaks to a person")]
pub fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        None => run::run(&run::Arguments::default()),
        Some(Command::Run(arguments)) => run::run(&arguments),
        Some(Command::Sim(arguments)) => sim::run(&arguments),
        Some(Command::Inspect(arguments)) => inspect::run(&arguments),
        Some(Command::Retry(arguments)) => inspect::edit(&arguments, inspect::Edit::Retry),
        Some(Command::Drop(arguments)) => inspect::edit(&arguments, inspect::Edit::Drop),
        Some(Command::Add(arguments)) => connections::add(&arguments),
        Some(Command::Revive(arguments)) => connections::change(&arguments, Change::Revive),
        Some(Command::Disconnect(arguments)) => connections::change(&arguments, Change::Disconnect),
        Some(Command::Remove(arguments)) => connections::change(&arguments, Change::Remove),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                eprintln!("callboard: {line}");
            }
            ExitCode::FAILURE
        }
    }
}
