//! What was submitted and is not in `state.db` yet, as far as it may be read: states, deliveries that left memory,
//! what effects posted.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::record::{Outcome, Record};
use super::writer::Batch;
use crate::flow::effect::EffectName;
use crate::flow::envelope::Envelope;
use crate::flow::key::Key;
use crate::slack::id::Ts;

#[derive(Debug)]
struct Newest {
    seq: u64,
    version: u32,
    state: Bytes,
}

/// The newest of everything since the last fold. Bounded by how much is folded at once.
#[derive(Debug, Default)]
pub(super) struct Unfolded {
    states: DashMap<Key, Newest, RandomState>,
    rows: DashMap<u64, Arc<Envelope>, RandomState>,
    posted: DashMap<EffectName, (u64, Ts), RandomState>,
}

impl Unfolded {
    /// The record is submitted as entry `seq`.
    pub(super) fn note(&self, seq: u64, record: &Record) {
        match record {
            Record::Turn {
                key,
                version,
                state: Some(state),
                ..
            } => {
                let newest = Newest {
                    seq,
                    version: *version,
                    state: state.clone(),
                };
                match self.states.get_mut(key) {
                    Some(mut found) => *found = newest,
                    None => drop(self.states.insert(key.clone(), newest)),
                }
            }
            Record::Row {
                envelope,
                is_lagging: true,
                ..
            } => drop(self.rows.insert(seq, Arc::clone(envelope))),
            Record::Effect {
                name,
                outcome: Outcome::Done(Some((_, ts))),
                ..
            } => drop(self.posted.insert(name.clone(), (seq, ts.clone()))),
            Record::Turn { .. }
            | Record::Row { .. }
            | Record::Effect { .. }
            | Record::Release { .. }
            | Record::Attempt { .. }
            | Record::Survived { .. }
            | Record::Drop { .. }
            | Record::DeadDelivery { .. }
            | Record::Exhume { .. }
            | Record::Requeue { .. } => {}
        }
    }

    /// What stays where nothing is ever folded: states, and deliveries until they are dealt with.
    pub(super) fn settle(&self, batch: &Batch) {
        for submission in batch.submissions() {
            match &submission.record {
                Record::Turn { row: Some(row), .. }
                | Record::DeadDelivery { row: Some(row), .. }
                | Record::Drop { row } => drop(self.rows.remove(row)),
                // The outbox remembers the last ones itself.
                Record::Effect { name, .. } => drop(self.posted.remove(name)),
                _ => {}
            }
        }
    }

    /// The newest state of a key, where it is not folded yet.
    pub(super) fn state(&self, key: &Key) -> Option<(u32, Bytes)> {
        self.states
            .get(key)
            .map(|newest| (newest.version, newest.state.clone()))
    }

    /// A delivery that left memory, where it is not folded yet.
    pub(super) fn row(&self, seq: u64) -> Option<Arc<Envelope>> {
        self.rows.get(&seq).map(|found| Arc::clone(&found))
    }

    /// What an effect posted, where it is not folded yet.
    pub(super) fn posted(&self, name: &EffectName) -> Option<Ts> {
        self.posted.get(name).map(|found| found.1.clone())
    }

    /// Everything up to `watermark` is in `state.db` now.
    pub(super) fn forget(&self, watermark: u64) {
        self.states.retain(|_, newest| newest.seq > watermark);
        self.rows.retain(|seq, _| *seq > watermark);
        self.posted.retain(|_, (seq, _)| *seq > watermark);
    }
}
