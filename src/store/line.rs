//! A record as it stands in the journal: one JSON value, whose only field is named by its kind.
//!
//! The same form is written, read at a start, and summed up by the folder, so that a run and a recovery can't
//! come to different results.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::record::{Outcome, Record};
use crate::flow::effect::Effect;
use crate::flow::envelope::{Envelope, Kind};
use crate::slack::id::{ChannelId, TeamId, Ts};

/// JSON that is kept as it is written. Checked when it is written, so that one bad text can't spoil its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Json<'a>(pub(super) &'a str);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.0)
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a RawValue>::deserialize(deserializer).map(|raw| Self(raw.get()))
    }
}

/// What an envelope was, beside its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Came<'a> {
    /// The envelope's id.
    #[serde(borrow)]
    pub(super) event: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) app: Cow<'a, str>,
    pub(super) team: TeamId,
    pub(super) kind: Kind,
    pub(super) received_ms: u64,
    #[serde(borrow)]
    pub(super) payload: Json<'a>,
}

/// One line of the journal; see the [module](super) for what each means.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<'a> {
    Row {
        #[serde(borrow)]
        key: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "is_false")]
        held: bool,
        #[serde(borrow)]
        came: Came<'a>,
    },
    Release {
        row: u64,
    },
    Attempt {
        row: u64,
    },
    Survived {
        row: u64,
    },
    Drop {
        row: u64,
    },
    Turn {
        #[serde(borrow)]
        key: Cow<'a, str>,
        #[serde(borrow)]
        event: Cow<'a, str>,
        #[serde(borrow)]
        app: Cow<'a, str>,
        team: TeamId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<u64>,
        version: u32,
        /// Nothing when it is unchanged.
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        state: Option<Json<'a>>,
        #[serde(default, skip_serializing_if = "is_empty")]
        effects: Cow<'a, [Effect]>,
    },
    Dead {
        #[serde(borrow)]
        key: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<u64>,
        #[serde(borrow)]
        error: Cow<'a, str>,
        #[serde(borrow)]
        came: Came<'a>,
        #[serde(default, skip_serializing_if = "is_empty")]
        effects: Cow<'a, [Effect]>,
    },
    Exhume {
        dead: u64,
    },
    Requeue {
        dead: u64,
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(borrow)]
        app: Cow<'a, str>,
        team: TeamId,
        effect: Cow<'a, Effect>,
    },
    Sent {
        turn: u64,
        n: u32,
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        posted: Option<(ChannelId, Ts)>,
    },
    DeadEffect {
        turn: u64,
        n: u32,
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(borrow)]
        app: Cow<'a, str>,
        team: TeamId,
        #[serde(borrow)]
        lane: Cow<'a, str>,
        #[serde(borrow)]
        error: Cow<'a, str>,
        effect: Cow<'a, Effect>,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_empty(effects: &[Effect]) -> bool {
    effects.is_empty()
}

/// What is not text would be no JSON either, and is refused where it is written.
fn text(bytes: &[u8]) -> Json<'_> {
    Json(std::str::from_utf8(bytes).unwrap_or_default())
}

impl<'a> Came<'a> {
    fn of(envelope: &'a Envelope) -> Self {
        Self {
            event: Cow::Borrowed(&envelope.id),
            app: Cow::Borrowed(envelope.app.as_str()),
            team: envelope.team.clone(),
            kind: envelope.kind,
            received_ms: envelope.received_ms,
            payload: text(&envelope.payload),
        }
    }
}

impl<'a> Line<'a> {
    /// The record's line.
    pub(super) fn of(record: &'a Record) -> Self {
        match record {
            Record::Row {
                envelope,
                key,
                is_held,
                ..
            } => Self::Row {
                key: Cow::Borrowed(key.as_str()),
                held: *is_held,
                came: Came::of(envelope),
            },
            Record::Release { row } => Self::Release { row: *row },
            Record::Attempt { row } => Self::Attempt { row: *row },
            Record::Survived { row } => Self::Survived { row: *row },
            Record::Drop { row } => Self::Drop { row: *row },
            Record::Exhume { dead } => Self::Exhume { dead: *dead },
            Record::Turn {
                event,
                app,
                team,
                row,
                key,
                version,
                state,
                effects,
            } => Self::Turn {
                key: Cow::Borrowed(key.as_str()),
                event: Cow::Borrowed(event),
                app: Cow::Borrowed(app.as_str()),
                team: team.clone(),
                row: *row,
                version: *version,
                state: state.as_deref().map(text),
                effects: Cow::Borrowed(effects),
            },
            Record::DeadDelivery {
                row,
                key,
                envelope,
                error,
                effects,
            } => Self::Dead {
                key: Cow::Borrowed(key.as_str()),
                row: *row,
                error: Cow::Borrowed(error),
                came: Came::of(envelope),
                effects: Cow::Borrowed(effects),
            },
            Record::Requeue {
                dead,
                name,
                app,
                team,
                effect,
            } => Self::Requeue {
                dead: *dead,
                name: Cow::Borrowed(&name.0),
                app: Cow::Borrowed(app.as_str()),
                team: team.clone(),
                effect: Cow::Borrowed(effect),
            },
            Record::Effect {
                seq,
                n,
                name,
                outcome,
            } => Self::of_effect(*seq, *n, &name.0, outcome),
        }
    }

    fn of_effect(turn: u64, n: u32, name: &'a str, outcome: &'a Outcome) -> Self {
        let name = Cow::Borrowed(name);
        match outcome {
            Outcome::Done(posted) => Self::Sent {
                turn,
                n,
                name,
                posted: posted.clone(),
            },
            Outcome::Dead {
                error,
                app,
                team,
                lane,
                effect,
            } => Self::DeadEffect {
                turn,
                n,
                name,
                app: Cow::Borrowed(app.as_str()),
                team: team.clone(),
                lane: Cow::Borrowed(lane),
                error: Cow::Borrowed(error),
                effect: Cow::Borrowed(effect),
            },
        }
    }
}
