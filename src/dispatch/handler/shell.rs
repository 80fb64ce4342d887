//! The actix actor around one key's machine and one author's value.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use bytes::Bytes;
use smallvec::SmallVec;
use tracing::Instrument;

use super::machine::{Input, Item, Machine, Output};
use crate::actor::batch::Batch;
use crate::actor::fence::{Begun, Broken, begun, fenced, fenced_now};
use crate::actor::port::{Admitted, WayBack};
use crate::base::clock::Clock;
use crate::base::limits::{EFFECTS_BYTES_MAX, EFFECTS_MAX, STATE_BYTES_MAX};
use crate::base::rng::Rng;
use crate::bot::activation::{Activation, Outcome};
use crate::bot::route::Policy;
use crate::bot::turn::{Setting, Turn};
use crate::dispatch::inbox::InboxShell;
use crate::flow::delivery::Delivery;
use crate::flow::effect::Effect;
use crate::flow::key::Key;
use crate::flow::ports::{Calls, Reads};
use crate::store::Reader;

/// A delivery with the route that its handler takes.
#[derive(Debug)]
pub struct Routed {
    /// What came.
    pub delivery: Delivery,
    /// Which route.
    pub route: usize,
    /// How its turn runs.
    pub policy: Policy,
}

impl Item for Admitted<Routed> {
    fn slot(&self) -> u64 {
        self.message.delivery.slot
    }

    fn is_suspect(&self) -> bool {
        self.message.delivery.is_suspect
    }

    fn is_aside(&self) -> bool {
        self.message.policy.is_aside
    }
}

/// A recovered delivery is about to run: put that on record, then answer with [`OnRecord`].
#[derive(Debug)]
pub struct AttemptWanted {
    /// The shard's number for the delivery.
    pub slot: u64,
}

impl Message for AttemptWanted {
    type Result = ();
}

/// The attempt of a recovered delivery failed, and the process lives on.
#[derive(Debug)]
pub struct AttemptSurvived {
    /// The shard's number for the delivery.
    pub slot: u64,
}

impl Message for AttemptSurvived {
    type Result = ();
}

/// The attempt of the head is on record.
#[derive(Debug)]
pub struct OnRecord;

impl Message for OnRecord {
    type Result = ();
}

/// A delivery was dealt with.
#[derive(Debug)]
pub struct TurnEnded {
    /// The shard's number for the delivery.
    pub slot: u64,
    /// What came of it.
    pub result: TurnResult,
}

/// What came of a delivery.
#[derive(Debug)]
pub enum TurnResult {
    /// Its turn wants this committed.
    Commit(Outcome),
    /// It is given up.
    GiveUp(String),
}

/// What every handler of a shard works with.
#[derive(Clone)]
pub struct Workplace {
    /// Where ended turns go.
    pub ended: Batch<InboxShell, TurnEnded>,
    /// Where everything else of a turn goes.
    pub inbox: WayBack<InboxShell>,
    /// Where states are read.
    pub reader: Reader,
    /// The time.
    pub clock: Clock,
    /// Answers turns that ask Slack.
    pub reads: Rc<dyn Reads>,
    /// Makes the calls that turns wait for.
    pub calls: Rc<dyn Calls>,
    /// Too much waits on disk: turns that would add to it fail.
    pub is_over_quota: Rc<Cell<bool>>,
}

impl std::fmt::Debug for Workplace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workplace").finish_non_exhaustive()
    }
}

/// A key's actor panicked outside of its fence; what was in its mailbox is gone from memory.
#[derive(Debug)]
pub struct HandlerLost {
    /// Whose actor it was.
    pub key: Key,
}

impl Message for HandlerLost {
    type Result = ();
}

/// The actor of one key.
pub struct HandlerShell {
    key: Key,
    machine: Machine<Admitted<Routed>>,
    activation: Box<dyn Activation>,
    workplace: Workplace,
}

impl std::fmt::Debug for HandlerShell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandlerShell")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl HandlerShell {
    /// An actor for `key`; it reads its state when it starts.
    pub fn new(key: Key, activation: Box<dyn Activation>, workplace: Workplace) -> Self {
        Self {
            key,
            machine: Machine::new(Rng::from_system()),
            activation,
            workplace,
        }
    }

    fn step(&mut self, input: Input<Admitted<Routed>>, context: &mut Context<Self>) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let mut out = SmallVec::new();
            self.machine
                .step(self.workplace.clock.now(), input, &mut out);
            for output in out {
                // At most one turn begins in a step.
                next = self.perform(output, context).or(next);
            }
        }
    }

    /// What follows at once, where something does.
    fn perform(
        &mut self,
        output: Output<Admitted<Routed>>,
        context: &mut Context<Self>,
    ) -> Option<Input<Admitted<Routed>>> {
        match output {
            Output::Load => self.load(context),
            Output::Begin { attempt } => return self.begin(attempt, context),
            // Its permit goes with it: there is room in the mailbox again.
            Output::Done(delivery) => drop(delivery),
            Output::GiveUp { delivery, error } => {
                let slot = delivery.message.delivery.slot;
                tracing::warn!(key = %self.key, event = %delivery.message.delivery.envelope.id, %error,
                    "a delivery is given up and kept as a dead letter");
                self.end(slot, TurnResult::GiveUp(error));
            }
            Output::Record => {
                if let Some(head) = self.machine.head() {
                    let slot = head.message.delivery.slot;
                    self.workplace.inbox.send(AttemptWanted { slot });
                }
            }
            Output::Survived(slot) => self.workplace.inbox.send(AttemptSurvived { slot }),
            Output::AsideAfter(number, wait) => {
                context.run_later(wait, move |shell, context| {
                    shell.step(Input::AsideDue(number), context);
                });
            }
            Output::RetryAfter(wait) => {
                context.run_later(wait, |shell, context| {
                    shell.step(Input::RetryDue, context);
                });
            }
        }
        None
    }

    fn load(&self, context: &mut Context<Self>) {
        let (reader, key) = (self.workplace.reader.clone(), self.key.clone());
        let read = async move { reader.state(key).await }.into_actor(self);
        context.spawn(read.map(|stored, shell, context| {
            let loaded = stored
                .map_err(|error| error.to_string())
                .and_then(|stored| {
                    // `Default`, `Deserialize` and `migrate` are the author's.
                    let activation = &mut shell.activation;
                    match fenced_now(|| activation.load(stored)) {
                        Ok(loaded) => loaded.map_err(|error| told(&*error)),
                        Err(broken) => Err(broken.to_string()),
                    }
                });
            match loaded {
                Ok(()) => shell.step(Input::Loaded, context),
                Err(error) => {
                    let error = format!("the state can't be read: {error}");
                    shell.step(Input::NotLoaded(error), context);
                }
            }
        }));
    }

    fn begin(
        &mut self,
        attempt: u32,
        context: &mut Context<Self>,
    ) -> Option<Input<Admitted<Routed>>> {
        let head = self.machine.head()?;
        let Routed {
            delivery,
            route,
            policy,
        } = &head.message;
        let (slot, within) = (delivery.slot, policy.within);
        let envelope = Arc::clone(&delivery.envelope);
        let span = tracing::info_span!("turn", key = %self.key, event = %envelope.id, attempt = (attempt > 1).then_some(attempt));
        let turn = Turn::new(Setting {
            delivery: delivery.clone(),
            attempt,
            reads: Rc::clone(&self.workplace.reads),
            calls: Rc::clone(&self.workplace.calls),
        });
        let work = self.activation.begin(*route, envelope, turn);
        let work = match span.in_scope(|| begun(work)) {
            Begun::Ended(ended) => return Some(self.ended(slot, attempt, ended)),
            Begun::Waits(work) => work,
        };
        let fenced = fenced(within, work).instrument(span).into_actor(self);
        context.spawn(fenced.map(move |ended, shell, context| {
            let next = shell.ended(slot, attempt, ended);
            shell.step(next, context);
        }));
        None
    }

    /// What a turn's end means for the key.
    fn ended(
        &mut self,
        slot: u64,
        attempt: u32,
        ended: Result<crate::bot::Result<Outcome>, Broken>,
    ) -> Input<Admitted<Routed>> {
        let ended = match ended {
            Ok(Ok(outcome)) => checked(outcome, self.workplace.is_over_quota.get()),
            Ok(Err(error)) => Err(told(&*error)),
            Err(broken) => Err(broken.to_string()),
        };
        match ended {
            Ok(outcome) => {
                if let Some(state) = &outcome.state {
                    self.activation.accept(Bytes::clone(state));
                }
                self.end(slot, TurnResult::Commit(outcome));
                Input::Committed
            }
            Err(error) => {
                // Dropping a state runs the author's code too.
                let activation = &mut self.activation;
                if let Err(broken) = fenced_now(|| activation.refuse()) {
                    tracing::error!(key = %self.key, %broken, "dropping a state failed");
                }
                tracing::info!(key = %self.key, attempt, %error, "a turn failed");
                Input::Failed(error)
            }
        }
    }

    fn end(&self, slot: u64, result: TurnResult) {
        self.workplace.ended.put(TurnEnded { slot, result });
    }
}

/// An error with its causes, in one line.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What may refuse a single turn is asked before the next one starts: after that only a whole batch can fail.
pub(crate) fn checked(outcome: Outcome, is_over_quota: bool) -> Result<Outcome, String> {
    let state = outcome.state.as_ref().map_or(0, Bytes::len);
    if state > STATE_BYTES_MAX {
        return Err(format!(
            "the state has {state} bytes, and may have {STATE_BYTES_MAX}"
        ));
    }
    let count = outcome.effects.len();
    if count > EFFECTS_MAX {
        return Err(format!(
            "the turn has {count} effects, and may have {EFFECTS_MAX}"
        ));
    }
    let sends_memos = outcome
        .effects
        .iter()
        .any(|effect| matches!(effect, Effect::Memo(_)));
    if is_over_quota && sends_memos {
        return Err("too many deliveries wait on disk for it to send one more".to_owned());
    }
    if count > 0 {
        let bytes = serde_json::to_vec(&outcome.effects)
            .map_err(|error| error.to_string())?
            .len();
        if bytes > EFFECTS_BYTES_MAX {
            return Err(format!(
                "the effects have {bytes} bytes, and may have {EFFECTS_BYTES_MAX}"
            ));
        }
    }
    Ok(outcome)
}

impl Actor for HandlerShell {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.load(context);
    }
}

impl Handler<Admitted<Routed>> for HandlerShell {
    type Result = ();

    fn handle(&mut self, delivery: Admitted<Routed>, context: &mut Self::Context) {
        self.step(Input::Delivered(delivery), context);
    }
}

impl Handler<OnRecord> for HandlerShell {
    type Result = ();

    fn handle(&mut self, _: OnRecord, context: &mut Self::Context) {
        self.step(Input::OnRecord, context);
    }
}

impl Drop for HandlerShell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let key = self.key.clone();
            self.workplace.inbox.send(HandlerLost { key });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::effect::{Call, Memo};

    fn outcome(effect: Effect) -> Outcome {
        Outcome {
            state: None,
            version: 1,
            effects: vec![effect],
            answer: None,
        }
    }

    #[test]
    fn rule_10_over_quota_a_turn_that_sends_a_memo_is_refused_and_others_are_not() {
        let memo = || {
            let memo = serde_json::json!({"name": "count", "body": {}, "key": "h/a/T1/user/U1",
                "from": "h/a/T1/user/U2", "hops": 1,
                "context": {"team": "T1", "user": "U1", "channel": "C1", "ts": "", "thread_ts": ""}});
            let memo: Memo = serde_json::from_str(&memo.to_string()).unwrap();
            outcome(Effect::Memo(memo))
        };
        let call = outcome(Effect::Call(Call {
            method: "chat.postMessage".into(),
            args: serde_json::Map::new(),
            posted: std::collections::BTreeMap::default(),
        }));
        let refused = checked(memo(), true).unwrap_err();
        assert!(refused.contains("wait on disk"), "{refused}");
        assert!(checked(memo(), false).is_ok());
        assert!(checked(call, true).is_ok());
    }
}
