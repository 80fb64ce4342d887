//! The actix actor around the outbox's machine.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use tokio::sync::oneshot;
use tracing::Instrument;

use super::looking::Looks;
use super::machine::{Input, Machine, Output, Queued};
use super::sending::{PostedWindow, Sender};
use crate::actor::alarm::Alarm;
use crate::actor::port::WayBack;
use crate::actor::vital::Vital;
use crate::base::clock::Clock;
use crate::base::limits::OUTBOX_MAX;
use crate::base::rng::Rng;
use crate::flow::effect::Committed;
use crate::flow::gate::Gate;
use crate::flow::identity::Installs;
use crate::store::{Durable, Outcome, Queue, Reader, Record, Submission, Submitter};
use crate::web::{Api, Client};

/// What an outbox is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where the Web API is.
    pub api: Api,
    /// Whose tokens.
    pub installs: Installs,
    /// Takes notes of what is done.
    pub queue: Arc<Queue>,
    /// Knows what was posted long ago.
    pub reader: Reader,
    /// The time.
    pub clock: Clock,
}

#[derive(Debug)]
struct Put(Vec<Queued>);

impl Message for Put {
    type Result = ();
}

#[derive(Debug)]
struct Written(Durable);

impl Message for Written {
    type Result = ();
}

/// Asks how many calls are not done.
#[derive(Debug)]
pub struct Count(pub oneshot::Sender<usize>);

impl Message for Count {
    type Result = ();
}

/// The way into the outbox: a permit for each call, then one message for many.
#[derive(Debug, Clone)]
pub struct Entrance {
    gate: Gate,
    outbox: WayBack<OutboxShell>,
}

impl Entrance {
    /// The way to `outbox`.
    pub fn new(outbox: WayBack<OutboxShell>) -> Self {
        Self {
            gate: Gate::new(OUTBOX_MAX),
            outbox,
        }
    }

    /// How many calls are inside.
    pub fn inside(&self) -> usize {
        self.gate.inside()
    }

    /// Hands over as many as there is room for, from the front; the rest stays.
    pub fn put(&self, waiting: &mut VecDeque<Committed>) {
        let mut calls = Vec::new();
        while !waiting.is_empty() {
            let Some(permit) = self.gate.try_enter() else {
                break;
            };
            calls.extend(
                waiting
                    .pop_front()
                    .map(|committed| Queued { committed, permit }),
            );
        }
        if !calls.is_empty() {
            self.outbox.send(Put(calls));
        }
    }
}

/// The actor of the outbox.
pub struct OutboxShell {
    machine: Machine,
    queue: Arc<Queue>,
    submitter: Submitter,
    sender: Sender,
    clock: Clock,
    alarm: Alarm,
    _vital: Vital,
}

impl std::fmt::Debug for OutboxShell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboxShell").finish_non_exhaustive()
    }
}

impl OutboxShell {
    /// An outbox; `context` is its own.
    pub fn new(parts: Parts, context: &Context<Self>) -> Self {
        let tell = WayBack::new(context.address());
        Self {
            machine: Machine::new(Rng::from_system()),
            submitter: parts
                .queue
                .register(move |durable| tell.send(Written(durable))),
            queue: parts.queue,
            sender: Sender {
                web: Client::new(&parts.api),
                reader: parts.reader,
                installs: parts.installs,
                posted: Rc::new(RefCell::new(PostedWindow::default())),
                looks: Looks::default(),
            },
            clock: parts.clock,
            alarm: Alarm::default(),
            _vital: Vital::new("outbox"),
        }
    }

    fn step(&mut self, input: Input, context: &mut Context<Self>) {
        let mut out = Vec::new();
        self.machine.step(self.clock.now(), input, &mut out);
        let mut submissions = Vec::new();
        for output in out {
            match output {
                Output::Submit(record) => {
                    tell_of_dead(&record);
                    submissions.push(Submission {
                        record,
                        mark: None,
                        from: self.submitter,
                    });
                }
                Output::Send(lane, committed) => {
                    let span = tracing::info_span!("call", app = %committed.app, team = %committed.team, effect = %committed.name.0);
                    let sending = self.sender.clone().send(committed).instrument(span);
                    context.spawn(sending.into_actor(self).map(|tried, shell, context| {
                        shell.step(Input::Tried(lane, tried), context);
                    }));
                }
            }
        }
        if !submissions.is_empty() {
            let first = self.queue.submit(submissions);
            self.machine.submitted(first);
        }
        if let Some(wait) = self.alarm.set(self.machine.next_tick(), self.clock.now()) {
            context.run_later(wait, |shell, context| {
                shell.alarm.rang();
                shell.step(Input::Tick, context);
            });
        }
    }
}

/// A call that is given up must not go unnoticed.
fn tell_of_dead(record: &Record) {
    if let Record::Effect {
        name,
        outcome: Outcome::Dead { error, lane, .. },
        ..
    } = record
    {
        tracing::warn!(effect = %name.0, %lane, %error, "a call is given up and kept as a dead letter");
    }
}

impl Actor for OutboxShell {
    type Context = Context<Self>;
}

impl Handler<Put> for OutboxShell {
    type Result = ();

    fn handle(&mut self, mut put: Put, context: &mut Self::Context) {
        let now_ms = self.clock.unix_ms();
        for Queued { committed, .. } in &mut put.0 {
            if !committed.is_recovered {
                // Not made yet: a later look need not go back any further.
                committed.at_ms = now_ms;
            }
        }
        self.step(Input::Queued(put.0), context);
    }
}

impl Handler<Written> for OutboxShell {
    type Result = ();

    fn handle(&mut self, written: Written, context: &mut Self::Context) {
        self.step(Input::Durable(written.0.upto), context);
    }
}

impl Handler<Count> for OutboxShell {
    type Result = ();

    fn handle(&mut self, count: Count, _: &mut Self::Context) {
        // Whoever asked may have stopped waiting.
        let _stopped_waiting = count.0.send(self.machine.len());
    }
}
