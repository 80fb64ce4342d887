//! Which envelopes memory has seen: a window of ten minutes, under a cap.

use std::collections::VecDeque;

use crate::base::clock::Instant;
use crate::base::limits::{MARKS_IN_MEMORY, MARKS_IN_MEMORY_MAX};
use crate::base::map::Map;
use crate::flow::envelope::Mark;

/// How far our clock may be from Slack's, in seconds; further apart, an old event may look remembered.
const CLOCKS_APART_S: u64 = 30;

/// The marks in memory, each with the number under which its event was admitted. Whether that event is still open
/// is the machine's to know: a mark is written once and never touched again, for each touch is a miss of the
/// processor's caches.
#[derive(Debug)]
pub(super) struct Dedupe {
    seen: Map<Mark, u64>,
    order: VecDeque<(Instant, Mark)>,
    /// Events that happened before, by Slack's clock in seconds, may have been forgotten.
    covers_since_s: u64,
    started: (Instant, u64),
}

impl Dedupe {
    /// A window that begins now; `since_s` is what the marks of an earlier run reach back to.
    pub(super) fn new(now: Instant, now_s: u64, since_s: u64) -> Self {
        Self {
            seen: Map::default(),
            order: VecDeque::new(),
            covers_since_s: since_s,
            started: (now, now_s),
        }
    }

    /// The number of the event that brought the mark; 0 for one of an earlier run.
    pub(super) fn get(&self, mark: Mark) -> Option<u64> {
        self.seen.get(&mark).copied()
    }

    /// A mark that was not there, of the event `number`. What is too old is forgotten, unless it `is_open`.
    pub(super) fn put(
        &mut self,
        now: Instant,
        mark: Mark,
        number: u64,
        is_open: impl Fn(u64) -> bool,
    ) {
        if self.seen.insert(mark, number).is_none() {
            self.order.push_back((now, mark));
        }
        self.trim(now, is_open);
    }

    /// Whether an event that happened then would be remembered if it had been seen. Times that Slack did not
    /// tell are taken as recent.
    pub(super) fn covers(&self, happened_s: u64) -> bool {
        happened_s == 0 || happened_s >= self.covers_since_s + CLOCKS_APART_S
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    fn trim(&mut self, now: Instant, is_open: impl Fn(u64) -> bool) {
        for _ in 0..self.order.len() {
            let Some(&(at, mark)) = self.order.front() else {
                return;
            };
            let is_old = now.saturating_duration_since(at) > MARKS_IN_MEMORY;
            if !is_old && self.order.len() <= MARKS_IN_MEMORY_MAX {
                return;
            }
            self.order.pop_front();
            if self.seen.get(&mark).is_some_and(|&number| is_open(number)) {
                // What is open stays known until its event's end.
                self.order.push_back((now, mark));
                continue;
            }
            self.seen.remove(&mark);
            let (started, started_s) = self.started;
            let at_s = started_s + at.saturating_duration_since(started).as_secs();
            // An event is received after it happened, a second's rounding included.
            self.covers_since_s = self.covers_since_s.max(at_s + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use std::time::Duration;

    #[test]
    fn rule_8_marks_are_known_for_ten_minutes_and_later_events_say_so() {
        let now = Clock::system().now();
        let mut dedupe = Dedupe::new(now, 1000, 400);
        dedupe.put(now, Mark(1), 7, |_| false);
        assert_eq!(dedupe.get(Mark(1)), Some(7));
        assert!(dedupe.covers(430) && !dedupe.covers(429) && dedupe.covers(0));
        let later = now + MARKS_IN_MEMORY + Duration::from_secs(1);
        dedupe.put(later, Mark(2), 8, |_| false);
        assert_eq!(dedupe.get(Mark(1)), None);
        assert!(!dedupe.covers(1030) && dedupe.covers(1031));
    }

    #[test]
    fn rule_8_the_cap_holds_and_what_is_open_is_never_forgotten() {
        let now = Clock::system().now();
        let mut dedupe = Dedupe::new(now, 1000, 0);
        for n in 0..(MARKS_IN_MEMORY_MAX as u128 + 10) {
            dedupe.put(now, Mark(n), 1, |_| false);
        }
        assert_eq!(dedupe.len(), MARKS_IN_MEMORY_MAX);
        let mut dedupe = Dedupe::new(now, 1000, 0);
        dedupe.put(now, Mark(1), 7, |_| true);
        dedupe.put(now + MARKS_IN_MEMORY * 2, Mark(2), 8, |_| true);
        assert_eq!(dedupe.get(Mark(1)), Some(7));
    }
}
