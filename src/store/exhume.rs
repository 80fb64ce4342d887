//! Dead letters on their way back: what is written when one is retried or dropped.
//!
//! A running process and a stopped store write the same records, through the same queue.

use std::sync::Arc;

use bytes::Bytes;

use super::record::{DeadHead, Record};
use crate::flow::effect::{Committed, Effect, EffectName};
use crate::flow::envelope::Envelope;
use crate::flow::key::{AppName, Key};
use crate::slack::id::TeamId;

/// A dead letter, as it is kept.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The journal entry that buried it; by this number it is known to people.
    pub id: u64,
    /// The delivery's envelope id, or the effect's durable name.
    pub name: String,
    /// The delivery's key, or the effect's lane.
    pub key: String,
    /// What it was.
    pub head: DeadHead,
    /// The payload, or the effect.
    pub body: Bytes,
}

/// A dead letter that leaves.
#[derive(Debug, Clone)]
pub enum Exhumed {
    /// For good.
    Dropped {
        /// The entry that buried it.
        dead: u64,
    },
    /// Its delivery runs again.
    Delivery {
        /// The entry that buried it.
        dead: u64,
        /// What came.
        envelope: Arc<Envelope>,
        /// Whose it is.
        key: Key,
    },
    /// Its effect is tried again.
    Effect {
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
}

impl DeadLetter {
    /// The app and the workspace it belongs to.
    pub fn home(&self) -> (AppName, TeamId) {
        match &self.head {
            DeadHead::Delivery(head) => (AppName::new(&head.app), head.team.clone()),
            DeadHead::Effect { app, team } => (AppName::new(app), team.clone()),
        }
    }

    /// Leaves for good.
    pub fn dropped(&self) -> Exhumed {
        Exhumed::Dropped { dead: self.id }
    }

    /// Comes back.
    ///
    /// # Errors
    /// Why it can't: its payload is not readable any more.
    pub fn retried(self) -> Result<Exhumed, String> {
        let (app, team) = self.home();
        match self.head {
            DeadHead::Delivery(head) => Ok(Exhumed::Delivery {
                dead: self.id,
                envelope: Arc::new(head.envelope(self.body).map_err(|why| why.to_string())?),
                key: Key::from_stored(&self.key),
            }),
            DeadHead::Effect { .. } => Ok(Exhumed::Effect {
                dead: self.id,
                name: EffectName(self.name),
                app,
                team,
                effect: serde_json::from_slice(&self.body).map_err(|why| why.to_string())?,
            }),
        }
    }
}

impl Exhumed {
    /// What is written, in this order and in one submission.
    pub fn records(&self) -> Vec<Record> {
        match self {
            Self::Dropped { dead } => vec![Record::Exhume { dead: *dead }],
            Self::Delivery {
                dead,
                envelope,
                key,
            } => vec![
                Record::Row {
                    envelope: Arc::clone(envelope),
                    key: key.clone(),
                    is_held: false,
                    is_lagging: true,
                },
                Record::Exhume { dead: *dead },
            ],
            Self::Effect {
                dead,
                name,
                app,
                team,
                effect,
            } => vec![Record::Requeue {
                dead: *dead,
                name: name.clone(),
                app: app.clone(),
                team: team.clone(),
                effect: effect.clone(),
            }],
        }
    }

    /// The effect to be done, now that its record is durable as entry `seq`.
    pub fn committed(self, seq: u64) -> Option<Committed> {
        match self {
            Self::Dropped { .. } | Self::Delivery { .. } => None,
            Self::Effect {
                name,
                app,
                team,
                effect,
                ..
            } => Some(Committed {
                seq,
                n: 0,
                name,
                app,
                team,
                effect: *effect,
                at_ms: 0,
                // Its last try may have been done after all.
                is_recovered: true,
            }),
        }
    }
}
