//! The inbox as a state machine: arrivals, ended turns, news from the writer in; deliveries, records, acks and
//! effects out. It owns every delivery of its shard from admission to its end.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde_json::value::RawValue;

use super::dedupe::{Dedupe, Seen};
use crate::base::clock::Instant;
use crate::base::limits::{
    ACK_FRAME_BYTES_MAX, ANSWER_WITHIN, KEY_MAILBOX_MAX, LAGGING_MAX, UNFINISHED_AFTER,
};
use crate::bot::activation::Outcome;
use crate::dispatch::handler::TurnResult;
use crate::dispatch::router::{Router, Target};
use crate::flow::ack::Ack;
use crate::flow::delivery::Delivery;
use crate::flow::effect::{Call, Committed, Effect, EffectName};
use crate::flow::envelope::{Arrival, Envelope, Kind, Mark};
use crate::flow::gate::Permit;
use crate::flow::identity::Installs;
use crate::flow::key::Key;
use crate::slack::event::Command;
use crate::store::{Record, RecoveredRow};

/// What happens to the inbox.
#[derive(Debug)]
pub(super) enum Input {
    /// Envelopes came in.
    Arrived(Vec<Arrival>),
    /// A deferred job ended: its result, and the effect that is done with it.
    JobEnded(Box<(Arrival, Record)>),
    /// An earlier run left these.
    Recovered(Vec<RecoveredRow>),
    /// A handler dealt with a delivery.
    TurnEnded(u64, TurnResult),
    /// The journal is durable up to here.
    Durable(u64),
    /// Rows were read back for a key.
    RowsRead(Key, Vec<u64>, Vec<(u64, Envelope)>),
    /// A mark was looked up on disk.
    MarkRead(u64, bool),
    /// Time has passed.
    Tick,
    /// Admit nothing more.
    Stop,
}

/// What the shell must do, in this order.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one allocation per record would cost more than the room"
)]
pub(super) enum Output {
    /// Give it to the key's actor.
    Deliver(Delivery, usize),
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
    acks: Vec<Ack>,
    /// Deliveries that are neither stored nor committed.
    undurable: usize,
    /// Deliveries that hold this event open.
    open: usize,
    /// The ack waits for the answer.
    is_held: bool,
    _permit: Permit,
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
    lagging: VecDeque<u64>,
    is_reading: bool,
}

/// What a record means once it is durable.
#[derive(Debug)]
enum Consequence {
    /// The delivery's row is there.
    Stored(u64),
    /// The delivery of a row that is not in memory is stored: its event may be acked.
    Lagged(Option<u64>),
    /// The delivery is settled, and its effects may be done.
    Settled(u64, Vec<Effect>),
    /// The held ack of this event may go without its answer.
    Released(u64),
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
    events: HashMap<u64, Event>,
    open: HashMap<u64, Open>,
    residents: HashMap<Key, Resident>,
    checking: HashMap<u64, Arrival>,
    fresh: VecDeque<(Instant, u64)>,
    held: VecDeque<(Instant, u64)>,
    unnumbered: VecDeque<Unnumbered>,
    in_flight: VecDeque<(u64, Consequence)>,
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
            events: HashMap::new(),
            open: HashMap::new(),
            residents: HashMap::new(),
            checking: HashMap::new(),
            fresh: VecDeque::new(),
            held: VecDeque::new(),
            unnumbered: VecDeque::new(),
            in_flight: VecDeque::new(),
            durable: 0,
            lagging: 0,
            is_stopped: false,
            counted: Counted::default(),
        }
    }

    /// Marks of an earlier run.
    pub(super) fn remember(&mut self, now: Instant, marks: &[Mark]) {
        for &mark in marks {
            self.dedupe.put(now, mark, Seen::Durable);
        }
    }

    /// When the next [`Input::Tick`] is wanted.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        let fronts = [self.fresh.front(), self.held.front()];
        fronts.into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// How many deliveries are in memory or wait on disk, or are not durable yet.
    pub(super) fn unsettled(&self) -> usize {
        self.open.len() + self.lagging + self.in_flight.len()
    }

    pub(super) fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Arrived(arrivals) => {
                for arrival in arrivals {
                    self.arrive(now, arrival, out);
                }
            }
            Input::JobEnded(ended) => {
                let (arrival, done) = *ended;
                self.admit(now, arrival, out);
                self.submit(done, None, Consequence::Nothing, out);
            }
            Input::Recovered(rows) => self.recover(rows, out),
            Input::TurnEnded(slot, result) => self.end_turn(slot, result, out),
            Input::Durable(upto) => self.become_durable(upto, now, out),
            Input::RowsRead(key, wanted, found) => self.resume(&key, &wanted, found, out),
            Input::MarkRead(number, is_known) => self.checked(now, number, is_known, out),
            Input::Tick => self.tick(now, out),
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

    fn arrive(&mut self, now: Instant, arrival: Arrival, out: &mut Vec<Output>) {
        let envelope = &arrival.envelope;
        let Some(mark) = envelope.mark() else {
            return self.admit(now, arrival, out);
        };
        match self.dedupe.get(mark) {
            Some(Seen::Durable) => {
                self.counted.duplicates += 1;
                out.extend(arrival.ack.map(|ack| Output::Ack(ack, None)));
            }
            Some(Seen::Open(event)) => {
                self.counted.duplicates += 1;
                match self.events.get_mut(&event) {
                    Some(event) => event.acks.extend(arrival.ack),
                    // Open in the window and closed here: it is durable.
                    None => out.extend(arrival.ack.map(|ack| Output::Ack(ack, None))),
                }
            }
            None if arrival.is_retry && !self.dedupe.covers(envelope.happened_s) => {
                let number = self.number();
                self.checking.insert(number, arrival);
                out.push(Output::ReadMark(number, mark));
            }
            None => self.admit(now, arrival, out),
        }
    }

    fn checked(&mut self, now: Instant, number: u64, is_known: bool, out: &mut Vec<Output>) {
        let Some(arrival) = self.checking.remove(&number) else {
            return;
        };
        if let (true, Some(mark)) = (is_known, arrival.envelope.mark()) {
            self.dedupe.put(now, mark, Seen::Durable);
        }
        // Another copy may have been admitted meanwhile; and this one is looked at as if it were no retry.
        let arrival = Arrival {
            is_retry: false,
            ..arrival
        };
        self.arrive(now, arrival, out);
    }

    fn admit(&mut self, now: Instant, arrival: Arrival, out: &mut Vec<Output>) {
        let Arrival {
            envelope,
            ack,
            permit,
            is_retry: _,
        } = arrival;
        if self.is_stopped && envelope.kind != Kind::JobResult {
            self.counted.shed += 1;
            return;
        }
        if self.is_own(&envelope) {
            self.counted.own += 1;
            out.extend(ack.map(|ack| Output::Ack(ack, None)));
            return;
        }
        let targets = self.router.targets(&envelope);
        if targets.is_empty() {
            self.counted.unmatched += 1;
            tracing::debug!(event = %envelope.id, name = %envelope.subject.name, "no handler has a route for this");
            let answer = (envelope.kind == Kind::Command)
                .then(|| {
                    ephemeral(&format!(
                        "No handler answers `{}` yet.",
                        envelope.subject.name
                    ))
                })
                .flatten();
            out.extend(ack.map(|ack| Output::Ack(ack, answer)));
            return;
        }
        if self.lagging >= LAGGING_MAX && envelope.kind != Kind::JobResult {
            self.counted.shed += 1;
            return;
        }
        self.counted.admitted += 1;
        let (number, mark) = (self.number(), envelope.mark());
        if let Some(mark) = mark {
            self.dedupe.put(now, mark, Seen::Open(number));
        }
        let is_held = envelope.kind.is_answered() && ack.is_some();
        self.events.insert(
            number,
            Event {
                mark,
                is_marked: false,
                acks: ack.into_iter().collect(),
                undurable: targets.len(),
                open: targets.len(),
                is_held,
                _permit: permit,
            },
        );
        if is_held {
            self.held.push_back((now + ANSWER_WITHIN, number));
        }
        let envelope = Arc::new(envelope);
        for target in targets {
            self.take_in(now, number, &envelope, target, out);
        }
    }

    /// One delivery of an admitted event: to its actor, or to disk when the key's mailbox is full.
    fn take_in(
        &mut self,
        now: Instant,
        event: u64,
        envelope: &Arc<Envelope>,
        target: Target,
        out: &mut Vec<Output>,
    ) {
        let Target { key, route } = target;
        let is_new = !self.residents.contains_key(&key);
        let resident = self.residents.entry(key.clone()).or_default();
        if resident.in_mailbox >= KEY_MAILBOX_MAX || !resident.lagging.is_empty() {
            return self.lag(event, envelope, key, out);
        }
        let is_busy = resident.in_mailbox > 0;
        resident.in_mailbox += 1;
        let slot = self.number();
        self.open.insert(
            slot,
            Open {
                envelope: Arc::clone(envelope),
                key: key.clone(),
                event: Some(event),
                row: Row::None,
                is_late: false,
                is_durable: false,
                is_ended: false,
                answer: None,
            },
        );
        let delivery = Delivery {
            envelope: Arc::clone(envelope),
            key,
            slot,
        };
        out.push(Output::Deliver(delivery, route));
        // What will not be committed at once is stored at once; an answer's row always is.
        if is_new || is_busy || envelope.kind.is_answered() {
            self.store_row(slot, out);
        } else {
            self.fresh.push_back((now + UNFINISHED_AFTER, slot));
        }
    }

    /// The delivery waits on disk, in order, and leaves memory. An answer to it will be late.
    fn lag(&mut self, event: u64, envelope: &Arc<Envelope>, key: Key, out: &mut Vec<Output>) {
        self.lagging += 1;
        let mark = self.take_mark(event);
        let record = Record::Row {
            envelope: Arc::clone(envelope),
            key: key.clone(),
            is_held: false,
        };
        out.push(Output::Submit(record, mark));
        self.unnumbered.push_back(Unnumbered {
            consequence: Consequence::Lagged(Some(event)),
            row_of: None,
            lags_for: Some(key),
        });
    }

    fn store_row(&mut self, slot: u64, out: &mut Vec<Output>) {
        let Some(open) = self.open.get_mut(&slot) else {
            return;
        };
        // A row that came after its turn's commit would be run again by the next start.
        if open.row != Row::None || open.is_ended {
            return;
        }
        open.row = Row::Submitted;
        let event = open.event;
        let is_held = event
            .and_then(|event| self.events.get(&event))
            .is_some_and(|event| event.is_held);
        let record = Record::Row {
            envelope: Arc::clone(&open.envelope),
            key: open.key.clone(),
            is_held,
        };
        let mark = event.and_then(|event| self.take_mark(event));
        out.push(Output::Submit(record, mark));
        self.unnumbered.push_back(Unnumbered {
            consequence: Consequence::Stored(slot),
            row_of: Some(slot),
            lags_for: None,
        });
    }

    /// The event's mark, for the first of its records.
    fn take_mark(&mut self, event: u64) -> Option<Mark> {
        let event = self.events.get_mut(&event)?;
        if std::mem::replace(&mut event.is_marked, true) {
            return None;
        }
        event.mark
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

    fn end_turn(&mut self, slot: u64, result: TurnResult, out: &mut Vec<Output>) {
        let Some(open) = self.open.get_mut(&slot) else {
            return;
        };
        let event = open.event;
        open.is_ended = true;
        let record = match result {
            TurnResult::Commit(outcome) => {
                self.counted.committed += 1;
                self.turn_record(slot, outcome)
            }
            TurnResult::GiveUp(error) => {
                self.counted.dead += 1;
                open.answer = ephemeral("Sorry, that did not work.");
                Some((
                    Record::DeadDelivery {
                        row: open.row.seq(),
                        key: open.key.clone(),
                        envelope: Arc::clone(&open.envelope),
                        error,
                    },
                    Vec::new(),
                ))
            }
        };
        let Some((record, effects)) = record else {
            return;
        };
        let mark = event.and_then(|event| self.take_mark(event));
        self.submit(record, mark, Consequence::Settled(slot, effects), out);
        self.leave_mailbox(slot, out);
    }

    /// The record of a turn, and what is to be done once it is durable.
    fn turn_record(&mut self, slot: u64, outcome: Outcome) -> Option<(Record, Vec<Effect>)> {
        let open = self.open.get_mut(&slot)?;
        let Outcome {
            state,
            version,
            mut effects,
            answer,
        } = outcome;
        let is_held = open
            .event
            .and_then(|event| self.events.get(&event))
            .is_some_and(|event| event.is_held);
        let fits = answer
            .as_ref()
            .is_none_or(|answer| answer.get().len() + 128 <= ACK_FRAME_BYTES_MAX);
        if open.envelope.kind.is_answered() && (open.is_late || !is_held || !fits) {
            effects.extend(answer.and_then(|answer| late_answer(&open.envelope, &answer)));
        } else {
            open.answer = answer;
        }
        let record = Record::Turn {
            delivery: open.id(),
            row: open.row.seq(),
            key: open.key.clone(),
            app: open.envelope.app.clone(),
            team: open.envelope.team.clone(),
            version,
            state,
            effects: effects.clone(),
        };
        Some((record, effects))
    }

    fn leave_mailbox(&mut self, slot: u64, out: &mut Vec<Output>) {
        let Some(open) = self.open.get(&slot) else {
            return;
        };
        let key = open.key.clone();
        if let Some(resident) = self.residents.get_mut(&key) {
            resident.in_mailbox = resident.in_mailbox.saturating_sub(1);
        }
        self.read_lagging(&key, out);
    }

    /// Reads rows back when the key's mailbox is half empty, so that reads are few.
    fn read_lagging(&mut self, key: &Key, out: &mut Vec<Output>) {
        let durable = self.durable;
        let Some(resident) = self.residents.get_mut(key) else {
            return;
        };
        if resident.is_reading || resident.in_mailbox > KEY_MAILBOX_MAX / 2 {
            return;
        }
        let room = KEY_MAILBOX_MAX - resident.in_mailbox;
        let rows: Vec<u64> = resident
            .lagging
            .iter()
            .copied()
            .take_while(|&row| row <= durable)
            .take(room)
            .collect();
        if !rows.is_empty() {
            resident.is_reading = true;
            out.push(Output::ReadRows(key.clone(), rows));
        }
    }

    fn resume(
        &mut self,
        key: &Key,
        wanted: &[u64],
        found: Vec<(u64, Envelope)>,
        out: &mut Vec<Output>,
    ) {
        let Some(resident) = self.residents.get_mut(key) else {
            return;
        };
        resident.is_reading = false;
        let wanted: HashSet<u64> = wanted.iter().copied().collect();
        let before = resident.lagging.len();
        resident.lagging.retain(|row| !wanted.contains(row));
        self.lagging = self.lagging.saturating_sub(before - resident.lagging.len());
        for (row, envelope) in found {
            let slot = self.number();
            let envelope = Arc::new(envelope);
            let target = self.router.target_of(key, &envelope);
            self.open.insert(
                slot,
                Open {
                    envelope: Arc::clone(&envelope),
                    key: key.clone(),
                    event: None,
                    row: Row::At(row),
                    is_late: true,
                    is_durable: true,
                    is_ended: false,
                    answer: None,
                },
            );
            if let Some(resident) = self.residents.get_mut(key) {
                resident.in_mailbox += 1;
            }
            let Some(target) = target else {
                let error = "its handler, or the route it came by, is gone".to_owned();
                self.end_turn(slot, TurnResult::GiveUp(error), out);
                continue;
            };
            let delivery = Delivery {
                envelope,
                key: key.clone(),
                slot,
            };
            out.push(Output::Deliver(delivery, target.route));
        }
        self.read_lagging(key, out);
    }

    fn recover(&mut self, rows: Vec<RecoveredRow>, out: &mut Vec<Output>) {
        let mut keys = Vec::new();
        for row in rows {
            self.durable = self.durable.max(row.seq);
            if row.is_held {
                // The person who waited saw a failure, and does it again.
                self.counted.dropped += 1;
                let record = Record::Drop { row: row.seq };
                self.submit(record, None, Consequence::Nothing, out);
                continue;
            }
            self.lagging += 1;
            let resident = self.residents.entry(row.key.clone()).or_default();
            resident.lagging.push_back(row.seq);
            keys.push(row.key);
        }
        for key in keys {
            self.read_lagging(&key, out);
        }
    }

    fn become_durable(&mut self, upto: u64, now: Instant, out: &mut Vec<Output>) {
        self.durable = self.durable.max(upto);
        let mut woken = HashSet::new();
        while let Some((seq, _)) = self.in_flight.front()
            && *seq <= upto
        {
            let Some((seq, consequence)) = self.in_flight.pop_front() else {
                return;
            };
            match consequence {
                Consequence::Stored(slot) => self.delivery_is_durable(slot, now, out),
                Consequence::Lagged(event) => {
                    if let Some(event) = event {
                        self.release_unanswered(event, out);
                        self.event_is_durable(event, now, out);
                        self.close_delivery(event, now);
                    }
                    woken.insert(seq);
                }
                Consequence::Settled(slot, effects) => self.settle(seq, slot, effects, now, out),
                Consequence::Released(event) => {
                    if let Some(event) = self.events.get_mut(&event) {
                        out.extend(event.acks.drain(..).map(|ack| Output::Ack(ack, None)));
                    }
                }
                Consequence::Nothing => {}
            }
        }
        if !woken.is_empty() {
            let keys: Vec<Key> = self
                .residents
                .iter()
                .filter(|(_, resident)| resident.lagging.front().is_some_and(|row| *row <= upto))
                .map(|(key, _)| key.clone())
                .collect();
            for key in keys {
                self.read_lagging(&key, out);
            }
        }
    }

    /// A delivery that waits on disk can't be answered in time any more.
    fn release_unanswered(&mut self, event: u64, out: &mut Vec<Output>) {
        if let Some(event) = self.events.get_mut(&event)
            && event.is_held
        {
            event.is_held = false;
            out.extend(event.acks.drain(..).map(|ack| Output::Ack(ack, None)));
        }
    }

    fn delivery_is_durable(&mut self, slot: u64, now: Instant, out: &mut Vec<Output>) {
        let Some(open) = self.open.get_mut(&slot) else {
            return;
        };
        if std::mem::replace(&mut open.is_durable, true) {
            return;
        }
        if let Some(event) = open.event {
            self.event_is_durable(event, now, out);
        }
    }

    /// One more delivery of the event is durable; with the last one its ack goes out.
    fn event_is_durable(&mut self, number: u64, now: Instant, out: &mut Vec<Output>) {
        let Some(event) = self.events.get_mut(&number) else {
            return;
        };
        event.undurable = event.undurable.saturating_sub(1);
        if event.undurable > 0 {
            return;
        }
        if event.is_held {
            return;
        }
        out.extend(event.acks.drain(..).map(|ack| Output::Ack(ack, None)));
        if let Some(mark) = event.mark {
            self.dedupe.put(now, mark, Seen::Durable);
        }
    }

    fn settle(
        &mut self,
        seq: u64,
        slot: u64,
        effects: Vec<Effect>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        self.delivery_is_durable(slot, now, out);
        let Some(open) = self.open.remove(&slot) else {
            return;
        };
        if let Some(number) = open.event {
            if let Some(event) = self.events.get_mut(&number)
                && event.is_held
            {
                event.is_held = false;
                let mut answer = open.answer.clone();
                // One answer for one envelope: duplicates on other sockets are acked without.
                out.extend(
                    event
                        .acks
                        .drain(..)
                        .map(|ack| Output::Ack(ack, answer.take())),
                );
            }
            self.close_delivery(number, now);
        }
        if effects.is_empty() {
            return;
        }
        let delivery = open.id();
        let committed = (0..)
            .zip(effects)
            .map(|(n, effect)| Committed {
                seq,
                n,
                name: EffectName(format!("{delivery}#{n}")),
                app: open.envelope.app.clone(),
                team: open.envelope.team.clone(),
                effect,
                is_recovered: false,
            })
            .collect();
        out.push(Output::Perform(committed));
    }

    /// With its last delivery the event leaves memory, and its permit is given back.
    fn close_delivery(&mut self, number: u64, now: Instant) {
        if let Some(event) = self.events.get_mut(&number) {
            event.open = event.open.saturating_sub(1);
            if event.open == 0 {
                if let Some(mark) = event.mark {
                    self.dedupe.put(now, mark, Seen::Durable);
                }
                self.events.remove(&number);
            }
        }
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

    /// The answer did not come in time: the ack goes without it, once that is on record.
    fn release_late(&mut self, number: u64, out: &mut Vec<Output>) {
        let Some(event) = self.events.get_mut(&number) else {
            return;
        };
        if !event.is_held {
            return;
        }
        let mut row = None;
        for open in self
            .open
            .values_mut()
            .filter(|open| open.event == Some(number))
        {
            if open.is_ended {
                // The answer is on its way, and goes out with its commit.
                return;
            }
            open.is_late = true;
            row = row.or(open.row.seq());
        }
        event.is_held = false;
        if let Some(row) = row {
            self.submit(
                Record::Release { row },
                None,
                Consequence::Released(number),
                out,
            );
        }
    }

    /// The app's own posts are not for its handlers; its joins and leaves are.
    fn is_own(&self, envelope: &Envelope) -> bool {
        let subject = &envelope.subject;
        matches!(envelope.kind, Kind::Event | Kind::RtmEvent)
            && !matches!(
                subject.name.as_str(),
                "member_joined_channel" | "member_left_channel"
            )
            && self.installs.is_own(
                &envelope.app,
                &envelope.team,
                subject.user.as_str(),
                &subject.bot,
            )
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

/// The answer as a post to the `response_url`, where there is one.
fn late_answer(envelope: &Envelope, answer: &RawValue) -> Option<Effect> {
    let command: Command = serde_json::from_slice(&envelope.payload).ok()?;
    if command.response_url.is_empty() {
        return None;
    }
    Some(Effect::Call(Call {
        method: command.response_url,
        args: serde_json::from_str(answer.get()).ok()?,
        posted: std::collections::BTreeMap::default(),
    }))
}

#[cfg(test)]
mod tests;
