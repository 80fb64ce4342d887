//! The durable memory: SQLite files in one folder, one writer, group commit.
//!
//! # The files
//!
//! | file | what is in it |
//! |---|---|
//! | `lock` | locked by the process that has the store open |
//! | `journal-<first seq>.db` | what happened, in order: a row of `batch` (several, where it is long) for each transaction of the writer, with its entries as a JSON list and its deduplication marks. The view `entry` shows them line by line. Removed whole once folded |
//! | `state.db` | what follows from it: `state` (one row per key), `inbox` (unfinished deliveries), `outbox` (effects not yet done), `posted` (which message an effect became), `mark`, `dead`, `meta`. Written by the folder only |
//!
//! One SQLite file has one write lock, so the journal and the state don't share one.
//! (`control.sock` beside them is no file of the store: through it a running process answers operators.)
//!
//! An entry's `seq` is given out when it is submitted and is its place in the order of everything. It is a JSON object
//! whose only field is named by its kind:
//!
//! | kind | meaning | what is in it |
//! |---|---|---|
//! | `row` | an unfinished delivery is ours | its `key`, what `came` (envelope, app, team, payload), whether its ack is `held` |
//! | `release` | a held answer's ack was let go | its `row` |
//! | `turn` | a turn's commit | `key`, `event`, app, team, its `row` if it had one, the new `state` and its `version`, `effects` |
//! | `drop` | a delivery was given up without trace | its `row` |
//! | `sent` | an effect is done | its `turn` and number `n`, its `name`, the channel and ts of what it `posted` |
//! | `dead` | a delivery was given up and kept | `key`, its `row`, the `error`, what `came`, `effects` where somebody is told |
//! | `dead_effect` | an effect was given up and kept | its `turn`, `n`, `name`, `lane`, the `error`, the `effect` |
//! | `attempt` | a delivery of an earlier run is about to run again | its `row` |
//! | `survived` | that attempt failed, and the process lived on | its `row` |
//! | `exhume` | a dead letter leaves | the entry that buried it: `dead` |
//! | `requeue` | an effect that was given up is to be done after all | `dead`, `name`, app, team, the `effect` |
//!
//! What is durable is summed up in memory and folded into `state.db` by size and time; a process reads its journal only
//! when it starts. `PRAGMA user_version` of `state.db` is the format. A newer one is refused; an older one is brought up at
//! its first start: `format.rs` has the tables of `state.db` and the steps from each format to the next.
//!
//! Unfinished deliveries are rows minus turns, drops and dead letters; waiting effects are those of the turns
//! (and of what was given up) minus what is sent or dead. `state.db` holds both up to `meta.watermark`, and the
//! journal the rest.
mod exhume;
mod folder;
mod format;
mod format_one;
pub mod inspect;
mod journal;
mod line;
mod marks;
mod reader;
mod record;
#[cfg(test)]
pub(crate) mod simulated;
mod space;
mod state;
mod sum;
mod unfolded;
mod writer;

use std::fs::{File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use exhume::{DeadLetter, Exhumed};
pub use inspect::Inspector;
pub use journal::{Probe, Step};
pub use reader::{Reader, StoredState};
pub use record::{DeadHead, Outcome, Record, RowHead, Submission};
pub use space::{FreeBytes, Space, free_bytes};
use unfolded::Unfolded;
pub use writer::{Durable, Queue, Submitter};

use crate::base::clock::Clock;
use crate::flow::effect::Committed;
use crate::flow::envelope::Mark;
use crate::flow::key::Key;

/// Why the store can't be opened or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error(
        "another process has the store {path} open; stop it first, or give this one a store of its own"
    )]
    InUse {
        /// The store's folder.
        path: String,
    },
    /// The folder can't be made or written.
    #[error("the store's folder {path} can't be used: {why}; choose another with [store] path")]
    Unusable {
        /// The store's folder.
        path: String,
        /// The system's words.
        why: String,
    },
    /// Its folder was removed or replaced while it was open.
    #[error(
        "the store's folder {path} is not the one that was opened any more: somebody removed or replaced it; put it back, or start anew"
    )]
    Gone {
        /// The store's folder.
        path: String,
    },
    /// A newer Callboard wrote it.
    #[error(
        "{path} has format {found}, and this Callboard knows up to {known}; use the newer Callboard"
    )]
    Newer {
        /// The file.
        path: String,
        /// The format it has.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// SQLite's own errors.
    #[error("{doing}: {why}")]
    Sqlite {
        /// What was being done.
        doing: &'static str,
        /// SQLite's words.
        why: String,
    },
    /// An entry does not have the shape this module writes.
    #[error("an entry of the store can't be read: {0}")]
    Damaged(String),
    /// The store's thread has ended.
    #[error("the store is closed")]
    Closed,
}

/// Adds what was being done to an error of SQLite.
pub(crate) fn doing(what: &'static str) -> impl Fn(rusqlite::Error) -> Error {
    move |error| Error::Sqlite {
        doing: what,
        why: error.to_string(),
    }
}

/// An unfinished delivery that an earlier run left.
#[derive(Debug, Clone)]
pub struct RecoveredRow {
    /// Its row.
    pub seq: u64,
    /// Whose it is.
    pub key: Key,
    /// What it is, without the payload.
    pub head: RowHead,
    /// It waits for an answer whose ack was never let go.
    pub is_held: bool,
    /// Its ack was let go: a late answer goes to the `response_url`.
    pub is_released: bool,
    /// How many earlier runs were about to run it, and ended before it did.
    pub attempts: u32,
}

/// What an earlier run left behind.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Unfinished deliveries, oldest first.
    pub rows: Vec<RecoveredRow>,
    /// Effects not known to be done, in order.
    pub effects: Vec<Committed>,
    /// The marks that memory should start with.
    pub marks: Vec<Mark>,
}

/// The file that is locked by the process that has the store open.
const LOCK: &str = "lock";

/// The path of a store without files: its states and backlog are gone with the process, its acks promise nothing, and
/// dead letters are only logged. For tests, trials, and bots whose events may be lost.
pub const IN_MEMORY: &str = ":memory:";

/// The parts of an open store.
#[derive(Debug)]
pub struct Store {
    /// Takes what is to be made durable.
    pub queue: Arc<Queue>,
    /// Answers reads.
    pub reader: Reader,
    /// Whether there is room on the disk.
    pub space: Space,
    path: PathBuf,
    threads: Vec<std::thread::JoinHandle<()>>,
    /// What a store in memory does not have.
    disk: Option<Disk>,
}

#[derive(Debug)]
struct Disk {
    folding: folder::Handle,
    _lock: File,
}

/// How the store is run.
#[derive(Clone)]
pub struct Config {
    /// Its folder.
    pub path: PathBuf,
    /// How long marks go back that [`Recovered::marks`] holds, in milliseconds.
    pub marks_back_ms: u64,
    /// Tells how much room there is.
    pub free_bytes: FreeBytes,
    /// Asked before each step of a write, by tests that let one fail.
    pub probe: Option<Probe>,
    /// Called once when a write failed, or folding ended: memory is then ahead of the disk, so it must end the process.
    pub on_failure: Arc<dyn Fn(&Error) + Send + Sync>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store, folds what an earlier run left in the journal, and starts the threads.
    ///
    /// # Errors
    /// When the folder can't be used, another process has it, or a file can't be read.
    pub fn open(config: &Config, clock: Clock) -> Result<(Self, Recovered), Error> {
        if config.path == Path::new(IN_MEMORY) {
            return Ok((Self::in_memory()?, Recovered::default()));
        }
        let lock = take_lock(&config.path)?;
        let mut state = state::State::open(&config.path)?;
        folder::fold_all(&config.path, &mut state, clock.unix_ms())?;
        let recovered = Recovered {
            rows: state.rows()?,
            effects: state.effects()?,
            marks: state.marks_since(clock.unix_ms().saturating_sub(config.marks_back_ms))?,
        };
        let next_seq = state.watermark()? + 1;
        let unfolded = Arc::new(Unfolded::default());
        let queue = Arc::new(Queue::new(next_seq, Arc::clone(&unfolded)));
        let space = Space::default();
        let watch = folder::Watch {
            space: space.clone(),
            free_bytes: Arc::clone(&config.free_bytes),
            lock: folder::FileId::at(&config.path.join(LOCK)).ok_or_else(|| Error::Gone {
                path: config.path.display().to_string(),
            })?,
            on_failure: Arc::clone(&config.on_failure),
        };
        let (folding, fold_thread) =
            folder::start(&config.path, state, Arc::clone(&unfolded), watch, clock)?;
        let write_thread = writer::start(
            &config.path,
            Arc::clone(&queue),
            folding.clone(),
            clock,
            writer::Failing {
                probe: config.probe.clone(),
                on_failure: Arc::clone(&config.on_failure),
            },
        )?;
        let (reader, read_thread) = reader::start(Some(&config.path), unfolded)?;
        let store = Self {
            queue,
            reader,
            space,
            path: config.path.clone(),
            threads: vec![write_thread, fold_thread, read_thread],
            disk: Some(Disk {
                folding,
                _lock: lock,
            }),
        };
        Ok((store, recovered))
    }

    fn in_memory() -> Result<Self, Error> {
        let unfolded = Arc::new(Unfolded::default());
        let (reader, thread) = reader::start(None, Arc::clone(&unfolded))?;
        Ok(Self {
            queue: Arc::new(Queue::in_memory(unfolded)),
            reader,
            space: Space::default(),
            path: PathBuf::from(IN_MEMORY),
            threads: vec![thread],
            disk: None,
        })
    }

    /// The store's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks into it, where there are files to look into.
    pub fn inspector(&self) -> Option<Inspector> {
        let disk = self.disk.as_ref()?;
        Some(Inspector::new(&self.path, disk.folding.clone()))
    }

    /// Whether there is a store in the folder at all.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(state::FILE).is_file()
    }

    /// Writes what waits, folds, and ends the threads.
    pub fn close(self) {
        let Self {
            queue,
            reader,
            disk,
            threads,
            ..
        } = self;
        queue.close();
        if let Some(disk) = &disk {
            disk.folding.leave();
        }
        reader.close();
        for (n, thread) in threads.into_iter().enumerate() {
            // The writer is first: only when it is done is there nothing more to fold.
            if let (1, Some(disk)) = (n, &disk) {
                disk.folding.close();
            }
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

fn take_lock(path: &Path) -> Result<File, Error> {
    let unusable = |error: std::io::Error| Error::Unusable {
        path: path.display().to_string(),
        why: error.to_string(),
    };
    // What people wrote is in it: nobody else's to read.
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true).mode(0o700);
    folder.create(path).map_err(unusable)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: path.display().to_string(),
        }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

#[cfg(test)]
mod tests;
