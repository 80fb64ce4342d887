//! A connection as a state machine: which socket serves, which is on its way, which is on its way out.
//!
//! The replacement says hello before the old socket is let go, and the old one still acks what it delivered.

use std::time::Duration;

use crate::base::backoff::Backoff;
use crate::base::clock::Instant;
use crate::base::limits::{
    HELLO_WITHIN, RECONNECT_FIRST, RECONNECT_MOST, RECONNECT_SETTLED, RETIRE_WITHIN,
};
use crate::base::rng::Rng;
use crate::ingress::ticket::Refused;

/// A socket's number: each replacement is a new generation.
pub(super) type Generation = u64;

#[derive(Debug)]
pub(super) enum Input {
    /// Connect.
    Start,
    /// A ticket came.
    Ticket(Generation),
    /// No ticket came.
    Refused(Generation, Refused),
    /// The socket is open.
    Opened(Generation),
    /// The socket can't be opened.
    DialFailed(Generation, String),
    /// The socket said hello.
    Hello(Generation),
    /// Slack asks to leave the socket: its reason, or `goodbye`.
    Disconnect(Generation, String),
    /// The socket is gone.
    Closed(Generation, String),
    /// Time has passed.
    Tick,
    /// Close everything, for good.
    Stop,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Ask for a ticket, then dial.
    Ask(Generation),
    /// Dial with the ticket that came.
    Dial(Generation),
    /// Close this socket; it tells when it is closed.
    Close(Generation),
    /// This socket serves now.
    Up(Generation),
    /// No socket serves; why.
    Down(String),
    /// It will not be tried again; why.
    Stopped(String),
}

/// The socket that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    None,
    Waiting {
        until: Instant,
    },
    Asking(Generation),
    Dialling(Generation),
    Greeting {
        generation: Generation,
        until: Instant,
    },
}

#[derive(Debug)]
pub(super) struct Machine {
    next: Next,
    serving: Option<(Generation, Instant)>,
    retiring: Vec<(Generation, Instant)>,
    generation: Generation,
    failures: u32,
    is_stopped: bool,
    rng: Rng,
}

const BACKOFF: Backoff = Backoff {
    first: RECONNECT_FIRST,
    most: RECONNECT_MOST,
};

impl Machine {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            next: Next::None,
            serving: None,
            retiring: Vec::new(),
            generation: 0,
            failures: 0,
            is_stopped: false,
            rng,
        }
    }

    /// When the next [`Input::Tick`] is wanted.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        let next = match self.next {
            Next::Waiting { until } | Next::Greeting { until, .. } => Some(until),
            Next::None | Next::Asking(_) | Next::Dialling(_) => None,
        };
        let retiring = self.retiring.iter().map(|(_, until)| *until);
        retiring.chain(next).min()
    }

    /// Whether it was stopped and every socket is gone.
    pub(super) fn is_over(&self) -> bool {
        self.is_stopped && self.serving.is_none() && self.retiring.is_empty()
    }

    pub(super) fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        if self.is_stopped {
            return self.step_stopped(&input, out);
        }
        match input {
            Input::Start => self.replace(out),
            Input::Ticket(generation) => {
                if self.next == Next::Asking(generation) {
                    self.next = Next::Dialling(generation);
                    out.push(Output::Dial(generation));
                }
            }
            Input::Refused(generation, refused) => {
                if self.next == Next::Asking(generation) {
                    self.refused(now, &refused, out);
                }
            }
            Input::Opened(generation) => {
                if self.next == Next::Dialling(generation) {
                    let until = now + HELLO_WITHIN;
                    self.next = Next::Greeting { generation, until };
                } else {
                    out.push(Output::Close(generation));
                }
            }
            Input::DialFailed(generation, why) => {
                if self.next == Next::Dialling(generation) {
                    self.fail(now, None, &why, out);
                }
            }
            Input::Hello(generation) => self.hello(now, generation, out),
            Input::Disconnect(generation, reason) => self.disconnect(now, generation, &reason, out),
            Input::Closed(generation, why) => self.closed(now, generation, &why, out),
            Input::Tick => self.tick(now, out),
            Input::Stop => {
                self.is_stopped = true;
                self.close_all(out);
            }
        }
    }

    /// After the end only the ends of sockets matter.
    fn step_stopped(&mut self, input: &Input, out: &mut Vec<Output>) {
        match input {
            Input::Opened(generation) => out.push(Output::Close(*generation)),
            Input::Closed(generation, _) => {
                self.retiring.retain(|(retiring, _)| retiring != generation);
            }
            Input::Start
            | Input::Ticket(_)
            | Input::Refused(..)
            | Input::DialFailed(..)
            | Input::Hello(_)
            | Input::Disconnect(..)
            | Input::Tick
            | Input::Stop => {}
        }
    }

    /// Begins a new socket, unless one is on its way.
    fn replace(&mut self, out: &mut Vec<Output>) {
        if matches!(self.next, Next::None | Next::Waiting { .. }) {
            self.generation += 1;
            self.next = Next::Asking(self.generation);
            out.push(Output::Ask(self.generation));
        }
    }

    fn refused(&mut self, now: Instant, refused: &Refused, out: &mut Vec<Output>) {
        if refused.is_final {
            self.stop_for(&refused.error, out);
        } else {
            self.fail(now, refused.after, &refused.error, out);
        }
    }

    fn stop_for(&mut self, why: &str, out: &mut Vec<Output>) {
        self.is_stopped = true;
        self.close_all(out);
        out.push(Output::Stopped(why.to_owned()));
    }

    fn close_all(&mut self, out: &mut Vec<Output>) {
        let greeting = match self.next {
            Next::Greeting { generation, until } => Some((generation, until)),
            Next::None | Next::Waiting { .. } | Next::Asking(_) | Next::Dialling(_) => None,
        };
        self.next = Next::None;
        let live = self.serving.take().into_iter().chain(greeting);
        for (generation, until) in live {
            self.retiring.push((generation, until));
        }
        let retiring = self.retiring.iter();
        out.extend(retiring.map(|(generation, _)| Output::Close(*generation)));
    }

    /// The socket on its way did not make it: another, after a wait.
    fn fail(&mut self, now: Instant, after: Option<Duration>, why: &str, out: &mut Vec<Output>) {
        self.failures = self.failures.saturating_add(1);
        let wait = BACKOFF.delay(self.failures, &mut self.rng);
        let until = now + after.map_or(wait, |after| after + wait);
        self.next = Next::Waiting { until };
        if self.serving.is_none() {
            out.push(Output::Down(why.to_owned()));
        }
    }

    fn hello(&mut self, now: Instant, generation: Generation, out: &mut Vec<Output>) {
        // A second hello on a socket that serves says nothing new.
        if !matches!(self.next, Next::Greeting { generation: greeting, .. } if greeting == generation)
        {
            return;
        }
        self.next = Next::None;
        if let Some((old, _)) = self.serving.replace((generation, now)) {
            self.retiring.push((old, now + RETIRE_WITHIN));
        }
        out.push(Output::Up(generation));
    }

    fn disconnect(
        &mut self,
        now: Instant,
        generation: Generation,
        reason: &str,
        out: &mut Vec<Output>,
    ) {
        if reason == "link_disabled" {
            return self.stop_for(
                "Socket Mode is switched off for this app (link_disabled)",
                out,
            );
        }
        if self
            .serving
            .is_some_and(|(serving, _)| serving == generation)
        {
            // Slack says when to go, so there is no need to wait; the old socket serves until the new one does.
            self.replace(out);
        } else if matches!(self.next, Next::Greeting { generation: greeting, .. } if greeting == generation)
        {
            out.push(Output::Close(generation));
            self.retiring.push((generation, now + RETIRE_WITHIN));
            self.fail(now, None, reason, out);
        }
    }

    fn closed(&mut self, now: Instant, generation: Generation, why: &str, out: &mut Vec<Output>) {
        self.retiring
            .retain(|(retiring, _)| *retiring != generation);
        if matches!(self.next, Next::Greeting { generation: greeting, .. } if greeting == generation)
        {
            return self.fail(now, None, why, out);
        }
        let Some((serving, since)) = self.serving else {
            return;
        };
        if serving != generation {
            return;
        }
        self.serving = None;
        if now.saturating_duration_since(since) >= RECONNECT_SETTLED {
            self.failures = 0;
        }
        if self.next == Next::None {
            self.fail(now, None, why, out);
        } else {
            out.push(Output::Down(why.to_owned()));
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Output>) {
        match self.next {
            Next::Waiting { until } if until <= now => self.replace(out),
            Next::Greeting { generation, until } if until <= now => {
                out.push(Output::Close(generation));
                self.retiring.push((generation, now + RETIRE_WITHIN));
                self.fail(now, None, "no hello in time", out);
            }
            Next::None
            | Next::Waiting { .. }
            | Next::Asking(_)
            | Next::Dialling(_)
            | Next::Greeting { .. } => {}
        }
        for (generation, until) in &mut self.retiring {
            if *until <= now {
                out.push(Output::Close(*generation));
                // It tells when it is closed; it is told again if it does not.
                *until = now + RETIRE_WITHIN;
            }
        }
    }
}

#[cfg(test)]
mod tests;
