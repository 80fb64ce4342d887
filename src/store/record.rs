//! What is submitted to the store, and its form as a journal entry.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Error;
use super::writer::Submitter;
use crate::flow::effect::{Effect, EffectName};
use crate::flow::envelope::{Envelope, Kind, Mark, Origin, Unreadable};
use crate::flow::key::{AppName, Key};
use crate::slack::id::{ChannelId, TeamId, Ts};

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
        /// What it was about: the app that acts, and the workspace it acts in.
        envelope: Arc<Envelope>,
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
        effect: Effect,
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
    fn of(envelope: &Envelope, is_held: bool) -> Self {
        Self {
            id: envelope.id.clone(),
            app: envelope.app.as_str().to_owned(),
            team: envelope.team.clone(),
            kind: envelope.kind,
            received_ms: envelope.received_ms,
            held: is_held,
        }
    }

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
        envelope.id.clone_from(&self.id);
        envelope.team.clone_from(&self.team);
        Ok(envelope)
    }
}

/// What a turn's `extra` column holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TurnExtra {
    pub(super) app: String,
    pub(super) team: TeamId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) effects: Vec<Effect>,
}

/// What a dead letter's `extra` column holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeadExtra {
    pub(super) error: String,
    /// What it was, beside its JSON.
    pub(super) head: DeadHead,
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

/// The columns of a journal entry; see the [module](super) for their meaning.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) key: Option<String>,
    pub(super) refers: Option<u64>,
    pub(super) n: Option<u32>,
    pub(super) body: Option<Bytes>,
    pub(super) extra: Option<String>,
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Damaged(error.to_string()))
}

impl Record {
    /// The record as the entry `seq`.
    pub(super) fn into_entry(self, seq: u64) -> Result<Entry, Error> {
        let entry = |kind: &str| Entry {
            seq,
            kind: kind.to_owned(),
            ..Entry::default()
        };
        Ok(match self {
            Self::Row {
                envelope,
                key,
                is_held,
            } => Entry {
                extra: Some(json(&RowHead::of(&envelope, is_held))?),
                ..of_envelope(entry("row"), &key, &envelope)
            },
            Self::Release { row } => referring(entry("release"), row),
            Self::Turn {
                envelope,
                row,
                key,
                version,
                state,
                effects,
            } => Entry {
                name: Some([envelope.id.as_str(), "/", key.handler()].concat()),
                key: Some(key.as_str().to_owned()),
                refers: row,
                n: Some(version),
                body: state,
                extra: Some(turn_extra(&envelope.app, envelope.team.clone(), effects)?),
                ..entry("turn")
            },
            Self::Drop { row } => referring(entry("drop"), row),
            Self::DeadDelivery {
                row,
                key,
                envelope,
                error,
            } => dead_delivery(entry("dead"), row, &key, &envelope, error)?,
            Self::Attempt { row } => referring(entry("attempt"), row),
            Self::Survived { row } => referring(entry("survived"), row),
            Self::Exhume { dead } => referring(entry("exhume"), dead),
            Self::Requeue {
                dead,
                name,
                app,
                team,
                effect,
            } => Entry {
                name: Some(name.0),
                refers: Some(dead),
                extra: Some(turn_extra(&app, team, vec![effect])?),
                ..entry("requeue")
            },
            Self::Effect {
                seq: turn,
                n,
                name,
                outcome,
            } => effect_entry(entry, turn, n, name, outcome)?,
        })
    }
}

fn turn_extra(app: &AppName, team: TeamId, effects: Vec<Effect>) -> Result<String, Error> {
    json(&TurnExtra {
        app: app.as_str().to_owned(),
        team,
        effects,
    })
}

fn dead_delivery(
    entry: Entry,
    row: Option<u64>,
    key: &Key,
    envelope: &Envelope,
    error: String,
) -> Result<Entry, Error> {
    Ok(Entry {
        refers: row,
        extra: Some(json(&DeadExtra {
            error,
            head: DeadHead::Delivery(RowHead::of(envelope, false)),
        })?),
        ..of_envelope(entry, key, envelope)
    })
}

fn referring(entry: Entry, to: u64) -> Entry {
    Entry {
        refers: Some(to),
        ..entry
    }
}

fn of_envelope(entry: Entry, key: &Key, envelope: &Envelope) -> Entry {
    Entry {
        name: Some(envelope.id.clone()),
        key: Some(key.as_str().to_owned()),
        body: Some(envelope.payload.clone()),
        ..entry
    }
}

fn effect_entry(
    entry: impl Fn(&str) -> Entry,
    turn: u64,
    n: u32,
    name: EffectName,
    outcome: Outcome,
) -> Result<Entry, Error> {
    Ok(match outcome {
        Outcome::Done(posted) => Entry {
            name: Some(name.0),
            refers: Some(turn),
            n: Some(n),
            extra: posted.map(|posted| json(&posted)).transpose()?,
            ..entry("sent")
        },
        Outcome::Dead {
            error,
            app,
            team,
            lane,
            effect,
        } => Entry {
            name: Some(name.0),
            key: Some(lane),
            refers: Some(turn),
            n: Some(n),
            body: Some(json(&effect)?.into()),
            extra: Some(json(&DeadExtra {
                error,
                head: DeadHead::Effect {
                    app: app.as_str().to_owned(),
                    team,
                },
            })?),
            ..entry("dead")
        },
    })
}
