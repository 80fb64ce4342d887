//! What commits wanted done, and whether Slack, or another key, got it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Journal;
use crate::sim::{Entry, What};

/// Who gets memos and results of jobs.
const RECEIVERS: [&str; 3] = ["report", "tally", "relay"];

/// An effect of a committed turn.
struct Wanted {
    /// Its turn's entry, and its number in there.
    at: (u64, usize),
    effect: Value,
    /// The app and the workspace.
    place: String,
}

/// What each committed turn wanted done, by the effect's name.
fn wanted(journal: &Journal) -> BTreeMap<String, Wanted> {
    let mut wanted = BTreeMap::new();
    for turn in journal.turns() {
        let line: Value = serde_json::from_str(&turn.json).unwrap();
        let extra = &line["turn"];
        let effects = extra["effects"].as_array().cloned().unwrap_or_default();
        for (n, effect) in effects.into_iter().enumerate() {
            let place = format!("{}/{}", extra["app"], extra["team"]);
            let at = (turn.seq, n);
            wanted.insert(format!("{}#{n}", turn.name), Wanted { at, effect, place });
        }
    }
    wanted
}

/// The calls that took effect.
fn calls(
    record: &[Entry],
) -> impl Iterator<Item = (&Entry, &str, &Map<String, Value>, Option<&str>)> {
    record.iter().filter_map(|entry| match &entry.what {
        What::Call {
            method,
            ok: true,
            args,
            metadata,
            ..
        } => {
            let effect = metadata.as_ref().map(|it| &it["event_payload"]["effect"]);
            Some((entry, method.as_str(), args, effect.and_then(Value::as_str)))
        }
        _ => None,
    })
}

/// Every call that a commit wanted took effect, and what no commit wanted did not; every memo and job was settled by
/// one handler. Posts are counted by their names here; the judge looks at what they say.
pub(super) fn done(journal: &Journal, record: &[Entry]) -> Vec<String> {
    let wanted = wanted(journal);
    let mut found = Vec::new();
    let mut made: BTreeMap<&str, usize> = BTreeMap::new();
    let mut posted: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, method, _, effect) in calls(record) {
        *made.entry(method).or_default() += 1;
        if let Some(effect) = effect {
            *posted.entry(effect).or_default() += 1;
        }
    }
    let mut owed: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, Wanted { effect, .. }) in &wanted {
        match effect["call"]["method"].as_str() {
            Some("chat.postMessage") if !posted.contains_key(name.as_str()) => {
                found.push(format!("P1: {name} was never posted"));
            }
            Some(method) => *owed.entry(method).or_default() += 1,
            None => {
                let is_settled = |handler: &&str| {
                    let name = (name.clone(), (*handler).to_owned());
                    journal.settled.contains_key(&name)
                };
                if RECEIVERS.iter().filter(|it| is_settled(it)).count() != 1 {
                    found.push(format!(
                        "P1: {name} is not settled by one handler: {effect}"
                    ));
                }
            }
        }
    }
    for name in posted.keys().filter(|name| !wanted.contains_key(**name)) {
        found.push(format!("P3: {name} is posted, and no commit wanted it"));
    }
    for method in ["chat.update", "reactions.add"] {
        let count = |of: &BTreeMap<&str, usize>| of.get(method).copied().unwrap_or_default();
        if count(&made) < count(&owed) {
            let (made, owed) = (count(&made), count(&owed));
            found.push(format!("P1: {made} of {owed} calls of {method} were made"));
        }
    }
    found
}

/// The calls of a lane leave in the order of their commits.
pub(super) fn in_order(journal: &Journal, record: &[Entry]) -> Vec<String> {
    let wanted = wanted(journal);
    let mut newest: BTreeMap<String, ((u64, usize), &str)> = BTreeMap::new();
    let mut found = Vec::new();
    for (_, _, args, effect) in calls(record) {
        let Some((name, Wanted { at, place, .. })) =
            effect.and_then(|name| Some((name, wanted.get(name)?)))
        else {
            continue;
        };
        let lane = format!("{place}/{}", args["channel"]);
        if let Some((before, first)) = newest.insert(lane.clone(), (*at, name))
            && before > *at
        {
            found.push(format!("P2: in lane {lane} {first} left before {name}"));
        }
    }
    found
}
