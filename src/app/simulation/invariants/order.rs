//! One after the other, per key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Journal, Settled};
use crate::app::simulation::outside::{Arrived, World};

/// When it was admitted (life, and place among the arrivals), when it was settled, what it is.
type Handled = ((u32, usize), u64, String);

/// P2: the deliveries of a key are settled in the order in which they were admitted.
pub(super) fn kept(world: &World, journal: &Journal) -> Vec<String> {
    let mut found = Vec::new();
    let mut keys: BTreeMap<&str, Vec<Handled>> = BTreeMap::new();
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
        let is_again = *first.entry((*life, id)).or_insert(place) != place;
        // The disk is asked about it, and others pass meanwhile; or nobody can tell whether it was shed at first.
        if is_again && (*is_retry && world.plan.is_long || !world.shorts_us.is_empty()) {
            asked.insert(id);
        }
    }
    for (name, settled) in &journal.settled {
        let (id, handler) = name;
        if journal.returned.contains(name) {
            continue;
        }
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
