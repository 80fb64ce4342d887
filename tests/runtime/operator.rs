//! An operator looks in: at a running process through its control socket, at a stopped store directly.
mod dead_letters;
mod lines;
mod looks;
mod socket;

use std::path::Path;
use std::process::{Command as Process, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use callboard::admin::{self, Request, Which, ask};
use callboard::app::{Callboard, Running};
use callboard::ingress::Standing;
use callboard::prelude::*;
use callboard::sim::What as Recorded;
use callboard::store::inspect::{Query, What};
use serde_json::Value;

use crate::stand::{Stand, stand, until};

/// The log's words for a dead delivery.
const GIVEN_UP: &str = "a delivery is given up and kept as a dead letter";

/// The log's words for a dead effect.
const CALL_GIVEN_UP: &str = "a call is given up and kept as a dead letter";

/// Whether whoever wrote the bot has mended it. The stand lets only one test run at a time.
static IS_MENDED: AtomicBool = AtomicBool::new(false);

/// Fails whatever it is asked, until it is mended.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Fussy {
    handled: u32,
}

impl HandlerActor for Fussy {
    const NAME: &'static str = "fussy";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("please").per_user();
        routes.command("/greeted").per_user();
    }
}

impl On<Message> for Fussy {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        self.handled += 1;
        turn.say(format!("Done: {} ({})", message.text, self.handled));
        is_mended()
    }
}

impl On<Command> for Fussy {
    async fn on(&mut self, _: Command, _: &mut Turn) -> Result<Reply> {
        is_mended()?;
        Ok(Reply::ephemeral("Done, late"))
    }
}

fn is_mended() -> Result<()> {
    if IS_MENDED.load(Ordering::Acquire) {
        return Ok(());
    }
    Err("the glue has not dried".into())
}

fn mend() {
    IS_MENDED.store(true, Ordering::Release);
}

/// A stand whose bot is not mended yet.
fn fussy_stand() -> Stand {
    let stand = stand();
    IS_MENDED.store(false, Ordering::Release);
    stand
}

/// The runtime with the one bot, connected.
#[track_caller]
fn start(stand: &Stand) -> Running {
    let board = Callboard::from_config(stand.config.clone()).handler::<Fussy>();
    let running = board.start().unwrap();
    until("every connection is up", || {
        let standings = running.standings().all();
        let is_up = |(_, standing): &(String, Standing)| *standing == Standing::Up;
        standings.len() == 2 && standings.iter().all(is_up)
    });
    running
}

/// What the store's process or the store itself answers.
fn asked(stand: &Stand, request: &Request) -> Result<Vec<Value>, admin::Error> {
    let mut lines = Vec::new();
    ask(&stand.config.store.path, request, |line| lines.push(line))?;
    let parsed = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    Ok(parsed.collect())
}

#[track_caller]
fn looked(stand: &Stand, what: What) -> Vec<Value> {
    let query = Query {
        what,
        with_payload: true,
        ..Query::default()
    };
    asked(stand, &Request::Inspect(query)).unwrap()
}

/// Waits until there are `count` dead letters, and gives them.
#[track_caller]
fn dead_letters(stand: &Stand, count: usize) -> Vec<Value> {
    let mut dead = Vec::new();
    until("the dead letters", || {
        dead = looked(stand, What::Dead);
        dead.len() >= count
    });
    assert_eq!(dead.len(), count, "{dead:?}");
    dead
}

fn these(dead: &[Value]) -> Which {
    Which {
        ids: dead.iter().filter_map(|one| one["id"].as_u64()).collect(),
        ..Which::default()
    }
}

/// How often the bot's post with this text was made.
fn posts(stand: &mut Stand, text: &str) -> usize {
    let record = stand.record().iter();
    record.filter(|entry| is_post(&entry.what, text)).count()
}

fn is_post(what: &Recorded, text: &str) -> bool {
    matches!(what, Recorded::Call { method, args, ok: true, .. }
        if method == "chat.postMessage" && args.get("text").is_some_and(|it| it == text))
}

/// The program itself, with `--store`.
#[track_caller]
fn program(store: &Path, arguments: &[&str]) -> Output {
    let mut program = Process::new(env!("CARGO_BIN_EXE_callboard"));
    program.args(arguments).arg("--store").arg(store);
    program.output().unwrap()
}

/// What the program prints when all goes well.
#[track_caller]
fn printed(stand: &Stand, arguments: &[&str]) -> String {
    let output = program(&stand.config.store.path, arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the program says when it can't do what it is asked.
#[track_caller]
fn refused(store: &Path, arguments: &[&str]) -> String {
    let output = program(store, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    format!("{out}{err}")
}
