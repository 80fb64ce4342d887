//! What is asked of a connection from outside: whether lost sockets are replaced, and new sockets.

use super::slot::{Next, Slot};
use super::{Generation, Machine, Mode, Output};
use crate::base::clock::Instant;

/// Why a connection stops that does not reconnect by itself.
const LOST: &str = "its sockets were lost, and reconnecting is off";

impl Machine {
    /// Whether sockets that are lost are replaced.
    pub(in crate::ingress::connection) fn set_reconnecting(&mut self, is_on: bool) {
        self.terms.is_reconnecting = is_on;
    }

    /// Whoever asks for a start does not want to wait for the backoff; what Slack asked for stands.
    pub(super) fn start(&mut self, now: Instant) {
        for slot in &mut self.slots {
            slot.has_served = false;
            if let Next::Waiting { until } = &mut slot.next {
                *until = now;
            }
        }
    }

    /// New sockets for those that serve, and for those that are lost.
    pub(super) fn renew(&mut self, now: Instant) {
        for slot in &mut self.slots {
            if slot.serving.is_some() {
                slot.wanted.get_or_insert_with(|| "asked for".to_owned());
            }
        }
        self.start(now);
    }

    /// The newest socket that serves.
    pub(in crate::ingress::connection) fn serving(&self) -> Option<Generation> {
        let serving = self.slots.iter().filter_map(|slot| slot.serving.as_ref());
        serving.map(|serving| serving.generation).max()
    }

    /// Whether the slot stays empty, since it lost its socket and nothing replaces it.
    pub(super) fn is_left(&self, slot: &Slot) -> bool {
        !self.terms.is_reconnecting && slot.serving.is_none() && slot.has_served
    }

    /// With the last socket that nothing replaces the connection stops.
    pub(super) fn stop_if_left(&mut self, now: Instant, out: &mut Vec<Output>) {
        let is_left = |slot: &Slot| self.is_left(slot) && slot.under_way().is_none();
        if self.mode == Mode::Live && self.slots.iter().all(is_left) {
            self.stop_for(now, LOST, out);
        }
    }
}
