//! What commits wanted done, and what Slack saw of it.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::Journal;
use crate::sim::{Entry, What};
use crate::slack::id::ChannelId;

/// Messages of a channel that are looked through for a post of before; a post that more than these have buried
/// meanwhile is made again.
const LOOKED_THROUGH: u64 = 100;

/// An effect of a committed turn.
struct Wanted {
    /// Its turn's entry, and its number in there.
    at: (u64, usize),
    effect: Value,
    /// The app and the workspace.
    place: String,
}

/// What Slack saw.
#[derive(Default)]
struct Seen {
    /// By the effect's name: how often, and the text.
    posts: BTreeMap<String, (u32, String)>,
    edits: usize,
    reactions: usize,
    nameless: Vec<u64>,
}

/// What each committed turn wanted done, by the effect's name.
fn wanted(journal: &Journal) -> BTreeMap<String, Wanted> {
    let mut wanted = BTreeMap::new();
    for turn in journal.turns() {
        let extra: Value = serde_json::from_str(&turn.extra).unwrap();
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

fn channel_of(args: &Map<String, Value>) -> ChannelId {
    ChannelId::new(args["channel"].as_str().unwrap_or_default())
}

impl Seen {
    fn of(record: &[Entry]) -> Self {
        let mut seen = Self::default();
        // A channel's messages so far, threads aside, at each entry; a post's place among them.
        let mut said: HashMap<ChannelId, Vec<u64>> = HashMap::new();
        for entry in record {
            if let What::Posted {
                channel,
                thread_ts: None,
                ..
            } = &entry.what
            {
                said.entry(channel.clone()).or_default().push(entry.n);
            }
        }
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (entry, method, args, effect) in calls(record) {
            match (method, effect) {
                ("chat.postMessage", Some(name)) => {
                    let said = said.get(&channel_of(args)).map_or(&[][..], Vec::as_slice);
                    let place = said.partition_point(|n| *n < entry.n);
                    let before = places.insert(name, place);
                    let is_buried =
                        before.is_some_and(|before| (place - before) as u64 >= LOOKED_THROUGH);
                    if !is_buried || args.contains_key("thread_ts") {
                        let text = args["text"].as_str().unwrap_or_default().to_owned();
                        seen.posts.entry(name.to_owned()).or_insert((0, text)).0 += 1;
                    }
                }
                ("chat.postMessage", None) => seen.nameless.push(entry.n),
                ("chat.update", _) => seen.edits += 1,
                ("reactions.add", _) => seen.reactions += 1,
                _ => {}
            }
        }
        seen
    }
}

/// P1 and P4: every effect of a commit is done, posts exactly once; P3: nothing is posted that no commit wanted.
pub(super) fn done(journal: &Journal, record: &[Entry]) -> Vec<String> {
    let (seen, wanted) = (Seen::of(record), wanted(journal));
    let mut found = Vec::new();
    let (mut edits, mut reactions) = (0, 0);
    for (name, Wanted { effect, .. }) in &wanted {
        match effect["call"]["method"].as_str() {
            Some("chat.postMessage") => {
                let text = effect["call"]["args"]["text"].as_str().unwrap_or_default();
                let post = seen.posts.get(name);
                if post.is_none_or(|(times, posted)| *times != 1 || posted != text) {
                    found.push(format!("P4: {name} wants {text:?} posted once: {post:?}"));
                }
            }
            Some("chat.update") => edits += 1,
            Some("reactions.add") => reactions += 1,
            Some(_) => {}
            // A memo or a job: its delivery is settled, by exactly one handler.
            None => {
                let is_settled = |handler: &str| {
                    journal
                        .settled
                        .contains_key(&(name.clone(), handler.to_owned()))
                };
                if is_settled("greeter") == is_settled("tally") {
                    found.push(format!(
                        "P1: {name} is not settled by one handler: {effect}"
                    ));
                }
            }
        }
    }
    for name in seen.posts.keys().filter(|name| !wanted.contains_key(*name)) {
        found.push(format!("P3: {name} is posted, and no commit wanted it"));
    }
    for n in &seen.nameless {
        found.push(format!("P4: entry {n} posts, and names no effect"));
    }
    if seen.edits < edits || seen.reactions < reactions {
        let Seen {
            edits: edited,
            reactions: reacted,
            ..
        } = seen;
        found.push(format!(
            "P1: {edited} of {edits} edits, {reacted} of {reactions} reactions"
        ));
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
        let lane = format!("{place}/{}", channel_of(args));
        if let Some((before, first)) = newest.insert(lane.clone(), (*at, name))
            && before > *at
        {
            found.push(format!("P2: in lane {lane} {first} left before {name}"));
        }
    }
    found
}
