//! The format of `state.db`: its number, `PRAGMA user_version`, and the steps that lead from each to the next.
//!
//! A new store takes every step, from 0, where there is nothing; an older one takes those that it lacks. A step that was
//! released is never changed: what is new is a new step.
//!
//! | format | what it brought |
//! |---|---|
//! | 1 | everything |
//! | 2 | journal files in which a batch is a row; those of format 1 are read by `format_one.rs` |
//! | 3 | `outbox.at_ms`: since when a post is looked for before it is made again |
//!
//! Journal files have no number of their own. They are folded at start, and are read by what they are.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{Error, doing, marks};

/// The statements that lead from format n to n + 1, at place n.
pub(super) const STEPS: [&[&str]; 3] = [
    &[FIRST, marks::SCHEMA],
    &[],
    &["ALTER TABLE outbox ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;"],
];

const FIRST: &str = "
    CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE state(key TEXT PRIMARY KEY, version INTEGER NOT NULL, seq INTEGER NOT NULL, state TEXT NOT NULL)
        WITHOUT ROWID;
    CREATE TABLE inbox(seq INTEGER PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL, head TEXT NOT NULL,
        released INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, payload TEXT NOT NULL);
    CREATE TABLE outbox(seq INTEGER NOT NULL, n INTEGER NOT NULL, name TEXT NOT NULL, app TEXT NOT NULL,
        team TEXT NOT NULL, effect TEXT NOT NULL, PRIMARY KEY(seq, n)) WITHOUT ROWID;
    CREATE TABLE posted(name TEXT PRIMARY KEY, channel TEXT NOT NULL, ts TEXT NOT NULL, at_ms INTEGER NOT NULL)
        WITHOUT ROWID;
    CREATE INDEX posted_at ON posted(at_ms);
    CREATE TABLE dead(seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        key TEXT NOT NULL, error TEXT NOT NULL, head TEXT NOT NULL, body TEXT NOT NULL);
    CREATE VIEW v_stuck AS SELECT key, count(*) AS waiting, min(seq) AS oldest FROM inbox GROUP BY key;
    CREATE VIEW v_outbox AS SELECT app, team, name, json_extract(effect, '$.call.method') AS method FROM outbox;
    CREATE VIEW v_dead AS SELECT datetime(at_ms / 1000, 'unixepoch') AS at, kind, name, key, error FROM dead;";

/// Brings the database at `path` to the newest format, step by step; each is a transaction of its own, so that a process
/// that ends in between goes on where it was.
///
/// # Errors
/// When it has a format that is newer than all that are known here, or a step fails.
pub(super) fn bring_up(db: &mut Connection, path: &Path) -> Result<(), Error> {
    let fail = doing("bringing state.db to the newest format");
    let found: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(&fail)?;
    let taken = usize::try_from(found).ok();
    let Some(steps) = taken.and_then(|taken| STEPS.get(taken..)) else {
        return Err(Error::Newer {
            path: path.display().to_string(),
            found,
            known: i64::try_from(STEPS.len()).unwrap_or(i64::MAX),
        });
    };
    for (format, step) in (found + 1..).zip(steps) {
        let transaction = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&fail)?;
        for statements in *step {
            transaction.execute_batch(statements).map_err(&fail)?;
        }
        transaction
            .pragma_update(None, "user_version", format)
            .and_then(|()| transaction.commit())
            .map_err(&fail)?;
        if found > 0 {
            tracing::info!(path = %path.display(), format, "the store is brought to a newer format");
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
