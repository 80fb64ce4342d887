//! The invariants: what the judge, who sees only Slack's record, can't see.
//!
//! Those that hold at any moment are checked at each step, where it happens: at each batch that becomes durable
//! ([`Journal::take`]), each ack and each call (`outside`), each turn that begins (`bots`), each admission (`life`).
//! The ones here are those of a world that came to rest.
mod deadlines;
mod effects;
mod journal;
mod order;

use std::collections::BTreeMap;

pub(super) use journal::Journal;
use journal::Settled;

use super::judge::Buried;
use super::outside::World;
use crate::flow::key::Key;
use crate::sim::Entry;

/// Why a delivery ended whose answer was still held when the process died.
pub(super) const DROPPED: &str = "dropped";

/// Checks everything; the deliveries that were given up.
pub(super) fn check(world: &mut World, record: &[Entry]) -> Vec<Buried> {
    let journal = &world.journal;
    let mut found = folded(world);
    found.extend(given_up(world, journal));
    found.extend(effects::done(journal, record));
    found.extend(effects::in_order(journal, record));
    found.extend(order::kept(world, journal));
    found.extend(deadlines::kept(world, record));
    let is_given_up = |settled: &Settled| settled.error.as_ref().is_some_and(|it| it != DROPPED);
    let ends = journal.settled.iter();
    let buried = ends.filter(|(_, settled)| is_given_up(settled));
    let buried = buried.map(|((name, handler), _)| Buried {
        name: name.clone(),
        handler: handler.clone(),
    });
    let buried = buried.collect();
    for text in found {
        world.violate(text);
    }
    buried
}

/// P3: the folded state of a key is that of its last turn.
fn folded(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for (key, count) in world.journal.counts() {
        let state = world.disk.state(&Key::from_stored(key));
        let folded = state.map(|state| journal::count_in(&state));
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
