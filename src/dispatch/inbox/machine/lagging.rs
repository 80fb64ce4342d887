//! What waits on disk: deliveries of keys whose mailbox is full, and what an earlier run left.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Consequence, Machine, Open, Output, Row, Unnumbered};
use crate::base::limits::{KEY_MAILBOX_MAX, POISON_DEATHS_MAX};
use crate::dispatch::handler::TurnResult;
use crate::flow::delivery::Delivery;
use crate::flow::envelope::Envelope;
use crate::flow::key::Key;
use crate::store::{Record, RecoveredRow};

impl Machine {
    /// The delivery waits on disk, in order, and leaves memory. An answer to it will be late.
    pub(super) fn lag(
        &mut self,
        event: u64,
        envelope: &Arc<Envelope>,
        key: Key,
        out: &mut Vec<Output>,
    ) {
        self.lagging += 1;
        let mark = self.take_mark(event);
        let record = Record::Row {
            envelope: Arc::clone(envelope),
            key: key.clone(),
            is_held: false,
            is_lagging: true,
        };
        out.push(Output::Submit(record, mark));
        self.unnumbered.push_back(Unnumbered {
            consequence: Consequence::Lagged(event, key.clone()),
            row_of: None,
            lags_for: Some(key),
        });
    }

    /// Reads rows back when the key's mailbox is half empty, so that reads are few.
    pub(super) fn read_lagging(&mut self, key: &Key, out: &mut Vec<Output>) {
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

    pub(super) fn resume(
        &mut self,
        key: &Key,
        wanted: &[u64],
        found: Vec<(u64, Arc<Envelope>)>,
        out: &mut Vec<Output>,
    ) {
        let Some(resident) = self.residents.get_mut(key) else {
            return;
        };
        let wanted: HashSet<u64> = wanted.iter().copied().collect();
        let before = resident.lagging.len();
        resident.lagging.retain(|row| !wanted.contains(row));
        self.lagging = self.lagging.saturating_sub(before - resident.lagging.len());
        if found.len() < wanted.len() {
            let missing = wanted.len() - found.len();
            tracing::error!(%key, missing, "stored deliveries are not in the store any more");
        }
        for (row, envelope) in found {
            let slot = self.number();
            let target = self.router.target_of(key, &envelope);
            let deaths = self.suspects.remove(&row);
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
            // The run that ended first left no record of an attempt.
            if let Some(deaths) = deaths.map(|deaths| deaths + 1)
                && deaths >= POISON_DEATHS_MAX
            {
                let error = format!("the process ended {deaths} times while it ran");
                self.give_up(slot, error, out);
                continue;
            }
            let Some(target) = target else {
                let error = "its handler, or the route it came by, is gone".to_owned();
                self.give_up(slot, error, out);
                continue;
            };
            let delivery = Delivery {
                envelope,
                key: key.clone(),
                slot,
                is_suspect: deaths.is_some(),
            };
            out.push(Output::Deliver(delivery, target.route, target.policy));
        }
        // Only now: rows that are given up on the way must not start a read of their own.
        if let Some(resident) = self.residents.get_mut(key) {
            resident.is_reading = false;
        }
        self.read_lagging(key, out);
    }

    /// It does not run again: it is kept as a dead letter.
    fn give_up(&mut self, slot: u64, error: String, out: &mut Vec<Output>) {
        if let Some(open) = self.open.get(&slot) {
            tracing::warn!(key = %open.key, event = %open.envelope.id, %error,
                "a delivery is given up and kept as a dead letter");
        }
        self.end_turn(slot, TurnResult::GiveUp(error), out);
    }

    /// The attempt of a recovered delivery: should it end the process, that is on record.
    pub(super) fn record_attempt(&mut self, slot: u64, out: &mut Vec<Output>) {
        if let Some(row) = self.open.get(&slot).and_then(|open| open.row.seq()) {
            self.submit(
                Record::Attempt { row },
                None,
                Consequence::OnRecord(slot),
                out,
            );
        }
    }

    /// The attempt failed and the process lives on: it does not count towards poison.
    pub(super) fn record_survival(&mut self, slot: u64, out: &mut Vec<Output>) {
        if let Some(row) = self.open.get(&slot).and_then(|open| open.row.seq()) {
            let record = Record::Survived { row };
            self.submit(record, None, Consequence::Nothing, out);
        }
    }

    pub(super) fn recover(&mut self, rows: Vec<RecoveredRow>, out: &mut Vec<Output>) {
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
            self.suspects.insert(row.seq, row.attempts);
            let resident = self.residents.entry(row.key.clone()).or_default();
            resident.lagging.push_back(row.seq);
            keys.push(row.key);
        }
        for key in keys {
            self.read_lagging(&key, out);
        }
    }
}
