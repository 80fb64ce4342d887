//! Deadlines and answers to people.

use std::collections::{BTreeMap, HashMap};

use super::Journal;
use crate::app::simulation::outside::World;
use crate::sim::{Entry, Via, What};

/// P8: while the process lives and its sockets hold, no deadline is missed, and no command fails.
pub(super) fn in_time(world: &World, record: &[Entry]) -> Vec<String> {
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
pub(super) fn given(journal: &Journal, record: &[Entry]) -> Vec<String> {
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
