//! How often tickets may be asked for: so many at once, then one at a time, within Slack's tier.

use std::time::Duration;

use crate::base::clock::Instant;

/// A bucket of `burst` requests that gains one every `every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingress) struct Tier {
    pub(in crate::ingress) burst: u32,
    pub(in crate::ingress) every: Duration,
}

/// A bucket in use. It remembers when it will be full, which is all there is to know.
#[derive(Debug)]
pub(super) struct Pace {
    tier: Tier,
    full_at: Option<Instant>,
}

impl Pace {
    pub(super) fn new(tier: Tier) -> Self {
        Self {
            tier,
            full_at: None,
        }
    }

    /// The earliest moment at which a request may go that leaves `spare` in the bucket; `now`, or later.
    pub(super) fn ready_at(&self, now: Instant, spare: u32) -> Instant {
        let usable = self.tier.burst.saturating_sub(spare).max(1);
        let Some(full_at) = self.full_at else {
            return now;
        };
        let slack = self.tier.every.saturating_mul(usable - 1);
        full_at.checked_sub(slack).unwrap_or(now).max(now)
    }

    /// A request goes.
    pub(super) fn take(&mut self, now: Instant) {
        let from = self.full_at.map_or(now, |full_at| full_at.max(now));
        self.full_at = Some(from + self.tier.every);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;

    #[test]
    fn a_burst_goes_at_once_and_then_one_at_a_time() {
        let second = Duration::from_secs(1);
        let tier = Tier {
            burst: 3,
            every: second,
        };
        let (mut pace, now) = (Pace::new(tier), Clock::system().now());
        for _ in 0..3 {
            assert_eq!(pace.ready_at(now, 0), now);
            pace.take(now);
        }
        assert_eq!(pace.ready_at(now, 0), now + second);
        assert_eq!(pace.ready_at(now, 2), now + 3 * second, "and two to spare");
        pace.take(now + second);
        assert_eq!(pace.ready_at(now + second, 0), now + 2 * second);
        let later = now + 100 * second;
        assert_eq!(pace.ready_at(later, 2), later, "full again");
    }
}
