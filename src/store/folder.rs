//! The folder: brings `state.db` up to date with the journal, and removes the files that are done.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::state::State;
use super::{Error, FreeBytes, Space, Unfolded, journal};
use crate::base::clock::Clock;
use crate::base::limits::{FOLD_ENTRIES, FOLD_EVERY};

/// Tells the folder's thread how far the journal is, and when to end.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    durable: AtomicU64,
    is_closing: AtomicBool,
    /// Somebody waits for a fold.
    is_wanted: AtomicBool,
    wake: Condvar,
    lock: Mutex<()>,
    folded: Mutex<u64>,
    caught_up: Condvar,
}

impl Handle {
    /// The journal is durable up to `seq`.
    pub(super) fn durable(&self, seq: u64) {
        let before = self.shared.durable.swap(seq, Ordering::AcqRel);
        if before / FOLD_ENTRIES != seq / FOLD_ENTRIES {
            self.shared.wake.notify_one();
        }
    }

    /// Has everything folded that is durable now, and waits for it; how many entries are still missing after
    /// `within`.
    pub(super) fn catch_up(&self, within: Duration) -> u64 {
        let wanted = self.shared.durable.load(Ordering::Acquire);
        let folded = self
            .shared
            .folded
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *folded >= wanted {
            return 0;
        }
        self.wake();
        let (folded, _) = self
            .shared
            .caught_up
            .wait_timeout_while(folded, within, |folded| *folded < wanted)
            .unwrap_or_else(PoisonError::into_inner);
        wanted.saturating_sub(*folded)
    }

    fn wake(&self) {
        let _guard = self
            .shared
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.shared.is_wanted.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// Everything up to `watermark` is in `state.db`.
    fn folded(&self, watermark: u64) {
        let mut folded = self
            .shared
            .folded
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *folded = watermark;
        self.shared.caught_up.notify_all();
    }

    /// Fold once more, then end.
    pub(super) fn close(&self) {
        let _guard = self
            .shared
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.shared.is_closing.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }

    fn is_closing(&self) -> bool {
        self.shared.is_closing.load(Ordering::Acquire)
    }

    fn wait(&self) {
        let guard = self
            .shared
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_wanted = self.shared.is_wanted.swap(false, Ordering::AcqRel);
        if !is_wanted && !self.is_closing() {
            drop(self.shared.wake.wait_timeout(guard, FOLD_EVERY));
        }
    }
}

/// Folds everything that the journal holds.
pub(super) fn fold_all(folder: &Path, state: &mut State, now_ms: u64) -> Result<(), Error> {
    for (_, path) in journal::files(folder)? {
        let file = journal::open_to_read(&path)?;
        while fold_some(&file, state, now_ms)? {}
        drop(file);
        journal::remove(&path);
    }
    Ok(())
}

/// Folds at most a batch of one file; whether there was anything.
fn fold_some(file: &rusqlite::Connection, state: &mut State, now_ms: u64) -> Result<bool, Error> {
    let after = state.watermark()?;
    let entries = journal::read_after(file, after, FOLD_ENTRIES)?;
    let Some(last) = entries.last() else {
        return Ok(false);
    };
    let marks = journal::marks_between(file, after, last.seq)?;
    // A batch of the journal may be cut by our limit; its marks then come with its rest.
    state.fold(entries, &marks, now_ms)?;
    Ok(true)
}

/// Starts the folder's thread.
pub(super) fn start(
    folder: &Path,
    state: State,
    unfolded: Arc<Unfolded>,
    watch: Watch,
    clock: Clock,
) -> Result<(Handle, JoinHandle<()>), Error> {
    let handle = Handle {
        shared: Arc::default(),
    };
    let watermark = state.watermark()?;
    handle.shared.durable.store(watermark, Ordering::Release);
    handle.folded(watermark);
    let work = Work {
        folder: folder.to_owned(),
        state,
        unfolded,
        watch,
        clock,
        handle: handle.clone(),
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
}

/// What the folder's thread looks after beside folding.
pub(super) struct Watch {
    pub(super) space: Space,
    pub(super) free_bytes: FreeBytes,
}

impl Work {
    fn run(mut self) {
        loop {
            let is_last = self.handle.is_closing();
            self.watch.space.look(&self.folder, &self.watch.free_bytes);
            // A fold that fails loses nothing: the journal keeps its files until one succeeds.
            if let Err(error) = self.fold() {
                tracing::error!(%error, "the journal can't be folded, and grows until it can");
                if !is_last {
                    self.handle.wait();
                }
            }
            if is_last {
                return;
            }
            self.handle.wait();
        }
    }

    fn fold(&mut self) -> Result<(), Error> {
        let durable = self.handle.shared.durable.load(Ordering::Acquire);
        if self.state.watermark()? >= durable {
            return Ok(());
        }
        let files = journal::files(&self.folder)?;
        for (n, (_, path)) in files.iter().enumerate() {
            let next = files.get(n + 1).map(|(first, _)| *first);
            if next.is_some_and(|first| self.state.watermark().is_ok_and(|at| at + 1 >= first)) {
                journal::remove(path);
                continue;
            }
            let file = journal::open_to_read(path)?;
            while fold_some(&file, &mut self.state, self.clock.unix_ms())? {
                let watermark = self.state.watermark()?;
                self.unfolded.forget(watermark);
                self.handle.folded(watermark);
            }
            drop(file);
            if next.is_some() {
                journal::remove(path);
            }
        }
        Ok(())
    }
}
