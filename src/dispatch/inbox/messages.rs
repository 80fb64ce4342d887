//! What a shard's inbox is told, and the way in.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::machine::Counted;
use super::shell::InboxShell;
use crate::actor::Message;
use crate::actor::port::WayBack;
use crate::base::clock::Instant;
use crate::base::limits::SHARD_OPEN_MAX;
use crate::flow::effect::Committed;
use crate::flow::envelope::{Arrival, Mark};
use crate::flow::gate::{Gate, Permit};
use crate::store::{Durable, Exhumed, RecoveredRow};

/// What an earlier run left for this shard, told before the first socket opens.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Recovered {
    /// Marks of all shards.
    pub marks: Arc<[Mark]>,
    /// Unfinished deliveries of this shard.
    pub rows: Vec<RecoveredRow>,
    /// Effects of this shard that are not known to be done, in order.
    pub effects: Vec<Committed>,
}

/// Envelopes came in.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Arrived(pub(super) Vec<Arrival>);

impl Arrived {
    /// Whether Slack delivers any of them again.
    pub(super) fn has_acks(&self) -> bool {
        self.0.iter().any(|arrival| arrival.ack.is_some())
    }
}

/// Asks to be told when what was submitted so far is durable.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FlushWanted(pub oneshot::Sender<()>);

/// Everything that was ready to run when it was sent has run.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Go {
    /// When the wake-up that it stands for was due; nothing: the next arrivals may come in.
    pub(super) tick: Option<Instant>,
}

/// The writer's news.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Written(pub(super) Durable);

/// Admit nothing more: the process is stopping.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Dead letters of this shard's workspaces leave, as an operator wants it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Exhume {
    /// They.
    pub exhumed: Vec<Exhumed>,
    /// Told when it is durable, or why it is not done. Dropped when the process stops before.
    pub answer: oneshot::Sender<Result<(), &'static str>>,
}

/// Asks how the shard stands.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Count(pub oneshot::Sender<Counts>);

/// How a shard stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// What happened so far.
    pub counted: Counted,
    /// Envelopes whose ack is owed to Slack.
    pub unacked: usize,
    /// Deliveries, jobs and calls that are not settled or handed over.
    pub unsettled: usize,
    /// Of them, deliveries in the store that nobody in this process is going to read.
    pub resting: usize,
}

/// The way into a shard: a permit for each envelope, then one message for many.
#[derive(Debug, Clone)]
pub struct Entrance {
    gate: Gate,
    inbox: WayBack<InboxShell>,
}

impl Entrance {
    /// The way to `inbox`.
    pub fn new(inbox: WayBack<InboxShell>) -> Self {
        Self {
            gate: Gate::new(SHARD_OPEN_MAX),
            inbox,
        }
    }

    /// Room for one envelope, or nothing: then it is shed.
    pub fn try_enter(&self) -> Option<Permit> {
        self.gate.try_enter()
    }

    /// How many envelopes are inside.
    pub fn inside(&self) -> usize {
        self.gate.inside()
    }

    /// Whether it is time to slow down: three quarters of the room are taken.
    pub fn is_crowded(&self) -> bool {
        self.gate.inside() > self.gate.bound() / 4 * 3
    }

    /// Hands over envelopes, each with its permit.
    pub fn put(&self, arrivals: Vec<Arrival>) {
        if !arrivals.is_empty() {
            self.inbox.send(Arrived(arrivals));
        }
    }
}
