//! How long to wait before trying again.

use std::time::Duration;

use super::rng::Rng;

/// Capped exponential backoff with full jitter: attempt n waits uniformly between zero and
/// `first * 2^(n-1)`, never more than `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait before the first retry.
    pub first: Duration,
    /// The longest wait before any retry.
    pub most: Duration,
}

impl Backoff {
    /// The wait before retry number `attempt`, counted from 1.
    pub fn delay(&self, attempt: u32, rng: &mut Rng) -> Duration {
        rng.up_to(self.ceiling(attempt))
    }

    /// The longest wait that [`Backoff::delay`] may give for `attempt`.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap_and_delays_stay_below_it() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            most: Duration::from_secs(10),
        };
        let ceilings: Vec<u64> = (1..=6).map(|n| backoff.ceiling(n).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.ceiling(u32::MAX).as_secs(), 10);
        let mut rng = Rng::seeded(1);
        for attempt in 1..100 {
            assert!(backoff.delay(attempt, &mut rng) <= backoff.ceiling(attempt));
        }
    }
}
