//! What the sockets bring: frames that are about themselves, and the envelopes by which a deaf one is known.

use std::time::Duration;

use super::says::{Greeted, Reaction, Said, Stage};
use super::slot::{Serving, Slot, Standing};
use super::{Generation, Machine, Output};
use crate::base::clock::Instant;
use crate::base::limits::DEAF_ENVELOPES;

/// How long Slack may count a socket that has ended.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// A shorter life than this is not planned for: Slack will say when.
const LIFE_MIN_S: u64 = 60;

impl Machine {
    pub(super) fn said(
        &mut self,
        now: Instant,
        generation: Generation,
        said: Said,
        out: &mut Vec<Output>,
    ) {
        let in_slot = self
            .slots
            .iter()
            .enumerate()
            .find_map(|(at, slot)| Some((at, slot.stage(generation)?)));
        let is_retiring = self.retiring.iter().any(|it| it.generation == generation);
        let (at, stage) = match in_slot {
            Some(found) => found,
            None if is_retiring => (usize::MAX, Stage::Retiring),
            // It was closed, or is still being opened: nothing can come from it.
            None => return,
        };
        match said.at(stage) {
            Reaction::Serve(greeted) => self.serve(now, at, generation, greeted, out),
            Reaction::Replace(why) => self.want(at, why),
            Reaction::Fail(why) => {
                self.retire(now, at, generation, true, out);
                self.fail(now, at, &why, out);
            }
            Reaction::NoRoom(why) => self.no_room(now, at, generation, &why, out),
            Reaction::Stop(why) => self.stop_for(now, &why, out),
            Reaction::Leave => {}
        }
    }

    fn want(&mut self, at: usize, why: String) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.wanted.get_or_insert(why);
            self.tally.changed();
        }
    }

    /// Slack takes no more sockets: whatever this slot has makes room first, and that is a gap in it.
    fn no_room(
        &mut self,
        now: Instant,
        at: usize,
        generation: Generation,
        why: &str,
        out: &mut Vec<Output>,
    ) {
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        if slot.is_serving(generation) {
            // Only its own end makes room, and nothing is on its way yet: it goes on until Slack closes it.
            return;
        }
        let broken = slot.take_serving(now).map(|serving| serving.generation);
        self.retire(now, at, generation, true, out);
        if let Some(broken) = broken {
            self.tally.broken_first();
            self.retire(now, at, broken, true, out);
        }
        self.fail(now, at, why, out);
    }

    fn serve(
        &mut self,
        now: Instant,
        at: usize,
        generation: Generation,
        greeted: Greeted,
        out: &mut Vec<Output>,
    ) {
        let ages_at = greeted.life_s.filter(|life_s| *life_s >= LIFE_MIN_S);
        // Somewhere in the last part of its life, so that slots which began together do not end together.
        let ages_at = ages_at.map(|life_s| {
            let tenth = Duration::from_secs(life_s.min(86_400)) / 10;
            now + tenth * 8 + self.rng.up_to(tenth)
        });
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        slot.next = super::slot::Next::None;
        let why = slot.wanted.take();
        let old = slot.take_serving(now);
        slot.has_served = true;
        slot.serving = Some(Serving {
            generation,
            since: now,
            ages_at,
            heard: now,
            others: 0,
        });
        self.tally.served(why);
        if let Some(old) = old {
            self.retire(now, at, old.generation, false, out);
        }
        out.push(Output::Up {
            generation,
            after_gap: self.down_since.take(),
        });
        self.look_for_ghosts(now, greeted.connections, out);
    }

    fn look_for_ghosts(&mut self, now: Instant, connections: u32, out: &mut Vec<Output>) {
        self.ended.retain(|ended| *ended + NOTICED_WITHIN > now);
        let live = |slot: &Slot| {
            usize::from(slot.serving.is_some()) + usize::from(slot.greeting().is_some())
        };
        let own = self.slots.iter().map(live).sum::<usize>() + self.retiring.len();
        let own = u32::try_from(own + self.ended.len()).unwrap_or(u32::MAX);
        let ghosts = connections.saturating_sub(own);
        self.tally.ghosts(ghosts);
        if ghosts > 0 {
            out.push(Output::Ghosts(ghosts));
        }
    }

    pub(super) fn heard(&mut self, now: Instant, generation: Generation, count: u64) {
        let Some(at) = self.slot_of(generation, Standing::Serving) else {
            return;
        };
        let needed = DEAF_ENVELOPES.saturating_mul(self.slots.len() as u64);
        let deaf_after = self.terms.times.deaf_after;
        for (it, slot) in self.slots.iter_mut().enumerate() {
            let Some(serving) = &mut slot.serving else {
                continue;
            };
            if it == at {
                serving.heard = now;
                serving.others = 0;
                slot.deaf = 0;
                continue;
            }
            serving.others = serving.others.saturating_add(count);
            let patience = deaf_after.saturating_mul(1 << slot.deaf.min(6));
            let since = now.saturating_duration_since(serving.heard);
            if serving.others >= needed && since >= patience && slot.wanted.is_none() {
                slot.deaf += 1;
                slot.wanted = Some("deaf".to_owned());
                self.tally.changed();
            }
        }
    }
}
