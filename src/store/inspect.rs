//! Looking into the store: its keys, what waits, what was given up.
//!
//! Every look is a connection of its own that only reads, so it slows nobody down; and the folder catches up
//! first, so that it shows everything that is durable. No token, secret or response URL is ever shown.
mod queries;
mod safe;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::exhume::DeadLetter;
use super::state::StateReader;
use super::{Error, folder};
use crate::base::limits::{ANSWER_BYTES_MAX, ANSWER_LINES_DEFAULT, ANSWER_LINES_MAX};
use crate::flow::key::Key;

/// How long the folder may take to catch up before a look shows what it has.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);

/// What can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Keys with their state.
    Keys,
    /// The state of one key.
    State,
    /// Unfinished deliveries: how many each key has, or those of one key.
    Backlog,
    /// Waiting effects: how many each lane has, or those of one lane.
    Outbox,
    /// Dead letters.
    Dead,
    /// How much there is of everything.
    #[default]
    Summary,
}

/// Only what belongs to these; everything where they are not given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// A handler's NAME.
    pub handler: Option<String>,
    /// An app's configured name.
    pub app: Option<String>,
    /// A workspace.
    pub team: Option<String>,
}

impl Filter {
    fn is_met(&self, handler: &str, app: &str, team: &str) -> bool {
        let fits =
            |wanted: &Option<String>, it| wanted.as_deref().is_none_or(|wanted| wanted == it);
        fits(&self.handler, handler) && fits(&self.app, app) && fits(&self.team, team)
    }

    fn is_met_by(&self, key: &str) -> bool {
        let mut parts = key.split('/');
        let mut part = || parts.next().unwrap_or_default();
        self.is_met(part(), part(), part())
    }

    /// What every key that meets it begins with.
    fn prefix(&self) -> String {
        let parts = [&self.handler, &self.app, &self.team];
        let known = parts.into_iter().map_while(Option::as_deref);
        known.flat_map(|part| [part, "/"]).collect()
    }
}

/// A look.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// At what.
    #[serde(default)]
    pub what: What,
    /// The key or lane, where one is meant.
    #[serde(default)]
    pub of: Option<String>,
    /// Whose.
    #[serde(default)]
    pub filter: Filter,
    /// How many lines at most; [`ANSWER_LINES_MAX`] where it is more.
    #[serde(default = "lines_default")]
    pub limit: usize,
    /// With the payloads of deliveries and the arguments of effects.
    #[serde(default)]
    pub with_payload: bool,
}

fn lines_default() -> usize {
    ANSWER_LINES_DEFAULT
}

impl Default for Query {
    fn default() -> Self {
        Self {
            what: What::default(),
            of: None,
            filter: Filter::default(),
            limit: ANSWER_LINES_DEFAULT,
            with_payload: false,
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Found {
    /// A key and its state.
    Key {
        /// The key.
        key: String,
        /// The version of the state's shape.
        version: u32,
        /// The state.
        state: Value,
    },
    /// A key that has unfinished deliveries.
    Backlog {
        /// The key.
        key: String,
        /// How many.
        waiting: u64,
        /// When the oldest was received.
        since: String,
        /// How many earlier runs of the process ended while they ran the oldest.
        attempts: u32,
        /// The kind of the oldest.
        kind: &'static str,
        /// The envelope id of the oldest.
        oldest: String,
    },
    /// An unfinished delivery.
    Delivery {
        /// Its journal entry.
        entry: u64,
        /// When it was received.
        at: String,
        /// What it is.
        kind: &'static str,
        /// Its envelope id.
        name: String,
        /// Whose it is.
        key: String,
        /// How many earlier runs of the process ended while they ran it.
        attempts: u32,
        /// What came.
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Value>,
    },
    /// A lane with waiting effects.
    Lane {
        /// The app that acts.
        app: String,
        /// The workspace it acts in.
        team: String,
        /// The channel or method.
        lane: String,
        /// How many.
        waiting: u64,
        /// What the oldest does.
        what: String,
        /// The durable name of the oldest.
        oldest: String,
    },
    /// A waiting effect.
    Effect {
        /// Its durable name.
        name: String,
        /// The app that acts.
        app: String,
        /// The workspace it acts in.
        team: String,
        /// The channel or method.
        lane: String,
        /// The method, or the job.
        what: String,
        /// The whole effect.
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Value>,
    },
    /// A dead letter.
    Dead {
        /// By this it is retried or dropped.
        id: u64,
        /// When it was given up.
        at: String,
        /// What it was: a delivery's kind, or `effect`.
        kind: String,
        /// The delivery's envelope id, or the effect's durable name.
        name: String,
        /// The delivery's key, or the effect's lane.
        of: String,
        /// Why.
        error: String,
        /// What came, or the whole effect.
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Value>,
    },
    /// How much a handler has of everything.
    Summary(Summary),
}

/// How much a handler has of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its NAME.
    pub handler: String,
    /// Keys with a state.
    pub keys: u64,
    /// Unfinished deliveries.
    pub waiting: u64,
    /// Waiting effects.
    pub effects: u64,
    /// Dead letters.
    pub dead: u64,
}

/// An answer of bounded size: JSON, a line each.
#[derive(Debug, Default)]
pub struct Page {
    /// The lines.
    pub lines: Vec<String>,
    /// There was more.
    pub is_cut: bool,
    /// Durable entries that are not part of it, because the folder did not catch up in time.
    pub behind: u64,
    limit: usize,
    bytes: usize,
}

impl Page {
    fn new(limit: usize, behind: u64) -> Self {
        Self {
            limit: limit.min(ANSWER_LINES_MAX),
            behind,
            ..Self::default()
        }
    }

    /// Adds a line; false when there is no room for more.
    fn push(&mut self, found: &Found) -> Result<bool, Error> {
        let line =
            serde_json::to_string(found).map_err(|error| Error::Damaged(error.to_string()))?;
        let has_room = self.lines.is_empty() || self.bytes + line.len() <= ANSWER_BYTES_MAX;
        if self.lines.len() >= self.limit || !has_room {
            self.is_cut = true;
            return Ok(false);
        }
        self.bytes += line.len();
        self.lines.push(line);
        Ok(true)
    }
}

/// Looks into an open store, from whatever thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inspector {
    path: PathBuf,
    folding: folder::Handle,
}

impl Inspector {
    pub(super) fn new(path: &Path, folding: folder::Handle) -> Self {
        Self {
            path: path.to_owned(),
            folding,
        }
    }

    /// Answers one question. Blocks, up to seconds in a large store.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn look(&self, query: &Query) -> Result<Page, Error> {
        let mut page = Page::new(query.limit, self.folding.catch_up(CATCH_UP_WITHIN));
        let state = StateReader::open(&self.path)?;
        match (query.what, query.of.as_deref()) {
            (What::Keys, _) => state.keys(query, &mut page)?,
            (What::State, of) => {
                let key = Key::from_stored(of.unwrap_or_default());
                if let Some((version, bytes)) = state.state(&key)? {
                    page.push(&Found::Key {
                        key: key.as_str().to_owned(),
                        version,
                        state: safe::json(&bytes),
                    })?;
                }
            }
            (What::Backlog, None) => state.backlog(query, &mut page)?,
            (What::Backlog, Some(key)) => state.deliveries(key, query, &mut page)?,
            (What::Outbox, None) => state.lanes(query, &mut page)?,
            (What::Outbox, Some(lane)) => state.effects_of(lane, query, &mut page)?,
            (What::Dead, _) => state.dead(query, &mut page)?,
            (What::Summary, _) => state.summary(query, &mut page)?,
        }
        Ok(page)
    }

    /// Brings the folder up to date, so that a dead letter that left is gone; false when that did not come about
    /// in time. Blocks.
    pub fn catch_up(&self) -> bool {
        self.folding.catch_up(CATCH_UP_WITHIN) == 0
    }

    /// These dead letters, those of them that exist, in order. Blocks.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn letters(&self, ids: &[u64]) -> Result<Vec<DeadLetter>, Error> {
        let state = StateReader::open(&self.path)?;
        let found = ids.iter().map(|&id| state.letter(id));
        found.filter_map(Result::transpose).collect()
    }

    /// The numbers of the dead letters that meet the filter, the oldest first, `count` at most. Blocks.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn dead_ids(&self, filter: &Filter, count: usize) -> Result<Vec<u64>, Error> {
        StateReader::open(&self.path)?.dead_ids(filter, count)
    }
}
