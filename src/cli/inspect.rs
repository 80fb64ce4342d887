//! `callboard inspect`, `retry` and `drop`: a look into a store, and dead letters back or away.
//!
//! The store may be in use by a running process, which is then asked, or stopped; it makes no difference here.
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde_json::Value;

use super::connections;
use super::table::{self, Table};
use crate::admin::{Request, Which, ask};
use crate::base::limits::ANSWER_LINES_DEFAULT;
use crate::config::{Store, SystemEnvironment};
use crate::store::inspect::{Filter, Query, What};

/// Where the store is.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The store's folder; `CALLBOARD_STORE`, or `callboard-data` here, unless given.
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// Print lines of JSON instead of text.
    #[arg(long)]
    pub(super) json: bool,
}

/// Where the store is, and whose things are meant.
#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    place: Place,
    /// Only what belongs to this handler.
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// Only what belongs to this app.
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Only what belongs to this workspace, such as T0123456.
    #[arg(long, value_name = "ID")]
    team: Option<String>,
}

/// Options of `callboard inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What to look at.
    #[arg(value_enum, default_value_t = Subject::Summary)]
    what: Subject,
    /// The key whose state or backlog, the lane whose outbox, or the connection or app that is meant.
    of: Option<String>,
    #[command(flatten)]
    common: Common,
    /// How many lines at most.
    #[arg(long, default_value_t = ANSWER_LINES_DEFAULT)]
    limit: usize,
}

/// Options of `callboard retry` and `callboard drop`.
#[derive(Debug, clap::Args)]
pub(super) struct EditArguments {
    /// The dead letters, by the numbers that `callboard inspect dead` shows.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<u64>,
    /// All of them, or all that belong to --handler, --app and --team.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Keys with their state.
    Keys,
    /// The state of one key.
    State,
    /// Unfinished deliveries: how many each key has, or those of one key.
    Backlog,
    /// Calls and jobs that wait: how many each lane has, or those of one lane.
    Outbox,
    /// What was given up.
    Dead,
    /// How much there is of everything.
    Summary,
    /// The connections of a running process, or one of them with its sockets.
    Connections,
}

/// What becomes of dead letters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edit {
    Retry,
    Drop,
}

impl Place {
    pub(super) fn folder(&self) -> anyhow::Result<PathBuf> {
        match &self.store {
            Some(path) => Ok(path.clone()),
            None => match Store::from_environment(&SystemEnvironment) {
                Ok(store) => Ok(store.path),
                Err(faults) => bail!("{faults}"),
            },
        }
    }
}

impl Common {
    fn filter(&self) -> Filter {
        Filter {
            handler: self.handler.clone(),
            app: self.app.clone(),
            team: self.team.clone(),
        }
    }
}

/// Looks.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        what: subject,
        of,
        common,
        limit,
    } = arguments;
    let what = match subject {
        Subject::Keys => What::Keys,
        Subject::State => What::State,
        Subject::Backlog => What::Backlog,
        Subject::Outbox => What::Outbox,
        Subject::Dead => What::Dead,
        Subject::Summary => What::Summary,
        Subject::Connections => return connections::look(&common.place, of.as_deref()),
    };
    match (what, of) {
        (What::State, None) => {
            bail!("which key? `callboard inspect state KEY`; `callboard inspect keys` lists them")
        }
        (What::Keys | What::Dead | What::Summary, Some(of)) => {
            bail!("{of:?} is one too many: only state, backlog and outbox take a key or lane")
        }
        _ => {}
    }
    let request = Request::Inspect(Query {
        what,
        of: of.clone(),
        filter: common.filter(),
        limit: *limit,
        with_payload: common.place.json,
    });
    let mut lines = Vec::new();
    let (is_cut, behind) = ask(&common.place.folder()?, &request, |line| lines.push(line))?;
    if let (What::State, Some(key), true) = (what, of, lines.is_empty()) {
        bail!(
            "no state is stored for the key {key}; `callboard inspect keys` lists those that have one"
        );
    }
    if common.place.json {
        print(&lines)?;
    } else {
        print(&shown(what, of.is_some(), &lines)?)?;
    }
    if is_cut {
        remark(&format!(
            "there is more than {} lines; narrow it down, or raise --limit",
            lines.len()
        ));
    }
    if behind > 0 {
        remark(&format!(
            "the newest {behind} entries of the journal are not in this yet"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Retries or drops dead letters.
pub(super) fn edit(arguments: &EditArguments, edit: Edit) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let which = Which {
        ids: arguments.ids.clone(),
        all: arguments.all,
        filter: common.filter(),
    };
    if !which.all && which.filter != Filter::default() {
        bail!("--handler, --app and --team go with --all");
    }
    let request = match edit {
        Edit::Retry => Request::Retry(which),
        Edit::Drop => Request::Drop(which),
    };
    let mut lines = Vec::new();
    let asked = ask(&common.place.folder()?, &request, |line| lines.push(line));
    // What was done before an error is told too.
    let mut is_all_done = true;
    let mut shown = Vec::new();
    for line in &lines {
        let (text, is_done) = told(line)?;
        is_all_done &= is_done;
        shown.push(text);
    }
    print(if common.place.json { &lines } else { &shown })?;
    let (more, _) = asked?;
    if more {
        remark("there are more; the same command again goes on with them");
    } else if lines.is_empty() && !common.place.json {
        print(&["there is no dead letter of that kind".to_owned()])?;
    }
    Ok(if is_all_done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What became of a dead letter, in words, and whether it is what was wanted.
fn told(line: &str) -> anyhow::Result<(String, bool)> {
    let line: Value = serde_json::from_str(line).context("an answer that can't be read")?;
    let text = |name| table::cell(line.get(name));
    let (id, name) = (text("id"), text("name"));
    Ok(match line.get("type").and_then(Value::as_str) {
        Some("retried") => (format!("{id}: {name} will be tried again"), true),
        Some("dropped") => (format!("{id}: {name} is dropped"), true),
        Some("missing") => (format!("{id}: no such dead letter"), false),
        _ => (format!("{id}: {}", text("error")), false),
    })
}

/// The answer as text.
fn shown(what: What, is_of_one: bool, lines: &[String]) -> anyhow::Result<Vec<String>> {
    let parsed: Result<Vec<Value>, _> = lines
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect();
    let found = parsed.context("an answer that can't be read")?;
    let columns: &[&str] = match (what, is_of_one) {
        (What::Keys, _) => &["key", "version", "state"],
        (What::State, _) => return Ok(found.iter().flat_map(one_state).collect()),
        (What::Backlog, false) => &["key", "waiting", "since", "attempts", "kind", "oldest"],
        (What::Backlog, true) => &["entry", "at", "kind", "attempts", "name"],
        (What::Outbox, false) => &["app", "team", "lane", "waiting", "what", "oldest"],
        (What::Outbox, true) => &["app", "team", "what", "name"],
        (What::Dead, _) => &["id", "at", "kind", "of", "error"],
        (What::Summary, _) => &["handler", "keys", "waiting", "effects", "dead"],
    };
    if found.is_empty() {
        let nothing = match what {
            What::Keys | What::State => "no key has a state",
            What::Backlog => "no delivery is unfinished",
            What::Outbox => "no call or job waits",
            What::Dead => "there is no dead letter",
            What::Summary => "the store is empty",
        };
        return Ok(vec![nothing.to_owned()]);
    }
    let mut table = Table::new(columns);
    for line in &found {
        table.row(columns.iter().map(|name| line.get(name)));
    }
    Ok(table.lines())
}

fn one_state(found: &Value) -> Vec<String> {
    let state = found.get("state").unwrap_or(&Value::Null);
    let pretty = serde_json::to_string_pretty(state).unwrap_or_default();
    let mut lines = vec![
        format!("key      {}", table::cell(found.get("key"))),
        format!("version  {}", table::cell(found.get("version"))),
    ];
    lines.extend(pretty.lines().map(table::printable));
    lines
}

/// Prints lines; a reader that has seen enough is no error.
pub(super) fn print(lines: &[String]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        match writeln!(out, "{line}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.context("cannot print")?,
        }
    }
    Ok(())
}

/// Beside the answer, so that it does not get into what reads the answer.
#[expect(clippy::print_stderr, reason = "the command line speaks to a person")]
fn remark(text: &str) {
    eprintln!("callboard: {text}");
}
