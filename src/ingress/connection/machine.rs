//! A connection as a state machine: which sockets serve, which are on their way, which are on their way out.
//!
//! A token has some slots, and each slot one serving socket. The replacement says hello before the old socket is let
//! go, and the old one still acks what it delivered. Slots are replaced one after the other. What a frame means is in
//! [`says`], a table per transport; everything else is the same for both.
mod news;
mod orders;
mod pace;
mod report;
mod says;
mod slot;

use std::time::Duration;

use crate::base::backoff::Backoff;
use crate::base::clock::Instant;
use crate::base::limits::{
    RECONNECT_FIRST, RECONNECT_MOST, SLOT_APART, SocketTimes, TICKETS_SPARE,
};
use crate::base::rng::Rng;
use crate::ingress::ticket::Refused;

use pace::Pace;
use report::Tally;
use slot::{Next, Slot, Standing};

pub(in crate::ingress) use pace::Tier;
pub(super) use report::Mode;
pub(in crate::ingress) use says::{Greeted, Rtm, Said, SocketMode};

/// A socket's number within its connection: each replacement is a new generation.
pub(super) type Generation = u64;

#[derive(Debug)]
pub(super) enum Input {
    /// Connect, after a halt too; and do not wait any longer, where a retry waits.
    Start,
    /// A ticket came.
    Ticket(Generation),
    /// No ticket came.
    Refused(Generation, Refused),
    /// The socket is open.
    Opened(Generation),
    /// The socket can't be opened.
    DialFailed(Generation, String),
    /// A frame that is about the socket itself.
    Said(Generation, Said),
    /// The socket brought so many envelopes.
    Heard(Generation, u64),
    /// The socket is gone.
    Closed(Generation, String),
    /// Nothing on the socket waits for its ack, and nothing came since the last look.
    Idle(Generation),
    /// Time has passed.
    Tick,
    /// New sockets for those that serve too.
    Renew,
    /// Close everything, until it is started again; why.
    Halt(String),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Ask for a ticket, then dial.
    Ask(Generation),
    /// Dial with the ticket that came.
    Dial(Generation),
    /// Close this socket; it tells when it is closed.
    Close(Generation),
    /// Tell whether this socket, which is on its way out, has something to do yet.
    Look(Generation),
    /// This socket serves now.
    Up {
        generation: Generation,
        /// Since when no socket had served, if one had before.
        after_gap: Option<Instant>,
    },
    /// No socket serves; why.
    Down(String),
    /// It will not be tried again until somebody says so; why.
    Stopped(String),
    /// Slack counts more sockets of this app than we have: so many more.
    Ghosts(u32),
}

/// What a machine is told once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) slots: usize,
    pub(super) tier: Tier,
    pub(super) times: SocketTimes,
    /// Whether sockets that are lost are replaced.
    pub(super) is_reconnecting: bool,
}

/// A socket that is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Retiring {
    generation: Generation,
    slot: usize,
    since: Instant,
    until: Instant,
    /// It was told to close.
    is_told: bool,
}

#[derive(Debug)]
pub(super) struct Machine {
    terms: Terms,
    slots: Vec<Slot>,
    retiring: Vec<Retiring>,
    generation: Generation,
    pace: Pace,
    /// Slack asked for nothing to be sent before.
    hold: Option<Instant>,
    /// Since when none serves, once one did.
    down_since: Option<Instant>,
    /// Ends of sockets that Slack may not have noticed yet.
    ended: Vec<Instant>,
    mode: Mode,
    tally: Tally,
    rng: Rng,
}

const BACKOFF: Backoff = Backoff {
    first: RECONNECT_FIRST,
    most: RECONNECT_MOST,
};

/// Sockets of one app that Slack takes, those on their way out too.
const SOCKETS_MAX: usize = 10;

/// How often a socket on its way out is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Sockets whose ends are remembered for that.
const ENDED_MAX: usize = 32;

impl Machine {
    pub(super) fn new(terms: Terms, rng: Rng) -> Self {
        Self {
            slots: (0..terms.slots.max(1)).map(|_| Slot::new()).collect(),
            retiring: Vec::new(),
            generation: 0,
            pace: Pace::new(terms.tier),
            hold: None,
            down_since: None,
            ended: Vec::new(),
            mode: Mode::Live,
            tally: Tally::default(),
            terms,
            rng,
        }
    }

    /// When the next [`Input::Tick`] is wanted.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        let within = self.terms.times.hello_within;
        let slots = self.slots.iter().filter_map(|slot| slot.next_tick(within));
        let retiring = self.retiring.iter().map(|retiring| retiring.until);
        slots.chain(retiring).min()
    }

    /// Whether it is halted and every socket is gone.
    pub(super) fn is_over(&self) -> bool {
        match &self.mode {
            Mode::Live => false,
            Mode::Halted(_) => self.retiring.is_empty(),
        }
    }

    pub(super) fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match &self.mode {
            Mode::Live => self.step_live(now, input, out),
            Mode::Halted(_) => self.step_halted(now, input, out),
        }
        if self.mode == Mode::Live {
            self.advance(now, out);
            self.stop_if_left(now, out);
        }
    }

    fn step_live(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Start => self.start(now),
            Input::Renew => self.renew(now),
            Input::Ticket(generation) => self.ticket(generation, out),
            Input::Refused(generation, refused) => self.refused(now, generation, &refused, out),
            Input::Opened(generation) => self.opened(now, generation, out),
            Input::DialFailed(generation, why) => {
                let Some(at) = self.slot_of(generation, Standing::Next) else {
                    return;
                };
                if matches!(self.next_of(at), Some(Next::Dialling { .. })) {
                    self.fail(now, at, &why, out);
                }
            }
            Input::Said(generation, said) => self.said(now, generation, said, out),
            Input::Heard(generation, count) => self.heard(now, generation, count),
            Input::Closed(generation, why) => self.closed(now, generation, &why, out),
            Input::Idle(generation) => self.idle(now, generation, out),
            Input::Tick => self.tick(now, out),
            Input::Halt(why) => self.halt(now, why, out),
        }
    }

    /// While it is halted only the ends of sockets matter, and a new start.
    fn step_halted(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Start | Input::Renew => {
                self.mode = Mode::Live;
                self.tally.changed();
                for slot in &mut self.slots {
                    slot.failures = 0;
                    slot.has_served = false;
                }
            }
            Input::Opened(generation) => self.strange(now, generation, out),
            Input::Closed(generation, _) => self.forget(now, generation),
            Input::Tick => self.tick_retiring(now, out),
            Input::Halt(why) => {
                self.mode = Mode::Halted(why);
                self.tally.changed();
            }
            Input::Ticket(_)
            | Input::Refused(..)
            | Input::DialFailed(..)
            | Input::Said(..)
            | Input::Idle(_)
            | Input::Heard(..) => {}
        }
    }

    fn next_of(&self, at: usize) -> Option<&Next> {
        self.slots.get(at).map(|slot| &slot.next)
    }

    fn slot_of(&self, generation: Generation, standing: Standing) -> Option<usize> {
        let fits = |slot: &Slot| slot.standing(generation) == standing;
        self.slots.iter().position(fits)
    }

    /// Begins what may begin: lost sockets first, then wanted replacements; never two at the same moment.
    fn advance(&mut self, now: Instant, out: &mut Vec<Output>) {
        for is_lost in [true, false] {
            for at in 0..self.slots.len() {
                self.advance_slot(now, at, is_lost, out);
            }
        }
    }

    fn advance_slot(&mut self, now: Instant, at: usize, is_lost: bool, out: &mut Vec<Output>) {
        let free_at = self.free_at(at, is_lost);
        let spare = if is_lost { 0 } else { TICKETS_SPARE };
        let ready_at = self.pace.ready_at(now, spare).max(self.hold.unwrap_or(now));
        let is_left = self.slots.get(at).is_some_and(|slot| self.is_left(slot));
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        if slot.serving.is_none() == is_lost {
            slot.due = None;
        }
        if is_lost && is_left {
            return;
        }
        if slot.serving.is_none() != is_lost || (!is_lost && slot.wanted.is_none()) {
            return;
        }
        let due = match slot.next {
            Next::None => now,
            Next::Waiting { until } => until,
            Next::Asking { .. } | Next::Dialling { .. } | Next::Greeting { .. } => return,
        };
        let due = due.max(ready_at).max(free_at.unwrap_or(now));
        if due > now {
            // Only looked at: whoever keeps it waiting may be done earlier.
            slot.due = Some(due);
            return;
        }
        slot.due = None;
        if !self.has_room(now, out) {
            // The end of another is news, and brings us here again.
            return;
        }
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        self.pace.take(now);
        self.generation += 1;
        let generation = self.generation;
        slot.next = Next::Asking {
            generation,
            since: now,
        };
        self.tally.asked();
        out.push(Output::Ask(generation));
    }

    /// Until when another slot that is on its way keeps this one waiting. A lost socket is not kept for long; a
    /// replacement is.
    fn free_at(&self, at: usize, is_lost: bool) -> Option<Instant> {
        let apart = if is_lost {
            SLOT_APART
        } else {
            // Its hello, or its failure, comes first; a tick of its own is not needed.
            self.terms.times.hello_within * 4
        };
        let others = self.slots.iter().enumerate().filter(|(it, _)| *it != at);
        others
            .filter_map(|(_, slot)| slot.under_way().map(|(_, since)| since + apart))
            .max()
    }

    fn ticket(&mut self, generation: Generation, out: &mut Vec<Output>) {
        for slot in &mut self.slots {
            match slot.next {
                Next::Asking {
                    generation: asking,
                    since,
                } if asking == generation => {
                    slot.next = Next::Dialling { generation, since };
                    self.tally.changed();
                    return out.push(Output::Dial(generation));
                }
                Next::None
                | Next::Waiting { .. }
                | Next::Asking { .. }
                | Next::Dialling { .. }
                | Next::Greeting { .. } => {}
            }
        }
    }

    fn refused(
        &mut self,
        now: Instant,
        generation: Generation,
        refused: &Refused,
        out: &mut Vec<Output>,
    ) {
        let Some(at) = self.slot_of(generation, Standing::Next) else {
            return;
        };
        if !matches!(self.next_of(at), Some(Next::Asking { .. })) {
            return;
        }
        if refused.is_final {
            return self.stop_for(now, &refused.error, out);
        }
        if let Some(after) = refused.after {
            self.hold = Some(now + after);
        }
        self.fail(now, at, &refused.error, out);
    }

    fn opened(&mut self, now: Instant, generation: Generation, out: &mut Vec<Output>) {
        let at = self.slot_of(generation, Standing::Next);
        let slot = at.and_then(|at| self.slots.get_mut(at));
        match slot {
            Some(slot) if matches!(slot.next, Next::Dialling { .. }) => {
                slot.next = Next::Greeting {
                    generation,
                    since: now,
                };
                self.tally.changed();
            }
            // Nobody waits for it any more.
            Some(_) | None => self.strange(now, generation, out),
        }
    }

    /// A socket that nobody wants is closed, and its end awaited.
    fn strange(&mut self, now: Instant, generation: Generation, out: &mut Vec<Output>) {
        let is_known = self.retiring.iter().any(|it| it.generation == generation);
        if !is_known {
            self.retire(now, usize::MAX, generation, true, out);
        }
    }

    fn retire(
        &mut self,
        now: Instant,
        slot: usize,
        generation: Generation,
        is_told: bool,
        out: &mut Vec<Output>,
    ) {
        if is_told {
            out.push(Output::Close(generation));
        }
        let wait = if is_told {
            self.terms.times.retire_within
        } else {
            LOOK_EVERY
        };
        self.retiring.push(Retiring {
            generation,
            slot,
            since: now,
            until: now + wait,
            is_told,
        });
        self.tally.changed();
    }

    fn stop_for(&mut self, now: Instant, why: &str, out: &mut Vec<Output>) {
        self.halt(now, why.to_owned(), out);
        out.push(Output::Stopped(why.to_owned()));
    }

    fn halt(&mut self, now: Instant, why: String, out: &mut Vec<Output>) {
        self.mode = Mode::Halted(why);
        self.hold = None;
        self.down_since = None;
        let mut open = Vec::new();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            open.extend(slot.greeting().map(|generation| (at, generation)));
            let serving = slot.take_serving(now);
            open.extend(serving.map(|serving| (at, serving.generation)));
            slot.next = Next::None;
            slot.due = None;
        }
        for retiring in &mut self.retiring {
            if !retiring.is_told {
                retiring.is_told = true;
                out.push(Output::Close(retiring.generation));
            }
        }
        for (at, generation) in open {
            self.retire(now, at, generation, true, out);
        }
        self.tally.changed();
    }

    /// The socket on its way did not make it: another, after a wait.
    fn fail(&mut self, now: Instant, at: usize, why: &str, out: &mut Vec<Output>) {
        let hold = self.hold.filter(|hold| *hold > now);
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        slot.failures = slot.failures.saturating_add(1);
        let wait = BACKOFF.delay(slot.failures, &mut self.rng);
        slot.next = Next::Waiting {
            until: hold.unwrap_or(now) + wait,
        };
        self.tally.failed(why);
        self.tell_down(now, why, out);
    }

    fn tell_down(&mut self, now: Instant, why: &str, out: &mut Vec<Output>) {
        if self.slots.iter().all(|slot| slot.serving.is_none()) {
            if self.tally.has_served() && self.down_since.is_none() {
                self.down_since = Some(now);
                self.tally.gap();
            }
            out.push(Output::Down(why.to_owned()));
        }
    }

    /// A socket that was on its way out is gone.
    fn forget(&mut self, now: Instant, generation: Generation) {
        if self.ended.len() < ENDED_MAX {
            self.ended.push(now);
        }
        self.retiring.retain(|it| it.generation != generation);
        self.tally.changed();
    }

    fn closed(&mut self, now: Instant, generation: Generation, why: &str, out: &mut Vec<Output>) {
        self.forget(now, generation);
        if let Some(at) = self.slot_of(generation, Standing::Next) {
            if self.slots.get(at).and_then(Slot::greeting) == Some(generation) {
                self.fail(now, at, why, out);
            }
            return;
        }
        let Some(at) = self.slot_of(generation, Standing::Serving) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        let wanted = slot.wanted.take();
        slot.take_serving(now);
        // What is on its way comes sooner than anything that would begin now; what waits has been waiting for its
        // turn as a replacement, and is needed at once now.
        if slot.under_way().is_some() {
            self.tally.lost(why);
            self.tell_down(now, why, out);
        } else if wanted.is_some() {
            self.tally.lost(why);
            slot.next = Next::None;
            self.tell_down(now, why, out);
        } else {
            self.fail(now, at, why, out);
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Output>) {
        let within = self.terms.times.hello_within;
        for at in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(at) else {
                continue;
            };
            if let Some(serving) = &mut slot.serving
                && serving.ages_at.is_some_and(|ages_at| ages_at <= now)
            {
                serving.ages_at = None;
                slot.wanted.get_or_insert_with(|| "age".to_owned());
            }
            match slot.next {
                Next::Greeting { generation, since } if since + within <= now => {
                    self.retire(now, at, generation, true, out);
                    self.fail(now, at, "no hello in time", out);
                }
                Next::None
                | Next::Waiting { .. }
                | Next::Asking { .. }
                | Next::Dialling { .. }
                | Next::Greeting { .. } => {}
            }
        }
        self.tick_retiring(now, out);
    }

    fn tick_retiring(&mut self, now: Instant, out: &mut Vec<Output>) {
        let within = self.terms.times.retire_within;
        let is_needed = self.is_old_needed();
        for retiring in &mut self.retiring {
            if retiring.until > now {
                continue;
            }
            if !retiring.is_told && (is_needed || retiring.since + within > now) {
                out.push(Output::Look(retiring.generation));
                retiring.until = now + LOOK_EVERY;
                continue;
            }
            out.push(Output::Close(retiring.generation));
            retiring.is_told = true;
            // It tells when it is closed; it is told again if it does not.
            retiring.until = now + within;
        }
    }

    /// Whether Slack asked every serving socket to leave: until one serves that may stay, Slack uses old ones too.
    fn is_old_needed(&self) -> bool {
        let may_stay = |slot: &Slot| slot.serving.is_some() && slot.wanted.is_none();
        self.mode == Mode::Live && !self.slots.iter().any(may_stay)
    }

    fn idle(&mut self, now: Instant, generation: Generation, out: &mut Vec<Output>) {
        if !self.is_old_needed() {
            self.let_go(now, generation, out);
        }
    }

    fn let_go(&mut self, now: Instant, generation: Generation, out: &mut Vec<Output>) {
        let within = self.terms.times.retire_within;
        let mut retiring = self.retiring.iter_mut();
        if let Some(idle) = retiring.find(|it| it.generation == generation && !it.is_told) {
            out.push(Output::Close(generation));
            idle.is_told = true;
            idle.until = now + within;
            self.tally.changed();
        }
    }

    /// Whether Slack takes one more socket from us. If not, the one that has been on its way out for longest goes.
    fn has_room(&mut self, now: Instant, out: &mut Vec<Output>) -> bool {
        let of = |slot: &Slot| {
            usize::from(slot.serving.is_some()) + usize::from(slot.under_way().is_some())
        };
        let open = self.slots.iter().map(of).sum::<usize>() + self.retiring.len();
        if open < SOCKETS_MAX {
            return true;
        }
        let told = self.retiring.iter().filter(|it| it.is_told).count();
        if open - told < SOCKETS_MAX {
            // One is on its way out already.
            return false;
        }
        let oldest = self.retiring.iter().find(|it| !it.is_told);
        if let Some(oldest) = oldest.map(|oldest| oldest.generation) {
            self.let_go(now, oldest, out);
        }
        false
    }
}

#[cfg(test)]
mod tests;
