//! The queries behind a look.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use rusqlite::{OptionalExtension, Params, Row};

use super::{Filter, Found, Page, Query, Summary, safe};
use crate::flow::effect::Effect;
use crate::store::exhume::DeadLetter;
use crate::store::journal::{bytes, from_sql, to_sql};
use crate::store::record::{DeadHead, RowHead};
use crate::store::state::StateReader;
use crate::store::{Error, doing};

/// The time of day of the milliseconds in a column, as text; in the one zone that servers share.
macro_rules! at {
    ($column:literal) => {
        concat!(
            "strftime('%Y-%m-%dT%H:%M:%SZ', ",
            $column,
            " / 1000, 'unixepoch')"
        )
    };
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Damaged(format!("{what}: {error}")))
}

/// The handler whose turn wanted the effect: its delivery's name ends with it.
fn handler_of(effect_name: &str) -> &str {
    let (delivery, _) = effect_name.rsplit_once('#').unwrap_or_default();
    delivery.rsplit('/').next().unwrap_or_default()
}

/// Its lane, and what it does.
fn described(effect: &Effect) -> (String, String) {
    match effect {
        Effect::Call(call) => {
            let lane = call.lane();
            (
                safe::method(&lane).to_owned(),
                safe::method(&call.method).to_owned(),
            )
        }
        Effect::Job(job) => ("jobs".to_owned(), job.name.clone()),
        Effect::Memo(memo) => ("memos".to_owned(), memo.name.clone()),
    }
}

struct StoredEffect {
    name: String,
    app: String,
    team: String,
    effect: Effect,
    stored: String,
}

impl StateReader {
    /// Runs a query and hands over its rows until one of them says that it is enough.
    fn each<P: Params>(
        &self,
        sql: &str,
        params: P,
        mut take: impl FnMut(&Row<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let fail = doing("looking into the store");
        let mut query = self.db.prepare(sql).map_err(&fail)?;
        let mut rows = query.query(params).map_err(&fail)?;
        while let Some(row) = rows.next().map_err(&fail)? {
            if !take(row)? {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn keys(&self, query: &Query, page: &mut Page) -> Result<(), Error> {
        let prefix = query.filter.prefix();
        let sql =
            "SELECT key, version, state FROM state WHERE key >= ?1 AND key < ?1 || char(1114111)
            ORDER BY key";
        self.each(sql, [prefix], |row| {
            let key: String = column(row, 0)?;
            if !query.filter.is_met_by(&key) {
                return Ok(true);
            }
            page.push(&Found::Key {
                key,
                version: column(row, 1)?,
                state: safe::json(&stored(row, 2)?),
            })
        })
    }

    pub(super) fn backlog(&self, query: &Query, page: &mut Page) -> Result<(), Error> {
        let sql = concat!(
            "SELECT of_key.key, waiting, ",
            at!("json_extract(head, '$.received_ms')"),
            ", attempts, head FROM
                (SELECT key, count(*) AS waiting, min(seq) AS oldest FROM inbox GROUP BY key) AS of_key
                JOIN inbox ON seq = oldest ORDER BY oldest"
        );
        self.each(sql, [], |row| {
            let key: String = column(row, 0)?;
            if !query.filter.is_met_by(&key) {
                return Ok(true);
            }
            let head: RowHead = parsed(&column::<String>(row, 4)?, &key)?;
            page.push(&Found::Backlog {
                key,
                waiting: column(row, 1).map(from_sql)?,
                since: column(row, 2)?,
                attempts: column(row, 3)?,
                kind: head.kind.word(),
                oldest: head.id,
            })
        })
    }

    pub(super) fn deliveries(
        &self,
        key: &str,
        query: &Query,
        page: &mut Page,
    ) -> Result<(), Error> {
        let sql = concat!(
            "SELECT seq, ",
            at!("json_extract(head, '$.received_ms')"),
            ", attempts, head, iif(?2, payload, NULL) FROM inbox WHERE key = ?1 ORDER BY seq"
        );
        self.each(sql, (key, query.with_payload), |row| {
            let head: RowHead = parsed(&column::<String>(row, 3)?, key)?;
            let payload = stored(row, 4)?;
            page.push(&Found::Delivery {
                entry: column(row, 0).map(from_sql)?,
                at: column(row, 1)?,
                kind: head.kind.word(),
                name: head.id,
                key: key.to_owned(),
                attempts: column(row, 2)?,
                payload: query.with_payload.then(|| safe::json(&payload)),
            })
        })
    }

    /// The waiting effects that meet the filter, in order.
    fn outbox(
        &self,
        filter: &Filter,
        mut take: impl FnMut(StoredEffect) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let sql = "SELECT name, app, team, effect FROM outbox ORDER BY seq, n";
        self.each(sql, [], |row| {
            let (name, app, team): (String, String, String) =
                (column(row, 0)?, column(row, 1)?, column(row, 2)?);
            if !filter.is_met(handler_of(&name), &app, &team) {
                return Ok(true);
            }
            let stored: String = column(row, 3)?;
            take(StoredEffect {
                effect: parsed(&stored, &name)?,
                name,
                app,
                team,
                stored,
            })
        })
    }

    pub(super) fn lanes(&self, query: &Query, page: &mut Page) -> Result<(), Error> {
        let mut lanes: Vec<(StoredEffect, u64)> = Vec::new();
        let mut known: HashMap<(String, String, String), usize> = HashMap::new();
        self.outbox(&query.filter, |waiting| {
            let (lane, _) = described(&waiting.effect);
            let id = (waiting.app.clone(), waiting.team.clone(), lane);
            let at = *known.entry(id).or_insert(lanes.len());
            match lanes.get_mut(at) {
                Some((_, count)) => *count += 1,
                None => lanes.push((waiting, 1)),
            }
            Ok(true)
        })?;
        for (oldest, waiting) in lanes {
            let (lane, what) = described(&oldest.effect);
            let lane = Found::Lane {
                app: oldest.app,
                team: oldest.team,
                lane,
                waiting,
                what,
                oldest: oldest.name,
            };
            if !page.push(&lane)? {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn effects_of(
        &self,
        wanted: &str,
        query: &Query,
        page: &mut Page,
    ) -> Result<(), Error> {
        self.outbox(&query.filter, |waiting| {
            let (lane, what) = described(&waiting.effect);
            if lane != wanted {
                return Ok(true);
            }
            let payload = query
                .with_payload
                .then(|| safe::json(waiting.stored.as_bytes()));
            page.push(&Found::Effect {
                name: waiting.name,
                app: waiting.app,
                team: waiting.team,
                lane,
                what,
                payload,
            })
        })
    }

    pub(super) fn dead(&self, query: &Query, page: &mut Page) -> Result<(), Error> {
        let sql = concat!(
            "SELECT seq, ",
            at!("at_ms"),
            ", kind, name, key, error, head, iif(?1, body, NULL) FROM dead ORDER BY seq"
        );
        self.each(sql, [query.with_payload], |row| {
            let (name, key): (String, String) = (column(row, 3)?, column(row, 4)?);
            let head: DeadHead = parsed(&column::<String>(row, 6)?, &name)?;
            if !is_wanted(&query.filter, &head, &name, &key) {
                return Ok(true);
            }
            let (error, body) = (column::<String>(row, 5)?, stored(row, 7)?);
            let error = match head {
                DeadHead::Delivery(_) => safe::text(&error),
                DeadHead::Effect { .. } => safe::text_of_call(&error),
            };
            page.push(&Found::Dead {
                id: column(row, 0).map(from_sql)?,
                at: column(row, 1)?,
                kind: column(row, 2)?,
                name,
                of: safe::method(&key).to_owned(),
                error,
                payload: query.with_payload.then(|| safe::json(&body)),
            })
        })
    }

    pub(super) fn dead_ids(&self, filter: &Filter, count: usize) -> Result<Vec<u64>, Error> {
        let mut ids = Vec::new();
        let sql = "SELECT seq, name, key, head FROM dead ORDER BY seq";
        self.each(sql, [], |row| {
            let (name, key): (String, String) = (column(row, 1)?, column(row, 2)?);
            let head: DeadHead = parsed(&column::<String>(row, 3)?, &name)?;
            if is_wanted(filter, &head, &name, &key) {
                ids.push(column(row, 0).map(from_sql)?);
            }
            Ok(ids.len() < count)
        })?;
        Ok(ids)
    }

    pub(super) fn letter(&self, id: u64) -> Result<Option<DeadLetter>, Error> {
        let sql = "SELECT name, key, head, body FROM dead WHERE seq = ?";
        let fail = doing("reading a dead letter");
        let found: Option<(String, String, String, Option<Bytes>)> = self
            .db
            .prepare_cached(sql)
            .and_then(|mut query| {
                let row = |row: &Row<'_>| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        bytes(row.get_ref(3)?),
                    ))
                };
                query.query_row([to_sql(id)], row).optional()
            })
            .map_err(fail)?;
        let Some((name, key, head, body)) = found else {
            return Ok(None);
        };
        let head = parsed(&head, &name)?;
        let body = body.unwrap_or_default();
        Ok(Some(DeadLetter {
            id,
            name,
            key,
            head,
            body,
        }))
    }

    pub(super) fn summary(&self, query: &Query, page: &mut Page) -> Result<(), Error> {
        let mut handlers: BTreeMap<String, Summary> = BTreeMap::new();
        let filter = &query.filter;
        let mut count = |handler: &str, add: fn(&mut Summary)| {
            if let Some(known) = handlers.get_mut(handler) {
                return add(known);
            }
            let mut new = Summary {
                handler: handler.to_owned(),
                ..Summary::default()
            };
            add(&mut new);
            handlers.insert(handler.to_owned(), new);
        };
        let of_key = |key: &str| key.split('/').next().unwrap_or_default().to_owned();
        self.each("SELECT key FROM state", [], |row| {
            let key: String = column(row, 0)?;
            if filter.is_met_by(&key) {
                count(&of_key(&key), |summary| summary.keys += 1);
            }
            Ok(true)
        })?;
        self.each("SELECT key FROM inbox", [], |row| {
            let key: String = column(row, 0)?;
            if filter.is_met_by(&key) {
                count(&of_key(&key), |summary| summary.waiting += 1);
            }
            Ok(true)
        })?;
        self.each("SELECT name, app, team FROM outbox", [], |row| {
            let name: String = column(row, 0)?;
            let handler = handler_of(&name);
            if filter.is_met(
                handler,
                &column::<String>(row, 1)?,
                &column::<String>(row, 2)?,
            ) {
                count(handler, |summary| summary.effects += 1);
            }
            Ok(true)
        })?;
        self.each("SELECT name, key, head FROM dead", [], |row| {
            let (name, key): (String, String) = (column(row, 0)?, column(row, 1)?);
            let head: DeadHead = parsed(&column::<String>(row, 2)?, &name)?;
            if is_wanted(filter, &head, &name, &key) {
                let handler = match head {
                    DeadHead::Delivery(_) => of_key(&key),
                    DeadHead::Effect { .. } => handler_of(&name).to_owned(),
                };
                count(&handler, |summary| summary.dead += 1);
            }
            Ok(true)
        })?;
        for summary in handlers.into_values() {
            if !page.push(&Found::Summary(summary))? {
                break;
            }
        }
        Ok(())
    }
}

fn is_wanted(filter: &Filter, head: &DeadHead, name: &str, key: &str) -> bool {
    match head {
        DeadHead::Delivery(_) => filter.is_met_by(key),
        DeadHead::Effect { app, team } => filter.is_met(handler_of(name), app, team.as_str()),
    }
}

fn column<T: rusqlite::types::FromSql>(row: &Row<'_>, at: usize) -> Result<T, Error> {
    row.get(at).map_err(doing("looking into the store"))
}

fn stored(row: &Row<'_>, at: usize) -> Result<Bytes, Error> {
    let value = row.get_ref(at).map_err(doing("looking into the store"))?;
    Ok(bytes(value).unwrap_or_default())
}
