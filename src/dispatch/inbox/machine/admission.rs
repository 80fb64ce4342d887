//! What comes in: known or new, wanted or not, room or not; then to its actors.

use std::sync::Arc;

use super::checking::Answer;
use super::{Consequence, Unnumbered};
use super::{Event, Machine, Open, Output, Resident, Row, ephemeral};
use crate::base::clock::Instant;
use crate::base::limits::{ANSWER_WITHIN, UNFINISHED_AFTER};
use crate::dispatch::router::Target;
use crate::flow::delivery::Delivery;
use crate::flow::effect::Committed;
use crate::flow::envelope::{Arrival, Envelope, Kind, Mark};
use crate::store::{Outcome as EffectOutcome, Record};

impl Machine {
    pub(super) fn arrive(&mut self, now: Instant, arrival: Arrival, out: &mut Vec<Output>) {
        let known = arrival.envelope.mark().and_then(|mark| {
            let seen = self.dedupe.get(mark);
            if seen.is_none() && self.may_be_forgotten(&arrival) {
                return Some(Err(mark));
            }
            seen.map(Ok)
        });
        match known {
            None if self.checking.is_before(&arrival) => self.checking.follow(arrival),
            None => self.admit(now, arrival, out),
            Some(Ok(first)) => self.repeat(first, arrival, out),
            Some(Err(mark)) => {
                let number = self.number();
                self.checking.ask(number, arrival);
                out.push(Output::ReadMark(number, mark));
            }
        }
    }

    /// It was seen before, as the event `first`: its ack joins that one's, or goes out at once.
    fn repeat(&mut self, first: u64, arrival: Arrival, out: &mut Vec<Output>) {
        self.counted.duplicates += 1;
        match self.events.get_mut(&first) {
            Some(event) if event.is_ack_owed() => event.acks.extend(arrival.ack),
            Some(_) | None => out.extend(arrival.ack.map(|ack| Output::Ack(ack, None))),
        }
    }

    /// Whether it may have been seen so long ago that only the disk knows.
    fn may_be_forgotten(&self, arrival: &Arrival) -> bool {
        let happened_s = arrival.envelope.happened_s;
        !self.dedupe.covers(happened_s) || (arrival.is_retry && happened_s == 0)
    }

    /// The disk was asked. Nothing known means that it could not be: then it is left un-acked. What waited behind it
    /// goes on too.
    pub(super) fn checked(
        &mut self,
        now: Instant,
        number: u64,
        is_known: Option<bool>,
        out: &mut Vec<Output>,
    ) {
        let answer = match is_known {
            None => Answer::Failed,
            Some(true) => Answer::Known,
            Some(false) => Answer::New,
        };
        for (arrival, answer) in self.checking.answered(number, answer) {
            // Another copy may have been admitted meanwhile.
            let mark = arrival.envelope.mark();
            let first = mark.and_then(|mark| self.dedupe.get(mark));
            match (first, answer) {
                (Some(first), _) => self.repeat(first, arrival, out),
                (None, Answer::Known) => self.repeat(0, arrival, out),
                (None, Answer::New) => self.admit(now, arrival, out),
                (None, Answer::Failed | Answer::Asked) => self.counted.shed += 1,
            }
        }
    }

    pub(super) fn admit(&mut self, now: Instant, arrival: Arrival, out: &mut Vec<Output>) {
        let Arrival {
            envelope,
            ack,
            permit,
            is_retry: _,
        } = arrival;
        if self.is_stopped && ack.is_some() {
            // Slack delivers it again; what it would not deliver again is still taken in, and stored.
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
        if self.is_over_quota() && !envelope.kind.is_internal() {
            self.counted.shed += 1;
            return;
        }
        self.counted.admitted += 1;
        let (number, mark) = (self.number(), envelope.mark());
        if let Some(mark) = mark {
            let events = &self.events;
            self.dedupe
                .put(now, mark, number, |number| events.contains_key(&number));
        }
        self.events.insert(
            number,
            Event {
                mark,
                is_marked: false,
                acks: ack.into_iter().collect(),
                undurable: targets.len(),
                open: targets.len(),
                held_for: None,
                _permit: permit,
            },
        );
        // With several deliveries the mark must not be durable before all of them are: one transaction for all.
        let is_stored = targets.len() > 1 || envelope.kind.is_internal();
        for target in targets {
            let slot = self.take_in(now, number, &envelope, target, out);
            if let Some(slot) = slot.filter(|_| is_stored) {
                self.store_row(slot, out);
            }
        }
    }

    /// Something of our own: never shed. Its effect is done in the transaction that stores it.
    pub(super) fn admit_internal(
        &mut self,
        now: Instant,
        arrival: Arrival,
        committed: Committed,
        out: &mut Vec<Output>,
    ) {
        let Committed {
            seq,
            n,
            name,
            app,
            team,
            effect,
            ..
        } = committed;
        let outcome = if self.router.targets(&arrival.envelope).is_empty() {
            self.counted.dead += 1;
            let error = "no handler has a route for it";
            tracing::warn!(effect = %name.0, name = %arrival.envelope.subject.name, what = arrival.envelope.kind.word(), error,
                "what was sent to a key is kept as a dead letter: see `callboard inspect dead`, and `callboard retry` it once a handler takes it, or `callboard drop` it");
            EffectOutcome::Dead {
                error: error.to_owned(),
                app,
                team,
                lane: arrival.envelope.subject.name.to_string(),
                effect: Box::new(effect),
            }
        } else {
            self.admit(now, arrival, out);
            EffectOutcome::Done(None)
        };
        let record = Record::Effect {
            seq,
            n,
            name,
            outcome,
        };
        self.submit(record, None, Consequence::Nothing, out);
    }

    /// One delivery of an admitted event: to its actor, or to disk when the key's mailbox is full. Gives its
    /// number while it is in memory.
    pub(super) fn take_in(
        &mut self,
        now: Instant,
        event: u64,
        envelope: &Arc<Envelope>,
        target: Target,
        out: &mut Vec<Output>,
    ) -> Option<u64> {
        let Target { key, route, policy } = target;
        let is_answered = envelope.kind.is_answered();
        let slot = self.number();
        // What will not be committed at once is stored at once; an answer's row always is.
        let is_stored_at_once = match self.residents.get_mut(&key) {
            Some(resident) if resident.takes_no_more() => {
                self.lag(event, envelope, key, out);
                return None;
            }
            Some(resident) => {
                resident.in_mailbox += 1;
                let is_stored_at_once = resident.in_mailbox > 1 || is_answered;
                if !is_stored_at_once {
                    resident.fresh = Some(slot);
                }
                is_stored_at_once
            }
            None => {
                let resident = Resident {
                    in_mailbox: 1,
                    ..Resident::default()
                };
                self.residents.insert(key.clone(), resident);
                true
            }
        };
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
        if is_answered
            && let Some(event) = self.events.get_mut(&event)
            && !event.acks.is_empty()
        {
            event.held_for = Some(slot);
            self.held.push_back((now + ANSWER_WITHIN, slot));
        }
        let delivery = Delivery {
            envelope: Arc::clone(envelope),
            key,
            slot,
            is_suspect: false,
        };
        out.push(Output::Deliver(delivery, route, policy));
        if is_stored_at_once {
            self.store_row(slot, out);
        } else {
            self.fresh.push_back((now + UNFINISHED_AFTER, slot));
        }
        Some(slot)
    }

    /// Makes the delivery an unfinished row, so that its ack need not wait for its turn. Rows are in the order of
    /// admission, which is what a recovery knows of it: one that was not stored at once is stored first.
    pub(super) fn store_row(&mut self, slot: u64, out: &mut Vec<Output>) {
        let resident = self
            .open
            .get(&slot)
            .and_then(|open| self.residents.get_mut(&open.key));
        let earlier = resident.and_then(|resident| resident.fresh.take());
        if let Some(earlier) = earlier.filter(|earlier| *earlier != slot) {
            self.store_row(earlier, out);
        }
        let Some(open) = self.open.get_mut(&slot) else {
            return;
        };
        // A row after its own commit would be unfinished for ever.
        if open.row != Row::None || open.is_ended {
            return;
        }
        open.row = Row::Submitted;
        let event = open.event;
        let is_held = event
            .and_then(|event| self.events.get(&event))
            .is_some_and(|event| event.held_for.is_some());
        let record = Record::Row {
            envelope: Arc::clone(&open.envelope),
            key: open.key.clone(),
            is_held,
            is_lagging: false,
        };
        // A held row may be dropped at the next start: its mark comes with its release or commit.
        let mark = event
            .filter(|_| !is_held)
            .and_then(|event| self.take_mark(event));
        out.push(Output::Submit(record, mark));
        self.unnumbered.push_back(Unnumbered {
            consequence: Consequence::Stored(slot),
            row_of: Some(slot),
            lags_for: None,
        });
    }

    /// The event's mark, for the first of its records.
    pub(super) fn take_mark(&mut self, event: u64) -> Option<Mark> {
        let event = self.events.get_mut(&event)?;
        if std::mem::replace(&mut event.is_marked, true) {
            return None;
        }
        event.mark
    }

    /// The app's own posts are not for its handlers; its joins and leaves are.
    pub(super) fn is_own(&self, envelope: &Envelope) -> bool {
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
}
