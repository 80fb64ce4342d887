//! Deduplication marks on disk: runs of sorted hashes, merged as they grow old.
//!
//! A fold adds one run at level 0, and nothing is ever updated in place. When a level has [`RUNS_PER_LEVEL`]
//! runs they become one run of the next level, so that a day's marks are a few dozen runs and a look-up is a
//! binary search in each, read piece by piece.

use rusqlite::{Connection, MAIN_DB, Transaction, params};

use super::journal::{MarkBatch, to_sql};
use super::{Error, doing};
use crate::base::limits::MARKS_ON_DISK;
use crate::flow::envelope::Mark;

pub(super) const SCHEMA: &str =
    "CREATE TABLE mark(seq INTEGER PRIMARY KEY, level INTEGER NOT NULL, oldest_ms INTEGER NOT NULL,
        newest_ms INTEGER NOT NULL, hashes BLOB NOT NULL);
    CREATE INDEX mark_level ON mark(level);";

/// How many runs of a level become one of the next.
const RUNS_PER_LEVEL: usize = 16;

/// The level whose runs are not merged any more: 16 * 16 * 16 folds.
const LEVEL_MOST: i64 = 3;

const HASH_BYTES: usize = 16;

/// The marks in a blob of hashes.
pub(super) fn unpack(blob: &[u8]) -> impl Iterator<Item = Mark> + '_ {
    let (hashes, _) = blob.as_chunks::<HASH_BYTES>();
    hashes.iter().map(|hash| Mark(u128::from_be_bytes(*hash)))
}

fn pack(mut marks: Vec<Mark>) -> Vec<u8> {
    marks.sort_unstable();
    marks.iter().flat_map(|mark| mark.0.to_be_bytes()).collect()
}

/// Adds the marks of a fold, merges, and forgets what is too old.
pub(super) fn write(
    db: &Transaction<'_>,
    marks: &[MarkBatch],
    now_ms: u64,
) -> rusqlite::Result<()> {
    if let (Some(first), Some(last)) = (marks.first(), marks.last()) {
        let all = marks
            .iter()
            .flat_map(|batch| unpack(&batch.hashes))
            .collect();
        let run = Run {
            seq: to_sql(last.seq),
            oldest_ms: to_sql(first.at_ms),
            newest_ms: to_sql(last.at_ms),
        };
        put(db, 0, &run, &pack(all))?;
        for level in 0..LEVEL_MOST {
            merge(db, level)?;
        }
    }
    let kept_ms = u64::try_from(MARKS_ON_DISK.as_millis()).unwrap_or(u64::MAX);
    let oldest = to_sql(now_ms.saturating_sub(kept_ms));
    db.prepare_cached("DELETE FROM mark WHERE newest_ms < ?")?
        .execute([oldest])?;
    Ok(())
}

struct Run {
    seq: i64,
    oldest_ms: i64,
    newest_ms: i64,
}

fn put(db: &Transaction<'_>, level: i64, run: &Run, hashes: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO mark(seq, level, oldest_ms, newest_ms, hashes) VALUES (?,?,?,?,?)",
    )?
    .execute(params![
        run.seq,
        level,
        run.oldest_ms,
        run.newest_ms,
        hashes
    ])?;
    Ok(())
}

fn merge(db: &Transaction<'_>, level: i64) -> rusqlite::Result<()> {
    let count: i64 = db
        .prepare_cached("SELECT count(*) FROM mark WHERE level = ?")?
        .query_row([level], |row| row.get(0))?;
    if usize::try_from(count).unwrap_or(0) < RUNS_PER_LEVEL {
        return Ok(());
    }
    let mut all = Vec::new();
    let mut merged: Option<Run> = None;
    let mut query =
        db.prepare_cached("SELECT seq, oldest_ms, newest_ms, hashes FROM mark WHERE level = ?")?;
    let mut runs = query.query([level])?;
    while let Some(run) = runs.next()? {
        let (seq, oldest_ms, newest_ms): (i64, i64, i64) = (run.get(0)?, run.get(1)?, run.get(2)?);
        all.extend(unpack(run.get_ref(3)?.as_blob()?));
        merged = Some(merged.map_or(
            Run {
                seq,
                oldest_ms,
                newest_ms,
            },
            |merged| Run {
                seq: merged.seq.max(seq),
                oldest_ms: merged.oldest_ms.min(oldest_ms),
                newest_ms: merged.newest_ms.max(newest_ms),
            },
        ));
    }
    db.prepare_cached("DELETE FROM mark WHERE level = ?")?
        .execute([level])?;
    match merged {
        Some(run) => put(db, level + 1, &run, &pack(all)),
        None => Ok(()),
    }
}

/// The marks that may be as young as `since_ms`, oldest runs first.
pub(super) fn since(db: &Connection, since_ms: u64) -> Result<Vec<Mark>, Error> {
    let fail = doing("reading the marks");
    let mut query = db
        .prepare("SELECT hashes FROM mark WHERE newest_ms >= ? ORDER BY seq")
        .map_err(&fail)?;
    let blobs = query
        .query_map([to_sql(since_ms)], |row| row.get::<_, Vec<u8>>(0))
        .map_err(&fail)?;
    let mut found = Vec::new();
    for blob in blobs {
        found.extend(unpack(&blob.map_err(&fail)?));
    }
    Ok(found)
}

/// Whether the mark is in one of the runs.
pub(super) fn has(db: &Connection, mark: Mark) -> Result<bool, Error> {
    let fail = doing("looking up a mark");
    // One view of all runs: a fold that merges some meanwhile must not hide them.
    let db = db.unchecked_transaction().map_err(&fail)?;
    let mut query = db
        .prepare_cached("SELECT seq FROM mark ORDER BY seq DESC")
        .map_err(&fail)?;
    let runs: Vec<i64> = query
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(&fail)?;
    for run in runs {
        if is_in(&db, run, mark).map_err(&fail)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Binary search in a blob that stays on disk.
fn is_in(db: &Connection, run: i64, mark: Mark) -> rusqlite::Result<bool> {
    let wanted = mark.0.to_be_bytes();
    let blob = db.blob_open(MAIN_DB, "mark", "hashes", run, true)?;
    let (mut low, mut high) = (0, blob.len() / HASH_BYTES);
    while low < high {
        let middle = low + (high - low) / 2;
        let mut hash = [0; HASH_BYTES];
        blob.read_at_exact(&mut hash, middle * HASH_BYTES)?;
        match hash.cmp(&wanted) {
            std::cmp::Ordering::Equal => return Ok(true),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_8_a_days_marks_are_a_few_runs_every_one_is_found_and_old_ones_go() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        let mark =
            |n: u64| Mark(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let folds = 1000;
        for n in 0..folds {
            let batch = MarkBatch {
                seq: n + 1,
                at_ms: n * 1000,
                hashes: pack(vec![mark(2 * n), mark(2 * n + 1)]),
            };
            let transaction = db.transaction().unwrap();
            write(&transaction, &[batch], n * 1000).unwrap();
            transaction.commit().unwrap();
        }
        let runs: i64 = db
            .query_row("SELECT count(*) FROM mark", [], |row| row.get(0))
            .unwrap();
        assert!(runs <= 64, "{runs}");
        for n in 0..2 * folds {
            assert!(has(&db, mark(n)).unwrap(), "{n}");
        }
        assert!(!has(&db, mark(2 * folds)).unwrap());
        assert_eq!(since(&db, 0).unwrap().len() as u64, 2 * folds);
        let much_later = u64::try_from(MARKS_ON_DISK.as_millis()).unwrap() + folds * 1000;
        let transaction = db.transaction().unwrap();
        write(&transaction, &[], much_later).unwrap();
        transaction.commit().unwrap();
        assert!(!has(&db, mark(1)).unwrap());
    }
}
