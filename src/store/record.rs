//! What is submitted to the store, and what it keeps of an envelope.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::writer::Submitter;
use crate::flow::effect::{Effect, EffectName};
use crate::flow::envelope::{Envelope, Kind, Mark, Origin, Unreadable};
use crate::flow::key::{AppName, Key};
use crate::slack::id::{ChannelId, TeamId, Ts, Word};

/// How an effect ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It was done; what it posted, if it posted.
    Done(Option<(ChannelId, Ts)>),
    /// It was given up: the error, and the effect itself.
    Dead {
        /// Why.
        error: String,
        /// The app that would have acted.
        app: AppName,
        /// The workspace it would have acted in.
        team: TeamId,
        /// Its lane, or the key it was for.
        lane: String,
        /// What it was.
        effect: Box<Effect>,
    },
}

/// One thing to make durable.
#[derive(Debug, Clone)]
pub enum Record {
    /// A delivery is ours, and unfinished.
    Row {
        /// What came.
        envelope: Arc<Envelope>,
        /// Whose it is.
        key: Key,
        /// Its ack waits for the answer.
        is_held: bool,
        /// It leaves memory, and will be read back.
        is_lagging: bool,
    },
    /// A held ack is let go without its answer.
    Release {
        /// The delivery's row.
        row: u64,
    },
    /// A delivery of an earlier run is about to run again: if it ends the process, that is on record.
    Attempt {
        /// Its row.
        row: u64,
    },
    /// Such an attempt failed without ending the process: it does not count against the delivery.
    Survived {
        /// Its row.
        row: u64,
    },
    /// A turn's commit.
    Turn {
        /// The id of the envelope it was about.
        event: Word,
        /// The app that acts.
        app: AppName,
        /// The workspace it acts in.
        team: TeamId,
        /// Its row, where it has one.
        row: Option<u64>,
        /// Whose turn it was.
        key: Key,
        /// The version of the state's shape.
        version: u32,
        /// The new state; nothing when it is unchanged.
        state: Option<Bytes>,
        /// What to do.
        effects: Vec<Effect>,
    },
    /// A delivery is given up without trace: nobody waits for it any more.
    Drop {
        /// Its row.
        row: u64,
    },
    /// A delivery is given up, and kept.
    DeadDelivery {
        /// Its row, where it has one.
        row: Option<u64>,
        /// Whose it was.
        key: Key,
        /// What came.
        envelope: Arc<Envelope>,
        /// Why.
        error: String,
        /// What is to be done all the same: whoever waits for an answer is told.
        effects: Vec<Effect>,
    },
    /// A dead letter leaves: dropped, or back in the inbox by a row that is submitted with this.
    Exhume {
        /// The entry that buried it.
        dead: u64,
    },
    /// An effect that was given up is to be done after all; its dead letter leaves.
    Requeue {
        /// The entry that buried it.
        dead: u64,
        /// Its durable name.
        name: EffectName,
        /// The app that acts.
        app: AppName,
        /// The workspace it acts in.
        team: TeamId,
        /// What to do.
        effect: Box<Effect>,
    },
    /// An effect is done or given up.
    Effect {
        /// The journal entry of its turn.
        seq: u64,
        /// Its number within the turn.
        n: u32,
        /// Its durable name.
        name: EffectName,
        /// How it ended.
        outcome: Outcome,
    },
}

/// A record on its way, with the mark by which a duplicate of its envelope will be known.
#[derive(Debug)]
pub struct Submission {
    /// What to write.
    pub record: Record,
    /// Written in the same transaction.
    pub mark: Option<Mark>,
    /// Who is told when it is durable.
    pub from: Submitter,
}

/// What a row says of its envelope beside the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowHead {
    /// The envelope's id.
    pub id: String,
    /// The app.
    pub app: String,
    /// The workspace.
    pub team: TeamId,
    /// How the payload is read.
    pub kind: Kind,
    /// When it was received, milliseconds since 1970.
    pub received_ms: u64,
    /// Its ack waits for the answer.
    #[serde(default)]
    pub held: bool,
}

impl RowHead {
    /// The envelope again, from its stored payload.
    ///
    /// # Errors
    /// When the payload can't be read; it could when it was stored.
    pub fn envelope(&self, payload: Bytes) -> Result<Envelope, Unreadable> {
        let app = AppName::new(&self.app);
        let origin = Origin {
            app: &app,
            envelope_id: "",
            team: self.team.clone(),
        };
        let mut envelope = Envelope::read(self.kind, &origin, payload, self.received_ms)?;
        envelope.id = self.id.as_str().into();
        envelope.team.clone_from(&self.team);
        Ok(envelope)
    }
}

/// What is needed to bring a dead letter back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadHead {
    /// It was a delivery.
    Delivery(RowHead),
    /// It was an effect of this app in this workspace.
    Effect {
        /// The app.
        app: String,
        /// The workspace.
        team: TeamId,
    },
}
