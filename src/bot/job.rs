//! Deferred jobs: slow work outside the key's queue, whose result comes back as a delivery of its own.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Result;

/// Slow work. It is stored by the commit of the turn that defers it, runs at least once (again after a crash),
/// beside the turns of its key, and its result reaches the same handler as [`Done`].
pub trait Job: Serialize + DeserializeOwned + 'static {
    /// The durable name.
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
    /// What came of it. A panic is an error too.
    pub output: Result<J::Output>,
}
