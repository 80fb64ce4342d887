//! The directory: key → the actor that holds its state.

use std::sync::Arc;

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::handler::{HandlerShell, Routed};
use crate::actor::port::{Port, Undelivered};
use crate::flow::key::Key;

/// Who is resident. Shared, so that any thread may look; each key is put and removed by its home shard only.
///
/// No guard ever leaves this file: a guard is a lock on a part of the map.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    residents: Arc<DashMap<Key, Port<HandlerShell>, RandomState>>,
}

impl Directory {
    /// The actor of a key, where it is resident.
    pub fn get(&self, key: &Key) -> Option<Port<HandlerShell>> {
        self.residents.get(key).map(|found| found.value().clone())
    }

    /// Hands the delivery to its key's actor, where it is resident.
    ///
    /// # Errors
    /// The delivery, and why it was not taken.
    pub fn offer(&self, routed: Routed) -> Result<(), Undelivered<Routed>> {
        match self.residents.get(&routed.delivery.key) {
            Some(found) => found.offer(routed),
            None => Err(Undelivered::Gone(routed)),
        }
    }

    /// A key's actor came to life.
    pub fn put(&self, key: Key, port: Port<HandlerShell>) {
        self.residents.insert(key, port);
    }

    /// A key's actor left memory.
    pub fn remove(&self, key: &Key) {
        self.residents.remove(key);
    }

    /// How many keys are resident. Counted part by part: not a snapshot.
    pub fn len(&self) -> usize {
        self.residents.len()
    }

    /// Whether nobody is resident.
    pub fn is_empty(&self) -> bool {
        self.residents.is_empty()
    }
}
