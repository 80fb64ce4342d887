//! The folder: sums up what the writer has written, brings `state.db` up to date with it, and removes the journal
//! files that are done.
//!
//! While it runs it never reads the journal: it is given each batch once that is durable. Only a start reads.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::state::State;
use super::sum::Sum;
use super::writer::Batch;
use super::{Error, FreeBytes, Space, Unfolded, journal};
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
    is_closing: bool,
    is_over: bool,
    /// Somebody waits for a fold.
    is_wanted: bool,
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
        while waiting.bytes >= FOLD_WAITING_BYTES_MAX && !waiting.is_over {
            waiting = self
                .shared
                .done
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.is_over {
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
                waiting.folded < wanted && !waiting.is_over
            })
            .unwrap_or_else(PoisonError::into_inner);
        wanted.saturating_sub(waiting.folded)
    }

    /// Everything up to `watermark` is in `state.db`.
    fn folded(&self, watermark: u64) {
        self.lock().folded = watermark;
        self.shared.done.notify_all();
    }

    /// Fold once more, then end.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.shared.wake.notify_one();
    }

    /// Takes what waits, once that is worth it, somebody asks, or `until` has come.
    fn take(&self, clock: Clock, until: Instant) -> Taken {
        let within = until.saturating_duration_since(clock.now());
        let (mut waiting, _) = self
            .shared
            .wake
            .wait_timeout_while(self.lock(), within, |waiting| {
                waiting.bytes < SUM_EVERY_BYTES && !waiting.is_wanted && !waiting.is_closing
            })
            .unwrap_or_else(PoisonError::into_inner);
        let taken = Taken {
            batches: std::mem::take(&mut waiting.batches),
            is_wanted: std::mem::take(&mut waiting.is_wanted),
            is_closing: waiting.is_closing,
        };
        waiting.bytes = 0;
        drop(waiting);
        self.shared.done.notify_all();
        taken
    }

    fn end(&self) {
        self.lock().is_over = true;
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
}

impl Work {
    fn run(mut self) {
        self.go_on();
        self.handle.end();
    }

    fn go_on(&mut self) {
        let mut folds_at = self.clock.now() + FOLD_EVERY;
        loop {
            self.watch.space.look(&self.folder, &self.watch.free_bytes);
            let until = folds_at.min(self.clock.now() + SPACE_LOOK_EVERY);
            let taken = self.handle.take(self.clock, until);
            for written in taken.batches {
                if let Err(error) = self.add(&written) {
                    // The journal has it; without this batch no later one may be folded.
                    tracing::error!(%error, "the journal can't be summed up; it is read again at the next start");
                    return;
                }
            }
            let is_due = self.clock.now() >= folds_at || self.bytes >= FOLD_BYTES;
            if is_due || taken.is_wanted || taken.is_closing {
                folds_at = self.clock.now() + FOLD_EVERY;
                // A fold that fails loses nothing: the journal keeps its files until one succeeds.
                if let Err(error) = self.fold() {
                    tracing::error!(%error, "the journal can't be folded, and grows until it can");
                    folds_at = self.clock.now() + SPACE_LOOK_EVERY;
                }
            }
            if taken.is_closing {
                return;
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
