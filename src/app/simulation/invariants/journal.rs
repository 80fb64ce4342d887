//! The journal, entry by entry as it becomes durable: one row and one end for each delivery, and each turn of a key
//! counts on from the one before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::DROPPED;
use crate::flow::key::Key;
use crate::store::simulated::Line;

/// How a delivery ended.
#[derive(Debug, Clone)]
pub(in crate::app::simulation) struct Settled {
    pub(super) seq: u64,
    pub(super) key: String,
    /// Why it was given up.
    pub(super) error: Option<String>,
}

/// What the journal says.
#[derive(Debug, Default)]
pub(in crate::app::simulation) struct Journal {
    lines: Vec<Line>,
    /// By envelope id and handler.
    pub(super) settled: BTreeMap<(String, String), Settled>,
    pub(super) rows: BTreeMap<(String, String), u64>,
    /// What was given up, by its entry, until it comes back.
    deaths: HashMap<u64, (String, String)>,
    /// What came back, and so lost its place in the order.
    pub(in crate::app::simulation) returned: BTreeSet<(String, String)>,
    row_names: HashMap<u64, (String, String)>,
    /// By key: what its last turn counted.
    counts: BTreeMap<String, u64>,
    violations: Vec<String>,
}

pub(super) fn handler_of(key: &str) -> String {
    Key::from_stored(key).handler().to_owned()
}

pub(super) fn count_in(state: &[u8]) -> u64 {
    let state: Value = serde_json::from_slice(state).unwrap();
    state["n"].as_u64().unwrap()
}

fn split(delivery: &str) -> (String, String) {
    let (envelope, handler) = delivery.rsplit_once('/').unwrap();
    (envelope.to_owned(), handler.to_owned())
}

impl Journal {
    /// These entries became durable, together; what is wrong with that.
    pub(in crate::app::simulation) fn take(&mut self, lines: Vec<Line>) -> Vec<String> {
        let exhumed = lines.iter().filter(|line| line.kind == "exhume");
        for dead in exhumed.filter_map(|line| line.refers) {
            self.comes_back(dead);
        }
        for line in &lines {
            self.read(line);
        }
        self.lines.extend(lines);
        std::mem::take(&mut self.violations)
    }

    /// An operator retries what was given up: it gets a new row, and a new end.
    fn comes_back(&mut self, dead: u64) {
        let Some(name) = self.deaths.remove(&dead) else {
            return self.broken(format!("P4: {dead} comes back, and was not given up"));
        };
        self.settled.remove(&name);
        self.rows.remove(&name);
        self.returned.insert(name);
    }

    fn read(&mut self, line: &Line) {
        match line.kind {
            "row" => {
                let name = (line.name.clone(), handler_of(&line.key));
                if let Some(first) = self.rows.insert(name.clone(), line.seq) {
                    let second = line.seq;
                    self.broken(format!("P4: {name:?} has two rows, {first} and {second}"));
                }
                if let Some(end) = self.settled.get(&name) {
                    let (row, end) = (line.seq, end.seq);
                    self.broken(format!("P4: {name:?} gets row {row} after its end, {end}"));
                }
                self.row_names.insert(line.seq, name);
            }
            "turn" => {
                self.settle(line, &split(&line.name), None);
                self.count(line);
            }
            "dead" => {
                let name = (line.name.clone(), handler_of(&line.key));
                self.settle(line, &name, Some(line.error.clone()));
                self.deaths.insert(line.seq, name);
            }
            "dead effect" => self.broken(format!(
                "P1: the effect {} is given up: {}",
                line.name, line.error
            )),
            "drop" => {
                let row = line.refers.and_then(|row| self.row_names.get(&row));
                if let Some(name) = row.cloned() {
                    self.settle(line, &name, Some(DROPPED.to_owned()));
                }
            }
            _ => {}
        }
    }

    fn settle(&mut self, line: &Line, name: &(String, String), error: Option<String>) {
        let settled = Settled {
            seq: line.seq,
            key: line.key.clone(),
            error,
        };
        if let Some(first) = self.settled.insert(name.clone(), settled) {
            let (first, second) = (first.seq, line.seq);
            self.broken(format!(
                "P4: {name:?} is settled twice, by {first} and {second}"
            ));
        }
        if let (Some(&row), Some(refers)) = (self.rows.get(name), line.refers)
            && row != refers
        {
            self.broken(format!(
                "P4: entry {} settles row {refers}, and its own is {row}",
                line.seq
            ));
        }
    }

    /// P3: each turn of a key counts on from the one before.
    fn count(&mut self, turn: &Line) {
        let Some(state) = &turn.state else { return };
        let count = self.counts.entry(turn.key.clone()).or_default();
        let (n, before) = (count_in(state), std::mem::replace(count, count_in(state)));
        // A command that only asks counts nothing, but may be the first to write the state down. Nor does a job's
        // result count.
        let is_quiet = n == before
            && (!turn.json.contains("chat.postMessage") || handler_of(&turn.key) == "report");
        if n != before + 1 && !is_quiet {
            self.broken(format!(
                "P3: {}: after {before} comes {n}, entry {}",
                turn.key, turn.seq
            ));
        }
    }

    fn broken(&mut self, text: String) {
        self.violations.push(text);
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        let counts = self.counts.iter();
        counts.map(|(key, count)| (key.as_str(), *count))
    }

    pub(super) fn turns(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.kind == "turn")
    }
}

/// A journal of these entries, and what is found wrong with it.
#[cfg(test)]
fn found_in(entries: &[(u64, &'static str, &str, Option<u64>, u64)]) -> String {
    let line = |&(seq, kind, name, refers, n): &(u64, &'static str, &str, Option<u64>, u64)| Line {
        at_ms: 0,
        seq,
        kind,
        name: name.to_owned(),
        key: "greeter/app/T1/user/U1".to_owned(),
        refers,
        state: Some(format!(r#"{{"n":{n}}}"#).into_bytes().into()),
        error: String::new(),
        json: "chat.postMessage".to_owned(),
    };
    let mut journal = Journal::default();
    journal.take(entries.iter().map(line).collect()).join("; ")
}

#[test]
fn a_delivery_has_one_row_before_its_one_end_and_a_key_counts_on() {
    let (row, turn) = (
        (1, "row", "a/1", None, 0),
        (2, "turn", "a/1/greeter", Some(1), 1),
    );
    assert_eq!(found_in(&[row, turn]), "");
    assert_eq!(
        found_in(&[row, turn, (3, "turn", "a/2/greeter", None, 2)]),
        ""
    );
    let found = |entries: &[_], words: &str| {
        let found = found_in(entries);
        assert!(found.contains(words), "{found}");
    };
    found(&[row, (2, "row", "a/1", None, 0)], "two rows, 1 and 2");
    found(
        &[row, turn, (3, "drop", "", Some(1), 0)],
        "settled twice, by 2 and 3",
    );
    found(
        &[turn, (3, "row", "a/1", None, 0)],
        "gets row 3 after its end, 2",
    );
    found(
        &[row, (2, "turn", "a/1/greeter", Some(9), 1)],
        "its own is 1",
    );
    found(
        &[row, turn, (3, "turn", "a/2/greeter", None, 3)],
        "after 1 comes 3",
    );
    found(
        &[row, turn, (3, "turn", "a/2/greeter", None, 1)],
        "after 1 comes 1",
    );
    found(&[(1, "exhume", "", Some(9), 0)], "9 comes back, and was");
    found(
        &[(1, "dead effect", "a/1/greeter#0", None, 0)],
        "is given up",
    );
}
