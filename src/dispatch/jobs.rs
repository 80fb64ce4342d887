//! Deferred jobs of a shard: run beside the turns, at most so many at once, their results back as deliveries.

use std::collections::VecDeque;
use std::sync::Arc;

use super::internal;
use super::router::Router;
use crate::actor::fence::fenced;
use crate::base::clock::Clock;
use crate::base::limits::{JOB_WITHIN, JOBS_MAX};
use crate::bot::route::RunJob;
use crate::flow::effect::{Committed, Effect, Job};
use crate::flow::envelope::{Arrival, Internal, JobResult, Kind, Unreadable};
use crate::flow::gate::{Gate, Permit};

/// The jobs of one shard.
#[derive(Debug)]
pub(super) struct Jobs {
    router: Arc<Router>,
    waiting: VecDeque<Committed>,
    gate: Gate,
}

/// A job that may run now.
#[derive(Debug)]
pub(super) struct Started {
    committed: Committed,
    job: Job,
    run: Option<RunJob>,
    permit: Permit,
}

/// A job that ran.
#[derive(Debug)]
pub(super) struct Finished {
    committed: Committed,
    result: JobResult,
}

impl Jobs {
    pub(super) fn new(router: Arc<Router>) -> Self {
        Self {
            router,
            waiting: VecDeque::new(),
            gate: Gate::new(JOBS_MAX),
        }
    }

    pub(super) fn put(&mut self, committed: Committed) {
        self.waiting.push_back(committed);
    }

    /// The next job, if there is room for it.
    pub(super) fn start_next(&mut self) -> Option<Started> {
        loop {
            if self.waiting.is_empty() {
                return None;
            }
            let permit = self.gate.try_enter()?;
            let committed = self.waiting.pop_front()?;
            if let Effect::Job(job) = committed.effect.clone() {
                let run = self
                    .router
                    .handlers()
                    .iter()
                    .flat_map(|handler| handler.jobs.iter())
                    .find(|(name, _)| *name == job.name)
                    .map(|(_, run)| *run);
                return Some(Started {
                    committed,
                    job,
                    run,
                    permit,
                });
            }
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Waiting and running.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.gate.inside()
    }
}

impl Started {
    /// Runs the job. A panic and a time-out are results too.
    pub(super) async fn run(self, clock: Clock) -> Finished {
        let Self {
            committed,
            job,
            run,
            permit,
        } = self;
        let started = clock.now();
        let output = match run {
            Some(run) => match fenced(JOB_WITHIN, run(job.input.clone())).await {
                Ok(Ok(output)) => Ok(output.get().to_owned()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(broken) => Err(broken.to_string()),
            },
            None => Err(format!(
                "no handler registers the job {} any more",
                job.name
            )),
        };
        let took_ms = clock.now().saturating_duration_since(started).as_millis();
        tracing::debug!(job = %committed.name.0, name = %job.name, took_ms, is_ok = output.is_ok(), "a job ended");
        let result = JobResult {
            head: Internal {
                effect: committed.name.0.clone(),
                name: job.name,
                key: job.key,
                hops: job.hops,
                context: job.context,
            },
            input: job.input.get().to_owned(),
            output,
        };
        // Another job may start; the result has its place on disk.
        drop(permit);
        Finished { committed, result }
    }
}

impl Finished {
    /// The result as a delivery, and the effect that is done with it; both are written together.
    pub(super) fn into_arrival(self) -> Result<Box<(Arrival, Committed)>, Unreadable> {
        internal::arrival(Kind::JobResult, &self.result, self.committed)
    }
}
