//! Arrivals that may have been seen before memory begins: the disk is asked for their marks, and what comes for the
//! same workspace meanwhile waits behind them.
//!
//! Order is order of admission, and after a long outage Slack brings old and young events in one go: an answer that
//! comes late, or a young event that needs none, must not overtake.

use std::collections::{HashMap, VecDeque};

use crate::flow::envelope::Arrival;
use crate::flow::key::AppName;
use crate::slack::id::TeamId;

/// What the disk said of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing yet.
    Asked,
    /// It was handled before.
    Known,
    /// It is new.
    New,
    /// It could not be asked.
    Failed,
}

#[derive(Debug)]
struct Check {
    /// The number of its question; none where nothing had to be asked.
    number: Option<u64>,
    arrival: Arrival,
    answer: Answer,
}

type Workspace = (AppName, TeamId);

/// Who waits, by workspace, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Checking {
    queues: HashMap<Workspace, VecDeque<Check>>,
    asked: HashMap<u64, Workspace>,
}

fn workspace(arrival: &Arrival) -> Workspace {
    let envelope = &arrival.envelope;
    (envelope.app.clone(), envelope.team.clone())
}

impl Checking {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queues.values().map(VecDeque::len).sum()
    }

    /// Whether others of its workspace wait, so that it must too.
    pub(super) fn is_before(&self, arrival: &Arrival) -> bool {
        !self.queues.is_empty() && self.queues.contains_key(&workspace(arrival))
    }

    /// The disk was asked for its mark, under this number.
    pub(super) fn ask(&mut self, number: u64, arrival: Arrival) {
        self.asked.insert(number, workspace(&arrival));
        self.put(Some(number), arrival, Answer::Asked);
    }

    /// It needs no answer, only its place.
    pub(super) fn follow(&mut self, arrival: Arrival) {
        self.put(None, arrival, Answer::New);
    }

    fn put(&mut self, number: Option<u64>, arrival: Arrival, answer: Answer) {
        let queue = self.queues.entry(workspace(&arrival)).or_default();
        queue.push_back(Check {
            number,
            arrival,
            answer,
        });
    }

    /// The disk answered; who goes on now, in order.
    pub(super) fn answered(&mut self, number: u64, answer: Answer) -> Vec<(Arrival, Answer)> {
        let mut going = Vec::new();
        let Some(workspace) = self.asked.remove(&number) else {
            return going;
        };
        let Some(queue) = self.queues.get_mut(&workspace) else {
            return going;
        };
        let asked = queue.iter_mut().find(|check| check.number == Some(number));
        if let Some(check) = asked {
            check.answer = answer;
        }
        while let Some(check) = queue.pop_front_if(|check| check.answer != Answer::Asked) {
            going.push((check.arrival, check.answer));
        }
        if queue.is_empty() {
            self.queues.remove(&workspace);
        }
        going
    }
}
