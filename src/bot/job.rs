//! Deferred jobs: slow work outside the key's queue, whose result comes back as a delivery of its own.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Result;

/// Slow work. It is stored by the commit of the turn that [defers](super::turn::Turn::defer) it, runs at least once
/// (again after a crash), beside the turns of its key, and its result reaches the same key as [`Done`].
///
/// It is registered by [`Routes::job`](super::route::Routes::job). It is not tried again by itself: an error, a panic
/// and a time-out (1 hour) are results, and the handler says what follows.
pub trait Job: Serialize + DeserializeOwned + 'static {
    /// The durable name, different for each job of all handlers. A stored job whose name is gone has failed.
    const NAME: &'static str;

    /// What it gives back.
    type Output: Serialize + DeserializeOwned + Debug + 'static;

    /// Does the work. It shares its thread with handlers: await, and send what blocks to
    /// `tokio::task::spawn_blocking`.
    fn run(&self) -> impl Future<Output = Result<Self::Output>>;
}

/// A job's end.
#[derive(Debug)]
pub struct Done<J: Job> {
    /// The job as it was deferred.
    pub job: J,
    /// What came of it. A panic or a time-out is an error too; only its text survives the way here.
    pub output: Result<J::Output>,
}
