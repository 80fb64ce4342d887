//! Whether a socket is alive: its own pings answered in time, and anything at all heard lately.
//!
//! The third sign, that the app's other sockets get envelopes and this one does not, is the connection's to see.

use std::time::Duration;

use crate::base::clock::Instant;
use crate::base::limits::SocketTimes;

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Fine,
    /// Send a ping with this number.
    Ping(u64),
    /// Let it go; why.
    Dead(String),
}

/// What is known of a socket's life.
#[derive(Debug)]
pub(super) struct Liveness {
    times: SocketTimes,
    heard: Instant,
    pinged: Instant,
    /// The oldest ping that was not answered, and when it left.
    unanswered: Option<(u64, Instant)>,
    number: u64,
}

impl Liveness {
    pub(super) fn new(times: SocketTimes, now: Instant) -> Self {
        Self {
            times,
            heard: now,
            pinged: now,
            unanswered: None,
            number: 0,
        }
    }

    /// A frame of any kind came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The answer to ping `number` came, or to one before it.
    pub(super) fn answered(&mut self, number: u64) {
        if self
            .unanswered
            .is_some_and(|(oldest, _)| number >= oldest && number <= self.number)
        {
            self.unanswered = None;
        }
    }

    /// When to ask [`Liveness::look`] again.
    pub(super) fn next_look(&self) -> Instant {
        let pong = self
            .unanswered
            .map(|(_, since)| since + self.times.pong_within);
        let again = self.pinged + self.times.ping_every;
        let silence = self.heard + self.times.silence_max;
        pong.into_iter().fold(again.min(silence), Instant::min)
    }

    pub(super) fn look(&mut self, now: Instant) -> Verdict {
        let since = |then: Instant| now.saturating_duration_since(then);
        if since(self.heard) >= self.times.silence_max {
            return Verdict::Dead(format!("silent for {}", seconds(since(self.heard))));
        }
        if let Some((_, left)) = self.unanswered
            && since(left) >= self.times.pong_within
        {
            return Verdict::Dead(format!(
                "a ping was not answered within {}",
                seconds(since(left))
            ));
        }
        if since(self.pinged) < self.times.ping_every {
            return Verdict::Fine;
        }
        self.pinged = now;
        self.number += 1;
        self.unanswered.get_or_insert((self.number, now));
        Verdict::Ping(self.number)
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;

    fn alive() -> (Liveness, Instant) {
        let now = Clock::system().now();
        (Liveness::new(SocketTimes::default(), now), now)
    }

    /// Looks whenever it wants to be looked at, and hears something every second, but no pong.
    #[test]
    fn a_socket_that_brings_frames_but_no_pong_is_dead() {
        let (mut it, begun) = alive();
        let mut now = begun;
        loop {
            now += Duration::from_secs(1);
            it.heard(now);
            match it.look(now) {
                Verdict::Dead(why) => {
                    assert!(why.contains("not answered"), "{why}");
                    break;
                }
                Verdict::Fine | Verdict::Ping(_) => {}
            }
        }
        assert_eq!((now - begun).as_secs(), 20, "pinged after 5, given 15");
    }

    #[test]
    fn a_socket_that_brings_nothing_is_dead_even_if_no_ping_could_be_sent() {
        let (mut it, begun) = alive();
        let late = begun + Duration::from_secs(20);
        assert!(matches!(it.look(late), Verdict::Dead(why) if why.starts_with("silent")));
    }

    #[test]
    fn an_answered_ping_clears_those_before_it_and_a_made_up_one_nothing() {
        let (mut it, begun) = alive();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(it.look(at(5)), Verdict::Ping(1));
        assert_eq!(it.look(at(5)), Verdict::Fine);
        assert_eq!(it.look(at(10)), Verdict::Ping(2));
        it.answered(7);
        assert!(it.unanswered.is_some(), "never sent");
        it.answered(2);
        it.heard(at(10));
        assert_eq!(it.next_look(), at(15));
        assert_eq!(it.look(at(15)), Verdict::Ping(3));
        it.heard(at(29));
        assert_eq!(it.look(at(29)), Verdict::Ping(4));
        assert!(
            matches!(it.look(at(30)), Verdict::Dead(_)),
            "3 was not answered"
        );
    }
}
