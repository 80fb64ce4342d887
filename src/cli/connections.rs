//! `callboard inspect connections`, `add`, `revive`, `disconnect` and `remove`: the connections of a running process.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::Value;

use super::inspect::{Place, print};
use super::table::{Table, cell};
use crate::admin::{Addition, Meant, Request, ask};
use crate::base::clock::Clock;
use crate::config::{self, SystemEnvironment, Transport};

/// Options of `callboard revive`, `disconnect` and `remove`.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeArguments {
    /// A connection, or an app with all of its connections.
    name: String,
    #[command(flatten)]
    place: Place,
}

/// Options of `callboard add`.
#[derive(Debug, clap::Args)]
pub(super) struct AddArguments {
    /// The app, as the configuration file calls it.
    name: String,
    /// The configuration file that describes it; its other parts are checked, and not used.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Revive,
    Disconnect,
    Remove,
}

/// Changes connections.
pub(super) fn change(arguments: &ChangeArguments, change: Change) -> anyhow::Result<ExitCode> {
    let meant = Meant {
        name: arguments.name.clone(),
    };
    let (request, done) = match change {
        Change::Revive => (Request::Revive(meant), "connects again"),
        Change::Disconnect => (
            Request::Disconnect(meant),
            "closes its sockets until it is revived",
        ),
        Change::Remove => (
            Request::Remove(meant),
            "closes its sockets and is forgotten",
        ),
    };
    tell(&arguments.place, &request, done)
}

/// Adds an app.
pub(super) fn add(arguments: &AddArguments) -> anyhow::Result<ExitCode> {
    let config = match config::load(&arguments.config, &SystemEnvironment) {
        Ok(config) => config,
        Err(faults) => bail!("{faults}"),
    };
    let name = &arguments.name;
    let Some(app) = config.apps.into_iter().find(|app| app.name == *name) else {
        bail!("{} has no app {name:?}", arguments.config.display());
    };
    let app_token = match &app.transport {
        Transport::Socket { app_token } => Some(app_token.expose().to_owned()),
        Transport::Rtm => None,
    };
    let request = Request::Add(Addition {
        name: app.name,
        app_token,
        bot_tokens: app
            .bot_tokens
            .iter()
            .map(|token| token.expose().to_owned())
            .collect(),
        slots: Some(app.connection.slots),
        backfill: app.connection.backfill,
    });
    tell(&arguments.place, &request, "is added, and connects")
}

fn tell(place: &Place, request: &Request, done: &str) -> anyhow::Result<ExitCode> {
    let mut lines = Vec::new();
    ask(&place.folder()?, request, |line| lines.push(line))?;
    if !place.json {
        for line in &mut lines {
            let told: Value = serde_json::from_str(line).context("an answer that can't be read")?;
            *line = format!("{} {done}", cell(told.get("name")));
        }
    }
    print(&lines)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows connections: all of them in a line each, or one with its sockets.
pub(super) fn look(place: &Place, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let meant = Meant {
        name: name.unwrap_or_default().to_owned(),
    };
    let mut lines = Vec::new();
    ask(&place.folder()?, &Request::Connections(meant), |line| {
        lines.push(line);
    })?;
    if place.json {
        print(&lines)?;
        return Ok(ExitCode::SUCCESS);
    }
    let parsed: Result<Vec<Value>, _> = lines
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect();
    let mut found = parsed.context("an answer that can't be read")?;
    let now_ms = Clock::system().unix_ms();
    for line in &mut found {
        prepare(line, now_ms);
    }
    let mut shown = table(
        &found,
        &[
            "name",
            "transport",
            "state",
            "for",
            "sockets",
            "reconnects",
            "gaps",
            "ghosts",
            "shed",
            "why",
        ],
    );
    if name.is_some() {
        for line in &found {
            shown.extend(sockets(line, now_ms));
        }
    }
    print(&shown)?;
    Ok(ExitCode::SUCCESS)
}

fn table(found: &[Value], columns: &[&str]) -> Vec<String> {
    let mut table = Table::new(columns);
    for line in found {
        table.row(columns.iter().map(|name| line.get(name)));
    }
    table.lines()
}

/// Puts a line's particulars in words.
fn prepare(line: &mut Value, now_ms: u64) {
    let standing = line.get("standing").cloned().unwrap_or_default();
    let why = standing
        .get("why")
        .or_else(|| line.get("last_error"))
        .cloned();
    let sockets = line
        .get("sockets")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let age = age(line, now_ms);
    if let Some(fields) = line.as_object_mut() {
        fields.insert(
            "state".into(),
            standing.get("is").cloned().unwrap_or_default(),
        );
        fields.insert("for".into(), age);
        fields.insert("why".into(), why.unwrap_or_default());
        if let Some(of) = fields.insert("sockets".into(), sockets.into()) {
            fields.insert("each".into(), of);
        }
    }
}

fn age(of: &Value, now_ms: u64) -> Value {
    let since = of.get("since_ms").and_then(Value::as_u64).unwrap_or(now_ms);
    format!("{} s", now_ms.saturating_sub(since) / 1000).into()
}

fn sockets(line: &Value, now_ms: u64) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut each = line
        .get("each")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for socket in &mut each {
        let age = age(socket, now_ms);
        if let Some(fields) = socket.as_object_mut() {
            fields.insert("for".into(), age);
        }
    }
    lines.extend(table(
        &each,
        &[
            "slot",
            "generation",
            "state",
            "for",
            "frames",
            "envelopes",
            "acks",
            "odd_frames",
        ],
    ));
    let reasons = line.get("reasons").and_then(Value::as_object);
    for (why, count) in reasons.into_iter().flatten() {
        lines.push(format!(
            "replaced {count} times: {}",
            super::table::printable(why)
        ));
    }
    lines
}
