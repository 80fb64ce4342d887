//! The folder: sums up what the writer has written, brings `state.db` up to date with it, and removes the journal
//! files that are done.
//!
//! While it runs it never reads the journal: it is given each batch once that is durable. Only a start reads.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::state::State;
use super::sum::Sum;
use super::writer::Batch;
use super::{Error, FreeBytes, LOCK, Space, Unfolded, journal};
use crate::base::clock::{Clock, Instant};
use crate::base::limits::{
    FOLD_BYTES, FOLD_EVERY, FOLD_WAITING_BYTES_MAX, SPACE_LOOK_EVERY, SUM_EVERY_BYTES,
};

/// The way to the folder's thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to do.
    wake: Condvar,
    /// There is room again, or something was folded.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Written>,
    bytes: usize,
    /// The last entry that is durable, and the last that is folded.
    durable: u64,
    folded: u64,
    stage: Stage,
    /// Somebody waits for a fold.
    is_wanted: bool,
}

/// How far the folder's end has come; never back.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Open,
    /// The writer writes its last, and waits for nobody.
    Leaving,
    /// Nothing more comes.
    Closing,
    /// The folder has ended.
    Over,
}

/// A batch that is durable.
#[derive(Debug)]
struct Written {
    batch: Batch,
    at_ms: u64,
    bytes: usize,
}

impl Handle {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The batch is durable. Waits while the folder is too far behind: the writer then slows down, and with it
    /// everything that waits to be acked.
    pub(super) fn put(&self, batch: Batch, at_ms: u64, bytes: usize) {
        let mut waiting = self.lock();
        while waiting.bytes >= FOLD_WAITING_BYTES_MAX && waiting.stage == Stage::Open {
            waiting = self
                .shared
                .done
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.stage == Stage::Over {
            // It is in the journal, for the next start.
            return;
        }
        waiting.durable = batch.upto();
        let before = waiting.bytes;
        waiting.bytes += bytes;
        waiting.batches.push_back(Written {
            batch,
            at_ms,
            bytes,
        });
        // Not for each batch: a wake-up costs more than to sum one up.
        if before / SUM_EVERY_BYTES != waiting.bytes / SUM_EVERY_BYTES {
            self.shared.wake.notify_one();
        }
    }

    /// Has everything folded that is durable now, and waits for it; how many entries are still missing after
    /// `within`.
    pub(super) fn catch_up(&self, within: Duration) -> u64 {
        let mut waiting = self.lock();
        let wanted = waiting.durable;
        if waiting.folded < wanted {
            waiting.is_wanted = true;
            self.shared.wake.notify_one();
        }
        let (waiting, _) = self
            .shared
            .done
            .wait_timeout_while(waiting, within, |waiting| {
                waiting.folded < wanted && waiting.stage < Stage::Over
            })
            .unwrap_or_else(PoisonError::into_inner);
        wanted.saturating_sub(waiting.folded)
    }

    /// Everything up to `watermark` is in `state.db`.
    fn folded(&self, watermark: u64) {
        self.lock().folded = watermark;
        self.shared.done.notify_all();
    }

    /// The store is being closed: the writer is let through, however far behind the folder is.
    pub(super) fn leave(&self) {
        self.reach(Stage::Leaving);
        self.shared.done.notify_all();
    }

    /// Fold once more, then end.
    pub(super) fn close(&self) {
        self.reach(Stage::Closing);
        self.shared.wake.notify_one();
    }

    /// Takes what waits, once that is worth it, somebody asks, or `until` has come. While the folder `is_stuck` with
    /// what it has, nothing is taken but at the end, when no more comes.
    fn take(&self, clock: Clock, until: Instant, is_stuck: bool) -> Taken {
        let within = until.saturating_duration_since(clock.now());
        let (mut waiting, _) = self
            .shared
            .wake
            .wait_timeout_while(self.lock(), within, |waiting| {
                let is_worth_it = waiting.bytes >= SUM_EVERY_BYTES && !is_stuck;
                !is_worth_it && !waiting.is_wanted && waiting.stage < Stage::Closing
            })
            .unwrap_or_else(PoisonError::into_inner);
        let mut taken = Taken {
            batches: VecDeque::new(),
            is_wanted: std::mem::take(&mut waiting.is_wanted),
            is_closing: waiting.stage >= Stage::Closing,
        };
        if !is_stuck || taken.is_closing {
            taken.batches = std::mem::take(&mut waiting.batches);
            waiting.bytes = 0;
        }
        drop(waiting);
        self.shared.done.notify_all();
        taken
    }

    fn reach(&self, stage: Stage) {
        let mut waiting = self.lock();
        waiting.stage = waiting.stage.max(stage);
    }

    fn end(&self) {
        self.reach(Stage::Over);
        self.shared.done.notify_all();
    }
}

struct Taken {
    batches: VecDeque<Written>,
    is_wanted: bool,
    is_closing: bool,
}

/// Folds everything that the journal holds, and removes it.
pub(super) fn fold_all(folder: &Path, state: &mut State, now_ms: u64) -> Result<(), Error> {
    for (_, path) in journal::files(folder)? {
        let (mut sum, mut bytes) = (Sum::default(), 0);
        journal::read(&path, state.watermark()?, |read| {
            bytes += read.bytes;
            for (seq, line) in read.lines {
                sum.add(seq, line, read.at_ms)?;
            }
            sum.add_marks(read.marks);
            if bytes >= FOLD_BYTES {
                state.fold(&sum, now_ms)?;
                (sum, bytes) = (Sum::default(), 0);
            }
            Ok(())
        })?;
        state.fold(&sum, now_ms)?;
        journal::remove(&path);
    }
    Ok(())
}

/// Starts the folder's thread.
pub(super) fn start(
    folder: &Path,
    state: State,
    unfolded: Arc<Unfolded>,
    watch: Watch,
    clock: Clock,
) -> Result<(Handle, JoinHandle<()>), Error> {
    let handle = Handle::default();
    let watermark = state.watermark()?;
    handle.lock().durable = watermark;
    handle.folded(watermark);
    let work = Work {
        folder: folder.to_owned(),
        state,
        unfolded,
        watch,
        clock,
        handle: handle.clone(),
        sum: Sum::default(),
        bytes: 0,
    };
    let thread = std::thread::Builder::new()
        .name("folder".into())
        .spawn(move || work.run())
        .map_err(|error| Error::Unusable {
            path: folder.display().to_string(),
            why: error.to_string(),
        })?;
    Ok((handle, thread))
}

struct Work {
    folder: PathBuf,
    state: State,
    unfolded: Arc<Unfolded>,
    watch: Watch,
    clock: Clock,
    handle: Handle,
    sum: Sum,
    /// How much journal the sum stands for.
    bytes: usize,
}

/// What the folder's thread looks after beside folding.
pub(super) struct Watch {
    pub(super) space: Space,
    pub(super) free_bytes: FreeBytes,
    /// Which file the lock is, so that it is seen when the store is taken away.
    pub(super) lock: FileId,
    /// Called when the folder ends before its time.
    pub(super) on_failure: Arc<dyn Fn(&Error) + Send + Sync>,
}

/// Which file a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    number: u64,
}

impl FileId {
    /// The file of that name; nothing where there is none.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self {
            device: file.dev(),
            number: file.ino(),
        })
    }
}

impl Work {
    fn run(mut self) {
        let (handle, on_failure) = (self.handle.clone(), Arc::clone(&self.watch.on_failure));
        let ended = catch_unwind(AssertUnwindSafe(|| self.go_on()));
        handle.end();
        // Without a folder the journal, and what is kept in memory until it is folded, would grow without bound.
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => on_failure(&error),
            Err(_) => on_failure(&Error::Damaged("the folder panicked".to_owned())),
        }
    }

    /// Until the store is closed.
    fn go_on(&mut self) -> Result<(), Error> {
        let mut folds_at = self.clock.now() + FOLD_EVERY;
        let mut is_failing = false;
        loop {
            self.watch.space.look(&self.folder, &self.watch.free_bytes);
            if FileId::at(&self.folder.join(LOCK)) != Some(self.watch.lock) {
                // Files without a name can still be written; nobody would ever find what is in them.
                return Err(Error::Gone {
                    path: self.folder.display().to_string(),
                });
            }
            let until = folds_at.min(self.clock.now() + SPACE_LOOK_EVERY);
            // What can't be folded must not pile up here: with the rest the writer waits too.
            let is_stuck = is_failing && self.bytes >= FOLD_BYTES;
            let taken = self.handle.take(self.clock, until, is_stuck);
            for written in taken.batches {
                // The journal has it; without this batch no later one may be folded.
                self.add(&written)?;
            }
            let is_due = self.clock.now() >= folds_at || (self.bytes >= FOLD_BYTES && !is_failing);
            if is_due || taken.is_wanted || taken.is_closing {
                folds_at = self.clock.now() + FOLD_EVERY;
                // A fold that fails loses nothing: the journal keeps its files until one succeeds.
                let folded = self.fold();
                is_failing = folded.is_err();
                if is_stuck && !is_failing {
                    // What waited meanwhile is next.
                    folds_at = self.clock.now();
                }
                if let Err(error) = folded {
                    tracing::error!(%error, "the journal can't be folded, and grows until it can; once too much waits, nothing more is admitted");
                    folds_at = self.clock.now() + SPACE_LOOK_EVERY;
                }
            }
            if taken.is_closing {
                return Ok(());
            }
        }
    }

    fn add(&mut self, written: &Written) -> Result<(), Error> {
        let Written {
            batch,
            at_ms,
            bytes,
        } = written;
        self.bytes += bytes;
        self.sum.add_batch(batch, *at_ms)
    }

    fn fold(&mut self) -> Result<(), Error> {
        if self.sum.upto == 0 {
            return Ok(());
        }
        self.state.fold(&self.sum, self.clock.unix_ms())?;
        let watermark = self.sum.upto;
        (self.sum, self.bytes) = (Sum::default(), 0);
        self.unfolded.forget(watermark);
        self.handle.folded(watermark);
        let files = journal::files(&self.folder)?;
        for (n, (_, path)) in files.iter().enumerate() {
            let next = files.get(n + 1).map(|(first, _)| *first);
            if next.is_some_and(|first| watermark + 1 >= first) {
                journal::remove(path);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
