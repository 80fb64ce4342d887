//! The ack token: what must travel back to Slack travels forward first, beside the envelope.

use serde_json::value::RawValue;
use tokio::sync::mpsc;

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
    /// The socket's queue of acks. It has room for every envelope that the socket may have open.
    pub socket: mpsc::Sender<Released>,
    /// The envelope.
    pub envelope_id: EnvelopeId,
}

impl Ack {
    /// Tells Slack that we own it now. False when the socket is gone: Slack then delivers again, and the
    /// duplicate is acked on its new socket.
    pub fn release(self, answer: Option<Box<RawValue>>) -> bool {
        self.socket
            .try_send(Released {
                envelope_id: self.envelope_id,
                answer,
            })
            .is_ok()
    }
}
