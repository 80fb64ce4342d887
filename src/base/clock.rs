//! The only reader of time.
//!
//! Durations are measured on tokio's clock, so that a test may pause it; the wall clock is read once, when a
//! [`Clock`] is made, and carried forward from there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point on the monotonic clock; virtual in tests that pause tokio's time.
pub use tokio::time::Instant;

/// A clock that knows the monotonic time and the time of day.
///
/// Two readings never run backwards, even when the machine's wall clock is set back.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    epoch: Duration,
}

impl Clock {
    /// A clock set by the machine's wall clock, read this once.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of both clocks"
    )]
    pub fn system() -> Self {
        Self {
            started: Instant::now(),
            epoch: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// A clock whose time of day is chosen: now it is `epoch`.
    #[cfg(test)]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of both clocks"
    )]
    pub(crate) fn starting_at(epoch: Duration) -> Self {
        Self {
            started: Instant::now(),
            epoch,
        }
    }

    /// Now, on the monotonic clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of both clocks"
    )]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Now, as time since 1970-01-01 UTC.
    pub fn unix(&self) -> Duration {
        self.epoch + self.now().saturating_duration_since(self.started)
    }

    /// Now, in milliseconds since 1970-01-01 UTC.
    pub fn unix_ms(&self) -> u64 {
        u64::try_from(self.unix().as_millis()).unwrap_or(u64::MAX)
    }
}
