//! What a stretch of the journal comes to: what is settled within it leaves no trace.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::journal::MarkBatch;
use super::line::{Came, Line};
use super::record::{DeadHead, RowHead};
use super::writer::Batch;
use crate::base::map::Map;
use crate::flow::effect::Effect;
use crate::slack::id::{ChannelId, TeamId, Ts};

/// An unfinished delivery.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) head: RowHead,
    pub(super) payload: String,
}

/// An effect that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) name: String,
    pub(super) app: String,
    pub(super) team: TeamId,
    pub(super) effect: Effect,
    /// When its cause was written, milliseconds since 1970; 0 where that is not known.
    pub(super) at_ms: u64,
}

/// Something that was given up.
#[derive(Debug)]
pub(super) struct Dead {
    pub(super) seq: u64,
    pub(super) name: String,
    /// The delivery's key, or the effect's lane.
    pub(super) key: String,
    pub(super) error: String,
    pub(super) head: DeadHead,
    pub(super) body: String,
}

/// The newest state of a key.
#[derive(Debug, Default)]
pub(super) struct Newest {
    pub(super) seq: u64,
    pub(super) version: u32,
    pub(super) state: String,
}

/// The sum.
#[derive(Debug, Default)]
pub(super) struct Sum {
    /// The last entry in it; 0 while there is none.
    pub(super) upto: u64,
    pub(super) states: Map<String, Newest>,
    pub(super) rows: BTreeMap<u64, Row>,
    pub(super) settled: BTreeSet<u64>,
    pub(super) released: BTreeSet<u64>,
    /// Attempts that are on record, less those that the process survived.
    pub(super) attempts: BTreeMap<u64, i64>,
    pub(super) exhumed: BTreeSet<u64>,
    pub(super) effects: BTreeMap<(u64, u32), Waiting>,
    pub(super) ended: BTreeSet<(u64, u32)>,
    pub(super) posted: Vec<(String, ChannelId, Ts)>,
    pub(super) dead: Vec<Dead>,
    pub(super) marks: Vec<MarkBatch>,
}

impl Sum {
    /// Adds a batch that was just written.
    pub(super) fn add_batch(&mut self, batch: &Batch, at_ms: u64) -> Result<(), Error> {
        let mut hashes = Vec::new();
        for (seq, submission) in (batch.first..).zip(batch.submissions()) {
            self.add(seq, Line::of(&submission.record), at_ms)?;
            let mark = submission.mark.map(|mark| mark.0.to_be_bytes());
            hashes.extend(mark.into_iter().flatten());
        }
        self.add_marks(MarkBatch {
            seq: self.upto,
            at_ms,
            hashes,
        });
        Ok(())
    }

    /// Adds the marks of a batch.
    pub(super) fn add_marks(&mut self, marks: MarkBatch) {
        if !marks.hashes.is_empty() {
            self.marks.push(marks);
        }
    }

    /// Adds the entry `seq`, written at `at_ms`.
    pub(super) fn add(&mut self, seq: u64, line: Line<'_>, at_ms: u64) -> Result<(), Error> {
        self.upto = seq;
        match line {
            Line::Row { key, held, came } => {
                let row = Row {
                    key: key.into_owned(),
                    head: head(&came, held),
                    payload: came.payload.0.to_owned(),
                };
                self.rows.insert(seq, row);
            }
            Line::Release { row } => drop(self.released.insert(row)),
            Line::Attempt { row } => *self.attempts.entry(row).or_default() += 1,
            Line::Survived { row } => *self.attempts.entry(row).or_default() -= 1,
            Line::Drop { row } => self.settle(Some(row)),
            Line::Exhume { dead } => drop(self.exhumed.insert(dead)),
            Line::Turn { .. } => self.add_turn(seq, line, at_ms),
            Line::Dead { .. } => self.add_dead_delivery(seq, line, at_ms),
            Line::Requeue {
                dead,
                name,
                app,
                team,
                effect,
            } => {
                self.exhumed.insert(dead);
                let waiting = Waiting {
                    name: name.into_owned(),
                    app: app.into_owned(),
                    team,
                    effect: effect.into_owned(),
                    // Its tries go back to before this entry.
                    at_ms: 0,
                };
                self.effects.insert((seq, 0), waiting);
            }
            Line::Sent {
                turn,
                n,
                name,
                posted,
            } => {
                let posted = posted.map(|(channel, ts)| (name.into_owned(), channel, ts));
                self.posted.extend(posted);
                self.end(turn, n);
            }
            Line::DeadEffect { .. } => self.add_dead_effect(seq, line)?,
        }
        Ok(())
    }

    fn add_turn(&mut self, seq: u64, line: Line<'_>, at_ms: u64) {
        let Line::Turn {
            key,
            event,
            app,
            team,
            row,
            version,
            state,
            effects,
        } = line
        else {
            return;
        };
        self.settle(row);
        let of = (&*event, &*key, &*app, &team);
        self.add_effects(seq, of, effects, at_ms);
        let Some(state) = state else {
            return;
        };
        // A resident key's next state goes where its last one is: no allocation.
        let newest = match self.states.get_mut(&*key) {
            Some(newest) => newest,
            None => self.states.entry(key.into_owned()).or_default(),
        };
        (newest.seq, newest.version) = (seq, version);
        newest.state.clear();
        newest.state.push_str(state.0);
    }

    /// What a delivery (event, key, app, team) leads to is waiting.
    fn add_effects(
        &mut self,
        seq: u64,
        (event, key, app, team): (&str, &str, &str, &TeamId),
        effects: Cow<'_, [Effect]>,
        at_ms: u64,
    ) {
        if effects.is_empty() {
            return;
        }
        let handler = key.split('/').next().unwrap_or_default();
        for (n, effect) in (0..).zip(effects.into_owned()) {
            let waiting = Waiting {
                name: format!("{event}/{handler}#{n}"),
                app: app.to_owned(),
                team: team.clone(),
                effect,
                at_ms,
            };
            self.effects.insert((seq, n), waiting);
        }
    }

    fn add_dead_delivery(&mut self, seq: u64, line: Line<'_>, at_ms: u64) {
        let Line::Dead {
            key,
            row,
            error,
            came,
            effects,
        } = line
        else {
            return;
        };
        self.settle(row);
        let of = (&*came.event, &*key, &*came.app, &came.team);
        self.add_effects(seq, of, effects, at_ms);
        self.dead.push(Dead {
            seq,
            name: came.event.clone().into_owned(),
            key: key.into_owned(),
            error: error.into_owned(),
            head: DeadHead::Delivery(head(&came, false)),
            body: came.payload.0.to_owned(),
        });
    }

    fn add_dead_effect(&mut self, seq: u64, line: Line<'_>) -> Result<(), Error> {
        let Line::DeadEffect {
            turn,
            n,
            name,
            app,
            team,
            lane,
            error,
            effect,
        } = line
        else {
            return Ok(());
        };
        self.end(turn, n);
        self.dead.push(Dead {
            seq,
            name: name.into_owned(),
            key: lane.into_owned(),
            error: error.into_owned(),
            head: DeadHead::Effect {
                app: app.into_owned(),
                team,
            },
            body: serde_json::to_string(&*effect)
                .map_err(|error| Error::Damaged(error.to_string()))?,
        });
        Ok(())
    }

    fn settle(&mut self, row: Option<u64>) {
        if let Some(row) = row
            && self.rows.remove(&row).is_none()
        {
            self.settled.insert(row);
        }
    }

    fn end(&mut self, turn: u64, n: u32) {
        if self.effects.remove(&(turn, n)).is_none() {
            self.ended.insert((turn, n));
        }
    }

    /// The states in the order of their keys, in which they are written quickest.
    pub(super) fn states(&self) -> Vec<(&str, &Newest)> {
        let mut states: Vec<_> = self
            .states
            .iter()
            .map(|(key, newest)| (key.as_str(), newest))
            .collect();
        states.sort_unstable_by_key(|(key, _)| *key);
        states
    }
}

fn head(came: &Came<'_>, held: bool) -> RowHead {
    RowHead {
        id: came.event.clone().into_owned(),
        app: came.app.clone().into_owned(),
        team: came.team.clone(),
        kind: came.kind,
        received_ms: came.received_ms,
        held,
    }
}
