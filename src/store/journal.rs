//! The journal: what happened, in order, in SQLite files that are rotated and removed whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params};

use super::line::Line;
use super::writer::Batch;
use super::{Error, doing, format_one};
use crate::base::limits::JOURNAL_FILE_BYTES_MAX;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS batch(
        first INTEGER PRIMARY KEY, last INTEGER NOT NULL, at_ms INTEGER NOT NULL, entries TEXT NOT NULL,
        marks BLOB NOT NULL);
    CREATE VIEW IF NOT EXISTS entry AS
        SELECT first + line.key AS seq, datetime(at_ms / 1000, 'unixepoch') AS at, body.key AS kind,
            body.value ->> 'key' AS key, body.value
        FROM batch, json_each(batch.entries) AS line, json_each(line.value) AS body;";

const INSERT: &str = "INSERT INTO batch(first, last, at_ms, entries, marks) VALUES (?,?,?,?,?)";

/// What a batch costs the file beside its bytes: the pages that it begins and ends in are written again.
const BATCH_PAGES_BYTES: usize = 2 * 4096;

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
    /// The batch is inserted.
    Insert,
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
    /// Room that is used again.
    entries: Vec<u8>,
    marks: Vec<u8>,
}

impl Journal {
    pub(super) fn new(folder: &Path, probe: Option<Probe>) -> Self {
        Self {
            folder: folder.to_owned(),
            probe,
            file: None,
            bytes: 0,
            entries: Vec::new(),
            marks: Vec::new(),
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

    /// Writes a batch in one transaction; when this returns, it is on disk. Gives its size in bytes.
    pub(super) fn append(&mut self, batch: &Batch, at_ms: u64) -> Result<usize, Error> {
        self.render(batch)?;
        let mut file = match self.file.take() {
            Some(file) if self.bytes < JOURNAL_FILE_BYTES_MAX => file,
            _ => {
                self.bytes = 0;
                self.at(Step::Create)?;
                create(&file_name(&self.folder, batch.first))?
            }
        };
        let fail = doing("writing the journal");
        let transaction = file.transaction().map_err(&fail)?;
        self.at(Step::Insert)?;
        let entries = std::str::from_utf8(&self.entries)
            .map_err(|error| Error::Damaged(error.to_string()))?;
        transaction
            .prepare_cached(INSERT)
            .and_then(|mut insert| {
                insert.execute(params![
                    to_sql(batch.first),
                    to_sql(batch.upto()),
                    to_sql(at_ms),
                    entries,
                    self.marks
                ])
            })
            .map_err(&fail)?;
        self.at(Step::Commit)?;
        transaction.commit().map_err(&fail)?;
        self.file = Some(file);
        let bytes = self.entries.len() + self.marks.len();
        self.bytes += bytes + BATCH_PAGES_BYTES;
        Ok(bytes)
    }

    /// The batch as a JSON list, and its marks.
    fn render(&mut self, batch: &Batch) -> Result<(), Error> {
        self.entries.clear();
        self.marks.clear();
        for submission in batch.submissions() {
            let before = if self.entries.is_empty() { b'[' } else { b',' };
            self.entries.push(before);
            serde_json::to_writer(&mut self.entries, &Line::of(&submission.record))
                .map_err(|error| Error::Damaged(error.to_string()))?;
            let mark = submission.mark.map(|mark| mark.0.to_be_bytes());
            self.marks.extend(mark.into_iter().flatten());
        }
        self.entries.push(b']');
        Ok(())
    }
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
fn open_to_read(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = Connection::open_with_flags(path, flags).map_err(doing("opening a journal file"))?;
    file.pragma_update(None, "query_only", true)
        .and_then(|()| file.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true))
        .map_err(doing("opening a journal file"))?;
    Ok(file)
}

/// Gives the entries of a file after `after` to `add`, batch by batch.
pub(super) fn read(
    path: &Path,
    after: u64,
    mut add: impl FnMut(Read<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = open_to_read(path)?;
    if !has_table(&file, "batch")? {
        // A process that dies while it makes a file leaves one without tables; else it is of an older format.
        return format_one::read(&file, after, add);
    }
    let fail = doing("reading the journal");
    let mut query = file
        .prepare(
            "SELECT first, at_ms, entries, marks, last FROM batch WHERE last > ? ORDER BY first",
        )
        .map_err(&fail)?;
    let mut batches = query.query([to_sql(after)]).map_err(&fail)?;
    while let Some(batch) = batches.next().map_err(&fail)? {
        let (first, at_ms): (i64, i64) =
            (batch.get(0).map_err(&fail)?, batch.get(1).map_err(&fail)?);
        let (entries, marks): (String, Vec<u8>) =
            (batch.get(2).map_err(&fail)?, batch.get(3).map_err(&fail)?);
        let lines: Vec<Line<'_>> = serde_json::from_str(&entries)
            .map_err(|error| Error::Damaged(format!("the batch from {first}: {error}")))?;
        let lines = (from_sql(first)..)
            .zip(lines)
            .filter(|(seq, _)| *seq > after);
        add(Read {
            at_ms: from_sql(at_ms),
            bytes: entries.len(),
            lines: lines.collect(),
            marks: MarkBatch {
                seq: batch.get(4).map(from_sql).map_err(&fail)?,
                at_ms: from_sql(at_ms),
                hashes: marks,
            },
        })?;
    }
    Ok(())
}

/// A batch that was read back.
pub(super) struct Read<'a> {
    /// When it was written; 0 where that is not known.
    pub(super) at_ms: u64,
    pub(super) bytes: usize,
    pub(super) lines: Vec<(u64, Line<'a>)>,
    pub(super) marks: MarkBatch,
}

pub(super) fn has_table(file: &Connection, name: &str) -> Result<bool, Error> {
    file.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?",
        [name],
        |row| row.get::<_, i64>(0),
    )
    .map(|count| count == 1)
    .map_err(doing("reading a journal file"))
}

pub(super) fn bytes(value: ValueRef<'_>) -> Option<Bytes> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Bytes::copy_from_slice(bytes)),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    }
}
