//! The program around a set of handlers: says what runs where, waits for a signal, and ends with a code that
//! says how.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::Callboard;
use super::running::{Ended, Running, StartError};
use crate::base::limits::{ANSWER_WITHIN, CLOSE_WITHIN, DRAIN_WITHIN};
use crate::bot::route::Matcher;
use crate::ingress::{Standing, Transport};
use crate::store::IN_MEMORY;

/// The exit code of a process that left work in the store.
const LEFT: u8 = 3;

/// Ends the process when stopping takes too long: a thread that an author's code blocks can't be joined. What
/// was taken in is in the store.
#[expect(clippy::exit, reason = "a blocked thread leaves no other way out")]
fn end_if_stuck() {
    let watchdog = std::thread::Builder::new().name("watchdog".into());
    let started = watchdog.spawn(|| {
        std::thread::park_timeout(DRAIN_WITHIN + ANSWER_WITHIN + 5 * CLOSE_WITHIN);
        tracing::error!(
            "a thread does not end: a handler blocks it; what was taken in is in the store"
        );
        std::process::exit(i32::from(LEFT));
    });
    if let Err(error) = started {
        tracing::warn!(%error, "no watchdog for the stop");
    }
}

/// Starts, says what runs where, waits for a signal, stops.
pub(super) fn run(callboard: Callboard) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(run_until_signal(callboard));
            // A stop that was cut short may still be under way; nobody waits for it.
            runtime.shutdown_background();
            code
        }
        Err(error) => failed(&StartError::Thread(error)),
    }
}

async fn run_until_signal(callboard: Callboard) -> ExitCode {
    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    let (mut term, mut interrupt) = match signals {
        (Ok(term), Ok(interrupt)) => (term, interrupt),
        (Err(error), _) | (_, Err(error)) => return failed(&StartError::Thread(error)),
    };
    let running = match callboard.start() {
        Ok(running) => running,
        Err(error) => return failed(&error),
    };
    announce(&running);
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
        () = say_standings(&running) => {}
    }
    say("stopping: finishing what was taken in (once more to stop at once)");
    end_if_stuck();
    let stopped = tokio::task::spawn_blocking(move || running.stop());
    let ended = tokio::select! {
        stopped = stopped => stopped.unwrap_or(Ended::Left(0)),
        _ = term.recv() => return ExitCode::from(LEFT),
        _ = interrupt.recv() => return ExitCode::from(LEFT),
    };
    match ended {
        Ended::Settled => {
            say("stopped; everything is settled");
            ExitCode::SUCCESS
        }
        Ended::Left(left) => {
            say(&format!(
                "stopped; {left} left in the store for the next start"
            ));
            ExitCode::from(LEFT)
        }
    }
}

#[expect(clippy::print_stderr, reason = "the program speaks to a person")]
fn failed(error: &StartError) -> ExitCode {
    for line in error.to_string().lines() {
        eprintln!("callboard: {line}");
    }
    ExitCode::FAILURE
}

/// Speaks to a person; whether one reads is not the bots' concern.
fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").ok();
}

fn announce(running: &Running) {
    say("Callboard");
    match running.simulator() {
        Some(simulator) => say(&format!(
            "  page       {}   (a simulated Slack: no token is set)",
            simulator.page_url()
        )),
        None => say("  Slack      as configured"),
    }
    let store = running.store();
    if store == Path::new(IN_MEMORY) {
        say("  store      in memory: what it holds is gone with the process");
    } else {
        let store = std::path::absolute(store).unwrap_or_else(|_| store.to_owned());
        say(&format!("  store      {}", store.display()));
    }
    for handler in running.router().handlers() {
        let routes: Vec<&str> = handler.matchers.iter().map(Matcher::label).collect();
        say(&format!(
            "  handler    {}: {}",
            handler.name,
            routes.join(", ")
        ));
    }
}

/// Says when a connection changes, as long as it is polled.
async fn say_standings(running: &Running) {
    let mut said = Vec::new();
    loop {
        let now = running.standings().all();
        for line in &now {
            if !said.contains(line) {
                say_standing(running, &line.0, &line.1);
            }
        }
        said = now;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn say_standing(running: &Running, name: &str, standing: &Standing) {
    let lines = running.lines();
    let transport = lines.iter().find(|line| line.name == name);
    let how = match transport.map(|line| &line.transport) {
        Some(Transport::Rtm { .. }) => "RTM",
        Some(Transport::SocketMode { .. }) | None => "Socket Mode",
    };
    match standing {
        Standing::Up => {
            let app = transport.map(|line| line.app.clone());
            let teams = app
                .map(|app| running.installs().team_names(&app))
                .unwrap_or_default();
            say(&format!(
                "  connected  {name} ({how}: {})",
                teams.join(", ")
            ));
        }
        Standing::Down(why) if why == "connecting" => {}
        Standing::Down(why) => say(&format!("  lost       {name} ({how}): {why}; trying again")),
        Standing::Stopped(why) => say(&format!("  stopped    {name} ({how}): {why}")),
    }
}
