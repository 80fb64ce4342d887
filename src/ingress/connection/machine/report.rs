//! What a connection remembers of itself, for people.

use std::collections::BTreeMap;

use super::slot::{Next, Slot};
use super::{Generation, Machine};
use crate::base::clock::Instant;
use crate::base::limits::RECONNECT_REASONS_MAX;

/// Whether it connects at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingress::connection) enum Mode {
    Live,
    /// Nothing is opened until somebody says so; why.
    Halted(String),
}

/// What happened so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Grows with every change that people may see.
    revision: u64,
    tickets: u64,
    reconnects: u64,
    reasons: BTreeMap<String, u64>,
    gaps: u64,
    broken_first: u64,
    ghosts: u32,
    last_error: Option<String>,
    is_served: bool,
    /// Why the next socket is opened, when the last one was lost.
    lost: Option<String>,
}

impl Tally {
    pub(super) fn changed(&mut self) {
        self.revision += 1;
    }

    pub(super) fn asked(&mut self) {
        self.tickets += 1;
        self.changed();
    }

    pub(super) fn failed(&mut self, why: &str) {
        self.last_error = Some(why.to_owned());
        self.lost(why);
    }

    pub(super) fn lost(&mut self, why: &str) {
        self.lost.get_or_insert_with(|| why.to_owned());
        self.changed();
    }

    /// A socket serves; `why` the one before it was to be replaced, if it was.
    pub(super) fn served(&mut self, why: Option<String>) {
        let lost = self.lost.take();
        if self.is_served
            && let Some(why) = why.or(lost)
        {
            self.reconnects += 1;
            let is_full =
                self.reasons.len() >= RECONNECT_REASONS_MAX && !self.reasons.contains_key(&why);
            let why = if is_full { "other".to_owned() } else { why };
            *self.reasons.entry(why).or_default() += 1;
        }
        self.is_served = true;
        self.changed();
    }

    pub(super) fn has_served(&self) -> bool {
        self.is_served
    }

    pub(super) fn gap(&mut self) {
        self.gaps += 1;
    }

    pub(super) fn broken_first(&mut self) {
        self.broken_first += 1;
    }

    pub(super) fn ghosts(&mut self, ghosts: u32) {
        self.ghosts = ghosts;
    }
}

/// Where a socket stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingress::connection) struct SocketView {
    pub(in crate::ingress::connection) slot: usize,
    pub(in crate::ingress::connection) generation: Generation,
    pub(in crate::ingress::connection) state: &'static str,
    pub(in crate::ingress::connection) since: Instant,
}

/// Everything there is to see.
#[derive(Debug)]
pub(in crate::ingress::connection) struct View<'a> {
    pub(in crate::ingress::connection) mode: &'a Mode,
    pub(in crate::ingress::connection) tickets: u64,
    pub(in crate::ingress::connection) reconnects: u64,
    pub(in crate::ingress::connection) reasons: &'a BTreeMap<String, u64>,
    pub(in crate::ingress::connection) gaps: u64,
    pub(in crate::ingress::connection) broken_first: u64,
    pub(in crate::ingress::connection) ghosts: u32,
    pub(in crate::ingress::connection) last_error: Option<&'a str>,
    pub(in crate::ingress::connection) sockets: Vec<SocketView>,
}

impl Machine {
    /// A number that changes with whatever [`Machine::view`] shows.
    pub(in crate::ingress::connection) fn revision(&self) -> u64 {
        self.tally.revision
    }

    pub(in crate::ingress::connection) fn view(&self) -> View<'_> {
        let in_slots = self.slots.iter().enumerate().flat_map(of_slot);
        let retiring = self.retiring.iter().map(|it| SocketView {
            slot: it.slot,
            generation: it.generation,
            state: if it.is_told { "closing" } else { "retiring" },
            since: it.since,
        });
        View {
            mode: &self.mode,
            tickets: self.tally.tickets,
            reconnects: self.tally.reconnects,
            reasons: &self.tally.reasons,
            gaps: self.tally.gaps,
            broken_first: self.tally.broken_first,
            ghosts: self.tally.ghosts,
            last_error: self.tally.last_error.as_deref(),
            sockets: in_slots.chain(retiring).collect(),
        }
    }
}

fn of_slot((at, slot): (usize, &Slot)) -> impl Iterator<Item = SocketView> {
    let next = match slot.next {
        Next::None | Next::Waiting { .. } => None,
        Next::Asking { generation, since } => Some((generation, "asking", since)),
        Next::Dialling { generation, since } => Some((generation, "dialling", since)),
        Next::Greeting { generation, since } => Some((generation, "greeting", since)),
    };
    let serving = slot.serving.as_ref();
    let serving = serving.map(|serving| (serving.generation, "serving", serving.since));
    let both = serving.into_iter().chain(next);
    both.map(move |(generation, state, since)| SocketView {
        slot: at,
        generation,
        state,
        since,
    })
}
