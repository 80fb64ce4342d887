//! The ack token: what must travel back to Slack travels forward first, beside the envelope.

use serde_json::value::RawValue;
use tokio::sync::mpsc::OwnedPermit;

use crate::slack::id::EnvelopeId;

/// An ack on its way to the socket that delivered the envelope.
#[derive(Debug)]
pub struct Released {
    /// The envelope that is answered.
    pub envelope_id: EnvelopeId,
    /// The answer that rides along.
    pub answer: Option<Box<RawValue>>,
}

/// The right to ack one envelope, once, on the socket that brought it. Dropping it means "not acked": Slack
/// delivers again.
#[derive(Debug)]
pub struct Ack {
    /// A place in the socket's queue of acks, taken when the envelope came in: an ack never waits for room.
    pub place: OwnedPermit<Released>,
    /// The envelope.
    pub envelope_id: EnvelopeId,
}

impl Ack {
    /// Tells Slack that we own it now. Where the socket is gone nothing is told: Slack delivers again, and the
    /// duplicate is acked on its new socket.
    pub fn release(self, answer: Option<Box<RawValue>>) {
        let Self { place, envelope_id } = self;
        drop(place.send(Released {
            envelope_id,
            answer,
        }));
    }
}
