//! The inbox as a state machine: arrivals, ended turns, news from the writer in; deliveries, records, acks and
//! effects out. It owns every delivery of its shard from admission to its end.

mod admission;
mod checking;
mod durability;
mod exhuming;
mod lagging;
mod turns;

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::value::RawValue;
use smallvec::SmallVec;

use checking::Checking;

use super::dedupe::Dedupe;
use crate::base::clock::Instant;
use crate::base::limits::{KEY_MAILBOX_MAX, LAGGING_MAX};
use crate::base::map::Map;
use crate::bot::route::Policy;
use crate::dispatch::handler::TurnResult;
use crate::dispatch::router::Router;
use crate::flow::ack::Ack;
use crate::flow::delivery::Delivery;
use crate::flow::effect::{Committed, Effect};
use crate::flow::envelope::{Arrival, Envelope, Mark};
use crate::flow::gate::Permit;
use crate::flow::identity::Installs;
use crate::flow::key::Key;
use crate::store::{Exhumed, Record, RecoveredRow};

/// What happens to the inbox.
#[derive(Debug)]
pub(super) enum Input {
    /// Envelopes came in.
    Arrived(Vec<Arrival>),
    /// Something of our own for one key, and the effect that is done with its admission.
    Internal(Box<(Arrival, Committed)>),
    /// An earlier run left these.
    Recovered(Vec<RecoveredRow>),
    /// A handler dealt with a delivery.
    TurnEnded(u64, TurnResult),
    /// A recovered delivery is about to run.
    AttemptWanted(u64),
    /// Somebody waits for what was submitted so far to be durable; answered by [`Output::Flushed`].
    FlushWanted,
    /// A recovered delivery failed, and did not end the process.
    AttemptSurvived(u64),
    /// The journal is durable up to here.
    Durable(u64),
    /// Rows were read back for a key.
    RowsRead(Key, Vec<u64>, Vec<(u64, Arc<Envelope>)>),
    /// A mark was looked up on disk.
    MarkRead(u64, Option<bool>),
    /// An operator retries or drops dead letters; each is answered by an [`Output::Exhumed`].
    Exhume(Vec<Exhumed>),
    /// Time has passed.
    Tick,
    /// A key's actor is gone, with what it had.
    HandlerLost(Key),
    /// Admit nothing more.
    Stop,
}

/// What the shell must do, in this order.
#[derive(Debug)]
pub(super) enum Output {
    /// Give it to the key's actor.
    Deliver(Delivery, usize, Policy),
    /// The oldest wait for what was submitted is over.
    Flushed,
    /// Tell the key's actor that its head's attempt is on record.
    TellOnRecord(Key),
    /// Submit; the machine is told the numbers by [`Machine::submitted`].
    Submit(Record, Option<Mark>),
    /// Tell Slack that we own it.
    Ack(Ack, Option<Box<RawValue>>),
    /// The turn is durable: do what it wants.
    Perform(Vec<Committed>),
    /// Read rows back.
    ReadRows(Key, Vec<u64>),
    /// Look a mark up on disk.
    ReadMark(u64, Mark),
    /// One more dead letter has left, in the order in which they were told to.
    Exhumed,
}

/// What was counted, for people and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Envelopes admitted.
    pub admitted: u64,
    /// Envelopes that were known already.
    pub duplicates: u64,
    /// Envelopes that no route wanted.
    pub unmatched: u64,
    /// The app's own posts, coming back.
    pub own: u64,
    /// Envelopes refused, un-acked.
    pub shed: u64,
    /// Turns committed.
    pub committed: u64,
    /// Deliveries given up.
    pub dead: u64,
    /// Held rows of an earlier run whose answer nobody waits for.
    pub dropped: u64,
}

/// An admitted envelope whose ack or durability is not settled.
#[derive(Debug)]
struct Event {
    mark: Option<Mark>,
    is_marked: bool,
    /// More than one where copies came on several sockets before it was durable.
    acks: SmallVec<[Ack; 1]>,
    /// Deliveries that are neither stored nor committed.
    undurable: usize,
    /// Deliveries that hold this event open.
    open: usize,
    /// The ack waits for the answer of this delivery.
    held_for: Option<u64>,
    _permit: Option<Permit>,
}

impl Event {
    /// Whether its ack must still wait.
    fn is_ack_owed(&self) -> bool {
        self.undurable > 0 || self.held_for.is_some()
    }
}

/// A delivery in memory.
#[derive(Debug)]
struct Open {
    envelope: Arc<Envelope>,
    key: Key,
    event: Option<u64>,
    row: Row,
    is_late: bool,
    is_durable: bool,
    /// Its turn's record is submitted.
    is_ended: bool,
    answer: Option<Box<RawValue>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    None,
    Submitted,
    At(u64),
}

impl Row {
    fn seq(self) -> Option<u64> {
        match self {
            Self::At(seq) => Some(seq),
            Self::None | Self::Submitted => None,
        }
    }
}

#[derive(Debug, Default)]
struct Resident {
    in_mailbox: usize,
    /// How often its actor was lost since its last commit.
    losses: u32,
    /// The newest delivery that was not stored at once: its row must come before those of later ones.
    fresh: Option<u64>,
    lagging: VecDeque<u64>,
    is_reading: bool,
}

impl Resident {
    /// Whether the next delivery waits on disk, behind those that do already.
    fn takes_no_more(&self) -> bool {
        self.in_mailbox >= KEY_MAILBOX_MAX || !self.lagging.is_empty()
    }
}

/// What a record means once it is durable.
#[derive(Debug)]
enum Consequence {
    /// The delivery's row is there.
    Stored(u64),
    /// The delivery is stored and not in memory: its event may be acked, and its key may read it back.
    Lagged(u64, Key),
    /// A delivery that was dead is stored again, and its key may read it back.
    Returned(Key),
    /// The delivery is settled, and its effects may be done.
    Settled(u64, Vec<Effect>),
    /// The held ack of this event may go without its answer.
    Released(u64),
    /// The attempt of this delivery is on record.
    OnRecord(u64),
    /// The dead letter is gone, and what it wants may be done.
    Exhumed(Box<Exhumed>),
    /// Nothing waits for it.
    Nothing,
}

/// What [`Machine::submitted`] still has to number.
#[derive(Debug)]
struct Unnumbered {
    consequence: Consequence,
    /// The delivery whose row this is.
    row_of: Option<u64>,
    /// The key that waits for this row on disk.
    lags_for: Option<Key>,
}

/// A shard's inbox.
pub(super) struct Machine {
    router: Arc<Router>,
    installs: Installs,
    dedupe: Dedupe,
    next: u64,
    events: Map<u64, Event>,
    open: Map<u64, Open>,
    residents: Map<Key, Resident>,
    checking: Checking,
    /// Rows of an earlier run, with how many runs ended while they ran.
    suspects: Map<u64, u32>,
    fresh: VecDeque<(Instant, u64)>,
    held: VecDeque<(Instant, u64)>,
    unnumbered: VecDeque<Unnumbered>,
    in_flight: VecDeque<(u64, Consequence)>,
    /// What must be durable before each of those who wait for a flush may go on, in order.
    flushes: VecDeque<u64>,
    durable: u64,
    lagging: usize,
    is_stopped: bool,
    pub(super) counted: Counted,
}

impl Machine {
    pub(super) fn new(router: Arc<Router>, installs: Installs, dedupe: Dedupe) -> Self {
        Self {
            router,
            installs,
            dedupe,
            next: 0,
            events: Map::default(),
            open: Map::default(),
            residents: Map::default(),
            checking: Checking::default(),
            suspects: Map::default(),
            fresh: VecDeque::new(),
            held: VecDeque::new(),
            unnumbered: VecDeque::new(),
            in_flight: VecDeque::new(),
            flushes: VecDeque::new(),
            durable: 0,
            lagging: 0,
            is_stopped: false,
            counted: Counted::default(),
        }
    }

    /// Marks of an earlier run.
    pub(super) fn remember(&mut self, now: Instant, marks: &[Mark]) {
        for &mark in marks {
            self.dedupe.put(now, mark, 0, |_| false);
        }
    }

    /// When the next [`Input::Tick`] is wanted.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        let fronts = [self.fresh.front(), self.held.front()];
        fronts.into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// Whether so much waits on disk that nothing may be added but what Slack would not send again.
    pub(super) fn is_over_quota(&self) -> bool {
        self.lagging >= LAGGING_MAX
    }

    /// How many envelopes wait for their ack.
    pub(super) fn unacked(&self) -> usize {
        let events = self.events.values();
        events.filter(|event| !event.acks.is_empty()).count() + self.checking.len()
    }

    /// How many deliveries are in memory or wait on disk, or are not durable yet.
    pub(super) fn unsettled(&self) -> usize {
        self.open.len() + self.lagging + self.in_flight.len()
    }

    /// Whether the delivery is a durable row.
    pub(super) fn is_stored(&self, slot: u64) -> bool {
        self.open.get(&slot).is_some_and(|open| open.is_durable)
    }

    /// How many deliveries of these handlers wait on disk.
    pub(super) fn lagging_of(&self, handlers: &[&str]) -> usize {
        let theirs = |key: &Key| handlers.contains(&key.handler());
        let residents = self.residents.iter().filter(|(key, _)| theirs(key));
        residents.map(|(_, resident)| resident.lagging.len()).sum()
    }

    pub(super) fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Arrived(arrivals) => {
                for arrival in arrivals {
                    self.arrive(now, arrival, out);
                }
            }
            Input::Internal(internal) => {
                let (arrival, committed) = *internal;
                self.admit_internal(now, arrival, committed, out);
            }
            Input::AttemptWanted(slot) => self.record_attempt(slot, out),
            Input::FlushWanted => match self.in_flight.back() {
                Some((last, _)) => self.flushes.push_back(*last),
                None => out.push(Output::Flushed),
            },
            Input::AttemptSurvived(slot) => self.record_survival(slot, out),
            Input::Recovered(rows) => self.recover(rows, out),
            Input::TurnEnded(slot, result) => self.end_turn(slot, result, out),
            Input::Durable(upto) => self.become_durable(upto, out),
            Input::RowsRead(key, wanted, found) => self.resume(&key, &wanted, found, out),
            Input::MarkRead(number, is_known) => self.checked(now, number, is_known, out),
            Input::Exhume(exhumed) => self.exhume(exhumed, out),
            Input::Tick => self.tick(now, out),
            Input::HandlerLost(key) => self.deliver_again(&key, out),
            Input::Stop => self.is_stopped = true,
        }
    }

    /// The records of the last step were submitted, the first as entry `first`.
    pub(super) fn submitted(&mut self, first: u64) {
        for (seq, unnumbered) in (first..).zip(std::mem::take(&mut self.unnumbered)) {
            if let Some(open) = unnumbered.row_of.and_then(|slot| self.open.get_mut(&slot)) {
                open.row = Row::At(seq);
            }
            if let Some(key) = unnumbered.lags_for {
                self.residents
                    .entry(key)
                    .or_default()
                    .lagging
                    .push_back(seq);
            }
            self.in_flight.push_back((seq, unnumbered.consequence));
        }
    }

    fn submit(
        &mut self,
        record: Record,
        mark: Option<Mark>,
        consequence: Consequence,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Submit(record, mark));
        self.unnumbered.push_back(Unnumbered {
            consequence,
            row_of: None,
            lags_for: None,
        });
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some(&(at, slot)) = self.fresh.front()
            && at <= now
        {
            self.fresh.pop_front();
            self.store_row(slot, out);
        }
        while let Some(&(at, event)) = self.held.front()
            && at <= now
        {
            self.held.pop_front();
            self.release_late(event, out);
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Open {
    fn id(&self) -> String {
        format!("{}/{}", self.envelope.id, self.key.handler())
    }
}

fn ephemeral(text: &str) -> Option<Box<RawValue>> {
    let message = serde_json::json!({"response_type": "ephemeral", "text": text});
    serde_json::value::to_raw_value(&message).ok()
}

#[cfg(test)]
mod tests;
