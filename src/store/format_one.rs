//! The journal of format 1, in which each entry was a row of its own. Read once, at the first start after an update.

use std::borrow::Cow;

use rusqlite::{Connection, params};
use serde::Deserialize;

use super::journal::{MarkBatch, Read, from_sql, has_table, to_sql};
use super::line::{Came, Json, Line};
use super::record::{DeadHead, RowHead};
use super::{Error, doing};
use crate::flow::effect::Effect;
use crate::slack::id::TeamId;

/// Entries that are given on at once.
const AT_ONCE: i64 = 10_000;

/// The columns of an entry.
struct Entry {
    seq: u64,
    kind: String,
    name: String,
    key: String,
    refers: Option<u64>,
    n: u32,
    body: Option<String>,
    extra: String,
}

/// What a turn's `extra` held.
#[derive(Deserialize)]
struct TurnExtra {
    app: String,
    team: TeamId,
    #[serde(default)]
    effects: Vec<Effect>,
}

/// What a dead letter's `extra` held.
#[derive(Deserialize)]
struct DeadExtra {
    error: String,
    head: DeadHead,
}

/// Gives the entries of a file after `after` to `add`; none where the file has no tables yet.
pub(super) fn read(
    file: &Connection,
    mut after: u64,
    mut add: impl FnMut(Read<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    if !(has_table(file, "entry")? && has_table(file, "mark")?) {
        return Ok(());
    }
    loop {
        let entries = entries(file, after)?;
        let Some(last) = entries.last().map(|entry| entry.seq) else {
            return Ok(());
        };
        let mut lines = Vec::with_capacity(entries.len());
        for entry in &entries {
            lines.push((entry.seq, entry.line()?));
        }
        let mut marks = marks(file, after, last)?;
        let newest = marks.pop();
        for marks in marks {
            add(Read {
                at_ms: 0,
                bytes: 0,
                lines: Vec::new(),
                marks,
            })?;
        }
        add(Read {
            at_ms: 0,
            bytes: entries.iter().map(Entry::bytes).sum(),
            lines,
            marks: newest.unwrap_or(MarkBatch {
                seq: last,
                at_ms: 0,
                hashes: Vec::new(),
            }),
        })?;
        after = last;
    }
}

fn entries(file: &Connection, after: u64) -> Result<Vec<Entry>, Error> {
    let fail = doing("reading a journal of format 1");
    let mut query = file
        .prepare("SELECT seq, kind, name, key, refers, n, body, extra FROM entry WHERE seq > ? ORDER BY seq LIMIT ?")
        .map_err(&fail)?;
    let rows = query
        .query_map(params![to_sql(after), AT_ONCE], |row| {
            let text = |at| {
                Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(at)?.unwrap_or_default())
            };
            Ok(Entry {
                seq: from_sql(row.get(0)?),
                kind: row.get(1)?,
                name: text(2)?,
                key: text(3)?,
                refers: row.get::<_, Option<i64>>(4)?.map(from_sql),
                n: row.get::<_, Option<u32>>(5)?.unwrap_or_default(),
                body: row.get(6)?,
                extra: text(7)?,
            })
        })
        .map_err(&fail)?;
    rows.collect::<Result<_, _>>().map_err(fail)
}

fn marks(file: &Connection, after: u64, upto: u64) -> Result<Vec<MarkBatch>, Error> {
    let fail = doing("reading the marks of a journal of format 1");
    let mut query = file
        .prepare("SELECT seq, at_ms, hashes FROM mark WHERE seq > ? AND seq <= ? ORDER BY seq")
        .map_err(&fail)?;
    let rows = query
        .query_map(params![to_sql(after), to_sql(upto)], |row| {
            Ok(MarkBatch {
                seq: from_sql(row.get(0)?),
                at_ms: from_sql(row.get(1)?),
                hashes: row.get(2)?,
            })
        })
        .map_err(&fail)?;
    rows.collect::<Result<_, _>>().map_err(fail)
}

impl Entry {
    fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, String::len) + self.extra.len()
    }

    fn extra<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        serde_json::from_str(&self.extra)
            .map_err(|error| Error::Damaged(format!("entry {} ({}): {error}", self.seq, self.kind)))
    }

    fn came<'a>(&'a self, head: &RowHead) -> Came<'a> {
        Came {
            event: Cow::Owned(head.id.clone()),
            app: Cow::Owned(head.app.clone()),
            team: head.team.clone(),
            kind: head.kind,
            received_ms: head.received_ms,
            payload: Json(self.body.as_deref().unwrap_or_default()),
        }
    }

    fn line(&self) -> Result<Line<'_>, Error> {
        let (key, name) = (
            Cow::Borrowed(self.key.as_str()),
            Cow::Borrowed(self.name.as_str()),
        );
        let refers = self.refers.unwrap_or_default();
        Ok(match self.kind.as_str() {
            "row" => {
                let head: RowHead = self.extra()?;
                Line::Row {
                    key,
                    held: head.held,
                    came: self.came(&head),
                }
            }
            "release" => Line::Release { row: refers },
            "attempt" => Line::Attempt { row: refers },
            "survived" => Line::Survived { row: refers },
            "drop" => Line::Drop { row: refers },
            "exhume" => Line::Exhume { dead: refers },
            "turn" => self.turn()?,
            "requeue" => {
                let TurnExtra {
                    app,
                    team,
                    mut effects,
                } = self.extra()?;
                let effect = effects
                    .pop()
                    .ok_or_else(|| Error::Damaged(format!("entry {} has no effect", self.seq)))?;
                Line::Requeue {
                    dead: refers,
                    name,
                    app: Cow::Owned(app),
                    team,
                    effect: Cow::Owned(effect),
                }
            }
            "sent" => Line::Sent {
                turn: refers,
                n: self.n,
                name,
                posted: if self.extra.is_empty() {
                    None
                } else {
                    Some(self.extra()?)
                },
            },
            "dead" => self.dead()?,
            other => {
                return Err(Error::Damaged(format!(
                    "entry {} has the unknown kind {other}",
                    self.seq
                )));
            }
        })
    }

    fn turn(&self) -> Result<Line<'_>, Error> {
        let TurnExtra { app, team, effects } = self.extra()?;
        // A delivery's name was the envelope's id and the handler's NAME.
        let event = self.name.rsplit_once('/').map_or("", |(event, _)| event);
        Ok(Line::Turn {
            key: Cow::Borrowed(&self.key),
            event: Cow::Borrowed(event),
            app: Cow::Owned(app),
            team,
            row: self.refers,
            version: self.n,
            state: self.body.as_deref().map(Json),
            effects: Cow::Owned(effects),
        })
    }

    fn dead(&self) -> Result<Line<'_>, Error> {
        let DeadExtra { error, head } = self.extra()?;
        Ok(match head {
            DeadHead::Delivery(head) => Line::Dead {
                key: Cow::Borrowed(&self.key),
                row: self.refers,
                error: Cow::Owned(error),
                came: self.came(&head),
                effects: Cow::Borrowed(&[]),
            },
            DeadHead::Effect { app, team } => Line::DeadEffect {
                turn: self.refers.unwrap_or_default(),
                n: self.n,
                name: Cow::Borrowed(&self.name),
                app: Cow::Owned(app),
                team,
                lane: Cow::Borrowed(&self.key),
                error: Cow::Owned(error),
                effect: Cow::Owned(
                    serde_json::from_str(self.body.as_deref().unwrap_or_default())
                        .map_err(|error| Error::Damaged(format!("entry {}: {error}", self.seq)))?,
                ),
            },
        })
    }
}

#[cfg(test)]
mod tests;
