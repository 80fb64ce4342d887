//! The delivery: one thing for one handler's key, settled exactly once.

use std::sync::Arc;

use super::envelope::Envelope;
use super::key::Key;

/// One envelope for one key. An envelope with several handlers makes several, fixed at admission.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What it is about; shared by the deliveries of one envelope.
    pub envelope: Arc<Envelope>,
    /// Whose it is.
    pub key: Key,
    /// The shard's number for it while it is in memory.
    pub slot: u64,
    /// It was unfinished when an earlier run ended, and may have ended it.
    pub is_suspect: bool,
}

impl Delivery {
    /// Its durable name: the envelope's id and the handler's NAME.
    pub fn id(&self) -> String {
        format!("{}/{}", self.envelope.id, self.key.handler())
    }
}
