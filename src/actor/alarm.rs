//! One timer per actor, however many things wait: set for the earliest, set again when that changes.

use std::time::Duration;

use crate::base::clock::Instant;

/// Remembers which wake-up is on its way, so that none is asked for twice.
#[derive(Debug, Default)]
pub struct Alarm {
    set: Option<Instant>,
}

impl Alarm {
    /// The machine wants to be woken at `next`: how long to wait, unless a wake-up that is early enough is on
    /// its way.
    pub fn set(&mut self, next: Option<Instant>, now: Instant) -> Option<Duration> {
        let next = next?;
        if self.set.is_some_and(|set| set <= next) {
            return None;
        }
        self.set = Some(next);
        Some(next.saturating_duration_since(now))
    }

    /// A wake-up came. A later one may still be on its way; it then finds nothing to do.
    pub fn rang(&mut self) {
        self.set = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;

    #[test]
    fn only_an_earlier_wish_sets_it_again() {
        let (now, mut alarm) = (Clock::system().now(), Alarm::default());
        let later = |ms| now + Duration::from_millis(ms);
        assert_eq!(alarm.set(None, now), None);
        assert_eq!(
            alarm.set(Some(later(50)), now),
            Some(Duration::from_millis(50))
        );
        assert_eq!(alarm.set(Some(later(70)), now), None);
        assert_eq!(
            alarm.set(Some(later(20)), now),
            Some(Duration::from_millis(20))
        );
        alarm.rang();
        assert_eq!(alarm.set(Some(later(50)), later(60)), Some(Duration::ZERO));
    }
}
