//! `state.db`: what follows from the journal up to its watermark.

use std::path::Path;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::journal::{bytes, from_sql, to_sql};
use super::record::{DeadHead, RowHead};
use super::sum::Sum;
use super::{Error, RecoveredRow, doing, format, marks};
use crate::base::limits::POSTED_ON_DISK;
use crate::flow::effect::{Committed, EffectName};
use crate::flow::envelope::Mark;
use crate::flow::key::{AppName, Key};
use crate::slack::id::Ts;

/// The file's name.
pub(super) const FILE: &str = "state.db";

/// Older ones may damage a database that two connections write and checkpoint at the same time.
const SQLITE_OLDEST: i32 = 3_051_003;

/// A connection to `state.db`.
#[derive(Debug)]
pub(super) struct State {
    db: Connection,
}

impl State {
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let mut db = Connection::open(&path).map_err(doing("opening state.db"))?;
        let fail = doing("preparing state.db");
        db.busy_timeout(std::time::Duration::from_secs(5))
            .and_then(|()| db.pragma_update(None, "journal_mode", "WAL"))
            .and_then(|()| db.pragma_update(None, "synchronous", "FULL"))
            .map_err(&fail)?;
        let mode: String = db
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .map_err(&fail)?;
        if mode != "wal" || rusqlite::version_number() < SQLITE_OLDEST {
            return Err(Error::Unusable {
                path: path.display().to_string(),
                why: format!(
                    "SQLite {} in {mode} mode; 3.51.3 or newer in wal mode is needed",
                    rusqlite::version()
                ),
            });
        }
        format::bring_up(&mut db, &path)?;
        // A file that can only be read would be found out at the first fold.
        db.execute_batch("BEGIN IMMEDIATE; ROLLBACK;")
            .map_err(|error| Error::Unusable {
                path: path.display().to_string(),
                why: error.to_string(),
            })?;
        Ok(Self { db })
    }

    /// A database in memory, for as long as somebody has it open under this name.
    #[cfg(test)]
    pub(super) fn in_memory(name: &str) -> Result<Self, Error> {
        let mut db = Connection::open(format!("file:{name}?mode=memory&cache=shared"))
            .map_err(doing("opening a database in memory"))?;
        format::bring_up(&mut db, Path::new(name))?;
        Ok(Self { db })
    }

    /// The last entry that is folded.
    pub(super) fn watermark(&self) -> Result<u64, Error> {
        self.db
            .query_row(
                "SELECT value FROM meta WHERE name = 'watermark'",
                [],
                |row| row.get(0).map(from_sql),
            )
            .optional()
            .map(Option::unwrap_or_default)
            .map_err(doing("reading the watermark"))
    }

    /// Brings a stretch of the journal in, together with the watermark, in one transaction.
    pub(super) fn fold(&mut self, sum: &Sum, now_ms: u64) -> Result<(), Error> {
        if sum.upto == 0 {
            return Ok(());
        }
        let fail = doing("folding the journal into state.db");
        let transaction = self.db.transaction().map_err(&fail)?;
        write_sum(&transaction, sum, now_ms)
            .and_then(|()| marks::write(&transaction, &sum.marks, now_ms))
            .and_then(|()| {
                transaction.execute(
                    "INSERT INTO meta(name, value) VALUES ('watermark', ?)
                        ON CONFLICT(name) DO UPDATE SET value = excluded.value",
                    [to_sql(sum.upto)],
                )
            })
            .map_err(&fail)?;
        transaction.commit().map_err(fail)
    }

    /// The unfinished deliveries, oldest first, without their payloads.
    pub(super) fn rows(&self) -> Result<Vec<RecoveredRow>, Error> {
        let fail = doing("reading the inbox");
        let mut query = self
            .db
            .prepare("SELECT seq, key, head, released, attempts FROM inbox ORDER BY seq")
            .map_err(&fail)?;
        let mut rows = query.query([]).map_err(&fail)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(&fail)? {
            let (seq, key, head): (i64, String, String) = (
                row.get(0).map_err(&fail)?,
                row.get(1).map_err(&fail)?,
                row.get(2).map_err(&fail)?,
            );
            let head: RowHead =
                serde_json::from_str(&head).map_err(|error| Error::Damaged(error.to_string()))?;
            let is_released: bool = row.get(3).map_err(&fail)?;
            found.push(RecoveredRow {
                seq: from_sql(seq),
                key: Key::from_stored(&key),
                is_held: head.held && !is_released,
                is_released,
                attempts: row.get(4).map_err(&fail)?,
                head,
            });
        }
        Ok(found)
    }

    /// The effects that are not known to be done, in order.
    pub(super) fn effects(&self) -> Result<Vec<Committed>, Error> {
        let fail = doing("reading the outbox");
        let mut query = self
            .db
            .prepare("SELECT seq, n, name, app, team, effect, at_ms FROM outbox ORDER BY seq, n")
            .map_err(&fail)?;
        let mut rows = query.query([]).map_err(&fail)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(&fail)? {
            let effect: String = row.get(5).map_err(&fail)?;
            found.push(Committed {
                seq: row.get(0).map(from_sql).map_err(&fail)?,
                n: row.get(1).map_err(&fail)?,
                name: EffectName(row.get(2).map_err(&fail)?),
                app: AppName::new(&row.get::<_, String>(3).map_err(&fail)?),
                team: row.get::<_, String>(4).map_err(&fail)?.into(),
                effect: serde_json::from_str(&effect)
                    .map_err(|error| Error::Damaged(error.to_string()))?,
                at_ms: row.get(6).map(from_sql).map_err(&fail)?,
                is_recovered: true,
            });
        }
        Ok(found)
    }

    /// The marks of everything since `since_ms`, and of some before.
    pub(super) fn marks_since(&self, since_ms: u64) -> Result<Vec<Mark>, Error> {
        marks::since(&self.db, since_ms)
    }
}

fn write_sum(db: &Transaction<'_>, sum: &Sum, now_ms: u64) -> rusqlite::Result<()> {
    let mut put = db.prepare_cached(
        "INSERT INTO state(key, version, seq, state) VALUES (?,?,?,?) ON CONFLICT(key) DO UPDATE
            SET version = excluded.version, seq = excluded.seq, state = excluded.state",
    )?;
    for (key, newest) in sum.states() {
        let seq = to_sql(newest.seq);
        put.execute(params![key, newest.version, seq, newest.state])?;
    }
    let mut put =
        db.prepare_cached("INSERT INTO inbox(seq, name, key, head, payload) VALUES (?,?,?,?,?)")?;
    for (seq, row) in &sum.rows {
        let head = json(&row.head)?;
        put.execute(params![
            to_sql(*seq),
            row.head.id,
            row.key,
            head,
            row.payload
        ])?;
    }
    let mut settle = db.prepare_cached("DELETE FROM inbox WHERE seq = ?")?;
    for seq in &sum.settled {
        settle.execute([to_sql(*seq)])?;
    }
    let mut release = db.prepare_cached("UPDATE inbox SET released = 1 WHERE seq = ?")?;
    for seq in &sum.released {
        release.execute([to_sql(*seq)])?;
    }
    let mut attempt =
        db.prepare_cached("UPDATE inbox SET attempts = attempts + ? WHERE seq = ?")?;
    for (seq, count) in &sum.attempts {
        attempt.execute(params![count, to_sql(*seq)])?;
    }
    write_effects(db, sum, now_ms)?;
    write_dead(db, sum, now_ms)
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn write_dead(db: &Transaction<'_>, sum: &Sum, now_ms: u64) -> rusqlite::Result<()> {
    let mut bury = db.prepare_cached(
        "INSERT INTO dead(seq, at_ms, kind, name, key, error, head, body) VALUES (?,?,?,?,?,?,?,?)",
    )?;
    for dead in &sum.dead {
        let kind = match &dead.head {
            DeadHead::Delivery(head) => head.kind.word(),
            DeadHead::Effect { .. } => "effect",
        };
        bury.execute(params![
            to_sql(dead.seq),
            to_sql(now_ms),
            kind,
            dead.name,
            dead.key,
            dead.error,
            json(&dead.head)?,
            dead.body
        ])?;
    }
    let mut exhume = db.prepare_cached("DELETE FROM dead WHERE seq = ?")?;
    for dead in &sum.exhumed {
        exhume.execute([to_sql(*dead)])?;
    }
    Ok(())
}

fn write_effects(db: &Transaction<'_>, sum: &Sum, now_ms: u64) -> rusqlite::Result<()> {
    let mut put = db.prepare_cached(
        "INSERT INTO outbox(seq, n, name, app, team, effect, at_ms) VALUES (?,?,?,?,?,?,?)",
    )?;
    for ((seq, n), waiting) in &sum.effects {
        put.execute(params![
            to_sql(*seq),
            n,
            waiting.name,
            waiting.app,
            waiting.team.as_str(),
            json(&waiting.effect)?,
            to_sql(waiting.at_ms)
        ])?;
    }
    let mut end = db.prepare_cached("DELETE FROM outbox WHERE seq = ? AND n = ?")?;
    for (seq, n) in &sum.ended {
        end.execute(params![to_sql(*seq), n])?;
    }
    let mut put = db.prepare_cached(
        "INSERT OR REPLACE INTO posted(name, channel, ts, at_ms) VALUES (?,?,?,?)",
    )?;
    for (name, channel, ts) in &sum.posted {
        put.execute(params![name, channel.as_str(), ts.as_str(), to_sql(now_ms)])?;
    }
    let oldest =
        now_ms.saturating_sub(u64::try_from(POSTED_ON_DISK.as_millis()).unwrap_or(u64::MAX));
    db.execute("DELETE FROM posted WHERE at_ms < ?", [to_sql(oldest)])?;
    Ok(())
}

/// Reads that any number of connections may do beside the folder.
#[derive(Debug)]
pub(super) struct StateReader {
    pub(super) db: Connection,
}

impl StateReader {
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let db = Connection::open(folder.join(FILE)).map_err(doing("opening state.db"))?;
        db.busy_timeout(std::time::Duration::from_secs(5))
            .and_then(|()| db.pragma_update(None, "query_only", true))
            .and_then(|()| db.pragma_update(None, "wal_autocheckpoint", 0))
            .map_err(doing("opening state.db"))?;
        Ok(Self { db })
    }

    /// The same database as [`State::in_memory`] of this name.
    #[cfg(test)]
    pub(super) fn in_memory(name: &str) -> Result<Self, Error> {
        Connection::open(format!("file:{name}?mode=memory&cache=shared"))
            .map(|db| Self { db })
            .map_err(doing("opening a database in memory"))
    }

    pub(super) fn state(&self, key: &Key) -> Result<Option<(u32, Bytes)>, Error> {
        self.db
            .prepare_cached("SELECT version, state FROM state WHERE key = ?")
            .and_then(|mut query| {
                query
                    .query_row([key.as_str()], |row| {
                        Ok((row.get(0)?, bytes(row.get_ref(1)?).unwrap_or_default()))
                    })
                    .optional()
            })
            .map_err(doing("reading a state"))
    }

    pub(super) fn row(&self, seq: u64) -> Result<Option<(String, Bytes)>, Error> {
        self.db
            .prepare_cached("SELECT head, payload FROM inbox WHERE seq = ?")
            .and_then(|mut query| {
                query
                    .query_row([to_sql(seq)], |row| {
                        Ok((row.get(0)?, bytes(row.get_ref(1)?).unwrap_or_default()))
                    })
                    .optional()
            })
            .map_err(doing("reading an inbox row"))
    }

    pub(super) fn posted(&self, name: &EffectName) -> Result<Option<Ts>, Error> {
        self.db
            .prepare_cached("SELECT ts FROM posted WHERE name = ?")
            .and_then(|mut query| {
                query
                    .query_row([&name.0], |row| row.get::<_, String>(0))
                    .optional()
            })
            .map(|found| found.map(Ts::new))
            .map_err(doing("reading what an effect posted"))
    }

    /// Whether the mark is on disk.
    pub(super) fn has_mark(&self, mark: Mark) -> Result<bool, Error> {
        marks::has(&self.db, mark)
    }
}
