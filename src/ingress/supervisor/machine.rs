//! The supervision of connections as a state machine: who lives, who is to live again, and when.
//!
//! A connection replaces its sockets itself; only an actor that dies, by a fault of ours, comes here.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::backoff::Backoff;
use crate::base::clock::Instant;
use crate::base::limits::{RECONNECT_FIRST, RECONNECT_MOST, RECONNECT_SETTLED};
use crate::base::rng::Rng;

#[derive(Debug)]
pub(super) enum Input {
    /// This connection is wanted.
    Open(String),
    /// Its actor died.
    Died(String),
    /// Its wait is over.
    RestartDue(String),
    /// This connection is not wanted any more.
    Close(String),
    /// None is wanted any more.
    Stop,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Make an actor for this connection.
    Spawn(String),
    /// Wait, then tell.
    RestartAfter(String, Duration),
    /// It is gone for good.
    Forget(String),
    /// End its actor.
    End(String),
}

#[derive(Debug)]
struct Child {
    spawned: Instant,
    deaths: u32,
    is_alive: bool,
    is_wanted: bool,
}

#[derive(Debug)]
pub(super) struct Machine {
    children: BTreeMap<String, Child>,
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
            children: BTreeMap::new(),
            is_stopped: false,
            rng,
        }
    }

    pub(super) fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Open(name) => {
                if !self.is_stopped && !self.children.contains_key(&name) {
                    let child = Child {
                        spawned: now,
                        deaths: 0,
                        is_alive: true,
                        is_wanted: true,
                    };
                    self.children.insert(name.clone(), child);
                    out.push(Output::Spawn(name));
                }
            }
            Input::Died(name) => self.died(now, name, out),
            Input::RestartDue(name) => {
                if let Some(child) = self.children.get_mut(&name)
                    && !self.is_stopped
                    && child.is_wanted
                    && !child.is_alive
                {
                    child.is_alive = true;
                    child.spawned = now;
                    out.push(Output::Spawn(name));
                }
            }
            Input::Close(name) => {
                let Some(child) = self.children.get_mut(&name) else {
                    return;
                };
                child.is_wanted = false;
                if child.is_alive {
                    out.push(Output::End(name));
                } else {
                    self.children.remove(&name);
                    out.push(Output::Forget(name));
                }
            }
            Input::Stop => {
                self.is_stopped = true;
                let alive = self.children.iter().filter(|(_, child)| child.is_alive);
                out.extend(alive.map(|(name, _)| Output::End(name.clone())));
            }
        }
    }

    fn died(&mut self, now: Instant, name: String, out: &mut Vec<Output>) {
        let Some(child) = self.children.get_mut(&name) else {
            return;
        };
        if !std::mem::replace(&mut child.is_alive, false) || self.is_stopped {
            return;
        }
        if !child.is_wanted {
            self.children.remove(&name);
            return out.push(Output::Forget(name));
        }
        if now.saturating_duration_since(child.spawned) >= RECONNECT_SETTLED {
            child.deaths = 0;
        }
        child.deaths = child.deaths.saturating_add(1);
        let wait = BACKOFF.delay(child.deaths, &mut self.rng);
        out.push(Output::RestartAfter(name, wait));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;

    fn run(inputs: Vec<Input>) -> Vec<Output> {
        let (mut machine, now) = (Machine::new(Rng::seeded(1)), Clock::system().now());
        let mut out = Vec::new();
        for input in inputs {
            machine.step(now, input, &mut out);
        }
        out.retain(|output| !matches!(output, Output::RestartAfter(..)));
        out
    }

    fn spawn(name: &str) -> Output {
        Output::Spawn(name.into())
    }

    #[test]
    fn each_connection_is_spawned_once_and_again_after_its_death() {
        let (a, b) = (|| "a".to_owned(), || "b".to_owned());
        let out = run(vec![
            Input::Open(a()),
            Input::Open(a()),
            Input::Open(b()),
            Input::Died(a()),
            Input::Died(a()),
            Input::RestartDue(a()),
            Input::RestartDue(b()),
            Input::Died("stranger".into()),
        ]);
        assert_eq!(out, [spawn("a"), spawn("b"), spawn("a")]);
    }

    #[test]
    fn one_that_is_closed_is_forgotten_when_it_has_ended_and_may_be_opened_again() {
        let a = || "a".to_owned();
        let out = run(vec![
            Input::Open(a()),
            Input::Close(a()),
            Input::Died(a()),
            Input::RestartDue(a()),
            Input::Close(a()),
            Input::Open(a()),
            Input::Died(a()),
            Input::Close(a()),
        ]);
        let forget = || Output::Forget(a());
        assert_eq!(
            out,
            [spawn("a"), Output::End(a()), forget(), spawn("a"), forget()]
        );
    }

    #[test]
    fn nobody_lives_again_after_the_stop() {
        let a = || "a".to_owned();
        let out = run(vec![
            Input::Open(a()),
            Input::Stop,
            Input::Died(a()),
            Input::RestartDue(a()),
            Input::Open("b".into()),
        ]);
        assert_eq!(out, [spawn("a"), Output::End("a".into())]);
    }
}
