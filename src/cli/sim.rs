//! `callboard sim`: the simulator on its own.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::sim::{Options, Simulator, start};

/// Options of `callboard sim`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to serve; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:4390")]
    listen: SocketAddr,
    /// Print one line of JSON (addresses, tokens, workspaces) instead of text.
    #[arg(long)]
    json: bool,
    /// Milliseconds within which an envelope must be acked.
    #[arg(long, default_value_t = 3000)]
    ack_deadline_ms: u64,
    /// Divides the waits before redelivery (0 s, 1 min, 5 min): 60 makes a minute a second.
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
}

/// Serves until SIGTERM or Ctrl-C.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime for signals")?;
    runtime.block_on(async {
        // Before anything is printed: whoever reads the line may stop us at once.
        let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
        let simulator = start(Options {
            listen: arguments.listen,
            ack_deadline: Duration::from_millis(arguments.ack_deadline_ms),
            time_scale: arguments.time_scale,
            ..Options::default()
        })?;
        announce(&simulator, arguments.json);
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

#[expect(clippy::print_stdout, reason = "this is what the command is asked for")]
fn announce(simulator: &Simulator, as_json: bool) {
    let described = simulator.describe();
    if as_json {
        println!("{described}");
        return;
    }
    println!("Simulated Slack");
    println!("  page   {}", simulator.page_url());
    println!("  API    {}", simulator.api_url());
    let apps = described.get("apps").and_then(Value::as_array);
    for app in apps.into_iter().flatten() {
        println!("  app    {}", text(app.get("name")));
        if let Some(token) = app.get("app_token") {
            println!("    app token           {}", text(Some(token)));
        }
        let tokens = app.get("bot_tokens").and_then(Value::as_object);
        for (team, token) in tokens.into_iter().flatten() {
            println!("    bot token {team} {}", text(Some(token)));
        }
    }
    println!("Stop with Ctrl-C.");
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}
