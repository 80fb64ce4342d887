//! `callboard run`, and `callboard` alone: the bots that the program brings along, on Slack or a simulated one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::bots::greeter::Greeter;
use super::bots::report::Report;
use crate::app::{Callboard, SIM_LISTEN_DEFAULT};
use crate::config::{SystemEnvironment, load};

/// Options of `callboard run`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration, as in `callboard.example.toml`. Without it the environment is asked for tokens; without
    /// tokens, a simulated Slack is started.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where the simulated Slack listens; port 0 picks a free one.
    #[arg(long, default_value_t = SIM_LISTEN_DEFAULT)]
    listen: SocketAddr,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            config: None,
            listen: SIM_LISTEN_DEFAULT,
        }
    }
}

/// Runs until SIGTERM or Ctrl-C.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let callboard = match &arguments.config {
        Some(path) => configured(path)?,
        None => Callboard::from_env(),
    };
    let callboard = callboard.listen(arguments.listen);
    Ok(callboard.handler::<Greeter>().handler::<Report>().run())
}

fn configured(path: &Path) -> anyhow::Result<Callboard> {
    let config = load(path, &SystemEnvironment).map_err(|faults| anyhow::anyhow!("{faults}"))?;
    Ok(Callboard::from_config(config))
}
