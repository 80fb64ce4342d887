//! The journal: what happened, in order, in SQLite files that are rotated and removed whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params};

use super::record::Entry;
use super::{Error, doing};
use crate::base::limits::JOURNAL_FILE_BYTES_MAX;
use crate::flow::envelope::Mark;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entry(
        seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT, key TEXT, refers INTEGER, n INTEGER,
        body TEXT, extra TEXT);
    CREATE TABLE IF NOT EXISTS mark(seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, hashes BLOB NOT NULL);";

const INSERT: &str =
    "INSERT INTO entry(seq, kind, name, key, refers, n, body, extra) VALUES (?,?,?,?,?,?,?,?)";

/// The marks of one batch.
#[derive(Debug)]
pub(super) struct MarkBatch {
    pub(super) seq: u64,
    pub(super) at_ms: u64,
    pub(super) hashes: Vec<u8>,
}

/// A step of a write, before which a test may let it fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A new file is made.
    Create,
    /// An entry is inserted.
    Insert,
    /// The marks are inserted.
    Mark,
    /// The batch is made durable.
    Commit,
}

/// Whether a step may go on.
pub type Probe = Arc<dyn Fn(Step) -> bool + Send + Sync>;

/// The file that is being written.
pub(super) struct Journal {
    folder: PathBuf,
    probe: Option<Probe>,
    file: Option<Connection>,
    bytes: usize,
}

impl Journal {
    pub(super) fn new(folder: &Path, probe: Option<Probe>) -> Self {
        Self {
            folder: folder.to_owned(),
            probe,
            file: None,
            bytes: 0,
        }
    }

    /// Whether the disk would take this step; it always does but in tests.
    fn at(&self, step: Step) -> Result<(), Error> {
        match &self.probe {
            Some(probe) if !probe(step) => Err(Error::Sqlite {
                doing: "writing the journal",
                why: format!("failed before {step:?}, as asked"),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Writes a batch in one transaction; when this returns, it is on disk.
    pub(super) fn append(
        &mut self,
        entries: &[Entry],
        marks: &[Mark],
        at_ms: u64,
    ) -> Result<(), Error> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Ok(());
        };
        let mut file = match self.file.take() {
            Some(file) if self.bytes < JOURNAL_FILE_BYTES_MAX => file,
            _ => {
                self.bytes = 0;
                self.at(Step::Create)?;
                create(&file_name(&self.folder, first.seq))?
            }
        };
        let fail = doing("writing the journal");
        let transaction = file.transaction().map_err(&fail)?;
        {
            let mut insert = transaction.prepare_cached(INSERT).map_err(&fail)?;
            for entry in entries {
                self.at(Step::Insert)?;
                let body = entry.body.as_deref().map(text).transpose()?;
                self.bytes +=
                    body.map_or(0, str::len) + entry.extra.as_ref().map_or(0, String::len) + 64;
                insert
                    .execute(params![
                        to_sql(entry.seq),
                        entry.kind,
                        entry.name,
                        entry.key,
                        entry.refers.map(to_sql),
                        entry.n,
                        body,
                        entry.extra
                    ])
                    .map_err(&fail)?;
            }
            if !marks.is_empty() {
                self.at(Step::Mark)?;
                let hashes: Vec<u8> = marks.iter().flat_map(|mark| mark.0.to_be_bytes()).collect();
                transaction
                    .prepare_cached("INSERT INTO mark(seq, at_ms, hashes) VALUES (?,?,?)")
                    .and_then(|mut insert| {
                        insert.execute(params![to_sql(last.seq), to_sql(at_ms), hashes])
                    })
                    .map_err(&fail)?;
            }
        }
        self.at(Step::Commit)?;
        transaction.commit().map_err(&fail)?;
        self.file = Some(file);
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|error| Error::Damaged(error.to_string()))
}

/// SQLite's integers are signed; a journal of 2^63 entries does not happen.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn file_name(folder: &Path, first_seq: u64) -> PathBuf {
    folder.join(format!("journal-{first_seq:020}.db"))
}

fn create(path: &Path) -> Result<Connection, Error> {
    let file = Connection::open(path).map_err(doing("creating a journal file"))?;
    let fail = doing("preparing a journal file");
    // The file is removed whole once folded, so copying its log into it would be work for nothing.
    file.pragma_update(None, "journal_mode", "WAL")
        .and_then(|()| file.pragma_update(None, "synchronous", "FULL"))
        .and_then(|()| file.pragma_update(None, "wal_autocheckpoint", 0))
        .and_then(|()| file.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true))
        .and_then(|_| file.execute_batch(SCHEMA))
        .map_err(fail)?;
    Ok(file)
}

/// The journal files in order, each with the first seq it may hold.
pub(super) fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let unusable = |error: std::io::Error| Error::Unusable {
        path: folder.display().to_string(),
        why: error.to_string(),
    };
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder).map_err(unusable)? {
        let path = item.map_err(unusable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let first = name
            .strip_prefix("journal-")
            .and_then(|rest| rest.strip_suffix(".db"))
            .and_then(|digits| digits.parse().ok());
        if let Some(first) = first {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Removes a file that is folded, with its log.
pub(super) fn remove(path: &Path) {
    // The file itself last: while it is there, its log is known to be garbage of ours.
    for suffix in ["-wal", "-shm", ""] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        // A file that is already gone is what we want.
        if let Err(error) = std::fs::remove_file(&name)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a folded journal file can't be removed");
        }
    }
}

/// A connection that only reads a journal file. It never copies the log into the file: that is the writer's.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = Connection::open_with_flags(path, flags).map_err(doing("opening a journal file"))?;
    file.pragma_update(None, "query_only", true)
        .and_then(|()| file.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true))
        .map_err(doing("opening a journal file"))?;
    Ok(file)
}

/// The entries after `after`, at most `count` of them.
pub(super) fn read_after(file: &Connection, after: u64, count: u64) -> Result<Vec<Entry>, Error> {
    if !has_tables(file)? {
        return Ok(Vec::new());
    }
    let fail = doing("reading the journal");
    let mut query = file
        .prepare_cached(
            "SELECT seq, kind, name, key, refers, n, body, extra FROM entry WHERE seq > ? ORDER BY seq LIMIT ?",
        )
        .map_err(&fail)?;
    let rows = query
        .query_map(params![to_sql(after), to_sql(count)], |row| {
            Ok(Entry {
                seq: from_sql(row.get(0)?),
                kind: row.get(1)?,
                name: row.get(2)?,
                key: row.get(3)?,
                refers: row.get::<_, Option<i64>>(4)?.map(from_sql),
                n: row.get(5)?,
                body: bytes(row.get_ref(6)?),
                extra: row.get(7)?,
            })
        })
        .map_err(&fail)?;
    rows.collect::<Result<_, _>>().map_err(fail)
}

/// The marks of the batches after `after` up to `upto`.
pub(super) fn marks_between(
    file: &Connection,
    after: u64,
    upto: u64,
) -> Result<Vec<MarkBatch>, Error> {
    if !has_tables(file)? {
        return Ok(Vec::new());
    }
    let fail = doing("reading the journal's marks");
    let mut query = file
        .prepare_cached("SELECT seq, at_ms, hashes FROM mark WHERE seq > ? AND seq <= ?")
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

/// A process that dies while it makes a file leaves one without tables.
fn has_tables(file: &Connection) -> Result<bool, Error> {
    file.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE name IN ('entry', 'mark')",
        [],
        |row| row.get::<_, i64>(0),
    )
    .map(|count| count == 2)
    .map_err(doing("reading a journal file"))
}

pub(super) fn bytes(value: ValueRef<'_>) -> Option<Bytes> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Bytes::copy_from_slice(bytes)),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    }
}
