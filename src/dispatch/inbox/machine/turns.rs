//! What handlers give back: commits, dead letters, answers in time and late.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Consequence, Machine, Output, ephemeral};
use crate::base::limits::{ACK_FRAME_BYTES_MAX, POISON_DEATHS_MAX};
use crate::bot::activation::Outcome;
use crate::dispatch::handler::TurnResult;
use crate::flow::delivery::Delivery;
use crate::flow::effect::{Call, Effect};
use crate::flow::envelope::Envelope;
use crate::flow::key::Key;
use crate::slack::event::Command;
use crate::store::Record;

impl Machine {
    pub(super) fn end_turn(&mut self, slot: u64, result: TurnResult, out: &mut Vec<Output>) {
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
                self.burial_record(slot, error)
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
    pub(super) fn turn_record(
        &mut self,
        slot: u64,
        outcome: Outcome,
    ) -> Option<(Record, Vec<Effect>)> {
        let Outcome {
            state,
            version,
            mut effects,
            answer,
        } = outcome;
        effects.extend(self.answer(slot, answer));
        let open = self.open.get(&slot)?;
        let record = Record::Turn {
            event: open.envelope.id.clone(),
            app: open.envelope.app.clone(),
            team: open.envelope.team.clone(),
            row: open.row.seq(),
            key: open.key.clone(),
            version,
            state,
            effects: effects.clone(),
        };
        Some((record, effects))
    }

    /// The record of a delivery that is given up: whoever waits for an answer is told, by the ack or after it.
    fn burial_record(&mut self, slot: u64, error: String) -> Option<(Record, Vec<Effect>)> {
        let told = self.answer(slot, ephemeral("Sorry, that did not work."));
        let effects: Vec<Effect> = told.into_iter().collect();
        let open = self.open.get(&slot)?;
        let record = Record::DeadDelivery {
            row: open.row.seq(),
            key: open.key.clone(),
            envelope: Arc::clone(&open.envelope),
            error,
            effects: effects.clone(),
        };
        Some((record, effects))
    }

    /// Keeps the answer for the ack that waits for it; one that comes too late, or is too long, is an effect.
    fn answer(&mut self, slot: u64, answer: Option<Box<RawValue>>) -> Option<Effect> {
        let open = self.open.get_mut(&slot)?;
        let is_held = open
            .event
            .and_then(|event| self.events.get(&event))
            .is_some_and(|event| event.held_for.is_some());
        let fits = answer
            .as_ref()
            .is_none_or(|answer| answer.get().len() + 128 <= ACK_FRAME_BYTES_MAX);
        if open.envelope.kind.is_answered() && (open.is_late || !is_held || !fits) {
            return answer.and_then(|answer| late_answer(&open.envelope, &answer));
        }
        open.answer = answer;
        None
    }

    pub(super) fn leave_mailbox(&mut self, slot: u64, out: &mut Vec<Output>) {
        let Some(open) = self.open.get(&slot) else {
            return;
        };
        let key = open.key.clone();
        if let Some(resident) = self.residents.get_mut(&key) {
            resident.in_mailbox = resident.in_mailbox.saturating_sub(1);
            resident.losses = 0;
            if !resident.lagging.is_empty() {
                self.read_lagging(&key, out);
            }
        }
    }

    /// The key's actor died of something that no fence caught: a new one gets what it had, in order. What kills
    /// it again and again is given up.
    pub(super) fn deliver_again(&mut self, key: &Key, out: &mut Vec<Output>) {
        let mut lost: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, open)| open.key == *key && !open.is_ended)
            .map(|(slot, _)| *slot)
            .collect();
        lost.sort_unstable();
        let losses = self.residents.get_mut(key).map_or(0, |resident| {
            resident.losses += 1;
            resident.losses
        });
        if losses >= POISON_DEATHS_MAX && !lost.is_empty() {
            let error = format!("its actor died {losses} times while it ran");
            self.end_turn(lost.remove(0), TurnResult::GiveUp(error), out);
        }
        for slot in lost {
            let Some(open) = self.open.get(&slot) else {
                continue;
            };
            match self.router.target_of(key, &open.envelope) {
                Some(target) => {
                    let delivery = Delivery {
                        envelope: Arc::clone(&open.envelope),
                        key: key.clone(),
                        slot,
                        is_suspect: false,
                    };
                    out.push(Output::Deliver(delivery, target.route, target.policy));
                }
                None => self.end_turn(
                    slot,
                    TurnResult::GiveUp("its route is gone".to_owned()),
                    out,
                ),
            }
        }
    }

    /// The answer did not come in time: the ack goes without it, once that is on record.
    pub(super) fn release_late(&mut self, slot: u64, out: &mut Vec<Output>) {
        let Some(open) = self.open.get_mut(&slot) else {
            return;
        };
        let Some(number) = open.event.filter(|_| !open.is_ended) else {
            // Its answer is on its way, and goes out with its commit.
            return;
        };
        let Some(row) = open.row.seq() else {
            return;
        };
        // The ack stays held until the release is durable: the event's mark goes with it.
        open.is_late = true;
        let mark = self.take_mark(number);
        self.submit(
            Record::Release { row },
            mark,
            Consequence::Released(number),
            out,
        );
    }
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
