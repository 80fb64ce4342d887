//! The actix actor around a shard's inbox.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use tokio::sync::oneshot;

use super::dedupe::Dedupe;
use super::machine::{Counted, Input, Machine, Output};
use crate::actor::port::{Port, Undelivered, WayBack};
use crate::base::clock::{Clock, Instant};
use crate::base::limits::{KEY_MAILBOX_MAX, MARKS_IN_MEMORY, OUTBOX_MAX, SHARD_OPEN_MAX};
use crate::dispatch::directory::Directory;
use crate::dispatch::handler::{HandlerShell, Routed, TurnEnded, TurnResult, Workplace};
use crate::dispatch::jobs::{Finished, Jobs};
use crate::dispatch::router::Router;
use crate::egress::Entrance as OutboxEntrance;
use crate::flow::delivery::Delivery;
use crate::flow::effect::{Committed, Effect};
use crate::flow::envelope::{Arrival, Mark};
use crate::flow::gate::{Gate, Permit};
use crate::flow::identity::Installs;
use crate::flow::key::Key;
use crate::store::{Durable, Queue, Reader, Record, RecoveredRow, Submission, Submitter, Unfolded};

/// How long to wait before a failed read of the store is tried again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What an inbox is made of.
#[derive(Debug)]
pub struct Parts {
    /// The routes.
    pub router: Arc<Router>,
    /// Who we are where.
    pub installs: Installs,
    /// Who is resident.
    pub directory: Directory,
    /// Takes what is to be made durable.
    pub queue: Arc<Queue>,
    /// Reads what is.
    pub reader: Reader,
    /// States that are not folded yet.
    pub unfolded: Arc<Unfolded>,
    /// Takes committed calls.
    pub outbox: OutboxEntrance,
    /// The time.
    pub clock: Clock,
}

/// What an earlier run left for this shard, told before the first socket opens.
#[derive(Debug)]
pub struct Recovered {
    /// Marks of all shards.
    pub marks: Arc<[Mark]>,
    /// Unfinished deliveries of this shard.
    pub rows: Vec<RecoveredRow>,
    /// Effects of this shard that are not known to be done, in order.
    pub effects: Vec<Committed>,
}

impl Message for Recovered {
    type Result = ();
}

#[derive(Debug)]
struct Arrived(Vec<Arrival>);

impl Message for Arrived {
    type Result = ();
}

/// Everything that was ready to run when it was sent has run.
#[derive(Debug)]
struct Go {
    /// When the timer that it stands for was due; nothing: the next arrivals may come in.
    tick: Option<Instant>,
}

impl Message for Go {
    type Result = ();
}

#[derive(Debug)]
struct Written(Durable);

impl Message for Written {
    type Result = ();
}

/// Admit nothing more: the process is stopping.
#[derive(Debug)]
pub struct Stop;

impl Message for Stop {
    type Result = ();
}

/// Asks how the shard stands.
#[derive(Debug)]
pub struct Count(pub oneshot::Sender<Counts>);

impl Message for Count {
    type Result = ();
}

/// How a shard stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// What happened so far.
    pub counted: Counted,
    /// Deliveries, jobs and calls that are not settled or handed over.
    pub unsettled: usize,
}

/// The way into a shard: a permit for each envelope, then one message for many.
#[derive(Debug, Clone)]
pub struct Entrance {
    gate: Gate,
    inbox: WayBack<InboxShell>,
}

impl Entrance {
    /// The way to `inbox`.
    pub fn new(inbox: WayBack<InboxShell>) -> Self {
        Self {
            gate: Gate::new(SHARD_OPEN_MAX),
            inbox,
        }
    }

    /// Room for one envelope, or nothing: then it is shed.
    pub fn try_enter(&self) -> Option<Permit> {
        self.gate.try_enter()
    }

    /// Hands over envelopes, each with its permit.
    pub fn put(&self, arrivals: Vec<Arrival>) {
        if !arrivals.is_empty() {
            self.inbox.send(Arrived(arrivals));
        }
    }
}

/// The actor of one shard's inbox.
pub struct InboxShell {
    machine: Machine,
    parts: Parts,
    submitter: Submitter,
    workplace: Workplace,
    calls: VecDeque<Committed>,
    jobs: Jobs,
    armed: Option<Instant>,
    /// What came while earlier arrivals are with their actors.
    waiting: VecDeque<Vec<Arrival>>,
    is_arriving: bool,
}

impl std::fmt::Debug for InboxShell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InboxShell").finish_non_exhaustive()
    }
}

impl InboxShell {
    /// An inbox; `context` is its own.
    pub fn new(parts: Parts, context: &Context<Self>) -> Self {
        let way_back = WayBack::new(context.address());
        let (now, now_s) = (parts.clock.now(), parts.clock.unix().as_secs());
        let dedupe = Dedupe::new(now, now_s, now_s.saturating_sub(MARKS_IN_MEMORY.as_secs()));
        let tell = way_back.clone();
        Self {
            machine: Machine::new(Arc::clone(&parts.router), parts.installs.clone(), dedupe),
            submitter: parts
                .queue
                .register(move |durable| tell.send(Written(durable))),
            workplace: Workplace {
                inbox: way_back,
                reader: parts.reader.clone(),
                clock: parts.clock,
            },
            calls: VecDeque::new(),
            jobs: Jobs::new(Arc::clone(&parts.router)),
            armed: None,
            waiting: VecDeque::new(),
            is_arriving: false,
            parts,
        }
    }

    fn step(&mut self, input: Input, context: &mut Context<Self>) {
        self.step_at(self.parts.clock.now(), input, context);
    }

    fn step_at(&mut self, now: Instant, input: Input, context: &mut Context<Self>) {
        let mut out = Vec::new();
        self.machine.step(now, input, &mut out);
        self.submit(&mut out);
        for output in out {
            self.perform(output, context);
        }
        self.parts.outbox.put(&mut self.calls);
        self.arm(context);
    }

    /// Submits every record of a step in one go, so that they are numbered in their order.
    fn submit(&mut self, out: &mut Vec<Output>) {
        let mut submissions = Vec::new();
        let mut states: Vec<(usize, Key, u32, bytes::Bytes)> = Vec::new();
        out.retain_mut(|output| {
            let Output::Submit(record, mark) = output else {
                return true;
            };
            if let Record::Turn {
                key,
                version,
                state: Some(state),
                ..
            } = record
            {
                states.push((submissions.len(), key.clone(), *version, state.clone()));
            }
            submissions.push(Submission {
                record: std::mem::replace(record, Record::Release { row: 0 }),
                mark: mark.take(),
                from: self.submitter,
            });
            false
        });
        if submissions.is_empty() {
            return;
        }
        let first = self.parts.queue.submit(submissions);
        for (n, key, version, state) in states {
            let seq = first + u64::try_from(n).unwrap_or(0);
            self.parts.unfolded.put(key, seq, version, state);
        }
        self.machine.submitted(first);
    }

    fn perform(&mut self, output: Output, context: &mut Context<Self>) {
        match output {
            // Taken out by `submit`.
            Output::Submit(..) => {}
            Output::Deliver(delivery, route) => self.deliver(delivery, route),
            Output::Ack(ack, answer) => ack.release(answer),
            Output::Perform(committed) => self.take(committed, context),
            Output::ReadRows(key, rows) => self.read_rows(key, rows, context),
            Output::ReadMark(number, mark) => self.read_mark(number, mark, context),
        }
    }

    /// Hands the delivery to its key's actor, which comes to life if it must.
    fn deliver(&mut self, delivery: Delivery, route: usize) {
        let key = delivery.key.clone();
        let mut routed = Routed { delivery, route };
        if let Some(port) = self.parts.directory.get(&key) {
            routed = match port.offer(routed) {
                Ok(()) => return,
                // The machine counts this bound too, and offers no more than fits.
                Err(Undelivered::Full(routed)) => {
                    let error = "its mailbox is full".to_owned();
                    let slot = routed.delivery.slot;
                    return self.workplace.inbox.send(TurnEnded {
                        slot,
                        result: TurnResult::GiveUp(error),
                    });
                }
                // It panicked outside of a turn: a new one takes its place.
                Err(Undelivered::Gone(routed)) => routed,
            };
        }
        let Some(handler) = self.parts.router.handler(key.handler()) else {
            return;
        };
        let shell = HandlerShell::new(key.clone(), (handler.make)(), self.workplace.clone());
        let port = Port::new(shell.start(), KEY_MAILBOX_MAX);
        if port.offer(routed).is_err() {
            tracing::error!(%key, "a new actor takes nothing");
        }
        self.parts.directory.put(key, port);
    }

    fn take(&mut self, committed: Vec<Committed>, context: &mut Context<Self>) {
        for committed in committed {
            match committed.effect {
                Effect::Call(_) => self.calls.push_back(committed),
                Effect::Job(_) => self.jobs.put(committed),
            }
        }
        self.start_jobs(context);
    }

    fn start_jobs(&mut self, context: &mut Context<Self>) {
        while let Some(job) = self.jobs.start_next() {
            let work = job.run(self.parts.clock).into_actor(self);
            context.spawn(work.map(|finished: Finished, shell, context| {
                if let Some((arrival, done)) = finished.into_arrival(shell.parts.clock) {
                    shell.step(Input::JobEnded(Box::new((arrival, done))), context);
                }
                shell.start_jobs(context);
            }));
        }
    }

    fn read_rows(&self, key: Key, rows: Vec<u64>, context: &mut Context<Self>) {
        let (reader, wanted) = (self.parts.reader.clone(), rows.clone());
        let read = async move { reader.rows(wanted).await }.into_actor(self);
        context.spawn(read.map(move |found, shell, context| match found {
            Ok(found) => shell.step(Input::RowsRead(key, rows, found), context),
            Err(error) => {
                tracing::error!(%key, %error, "stored deliveries can't be read back; trying again");
                context.run_later(READ_AGAIN_AFTER, |shell, context| {
                    shell.read_rows(key, rows, context);
                });
            }
        }));
    }

    fn read_mark(&self, number: u64, mark: Mark, context: &mut Context<Self>) {
        let reader = self.parts.reader.clone();
        let read = async move { reader.has_mark(mark).await }.into_actor(self);
        context.spawn(read.map(move |found, shell, context| {
            let is_known = found.unwrap_or_else(|error| {
                tracing::error!(%error, "a mark can't be looked up; the event is taken as new");
                false
            });
            shell.step(Input::MarkRead(number, is_known), context);
        }));
    }

    fn arm(&mut self, context: &mut Context<Self>) {
        let mut next = self.machine.next_tick();
        if !self.calls.is_empty() {
            // The outbox is full: look again soon.
            let soon = self.parts.clock.now() + Duration::from_millis(10);
            next = Some(next.map_or(soon, |at| at.min(soon)));
        }
        let Some(next) = next else {
            return;
        };
        if self.armed.is_some_and(|armed| armed <= next) {
            return;
        }
        self.armed = Some(next);
        let wait = next.saturating_duration_since(self.parts.clock.now());
        context.run_later(wait, move |shell, _| {
            // A newer timer may have taken its place.
            if shell.armed == Some(next) {
                shell.go_later(Some(next));
            }
        });
    }

    /// Sends [`Go`] behind what is ready to run on this thread. A turn that only waits for its thread is not
    /// slow: under load the handlers run before their deliveries are judged unfinished, and before more come in.
    fn go_later(&self, tick: Option<Instant>) {
        let inbox = self.workplace.inbox.clone();
        actix_rt::spawn(async move { inbox.send(Go { tick }) });
    }

    fn arrive(&mut self, context: &mut Context<Self>) {
        let arrivals = self.waiting.pop_front();
        self.is_arriving = arrivals.is_some();
        let Some(arrivals) = arrivals else {
            return;
        };
        self.go_later(None);
        if self.is_backed_up() {
            self.machine.counted.shed += u64::try_from(arrivals.len()).unwrap_or(0);
            return;
        }
        self.step(Input::Arrived(arrivals), context);
    }

    /// Whether what was committed waits for the outbox or for jobs: then nothing more is admitted.
    fn is_backed_up(&self) -> bool {
        self.calls.len() >= SHARD_OPEN_MAX || self.jobs.waiting() >= OUTBOX_MAX
    }
}

impl Actor for InboxShell {
    type Context = Context<Self>;
}

impl Handler<Arrived> for InboxShell {
    type Result = ();

    fn handle(&mut self, arrived: Arrived, context: &mut Self::Context) {
        self.waiting.push_back(arrived.0);
        if !self.is_arriving {
            self.arrive(context);
        }
    }
}

impl Handler<Go> for InboxShell {
    type Result = ();

    fn handle(&mut self, go: Go, context: &mut Self::Context) {
        match go.tick {
            Some(due) => {
                self.armed = None;
                self.step_at(due, Input::Tick, context);
            }
            None => self.arrive(context),
        }
    }
}

impl Handler<TurnEnded> for InboxShell {
    type Result = ();

    fn handle(&mut self, ended: TurnEnded, context: &mut Self::Context) {
        self.step(Input::TurnEnded(ended.slot, ended.result), context);
    }
}

impl Handler<Written> for InboxShell {
    type Result = ();

    fn handle(&mut self, written: Written, context: &mut Self::Context) {
        self.step(Input::Durable(written.0.upto), context);
    }
}

impl Handler<Recovered> for InboxShell {
    type Result = ();

    fn handle(&mut self, recovered: Recovered, context: &mut Self::Context) {
        self.machine
            .remember(self.parts.clock.now(), &recovered.marks);
        self.take(recovered.effects, context);
        self.step(Input::Recovered(recovered.rows), context);
    }
}

impl Handler<Stop> for InboxShell {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.step(Input::Stop, context);
    }
}

impl Handler<Count> for InboxShell {
    type Result = ();

    fn handle(&mut self, count: Count, _: &mut Self::Context) {
        let counts = Counts {
            counted: self.machine.counted,
            unsettled: self.machine.unsettled()
                + self.waiting.iter().map(Vec::len).sum::<usize>()
                + self.calls.len()
                + self.jobs.len(),
        };
        // Whoever asked may have stopped waiting.
        let _stopped_waiting = count.0.send(counts);
    }
}
