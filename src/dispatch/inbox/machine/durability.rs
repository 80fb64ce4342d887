//! What the writer's news means: acks go out, effects are let go, events end.

use super::{Consequence, Machine, Output};
use crate::flow::effect::{Committed, Effect, EffectName};

impl Machine {
    pub(super) fn become_durable(&mut self, upto: u64, out: &mut Vec<Output>) {
        self.durable = self.durable.max(upto);
        let mut lagging = Vec::new();
        while let Some((seq, _)) = self.in_flight.front()
            && *seq <= upto
        {
            let Some((seq, consequence)) = self.in_flight.pop_front() else {
                return;
            };
            match consequence {
                Consequence::Stored(slot) => self.delivery_is_durable(slot, out),
                Consequence::Lagged(event, key) => {
                    self.event_is_durable(event, out);
                    self.close_delivery(event, out);
                    lagging.push(key);
                }
                Consequence::Returned(key) => lagging.push(key),
                Consequence::Settled(slot, effects) => self.settle(seq, slot, effects, out),
                Consequence::Released(event) => self.release_acks(event, out),
                Consequence::OnRecord(slot) => {
                    let key = self.open.get(&slot).map(|open| open.key.clone());
                    out.extend(key.map(Output::TellOnRecord));
                }
                Consequence::Exhumed(exhumed) => Self::exhumed(seq, *exhumed, out),
                Consequence::Nothing => {}
            }
        }
        for key in lagging {
            self.read_lagging(&key, out);
        }
        while self.flushes.front().is_some_and(|last| *last <= upto) {
            self.flushes.pop_front();
            out.push(Output::Flushed);
        }
    }

    /// The event's acks go out without an answer.
    fn release_acks(&mut self, event: u64, out: &mut Vec<Output>) {
        if let Some(event) = self.events.get_mut(&event) {
            event.held_for = None;
            out.extend(event.acks.drain(..).map(|ack| Output::Ack(ack, None)));
        }
    }

    fn delivery_is_durable(&mut self, slot: u64, out: &mut Vec<Output>) {
        let Some(open) = self.open.get_mut(&slot) else {
            return;
        };
        if std::mem::replace(&mut open.is_durable, true) {
            return;
        }
        if let Some(event) = open.event {
            self.event_is_durable(event, out);
        }
    }

    /// One more delivery of the event is durable; with the last one its ack goes out.
    fn event_is_durable(&mut self, number: u64, out: &mut Vec<Output>) {
        let Some(event) = self.events.get_mut(&number) else {
            return;
        };
        event.undurable = event.undurable.saturating_sub(1);
        if !event.is_ack_owed() {
            out.extend(event.acks.drain(..).map(|ack| Output::Ack(ack, None)));
        }
    }

    fn settle(&mut self, seq: u64, slot: u64, effects: Vec<Effect>, out: &mut Vec<Output>) {
        self.delivery_is_durable(slot, out);
        let Some(open) = self.open.remove(&slot) else {
            return;
        };
        if let Some(number) = open.event {
            if let Some(event) = self.events.get_mut(&number)
                && event.held_for == Some(slot)
            {
                event.held_for = None;
                let mut answer = open.answer.clone();
                // One answer for one envelope: duplicates on other sockets are acked without.
                out.extend(
                    event
                        .acks
                        .drain(..)
                        .map(|ack| Output::Ack(ack, answer.take())),
                );
            }
            self.close_delivery(number, out);
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
                at_ms: 0,
                is_recovered: false,
            })
            .collect();
        out.push(Output::Perform(committed));
    }

    /// With its last delivery the event leaves memory, and its permit is given back.
    fn close_delivery(&mut self, number: u64, out: &mut Vec<Output>) {
        let Some(event) = self.events.get_mut(&number) else {
            return;
        };
        event.open = event.open.saturating_sub(1);
        if event.open == 0 {
            self.release_acks(number, out);
            self.events.remove(&number);
        }
    }
}
