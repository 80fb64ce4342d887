//! Deadlines.

use std::collections::HashMap;

use crate::app::simulation::outside::World;
use crate::sim::{Entry, What};

/// P8: while the process lives and its sockets hold, no deadline is missed, and no command fails.
pub(super) fn kept(world: &World, record: &[Entry]) -> Vec<String> {
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
                let is_short = |(short, over): &(u64, u64)| *short <= until && from <= *over;
                let is_shed = world.shorts_us.iter().any(is_short);
                if is_alive && !is_cut && !is_shed {
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
