//! The writer: one thread, one transaction for everything that waits, then the news that it is durable.
//!
//! There is no lingering: the time of the last sync is the window in which the next batch gathers. What is
//! written when is `machine`'s; here is its lock, its thread, and the telling.
mod machine;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub(super) use machine::Batch;
use machine::{Machine, Next};

use super::journal::{Journal, Probe};
use super::record::Submission;
use super::{Error, Unfolded, folder};
use crate::base::clock::Clock;

/// Everything up to `upto` is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable {
    /// The last entry of the batch.
    pub upto: u64,
}

/// Who submitted, and so who is told: a number given by [`Queue::register`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Submitter(usize);

type Tell = Box<dyn Fn(Durable) + Send + Sync>;

/// What waits for the writer.
///
/// It has no bound of its own: every record in it belongs to an admitted envelope, or to an effect under way,
/// whose permit it keeps, so those gates bound it.
pub struct Queue {
    machine: Mutex<Machine>,
    unfolded: Arc<Unfolded>,
    /// Nothing is written: what is submitted is as durable as it gets.
    is_in_memory: bool,
    wake: Condvar,
    submitters: Mutex<Vec<Tell>>,
    /// Wakes the simulation's writer, which is a task.
    #[cfg(test)]
    pub(super) submitted: tokio::sync::Notify,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new(next_seq: u64, unfolded: Arc<Unfolded>) -> Self {
        Self {
            machine: Mutex::new(Machine::new(next_seq)),
            unfolded,
            is_in_memory: false,
            wake: Condvar::new(),
            submitters: Mutex::default(),
            #[cfg(test)]
            submitted: tokio::sync::Notify::new(),
        }
    }

    /// A queue without a writer.
    pub(super) fn in_memory(unfolded: Arc<Unfolded>) -> Self {
        Self {
            is_in_memory: true,
            ..Self::new(1, unfolded)
        }
    }

    /// Adds somebody who submits; `tell` is called on the writer's thread after each batch of theirs.
    pub fn register(&self, tell: impl Fn(Durable) + Send + Sync + 'static) -> Submitter {
        let mut submitters = self
            .submitters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        submitters.push(Box::new(tell));
        Submitter(submitters.len() - 1)
    }

    /// Submits records, in order; gives back the number of the first's entry.
    pub fn submit(&self, submissions: Vec<Submission>) -> u64 {
        let mut machine = self.lock();
        // Noted before anybody can write, fold and forget it.
        for (seq, submission) in (machine.next_seq()..).zip(&submissions) {
            self.unfolded.note(seq, &submission.record);
        }
        if self.is_in_memory {
            let batch = machine.pass(submissions);
            drop(machine);
            self.unfolded.settle(&batch);
            self.tell(&batch.submitters(), Durable { upto: batch.upto() });
            return batch.first;
        }
        let (first, was_empty) = machine.submit(submissions);
        drop(machine);
        if was_empty {
            self.wake.notify_one();
            #[cfg(test)]
            self.submitted.notify_one();
        }
        first
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn close(&self) {
        self.lock().close();
        self.wake.notify_one();
    }

    /// Everything that waits, once something does; nothing once closed and empty.
    fn take(&self) -> Option<Batch> {
        let mut machine = self.lock();
        loop {
            match machine.next() {
                Next::Write(batch) => return Some(batch),
                Next::End => return None,
                Next::Wait => {
                    machine = self
                        .wake
                        .wait(machine)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Everything that waits now.
    #[cfg(test)]
    pub(super) fn try_take(&self) -> Option<Batch> {
        match self.lock().next() {
            Next::Write(batch) => Some(batch),
            Next::Wait | Next::End => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those of a batch that it is durable.
    pub(super) fn tell(&self, batch: &[Submitter], durable: Durable) {
        let submitters = self
            .submitters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (n, tell) in submitters.iter().enumerate() {
            if batch.contains(&Submitter(n)) {
                tell(durable);
            }
        }
    }
}

/// How writes fail, and what happens then.
pub(super) struct Failing {
    pub(super) probe: Option<Probe>,
    pub(super) on_failure: Arc<dyn Fn(&Error) + Send + Sync>,
}

/// Starts the writer's thread.
pub(super) fn start(
    path: &Path,
    queue: Arc<Queue>,
    folding: folder::Handle,
    clock: Clock,
    failing: Failing,
) -> Result<JoinHandle<()>, Error> {
    let mut journal = Journal::new(path, failing.probe);
    let on_failure = failing.on_failure;
    std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || {
            while let Some(batch) = queue.take() {
                let at_ms = clock.unix_ms();
                match journal.append(&batch, at_ms) {
                    Ok(bytes) => {
                        let (submitters, upto) = (batch.submitters(), batch.upto());
                        // First, so that whoever is told finds it when they look into the store.
                        folding.put(batch, at_ms, bytes);
                        queue.tell(&submitters, Durable { upto });
                    }
                    // Turns run ahead of the disk, so there is no going on from here.
                    Err(error) => return on_failure(&error),
                }
            }
        })
        .map_err(|error| Error::Unusable {
            path: path.display().to_string(),
            why: error.to_string(),
        })
}
