//! The inbox's side of subscriptions: deliveries go out to the author's loops, and come back settled or not.

use std::sync::Arc;

use super::super::lent::Next;
use super::super::machine::Input;
use super::{Ctx, InboxShell};
use crate::actor::Message;
use crate::actor::port::WayBack;
use crate::base::backoff::Backoff;
use crate::base::limits::{TURN_RETRY_FIRST, TURN_RETRY_MOST};
use crate::bot::activation::Outcome;
use crate::bot::subscription::{End, Feed, Lent, Settle};
use crate::dispatch::handler::{TurnResult, checked};
use crate::flow::delivery::Delivery;
use crate::flow::key::Key;

const BACKOFF: Backoff = Backoff {
    first: TURN_RETRY_FIRST,
    most: TURN_RETRY_MOST,
};

/// What became of a delivery that was lent. At most one for each time that it was handed out.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Returned {
    slot: u64,
    end: End,
}

struct Desk(WayBack<InboxShell>);

impl Settle for Desk {
    fn end(&self, slot: u64, end: End) {
        self.0.send(Returned { slot, end });
    }
}

impl InboxShell {
    pub(super) fn lend(&mut self, delivery: Delivery, context: &mut Ctx) {
        let next = self.lending.put(delivery);
        self.go_on(next, context);
    }

    /// The key's next delivery of an earlier run may be handed out, if the key is a subscription's.
    pub(super) fn lend_recorded(&mut self, key: &Key, context: &mut Ctx) {
        let next = self.lending.on_record(key);
        self.go_on(next, context);
    }

    fn feed_of(&self, key: &Key) -> Option<Arc<Feed>> {
        self.parts.router.handler(key.handler())?.feed().cloned()
    }

    fn go_on(&mut self, all: impl IntoIterator<Item = Next>, context: &mut Ctx) {
        for next in all {
            match next {
                Next::HandOut(slot, attempt) => self.hand_out(slot, attempt),
                Next::Record(slot) => self.step(Input::AttemptWanted(slot), context),
                Next::Survived(slot) => self.step(Input::AttemptSurvived(slot), context),
                Next::Wait(slot, attempt) => {
                    let wait = BACKOFF.delay(attempt, &mut self.rng);
                    Self::lend_again_after(wait, slot, context);
                }
                Next::Commit(slot, settled) => {
                    let outcome = Outcome {
                        state: None,
                        version: 1,
                        effects: settled.effects,
                        answer: settled.answer,
                    };
                    let result = match checked(outcome, false) {
                        Ok(outcome) => TurnResult::Commit(outcome),
                        // It would be refused again, however often it is tried.
                        Err(error) => TurnResult::GiveUp(error),
                    };
                    self.step(Input::TurnEnded(slot, result), context);
                }
                Next::GiveUp(slot, error) => {
                    tracing::warn!(slot, %error, "an item of a subscription is given up and kept as a dead letter");
                    self.step(Input::TurnEnded(slot, TurnResult::GiveUp(error)), context);
                }
            }
        }
    }

    fn hand_out(&self, slot: u64, attempt: u32) {
        let Some(delivery) = self.lending.delivery(slot) else {
            return;
        };
        if let Some(feed) = self.feed_of(&delivery.key) {
            feed.put(Lent {
                envelope: Arc::clone(&delivery.envelope),
                slot,
                attempt,
                settle: Arc::new(Desk(self.workplace.inbox.clone())),
            });
        }
    }

    /// The wait after a failed attempt is over.
    pub(super) fn lend_again(&mut self, slot: u64, context: &mut Ctx) {
        let next = self.lending.again(slot);
        self.go_on(next, context);
    }

    pub(super) fn returned(&mut self, returned: Returned, context: &mut Ctx) {
        let all = self.lending.ended(returned.slot, returned.end);
        self.go_on(all, context);
    }

    /// Deliveries that are stored, and that no loop of this process is going to read.
    pub(super) fn resting(&self) -> usize {
        let router = &self.parts.router;
        let closed = router.handlers().iter().filter(|handler| {
            let feed = handler.feed();
            feed.is_some_and(|feed| feed.is_closed())
        });
        let closed: Vec<&str> = closed.map(|handler| handler.name).collect();
        if closed.is_empty() {
            return 0;
        }
        let lent = self.lending.resting();
        lent.filter(|slot| self.machine.is_stored(*slot)).count() + self.machine.lagging_of(&closed)
    }
}
