//! The invariants of a world that came to rest, from its journal: what the judge, who sees only Slack's record,
//! can't see. The ones that hold at any moment are checked at each step, where it happens.
mod deadlines;
mod effects;
mod order;

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::judge::Buried;
use super::outside::World;
use crate::flow::key::Key;
use crate::sim::Entry;
use crate::store::simulated::Line;

/// How a delivery ended.
#[derive(Debug, Clone)]
struct Settled {
    seq: u64,
    key: String,
    /// Why it was given up.
    error: Option<String>,
}

/// What the journal says.
struct Journal {
    lines: Vec<Line>,
    /// By envelope id and handler.
    settled: BTreeMap<(String, String), Settled>,
    rows: BTreeMap<(String, String), u64>,
    row_names: HashMap<u64, (String, String)>,
    violations: Vec<String>,
}

/// Why a delivery ended whose answer was still held when the process died.
const DROPPED: &str = "dropped";

/// Checks everything; the deliveries that were given up.
pub(super) fn check(world: &mut World, record: &[Entry]) -> Vec<Buried> {
    let mut journal = Journal::read(world.disk.lines());
    let mut found = std::mem::take(&mut journal.violations);
    found.extend(states(world, &journal));
    found.extend(given_up(world, &journal));
    found.extend(effects::done(&journal, record));
    found.extend(effects::in_order(&journal, record));
    found.extend(order::kept(world, &journal));
    found.extend(deadlines::kept(world, record));
    for text in found {
        world.violate(text);
    }
    let settled = journal.settled.into_iter();
    let is_given_up = |settled: &Settled| settled.error.as_ref().is_some_and(|it| it != DROPPED);
    settled
        .filter(|(_, settled)| is_given_up(settled))
        .map(|((name, handler), _)| Buried { name, handler })
        .collect()
}

fn handler_of(key: &str) -> String {
    Key::from_stored(key).handler().to_owned()
}

fn split(delivery: &str) -> (String, String) {
    let (envelope, handler) = delivery.rsplit_once('/').unwrap();
    (envelope.to_owned(), handler.to_owned())
}

impl Journal {
    /// P4, from the inside: one row and one end for each delivery.
    fn read(lines: Vec<Line>) -> Self {
        let mut journal = Self {
            lines: Vec::new(),
            settled: BTreeMap::new(),
            rows: BTreeMap::new(),
            row_names: HashMap::new(),
            violations: Vec::new(),
        };
        for line in &lines {
            match line.kind.as_str() {
                "row" => {
                    let name = (line.name.clone(), handler_of(&line.key));
                    if let Some(first) = journal.rows.insert(name.clone(), line.seq) {
                        journal.violations.push(format!(
                            "P4: {name:?} has two rows, {first} and {}",
                            line.seq
                        ));
                    }
                    journal.row_names.insert(line.seq, name);
                }
                "turn" => journal.settle(line, &split(&line.name), None),
                "dead" if line.extra.contains(r#""head":{"delivery""#) => {
                    let extra: Value = serde_json::from_str(&line.extra).unwrap();
                    let error = extra["error"].as_str().unwrap().to_owned();
                    journal.settle(
                        line,
                        &(line.name.clone(), handler_of(&line.key)),
                        Some(error),
                    );
                }
                "dead" => journal.violations.push(format!(
                    "P1: the effect {} is given up: {}",
                    line.name, line.extra
                )),
                "drop" => {
                    let row = line.refers.and_then(|row| journal.row_names.get(&row));
                    let Some(name) = row.cloned() else { continue };
                    journal.settle(line, &name, Some(DROPPED.to_owned()));
                }
                _ => {}
            }
        }
        journal.lines = lines;
        journal
    }

    fn settle(&mut self, line: &Line, name: &(String, String), error: Option<String>) {
        let settled = Settled {
            seq: line.seq,
            key: line.key.clone(),
            error,
        };
        if let Some(first) = self.settled.insert(name.clone(), settled) {
            self.violations.push(format!(
                "P4: {name:?} is settled twice, by {} and {}",
                first.seq, line.seq
            ));
        }
        if let (Some(row), Some(refers)) = (self.rows.get(name), line.refers)
            && *row != refers
        {
            self.violations.push(format!(
                "P4: entry {} settles row {refers}, and its own is {row}",
                line.seq
            ));
        }
    }

    fn turns(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.kind == "turn")
    }
}

fn count_in(state: &[u8]) -> u64 {
    serde_json::from_slice::<Value>(state).unwrap()["n"]
        .as_u64()
        .unwrap()
}

/// P3: each turn of a key counts on from the one before; the folded state is the last one's.
fn states(world: &World, journal: &Journal) -> Vec<String> {
    let mut found = Vec::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for turn in journal.turns() {
        let Some(state) = &turn.body else { continue };
        let (n, before) = (count_in(state), counts.entry(&turn.key).or_default());
        // A command that only asks counts nothing, but may be the first to write the state down. Nor does a job's
        // result count.
        let is_quiet = n == *before
            && (!turn.extra.contains("chat.postMessage") || handler_of(&turn.key) == "report");
        if n != *before + 1 && !is_quiet {
            found.push(format!(
                "P3: {}: after {before} comes {n}, entry {}",
                turn.key, turn.seq
            ));
        }
        *before = n;
    }
    for (key, count) in counts {
        let state = world.disk.state(&Key::from_stored(key));
        let folded = state.map(|state| count_in(&state));
        if folded != Some(count) {
            found.push(format!(
                "P3: {key}: {count} turns, and its folded state is {folded:?}"
            ));
        }
    }
    found
}

/// Whether the handler does what the text's words about trouble ask for.
fn suffers(handler: &str, text: &str) -> bool {
    match handler {
        "greeter" | "report" | "sider" => true,
        "clerk" => text.contains("both"),
        _ => false,
    }
}

/// P3: given up is only what cannot work, and nothing is acked and dropped.
fn given_up(world: &World, journal: &Journal) -> Vec<String> {
    let mut found = Vec::new();
    let envelopes = world.owed.values().map(|owed| &owed.envelope);
    let texts: BTreeMap<&str, &str> = envelopes
        .map(|it| (it.id.as_str(), it.subject.text.as_str()))
        .collect();
    for ((id, handler), settled) in &journal.settled {
        let text = texts.get(id.as_str()).copied().unwrap_or_default();
        let has = |word| text.contains(word);
        let is_trouble = suffers(handler, text);
        let is_hopeless = is_trouble && (has("dies") || has("kills"));
        match &settled.error {
            None if is_hopeless => found.push(format!(
                "P3: {id} of {handler} cannot work, and is committed: {text}"
            )),
            Some(error) if error != DROPPED => {
                let may = is_hopeless
                    || is_trouble && (has("asks") || has("writes"))
                    || error.starts_with("the process ended 3 times")
                    || error.contains("can't be read");
                if !may {
                    found.push(format!(
                        "P3: {id} of {handler} is given up: {error}; {text:?}"
                    ));
                }
            }
            _ => {}
        }
    }
    found
}
