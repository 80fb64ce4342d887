//! The actix actor around a shard's inbox.
mod lending;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use tokio::sync::oneshot;

use super::dedupe::Dedupe;
use super::lent::Lending;
use super::machine::{Input, Machine, Output};
use super::messages::{Arrived, Count, Counts, Exhume, FlushWanted, Go, Recovered, Stop, Written};
use crate::actor::alarm::Alarm;
use crate::actor::batch::{Batch, Batched};
use crate::actor::port::{Port, Undelivered, WayBack};
use crate::actor::vital::Vital;
use crate::base::clock::{Clock, Instant};
use crate::base::limits::{
    KEY_MAILBOX_MAX, KEYS_READ_MAX, MARKS_IN_MEMORY, OUTBOX_MAX, SHARD_OPEN_MAX,
};
use crate::base::rng::Rng;
use crate::bot::activation::Taker;
use crate::dispatch::directory::Directory;
use crate::dispatch::handler::{
    AttemptSurvived, AttemptWanted, HandlerLost, HandlerShell, OnRecord, Routed, TurnEnded,
    TurnResult, Workplace,
};
use crate::dispatch::internal;
use crate::dispatch::jobs::{Finished, Jobs};
use crate::dispatch::reads::{WebCalls, WebReads};
use crate::dispatch::router::Router;
use crate::egress::Entrance as OutboxEntrance;
use crate::flow::effect::{Committed, Effect};
use crate::flow::envelope::{Arrival, Mark, Unreadable};
use crate::flow::identity::Installs;
use crate::flow::key::Key;
use crate::store::{Queue, Reader, Record, Space, Submission, Submitter};
use crate::web::{Api, Client};
use lending::Returned;

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
    /// Whether there is room on the disk.
    pub space: Space,
    /// Takes committed calls.
    pub outbox: OutboxEntrance,
    /// Where the Web API is, for reads of turns.
    pub api: Api,
    /// The time.
    pub clock: Clock,
}

/// The actor of one shard's inbox.
pub struct InboxShell {
    machine: Machine,
    parts: Parts,
    submitter: Submitter,
    workplace: Workplace,
    calls: VecDeque<Committed>,
    jobs: Jobs,
    lending: Lending,
    rng: Rng,
    /// Reads of lagging rows that wait: for the outbox to drain, or for other reads to end.
    reads: VecDeque<(Key, Vec<u64>)>,
    reads_under_way: usize,
    alarm: Alarm,
    /// Turns that wait for earlier commits, in order; each is one of the turns that run.
    flushes: VecDeque<oneshot::Sender<()>>,
    /// What came while earlier arrivals are with their actors.
    waiting: VecDeque<Arrived>,
    is_arriving: bool,
    /// Room that steps and batches use again.
    out: Vec<Output>,
    spent: Vec<TurnEnded>,
    _vital: Vital,
    /// How many dead letters have still to leave before who asked is told.
    exhuming: VecDeque<(usize, oneshot::Sender<Result<(), &'static str>>)>,
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
        let web = WebReads {
            web: Client::new(&parts.api),
            installs: parts.installs.clone(),
        };
        Self {
            machine: Machine::new(Arc::clone(&parts.router), parts.installs.clone(), dedupe),
            submitter: parts
                .queue
                .register(move |durable| tell.send(Written(durable))),
            workplace: Workplace {
                reader: parts.reader.clone(),
                clock: parts.clock,
                reads: Rc::new(web.clone()),
                calls: Rc::new(WebCalls {
                    web,
                    inbox: way_back.clone(),
                }),
                ended: Batch::new(way_back.clone()),
                inbox: way_back,
                is_over_quota: Rc::default(),
            },
            calls: VecDeque::new(),
            jobs: Jobs::new(Arc::clone(&parts.router)),
            lending: Lending::default(),
            rng: Rng::from_system(),
            reads: VecDeque::new(),
            reads_under_way: 0,
            alarm: Alarm::default(),
            flushes: VecDeque::new(),
            waiting: VecDeque::new(),
            is_arriving: false,
            out: Vec::new(),
            spent: Vec::new(),
            _vital: Vital::new("inbox"),
            exhuming: VecDeque::new(),
            parts,
        }
    }

    fn step(&mut self, input: Input, context: &mut Context<Self>) {
        self.step_at(self.parts.clock.now(), input, context);
    }

    fn step_at(&mut self, now: Instant, input: Input, context: &mut Context<Self>) {
        let mut out = std::mem::take(&mut self.out);
        self.machine.step(now, input, &mut out);
        self.finish(out, context);
    }

    fn finish(&mut self, mut out: Vec<Output>, context: &mut Context<Self>) {
        self.submit(&mut out);
        for output in out.drain(..) {
            self.perform(output, context);
        }
        // What was done may have brought a step of its own.
        if self.out.capacity() < out.capacity() {
            self.out = out;
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
        let mut submissions = Vec::with_capacity(out.len());
        out.retain_mut(|output| {
            let Output::Submit(record, mark) = output else {
                return true;
            };
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
        self.machine.submitted(first);
    }

    fn perform(&mut self, output: Output, context: &mut Context<Self>) {
        match output {
            // Taken out by `submit`.
            Output::Submit(..) => {}
            Output::Deliver(delivery, route, policy) => {
                let routed = Routed {
                    delivery,
                    route,
                    policy,
                };
                self.deliver(routed, context);
            }
            Output::Flushed => {
                if let Some(waiting) = self.flushes.pop_front() {
                    // Its turn may have timed out meanwhile.
                    let _gone = waiting.send(());
                }
            }
            Output::TellOnRecord(key) => match self.parts.directory.get(&key) {
                Some(port) => port.way_back().send(OnRecord),
                None => self.lend_recorded(&key, context),
            },
            Output::Ack(ack, answer) => ack.release(answer),
            Output::Perform(committed) => self.take(committed, context),
            Output::ReadRows(key, rows) => self.reads.push_back((key, rows)),
            Output::ReadMark(number, mark) => self.read_mark(number, mark, context),
            Output::Exhumed => self.one_exhumed(),
        }
    }

    fn one_exhumed(&mut self) {
        if let Some((left, _)) = self.exhuming.front_mut() {
            *left -= 1;
        }
        while self.exhuming.front().is_some_and(|(left, _)| *left == 0) {
            if let Some((_, answer)) = self.exhuming.pop_front() {
                // Whoever asked may have stopped waiting.
                let _stopped_waiting = answer.send(Ok(()));
            }
        }
    }

    /// Hands the delivery to its key's actor, which comes to life if it must.
    fn deliver(&mut self, routed: Routed, context: &mut Context<Self>) {
        let routed = match self.parts.directory.offer(routed) {
            Ok(()) => return,
            // The machine counts this bound too, and offers no more than fits.
            Err(Undelivered::Full(routed)) => {
                let (slot, error) = (routed.delivery.slot, "its mailbox is full".to_owned());
                let result = TurnResult::GiveUp(error);
                return self.workplace.ended.put(TurnEnded { slot, result });
            }
            // It is new, or panicked outside of a turn: a new one takes its place.
            Err(Undelivered::Gone(routed)) => routed,
        };
        let key = routed.delivery.key.clone();
        let Some(handler) = self.parts.router.handler(key.handler()) else {
            return;
        };
        let Taker::Actors(make) = &handler.taker else {
            return self.lend(routed.delivery, context);
        };
        let shell = HandlerShell::new(key.clone(), make(), self.workplace.clone());
        let port = Port::new(shell.start(), KEY_MAILBOX_MAX);
        if port.offer(routed).is_err() {
            tracing::error!(%key, "a new actor takes nothing");
        }
        self.parts.directory.put(key, port);
    }

    fn lend_again_after(wait: Duration, slot: u64, context: &mut Ctx) {
        context.run_later(wait, move |shell, context| shell.lend_again(slot, context));
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
            let due = now + wait;
            context.run_later(wait, move |shell, _| shell.go_later(Some(due)));
        }
    }

    /// Sends [`Go`] behind what is ready to run on this thread. A turn that only waits for its thread is not
    /// slow: under load the handlers run before their deliveries are judged unfinished, and before more come in.
    fn go_later(&self, tick: Option<Instant>) {
        let inbox = self.workplace.inbox.clone();
        actix_rt::spawn(async move { inbox.send(Go { tick }) });
    }

    fn arrive(&mut self, context: &mut Context<Self>) {
        let arrived = self.waiting.pop_front();
        self.is_arriving = arrived.is_some();
        let Some(arrived) = arrived else {
            return;
        };
        self.go_later(None);
        // What has no ack is lost by shedding: it is taken while there is any room at all.
        if self.is_backed_up() || (self.parts.space.is_short() && arrived.has_acks()) {
            self.machine.counted.shed += u64::try_from(arrived.0.len()).unwrap_or(0);
            return;
        }
        self.step(Input::Arrived(arrived.0), context);
    }

    /// Whether what was committed waits for the outbox or for jobs: then nothing more is admitted.
    fn is_backed_up(&self) -> bool {
        self.calls.len() >= SHARD_OPEN_MAX || self.jobs.waiting() >= OUTBOX_MAX
    }
}

type Ctx = Context<InboxShell>;

impl Actor for InboxShell {
    type Context = Context<Self>;
}

impl Handler<Arrived> for InboxShell {
    type Result = ();

    fn handle(&mut self, arrived: Arrived, context: &mut Self::Context) {
        self.waiting.push_back(arrived);
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
                self.alarm.rang();
                self.step_at(due, Input::Tick, context);
            }
            None => self.arrive(context),
        }
    }
}

impl Handler<Batched<TurnEnded>> for InboxShell {
    type Result = ();

    /// One lock of the store's queue and one wake-up of its writer for all of them.
    fn handle(&mut self, _: Batched<TurnEnded>, context: &mut Self::Context) {
        let mut ended = self.workplace.ended.swap(std::mem::take(&mut self.spent));
        let (now, mut out) = (self.parts.clock.now(), std::mem::take(&mut self.out));
        for TurnEnded { slot, result } in ended.drain(..) {
            let input = Input::TurnEnded(slot, result);
            self.machine.step(now, input, &mut out);
        }
        self.spent = ended;
        self.finish(out, context);
    }
}

impl Handler<AttemptWanted> for InboxShell {
    type Result = ();

    fn handle(&mut self, wanted: AttemptWanted, context: &mut Self::Context) {
        self.step(Input::AttemptWanted(wanted.slot), context);
    }
}

impl Handler<FlushWanted> for InboxShell {
    type Result = ();

    fn handle(&mut self, wanted: FlushWanted, context: &mut Self::Context) {
        self.flushes.push_back(wanted.0);
        self.step(Input::FlushWanted, context);
    }
}

impl Handler<Returned> for InboxShell {
    type Result = ();

    fn handle(&mut self, returned: Returned, context: &mut Self::Context) {
        self.returned(returned, context);
    }
}

impl Handler<HandlerLost> for InboxShell {
    type Result = ();

    fn handle(&mut self, lost: HandlerLost, context: &mut Self::Context) {
        tracing::error!(key = %lost.key, "a handler's actor died outside of a turn; another takes its place");
        self.parts.directory.remove(&lost.key);
        self.step(Input::HandlerLost(lost.key), context);
    }
}

impl Handler<AttemptSurvived> for InboxShell {
    type Result = ();

    fn handle(&mut self, survived: AttemptSurvived, context: &mut Self::Context) {
        self.step(Input::AttemptSurvived(survived.slot), context);
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
        // Rows first: a memo or job result that is only an effect yet came after those of its key that are rows.
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

impl Handler<Exhume> for InboxShell {
    type Result = ();

    fn handle(&mut self, exhume: Exhume, context: &mut Self::Context) {
        let Exhume { exhumed, answer } = exhume;
        let backed_up = "the outbox is full; try again later";
        let refusal = self.machine.refusal();
        let refusal = refusal.or_else(|| self.is_backed_up().then_some(backed_up));
        let told = match refusal {
            Some(why) => Err(why),
            None if exhumed.is_empty() => Ok(()),
            None => {
                self.exhuming.push_back((exhumed.len(), answer));
                return self.step(Input::Exhume(exhumed), context);
            }
        };
        // Whoever asked may have stopped waiting.
        let _stopped_waiting = answer.send(told);
    }
}

impl Handler<Count> for InboxShell {
    type Result = ();

    fn handle(&mut self, count: Count, _: &mut Self::Context) {
        let counts = Counts {
            counted: self.machine.counted,
            unacked: self.machine.unacked(),
            unsettled: self.machine.unsettled()
                + self
                    .waiting
                    .iter()
                    .map(|arrived| arrived.0.len())
                    .sum::<usize>()
                + self.calls.len()
                + self.jobs.len(),
            resting: self.resting(),
        };
        // Whoever asked may have stopped waiting.
        let _stopped_waiting = count.0.send(counts);
    }
}
