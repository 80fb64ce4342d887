//! The checker: what must be true of a world that came to rest, from Slack's record and from the journal, by
//! algorithms of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::bots::number;
use super::outside::{Arrived, World};
use crate::flow::key::Key;
use crate::sim::{Entry, Via, What};
use crate::slack::id::ChannelId;
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

/// Checks everything.
pub(super) fn check(world: &mut World) {
    let record: Vec<Entry> = world
        .slack
        .record_since(0)
        .iter()
        .map(|entry| (**entry).clone())
        .collect();
    let mut journal = Journal::read(world.disk.lines());
    let mut found = std::mem::take(&mut journal.violations);
    found.extend(states(world, &journal));
    found.extend(owned(world, &journal, &record));
    found.extend(effects(&journal, &record));
    found.extend(lanes(&journal, &record));
    found.extend(order(world, &journal));
    found.extend(deadlines(world, &record));
    found.extend(answers(&journal, &record));
    for text in found {
        world.violate(text);
    }
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
                "turn" => journal.settle(line, split(&line.name), None),
                "dead" if line.extra.contains(r#""head":{"delivery""#) => {
                    let extra: Value = serde_json::from_str(&line.extra).unwrap();
                    let error = extra["error"].as_str().unwrap().to_owned();
                    journal.settle(
                        line,
                        (line.name.clone(), handler_of(&line.key)),
                        Some(error),
                    );
                }
                "dead" => journal.violations.push(format!(
                    "P1: the effect {} is given up: {}",
                    line.name, line.extra
                )),
                "drop" => {
                    let name = journal.row_names[&line.refers.unwrap()].clone();
                    journal.settle(line, name, Some("dropped".to_owned()));
                }
                _ => {}
            }
        }
        journal.lines = lines;
        journal
    }

    fn settle(&mut self, line: &Line, name: (String, String), error: Option<String>) {
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
        if let (Some(row), Some(refers)) = (self.rows.get(&name), line.refers)
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
        // A command that only asks counts nothing, but may be the first to write the state down.
        let is_quiet = !turn.extra.contains("chat.postMessage") && n == *before;
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
        "greeter" => true,
        "scribe" => text.contains("both"),
        "sider" => text.contains("aside"),
        _ => false,
    }
}

/// P1 and P3: what was acked is handled, by every handler that has a route for it; given up is only what cannot
/// work.
fn owned(world: &World, journal: &Journal, record: &[Entry]) -> Vec<String> {
    let mut found = Vec::new();
    let acked = record.iter().filter_map(|entry| match &entry.what {
        What::Ack { envelope_id, .. } => Some(envelope_id),
        _ => None,
    });
    for envelope_id in acked {
        let Some(owed) = world.owed.get(envelope_id) else {
            found.push(format!("an ack of {envelope_id}, which never arrived"));
            continue;
        };
        for handler in &owed.handlers {
            let name = (owed.envelope.id.clone(), handler.clone());
            match journal.settled.get(&name) {
                None => found.push(format!("P1: {name:?} is acked, and not settled")),
                Some(Settled {
                    error: Some(error), ..
                }) if error == "dropped" => {
                    found.push(format!("P1: {name:?} is acked, and was dropped"));
                }
                Some(_) => {}
            }
        }
    }
    let texts: BTreeMap<&str, &str> = world
        .owed
        .values()
        .map(|owed| {
            (
                owed.envelope.id.as_str(),
                owed.envelope.subject.text.as_str(),
            )
        })
        .collect();
    for ((id, handler), settled) in &journal.settled {
        let text = texts.get(id.as_str()).copied().unwrap_or_default();
        let is_trouble = suffers(handler, text);
        let is_hopeless = is_trouble && (text.contains("dies") || text.contains("kills"));
        match &settled.error {
            None if is_hopeless => found.push(format!(
                "P3: {id} of {handler} cannot work, and is committed: {text}"
            )),
            Some(error) if error != "dropped" => {
                let may = is_hopeless
                    || is_trouble && text.contains("asks")
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

/// What each committed turn wanted done, by the effect's name.
fn wanted(journal: &Journal) -> BTreeMap<String, ((u64, usize), Value, String)> {
    let mut wanted = BTreeMap::new();
    for turn in journal.turns() {
        let extra: Value = serde_json::from_str(&turn.extra).unwrap();
        let effects = extra["effects"].as_array().cloned().unwrap_or_default();
        for (n, effect) in effects.into_iter().enumerate() {
            let lane = format!("{}/{}", extra["app"], extra["team"]);
            wanted.insert(format!("{}#{n}", turn.name), ((turn.seq, n), effect, lane));
        }
    }
    wanted
}

/// The effect's name in a post's metadata.
fn effect_of(metadata: Option<&Value>) -> Option<&str> {
    metadata?["event_payload"]["effect"].as_str()
}

/// Messages of a channel that are looked through for a post of before; a post that more than these have buried
/// meanwhile is made again.
const LOOKED_THROUGH: u64 = 100;

/// P1 and P4: every effect of a commit is done, posts exactly once; and nothing is posted that no commit wanted.
fn effects(journal: &Journal, record: &[Entry]) -> Vec<String> {
    let mut found = Vec::new();
    let mut posts: BTreeMap<String, (u32, String)> = BTreeMap::new();
    let mut said: HashMap<&ChannelId, u64> = HashMap::new();
    let mut found_at: HashMap<String, u64> = HashMap::new();
    let (mut edits, mut reactions) = (0, 0);
    for entry in record {
        let (method, args, metadata) = match &entry.what {
            What::Call {
                method,
                ok: true,
                args,
                metadata,
                ..
            } => (method, args, metadata),
            What::Posted {
                channel,
                thread_ts: None,
                ..
            } => {
                *said.entry(channel).or_default() += 1;
                continue;
            }
            _ => continue,
        };
        match method.as_str() {
            "chat.postMessage" => {
                let Some(name) = effect_of(metadata.as_ref()) else {
                    found.push(format!("P4: entry {} posts, and names no effect", entry.n));
                    continue;
                };
                let text = args["text"].as_str().unwrap_or_default().to_owned();
                let channel = ChannelId::new(args["channel"].as_str().unwrap_or_default());
                let at = said.get(&channel).copied().unwrap_or_default();
                let before = found_at.insert(name.to_owned(), at);
                let is_buried = before.is_some_and(|before| at - before >= LOOKED_THROUGH);
                if !is_buried || args.contains_key("thread_ts") {
                    posts.entry(name.to_owned()).or_insert((0, text)).0 += 1;
                }
            }
            "chat.update" => edits += 1,
            "reactions.add" => reactions += 1,
            _ => {}
        }
    }
    let wanted = wanted(journal);
    let (mut edits_wanted, mut reactions_wanted) = (0, 0);
    for (name, (_, effect, _)) in &wanted {
        match effect["call"]["method"].as_str() {
            Some("chat.postMessage") => {
                let text = effect["call"]["args"]["text"].as_str().unwrap_or_default();
                match posts.get(name) {
                    Some((1, posted)) if posted == text => {}
                    other => {
                        found.push(format!("P4: {name} wants {text:?} posted once: {other:?}"))
                    }
                }
            }
            Some("chat.update") => edits_wanted += 1,
            Some("reactions.add") => reactions_wanted += 1,
            Some(_) => {}
            None => {
                // A memo or a job: its delivery is settled, by exactly one handler.
                let handlers = ["greeter", "tally"];
                let is_settled = |handler: &&str| {
                    journal
                        .settled
                        .contains_key(&(name.clone(), (*handler).to_owned()))
                };
                if handlers
                    .iter()
                    .filter(|handler| is_settled(handler))
                    .count()
                    != 1
                {
                    found.push(format!(
                        "P1: {name} is not settled by one handler: {effect}"
                    ));
                }
            }
        }
    }
    for name in posts.keys().filter(|name| !wanted.contains_key(*name)) {
        found.push(format!("P3: {name} is posted, and no commit wanted it"));
    }
    if edits < edits_wanted || reactions < reactions_wanted {
        found.push(format!(
            "P1: {edits} of {edits_wanted} edits and {reactions} of {reactions_wanted} reactions"
        ));
    }
    found
}

/// The calls of a lane leave in the order of their commits.
fn lanes(journal: &Journal, record: &[Entry]) -> Vec<String> {
    let wanted = wanted(journal);
    let mut newest: BTreeMap<String, ((u64, usize), String)> = BTreeMap::new();
    let mut found = Vec::new();
    for entry in record {
        let What::Call {
            ok: true,
            args,
            metadata,
            ..
        } = &entry.what
        else {
            continue;
        };
        let Some(name) = effect_of(metadata.as_ref()) else {
            continue;
        };
        let Some((at, _, lane)) = wanted.get(name) else {
            continue;
        };
        let lane = format!("{lane}/{}", args["channel"]);
        if let Some((before, first)) = newest.insert(lane.clone(), (*at, name.to_owned()))
            && before > *at
        {
            found.push(format!("P2: in lane {lane} {first} left before {name}"));
        }
    }
    found
}

/// P2: the deliveries of a key are settled in the order in which they were admitted.
fn order(world: &World, journal: &Journal) -> Vec<String> {
    let mut found = Vec::new();
    // By key: when it was admitted (its place), when it was settled.
    let mut keys: BTreeMap<&str, Vec<((u32, usize), u64, String)>> = BTreeMap::new();
    let life_of = |seq: u64| {
        let lives = world
            .lives
            .iter()
            .filter(|life| life.first_seq <= seq)
            .count();
        u32::try_from(lives).unwrap() - 1
    };
    let mut first: HashMap<(u32, &str), usize> = HashMap::new();
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    for (place, Arrived { life, id, is_retry }) in world.arrivals.iter().enumerate() {
        first.entry((*life, id)).or_insert(place);
        if *is_retry && world.plan.is_long {
            // The disk is asked about it, and others pass meanwhile.
            asked.insert(id);
        }
    }
    for ((id, handler), settled) in &journal.settled {
        if handler == "sider" || settled.key.is_empty() || asked.contains(id.as_str()) {
            continue;
        }
        let row = journal.rows.get(&(id.clone(), handler.clone()));
        let admitted = life_of(row.copied().unwrap_or(settled.seq));
        if let Some(place) = first.get(&(admitted, id)) {
            let entry = ((admitted, *place), settled.seq, id.clone());
            keys.entry(&settled.key).or_default().push(entry);
        }
    }
    for (key, mut deliveries) in keys {
        deliveries.sort();
        for pair in deliveries.windows(2) {
            if pair[0].1 > pair[1].1 {
                found.push(format!(
                    "P2: {key}: {:?} came before {:?}, and was settled after it",
                    pair[0], pair[1]
                ));
            }
        }
    }
    // The same from the rows alone, which memos and results have too.
    let mut newest: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut by_row: Vec<(u64, &Settled)> = journal
        .rows
        .iter()
        .filter_map(|(name, row)| {
            Some((
                *row,
                journal.settled.get(name).filter(|_| name.1 != "sider")?,
            ))
        })
        .filter(|(_, settled)| !settled.key.is_empty())
        .collect();
    by_row.sort_by_key(|(row, _)| *row);
    for (row, settled) in by_row {
        if let Some((before, seq)) = newest.insert(&settled.key, (row, settled.seq))
            && seq > settled.seq
        {
            found.push(format!(
                "P2: {}: row {before} was settled after row {row}",
                settled.key
            ));
        }
    }
    found
}

/// P8: while the process lives and its sockets hold, no deadline is missed, and no command fails.
fn deadlines(world: &World, record: &[Entry]) -> Vec<String> {
    let mut sent: HashMap<(&str, u32), u64> = HashMap::new();
    let mut found = Vec::new();
    for entry in record {
        match &entry.what {
            What::EnvelopeSent {
                envelope_id,
                attempt,
                ..
            } => {
                sent.insert((envelope_id, *attempt), entry.at_us);
            }
            What::DeadlineMissed {
                envelope_id,
                attempt,
                subject,
                ..
            } => {
                let from = sent[&(envelope_id.as_str(), *attempt)];
                let until = from + 3_000_000;
                // An orderly stop leaves un-acked what comes during it.
                let is_alive = world
                    .lives
                    .iter()
                    .any(|life| life.from_us <= from && until < life.to_us.min(life.stops_us));
                let is_cut = world.losses_us.iter().any(|at| (from..=until).contains(at));
                if is_alive && !is_cut {
                    found.push(format!(
                        "P8: {envelope_id}, attempt {attempt}, was not acked in time: {:?}",
                        subject.text
                    ));
                }
            }
            _ => {}
        }
    }
    found
}

/// P8: whose command was acked without its answer gets it later, once it is there.
fn answers(journal: &Journal, record: &[Entry]) -> Vec<String> {
    let mut commands: BTreeMap<&str, (&str, bool, bool)> = BTreeMap::new();
    for entry in record {
        match &entry.what {
            What::CommandRun {
                envelope_id, text, ..
            } => {
                commands.insert(envelope_id, (text, false, false));
            }
            What::Ack {
                envelope_id,
                is_late: false,
                ..
            } => {
                if let Some(command) = commands.get_mut(envelope_id.as_str()) {
                    command.1 = true;
                }
            }
            What::EphemeralShown {
                envelope_id,
                via: Via::Ack | Via::ResponseUrl,
                ..
            } => {
                if let Some(command) = commands.get_mut(envelope_id.as_str()) {
                    command.2 = true;
                }
            }
            _ => {}
        }
    }
    // Who is given up is a dead letter; so far nobody tells the person.
    let is_given_up = |id: &str| {
        let mut given_up = journal
            .settled
            .iter()
            .filter(|(_, settled)| settled.error.is_some());
        given_up.any(|((envelope, _), _)| envelope.ends_with(id))
    };
    commands
        .into_iter()
        .filter(|(id, (_, is_acked, is_answered))| *is_acked && !*is_answered && !is_given_up(id))
        .map(|(id, (text, ..))| {
            format!("P8: the command {id} ({text:?}) was acked and never answered")
        })
        .collect()
}

/// The number of a message, for whoever looks for it.
#[test]
fn numbers_are_found_behind_their_words() {
    assert_eq!(number("#12 hello naps=30 ", "naps="), Some(30));
    assert_eq!(number("#12 hello", "#"), Some(12));
    assert_eq!(number("hello", "#"), None);
}
