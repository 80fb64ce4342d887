//! The writer: one thread, one transaction for everything that waits, then the news that it is durable.
//!
//! There is no lingering: the time of the last sync is the window in which the next batch gathers.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::journal::{Journal, Probe};
use super::record::{Record, Submission};
use super::{Error, folder};
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
    inner: Mutex<Waiting>,
    wake: Condvar,
    submitters: Mutex<Vec<Tell>>,
}

#[derive(Debug)]
struct Waiting {
    next_seq: u64,
    submissions: Vec<Submission>,
    is_closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new(next_seq: u64) -> Self {
        Self {
            inner: Mutex::new(Waiting {
                next_seq,
                submissions: Vec::new(),
                is_closed: false,
            }),
            wake: Condvar::new(),
            submitters: Mutex::default(),
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
        let mut waiting = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let first = waiting.next_seq;
        waiting.next_seq += u64::try_from(submissions.len()).unwrap_or(0);
        let was_empty = waiting.submissions.is_empty();
        waiting.submissions.extend(submissions);
        drop(waiting);
        if was_empty {
            self.wake.notify_one();
        }
        first
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        let waiting = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.submissions.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn close(&self) {
        let mut waiting = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_closed = true;
        self.wake.notify_one();
    }

    /// Everything that waits, with the number of its first; nothing once closed and empty.
    fn take(&self) -> Option<(u64, Vec<Submission>)> {
        let mut waiting = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if !waiting.submissions.is_empty() {
                let taken = std::mem::take(&mut waiting.submissions);
                let count = u64::try_from(taken.len()).unwrap_or(0);
                return Some((waiting.next_seq - count, taken));
            }
            if waiting.is_closed {
                return None;
            }
            waiting = self
                .wake
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn tell(&self, batch: &[Submitter], durable: Durable) {
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
            while let Some((first, submissions)) = queue.take() {
                match write(&mut journal, first, submissions, clock) {
                    Ok((durable, submitters)) => {
                        folding.durable(durable.upto);
                        queue.tell(&submitters, durable);
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

fn write(
    journal: &mut Journal,
    first: u64,
    submissions: Vec<Submission>,
    clock: Clock,
) -> Result<(Durable, Vec<Submitter>), Error> {
    let mut entries = Vec::with_capacity(submissions.len());
    let mut marks = Vec::new();
    let mut submitters = Vec::new();
    let mut upto = first;
    for (seq, submission) in (first..).zip(submissions) {
        let Submission { record, mark, from } = submission;
        entries.push(Record::into_entry(record, seq)?);
        marks.extend(mark);
        if !submitters.contains(&from) {
            submitters.push(from);
        }
        upto = seq;
    }
    journal.append(&entries, &marks, clock.unix_ms())?;
    Ok((Durable { upto }, submitters))
}
