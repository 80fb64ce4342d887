//! A fixed set of threads for actors, and their end.

use actix::{Actor, Addr, Arbiter, Context};

/// Named arbiters: one for connections and the outbox, one for each shard.
#[derive(Debug)]
pub struct Arbiters {
    io: Arbiter,
    shards: Vec<Arbiter>,
}

impl Arbiters {
    /// Starts the threads.
    pub fn start(shards: usize) -> Self {
        Self {
            io: Arbiter::new(),
            shards: (0..shards).map(|_| Arbiter::new()).collect(),
        }
    }

    /// Makes an actor on the thread of connections and the outbox.
    pub fn on_io<A: Actor<Context = Context<A>>>(
        &self,
        make: impl FnOnce(&mut Context<A>) -> A + Send + 'static,
    ) -> Addr<A> {
        A::start_in_arbiter(&self.io.handle(), make)
    }

    /// Makes an actor on a shard's thread; on the first one's when there is no such shard.
    pub fn on_shard<A: Actor<Context = Context<A>>>(
        &self,
        shard: usize,
        make: impl FnOnce(&mut Context<A>) -> A + Send + 'static,
    ) -> Addr<A> {
        let arbiter = self.shards.get(shard).unwrap_or(&self.io);
        A::start_in_arbiter(&arbiter.handle(), make)
    }

    /// Stops every thread and waits for its end. What is still queued on them is dropped: drain first.
    pub fn stop(self) {
        for arbiter in self.shards.into_iter().chain([self.io]) {
            arbiter.stop();
            if arbiter.join().is_err() {
                tracing::error!("an arbiter's thread panicked");
            }
        }
    }
}
