//! The bounded address.
//!
//! actix's mailbox bound does not hold: every clone of an address has a slot of its own, and `do_send` ignores
//! the bound altogether. A [`Port`] admits by a [`Gate`]; the permit rides in the message and is dropped with
//! it, so the bound covers what is queued and what is in progress. Inside, `do_send` is then right: cheap, and
//! it never blocks.

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};

use crate::flow::gate::{Gate, Permit};

/// A message with the permit that admitted it.
#[derive(Debug)]
pub struct Admitted<M> {
    /// The message.
    pub message: M,
    /// Given back on drop: keep it until the message is dealt with.
    pub permit: Permit,
}

impl<M: Send + 'static> Message for Admitted<M> {
    type Result = ();
}

/// Why an offer was not taken; the message comes back.
#[derive(Debug)]
pub enum Undelivered<M> {
    /// The gate is full.
    Full(M),
    /// The actor has stopped.
    Gone(M),
}

/// The bounded address of an actor, for one kind of message.
#[derive(Debug)]
pub struct Port<A: Actor> {
    address: Addr<A>,
    gate: Gate,
}

impl<A: Actor> Clone for Port<A> {
    fn clone(&self) -> Self {
        Self {
            address: self.address.clone(),
            gate: self.gate.clone(),
        }
    }
}

impl<A: Actor> Port<A> {
    /// A port that lets at most `bound` messages be queued or in progress, however often it is cloned.
    pub fn new(address: Addr<A>, bound: usize) -> Self {
        Self {
            address,
            gate: Gate::new(bound),
        }
    }

    /// Hands `message` over if there is room.
    ///
    /// # Errors
    /// The message itself, when the gate is full or the actor is gone.
    #[expect(clippy::disallowed_methods, reason = "this is the bounded port")]
    pub fn offer<M>(&self, message: M) -> Result<(), Undelivered<M>>
    where
        M: Send + 'static,
        A: Handler<Admitted<M>>,
        A::Context: ToEnvelope<A, Admitted<M>>,
    {
        if !self.address.connected() {
            return Err(Undelivered::Gone(message));
        }
        let Some(permit) = self.gate.try_enter() else {
            return Err(Undelivered::Full(message));
        };
        self.address.do_send(Admitted { message, permit });
        Ok(())
    }

    /// The way back to the same actor.
    pub fn way_back(&self) -> WayBack<A> {
        WayBack::new(self.address.clone())
    }

    /// How many messages are queued or in progress.
    pub fn inside(&self) -> usize {
        self.gate.inside()
    }
}

/// An address for answers and news only: each message answers something whose permit is still held, or tells
/// of something that happens at most once per item, so the number of messages is bounded by those.
#[derive(Debug)]
pub struct WayBack<A: Actor> {
    address: Addr<A>,
}

impl<A: Actor> Clone for WayBack<A> {
    fn clone(&self) -> Self {
        Self {
            address: self.address.clone(),
        }
    }
}

impl<A: Actor> WayBack<A> {
    /// The way back to `address`.
    pub fn new(address: Addr<A>) -> Self {
        Self { address }
    }

    /// Sends the answer. An actor that is gone needs none.
    #[expect(clippy::disallowed_methods, reason = "bounded by what it answers")]
    pub fn send<M>(&self, message: M)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.address.do_send(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::Context;

    struct Keeper(Vec<Admitted<u32>>);

    impl Actor for Keeper {
        type Context = Context<Self>;
    }

    impl Handler<Admitted<u32>> for Keeper {
        type Result = ();

        fn handle(&mut self, message: Admitted<u32>, _: &mut Self::Context) {
            self.0.push(message);
        }
    }

    struct Forget;

    impl Message for Forget {
        type Result = ();
    }

    impl Handler<Forget> for Keeper {
        type Result = ();

        fn handle(&mut self, _: Forget, _: &mut Self::Context) {
            self.0.clear();
        }
    }

    #[actix::test]
    async fn the_bound_holds_over_clones_and_room_comes_back_with_the_permits() {
        let port = Port::new(Keeper(Vec::new()).start(), 4);
        let offer = || (0..1000).filter(|&n| port.clone().offer(n).is_ok()).count();
        assert_eq!(offer(), 4, "queued");
        tokio::task::yield_now().await;
        assert_eq!(offer(), 0, "in progress");
        port.way_back().send(Forget);
        while port.inside() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(offer(), 4, "room again");
    }
}
