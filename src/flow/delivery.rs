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
    /// Where its unfinished row stands in the journal; nothing while it has none.
    pub row: Option<u64>,
    /// The shard's number for it while it is in memory.
    pub slot: u64,
    /// Its answer can no longer ride in the ack: it goes to the `response_url`.
    pub is_late: bool,
}

impl Delivery {
    /// Its durable name: the envelope's id and the handler's NAME.
    pub fn id(&self) -> String {
        format!("{}/{}", self.envelope.id, self.key.handler())
    }
}
