//! Planned misbehaviour of the Web API and of sockets.

use serde::{Deserialize, Serialize};

/// What happens to a call instead of its normal course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// Refused with HTTP 200 and this error word; no effect.
    Error {
        /// Slack's word.
        code: String,
    },
    /// Refused with HTTP 429 and `Retry-After`; no effect.
    RateLimited {
        /// Seconds to wait.
        retry_after_s: u64,
    },
    /// Refused with HTTP 429 and no body; no effect.
    RateLimitedBare {
        /// Seconds to wait; no such header when absent.
        #[serde(default)]
        retry_after_s: Option<u64>,
    },
    /// Answered with HTTP 200 and an HTML page, as a captive portal does; no effect.
    Page,
    /// Refused with this HTTP status (500 to 599) and an HTML body; no effect.
    Outage {
        /// The status.
        status: u16,
    },
    /// Takes effect at once, answered this much later.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The connection is cut without an answer; no effect.
    CutBefore,
    /// Takes effect; then the connection is cut without an answer.
    CutAfter,
}

/// What is wrong with a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SocketFault {
    /// `disconnect` with this reason comes in place of hello, and the socket closes.
    FirstFrame {
        /// Slack's word.
        reason: String,
    },
    /// Hello never comes, nor any envelope.
    NoHello,
    /// Hello comes this late, and no envelope before it.
    LateHello {
        /// Milliseconds.
        ms: u64,
    },
    /// Nothing comes and nothing is heard, while TCP stays open. Envelopes go to it all the same.
    HalfOpen,
    /// Slack's own pings do not come.
    NoPings,
    /// The client's pings are not answered.
    NoPongs,
    /// Everything is well but that no envelope comes.
    Deaf,
    /// The client's close frame is answered this late.
    SlowClose {
        /// Milliseconds.
        ms: u64,
    },
    /// The client's close frame is not answered, and TCP stays open.
    NoClose,
}

/// How unsteady envelopes come, by chance: repeatable with the simulator's seed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unsteady {
    /// How many of a thousand come twice, each time on the socket whose turn it is.
    pub twice_per_mille: u32,
    /// How many of a thousand come late, so that others overtake them.
    pub late_per_mille: u32,
    /// How late at most, in milliseconds.
    pub late_ms_max: u64,
}

/// The faults that still wait for their calls.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Planned>);

#[derive(Debug)]
struct Planned {
    method: String,
    fault: Fault,
    left: u32,
}

impl Faults {
    /// The next `times` calls of `method` (`*`: of any method) suffer `fault`, after those planned earlier.
    pub(crate) fn plan(&mut self, method: &str, fault: Fault, times: u32) {
        self.0.push(Planned {
            method: method.to_owned(),
            fault,
            left: times,
        });
    }

    /// The fault that strikes this call, used up by it.
    pub(crate) fn strike(&mut self, method: &str) -> Option<Fault> {
        self.0.retain(|planned| planned.left > 0);
        let fits = |planned: &&mut Planned| planned.method == "*" || planned.method == method;
        let planned = self.0.iter_mut().find(fits)?;
        planned.left -= 1;
        Some(planned.fault.clone())
    }

    /// Forgets all plans.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_in_order_and_only_their_method() {
        let mut faults = Faults::default();
        faults.plan("chat.postMessage", Fault::CutAfter, 2);
        faults.plan("*", Fault::CutBefore, 1);
        assert_eq!(faults.strike("chat.postMessage"), Some(Fault::CutAfter));
        assert_eq!(faults.strike("auth.test"), Some(Fault::CutBefore));
        assert_eq!(faults.strike("auth.test"), None);
        assert_eq!(faults.strike("chat.postMessage"), Some(Fault::CutAfter));
        assert_eq!(faults.strike("chat.postMessage"), None);
    }
}
