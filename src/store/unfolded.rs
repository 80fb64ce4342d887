//! The states that were submitted and are not in `state.db` yet.

use bytes::Bytes;
use dashmap::DashMap;

use crate::flow::key::Key;

#[derive(Debug)]
struct Newest {
    seq: u64,
    version: u32,
    state: Bytes,
}

/// The newest submitted state of each key since the last fold. Its size is bounded by how often the folder runs.
#[derive(Debug, Default)]
pub struct Unfolded {
    newest: DashMap<Key, Newest>,
}

impl Unfolded {
    /// A turn was submitted as entry `seq`.
    pub fn put(&self, key: Key, seq: u64, version: u32, state: Bytes) {
        self.newest.insert(
            key,
            Newest {
                seq,
                version,
                state,
            },
        );
    }

    /// The newest state of a key, where it is not folded yet.
    pub fn get(&self, key: &Key) -> Option<(u32, Bytes)> {
        self.newest
            .get(key)
            .map(|newest| (newest.version, newest.state.clone()))
    }

    /// Everything up to `watermark` is in `state.db` now.
    pub fn forget(&self, watermark: u64) {
        self.newest.retain(|_, newest| newest.seq > watermark);
    }

    /// How many keys have a state that is not folded yet.
    pub fn len(&self) -> usize {
        self.newest.len()
    }

    /// Whether everything is folded.
    pub fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }
}
