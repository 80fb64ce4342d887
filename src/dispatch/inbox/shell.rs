//! The actix actor around a shard's inbox.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use tokio::sync::oneshot;

use super::dedupe::Dedupe;
use super::machine::{Counted, Input, Machine, Output};
use crate::actor::alarm::Alarm;
use crate::actor::port::{Port, Undelivered, WayBack};
use crate::actor::vital::Vital;
use crate::base::clock::Clock;
use crate::base::limits::{
    KEY_MAILBOX_MAX, KEYS_READ_MAX, MARKS_IN_MEMORY, OUTBOX_MAX, SHARD_OPEN_MAX,
};
use crate::dispatch::directory::Directory;
use crate::dispatch::handler::{
    AttemptWanted, HandlerShell, OnRecord, Routed, TurnEnded, TurnResult, Workplace,
};
use crate::dispatch::internal;
use crate::dispatch::jobs::{Finished, Jobs};
use crate::dispatch::reads::WebReads;
use crate::dispatch::router::Router;
use crate::egress::Entrance as OutboxEntrance;
use crate::flow::effect::{Committed, Effect};
use crate::flow::envelope::{Arrival, Mark, Unreadable};
use crate::flow::gate::{Gate, Permit};
use crate::flow::identity::Installs;
use crate::flow::key::Key;
use crate::store::{Durable, Queue, Reader, Record, RecoveredRow, Submission, Submitter, Unfolded};
use crate::web::{Api, Client};

/// How soon to look again whether what is full has room.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

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
    /// Where the Web API is, for reads of turns.
    pub api: Api,
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

    /// How many envelopes are inside.
    pub fn inside(&self) -> usize {
        self.gate.inside()
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
    /// Reads of lagging rows that wait: for the outbox to drain, or for other reads to end.
    reads: VecDeque<(Key, Vec<u64>)>,
    reads_under_way: usize,
    alarm: Alarm,
    _vital: Vital,
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
                reads: Rc::new(WebReads {
                    web: Client::new(&parts.api),
                    installs: parts.installs.clone(),
                }),
                is_over_quota: Rc::default(),
            },
            calls: VecDeque::new(),
            jobs: Jobs::new(Arc::clone(&parts.router)),
            reads: VecDeque::new(),
            reads_under_way: 0,
            alarm: Alarm::default(),
            _vital: Vital::new("inbox"),
            parts,
        }
    }

    fn step(&mut self, input: Input, context: &mut Context<Self>) {
        let mut out = Vec::new();
        self.machine.step(self.parts.clock.now(), input, &mut out);
        self.submit(&mut out);
        for output in out {
            self.perform(output, context);
        }
        self.pass_on(context);
    }

    /// Hands on what waits for room elsewhere, as far as there is some, and sets the alarm.
    fn pass_on(&mut self, context: &mut Context<Self>) {
        self.parts.outbox.put(&mut self.calls);
        self.start_reads(context);
        self.workplace
            .is_over_quota
            .set(self.machine.is_over_quota());
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
            Output::Deliver(delivery, route, policy) => self.deliver(Routed {
                delivery,
                route,
                policy,
            }),
            Output::TellOnRecord(key) => {
                if let Some(port) = self.parts.directory.get(&key) {
                    port.way_back().send(OnRecord);
                }
            }
            Output::Ack(ack, answer) => ack.release(answer),
            Output::Perform(committed) => self.take(committed, context),
            Output::ReadRows(key, rows) => self.reads.push_back((key, rows)),
            Output::ReadMark(number, mark) => self.read_mark(number, mark, context),
        }
    }

    /// Hands the delivery to its key's actor, which comes to life if it must.
    fn deliver(&mut self, mut routed: Routed) {
        let key = routed.delivery.key.clone();
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
                Effect::Memo(_) => self.admit_internal(internal::memo(committed), context),
            }
        }
        self.start_jobs(context);
    }

    fn admit_internal(
        &mut self,
        internal: Result<Box<(Arrival, Committed)>, Unreadable>,
        context: &mut Context<Self>,
    ) {
        match internal {
            Ok(internal) => self.step(Input::Internal(internal), context),
            // It was written by us: a fault of ours. It stays in the outbox's table for the next version.
            Err(error) => tracing::error!(%error, "an effect of our own can't be read"),
        }
    }

    fn start_jobs(&mut self, context: &mut Context<Self>) {
        while let Some(job) = self.jobs.start_next() {
            let work = job.run(self.parts.clock).into_actor(self);
            context.spawn(work.map(|finished: Finished, shell, context| {
                shell.admit_internal(finished.into_arrival(), context);
                shell.start_jobs(context);
            }));
        }
    }

    /// Reads lagging rows back, for a few keys at once, and for none while what is committed already backs up.
    fn start_reads(&mut self, context: &mut Context<Self>) {
        while self.reads_under_way < KEYS_READ_MAX && !self.is_backed_up() {
            let Some((key, rows)) = self.reads.pop_front() else {
                return;
            };
            self.reads_under_way += 1;
            self.read_rows(key, rows, context);
        }
    }

    fn read_rows(&self, key: Key, rows: Vec<u64>, context: &mut Context<Self>) {
        let (reader, wanted) = (self.parts.reader.clone(), rows.clone());
        let read = async move { reader.rows(wanted).await }.into_actor(self);
        context.spawn(read.map(move |found, shell, context| match found {
            Ok(found) => {
                shell.reads_under_way -= 1;
                shell.step(Input::RowsRead(key, rows, found), context);
            }
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
            if let Err(error) = &found {
                tracing::error!(%error, "a mark can't be looked up; its event is left un-acked");
            }
            shell.step(Input::MarkRead(number, found.ok()), context);
        }));
    }

    fn arm(&mut self, context: &mut Context<Self>) {
        let now = self.parts.clock.now();
        let mut next = self.machine.next_tick();
        if !self.calls.is_empty() || !self.reads.is_empty() {
            // The outbox is full, or enough is being read: look again soon.
            let soon = now + LOOK_AGAIN_AFTER;
            next = Some(next.map_or(soon, |at| at.min(soon)));
        }
        if let Some(wait) = self.alarm.set(next, now) {
            context.run_later(wait, |shell, context| {
                shell.alarm.rang();
                shell.step(Input::Tick, context);
            });
        }
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
        if self.is_backed_up() {
            self.machine.counted.shed += u64::try_from(arrived.0.len()).unwrap_or(0);
            return;
        }
        self.step(Input::Arrived(arrived.0), context);
    }
}

impl Handler<TurnEnded> for InboxShell {
    type Result = ();

    fn handle(&mut self, ended: TurnEnded, context: &mut Self::Context) {
        self.step(Input::TurnEnded(ended.slot, ended.result), context);
    }
}

impl Handler<AttemptWanted> for InboxShell {
    type Result = ();

    fn handle(&mut self, wanted: AttemptWanted, context: &mut Self::Context) {
        self.step(Input::AttemptWanted(wanted.slot), context);
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
        // Deliveries before effects: a memo that is still to be delivered comes behind what its key has stored.
        self.step(Input::Recovered(recovered.rows), context);
        self.take(recovered.effects, context);
        self.pass_on(context);
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
            unsettled: self.machine.unsettled() + self.calls.len() + self.jobs.len(),
        };
        // Whoever asked may have stopped waiting.
        let _stopped_waiting = count.0.send(counts);
    }
}
