//! Which envelopes are owed to whom, and when: deadlines, Slack's redelivery ladder, acks.
//!
//! An envelope is *outstanding* from the moment it was handed to a socket until its deadline. An ack counts
//! while an attempt is outstanding, whichever socket it comes over; later it is late, and the ladder goes on.
//! The machine is told the time and reads no clock.

use std::collections::{BTreeMap, HashMap};

use super::record::SocketId;

/// How often an event is sent again.
pub(crate) const RETRIES_MAX: u32 = 3;

/// Deadline and ladder, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// From sending until the ack must be here.
    pub(crate) deadline_us: u64,
    /// From a missed deadline to the next attempt.
    pub(crate) ladder_us: [u64; RETRIES_MAX as usize],
}

/// An envelope that is owed; `T` is what it carries.
#[derive(Debug)]
struct Open<T> {
    carries: T,
    is_retried: bool,
    attempt: u32,
    is_outstanding: bool,
    socket: Option<SocketId>,
    first_us: u64,
    sent_us: u64,
}

#[derive(Debug)]
enum Due {
    Deadline { attempt: u32 },
    Retry,
}

/// What has become due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<T> {
    /// No ack came in time; another attempt follows.
    Missed {
        id: String,
        attempt: u32,
        socket: Option<SocketId>,
    },
    /// No ack came in time, and it was the last attempt.
    GaveUp {
        id: String,
        attempt: u32,
        socket: Option<SocketId>,
        carries: T,
    },
    /// Send it now; `attempt` is the number of the attempt that begins.
    Send { id: String, attempt: u32 },
}

/// What an ack meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Acked<T> {
    /// In time; nothing more is owed.
    Settled {
        attempt: u32,
        since_first_us: u64,
        since_sent_us: u64,
        carries: T,
    },
    /// Too late: no attempt was outstanding. The ladder goes on where it was.
    Late {
        attempt: u32,
        since_first_us: u64,
        since_sent_us: u64,
    },
    /// Given up before.
    TooLate,
    /// Acked before.
    Repeated,
    /// There was never such an envelope.
    Unknown,
}

/// All envelopes of all apps.
#[derive(Debug)]
pub(crate) struct Book<T> {
    terms: Terms,
    open: HashMap<String, Open<T>>,
    /// Whether an envelope that is no longer owed was acked.
    settled: HashMap<String, bool>,
    due: BTreeMap<(u64, u64), (String, Due)>,
    sequence: u64,
}

impl<T> Book<T> {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            open: HashMap::new(),
            settled: HashMap::new(),
            due: BTreeMap::new(),
            sequence: 0,
        }
    }

    /// Begins to owe an envelope; the caller sends it and says [`Book::sent`] or [`Book::unsent`].
    pub(crate) fn owe(&mut self, now_us: u64, id: &str, is_retried: bool, carries: T) {
        self.open.insert(
            id.to_owned(),
            Open {
                carries,
                is_retried,
                attempt: 0,
                is_outstanding: false,
                socket: None,
                first_us: now_us,
                sent_us: now_us,
            },
        );
    }

    /// What an owed envelope carries.
    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.open.get(id).map(|open| &open.carries)
    }

    /// How many envelopes are outstanding on `socket`.
    pub(crate) fn outstanding_on(&self, socket: SocketId) -> usize {
        let here = |open: &&Open<T>| open.is_outstanding && open.socket == Some(socket);
        self.open.values().filter(here).count()
    }

    /// The envelope was handed to a socket: its deadline begins.
    pub(crate) fn sent(&mut self, now_us: u64, id: &str, socket: SocketId) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        open.is_outstanding = true;
        open.socket = Some(socket);
        open.sent_us = now_us;
        let attempt = open.attempt;
        let at_us = now_us.saturating_add(self.terms.deadline_us);
        self.plan(at_us, id, Due::Deadline { attempt });
    }

    /// No socket took the envelope. An event's next attempt comes as if the deadline had passed; a command is
    /// given back, since it is never sent again.
    pub(crate) fn unsent(&mut self, now_us: u64, id: &str) -> Option<T> {
        let open = self.open.get_mut(id)?;
        open.socket = None;
        let wait_us = self.terms.ladder_us.get(open.attempt as usize).copied();
        match wait_us.filter(|_| open.is_retried) {
            Some(wait_us) => {
                let at_us = now_us
                    .saturating_add(self.terms.deadline_us)
                    .saturating_add(wait_us);
                self.plan(at_us, id, Due::Retry);
                None
            }
            None => self.close(id, false),
        }
    }

    /// An ack came.
    pub(crate) fn ack(&mut self, now_us: u64, id: &str) -> Acked<T> {
        let Some(open) = self.open.get(id) else {
            return match self.settled.get(id) {
                Some(true) => Acked::Repeated,
                Some(false) => Acked::TooLate,
                None => Acked::Unknown,
            };
        };
        let attempt = open.attempt;
        let since_first_us = now_us.saturating_sub(open.first_us);
        let since_sent_us = now_us.saturating_sub(open.sent_us);
        let is_outstanding = open.is_outstanding;
        match is_outstanding.then(|| self.close(id, true)).flatten() {
            Some(carries) => Acked::Settled {
                attempt,
                since_first_us,
                since_sent_us,
                carries,
            },
            None => Acked::Late {
                attempt,
                since_first_us,
                since_sent_us,
            },
        }
    }

    /// The next thing that is due at `now_us`, if any.
    pub(crate) fn pop(&mut self, now_us: u64) -> Option<Step<T>> {
        loop {
            let entry = self.due.first_entry()?;
            let at_us = entry.key().0;
            if at_us > now_us {
                return None;
            }
            let (id, due) = entry.remove();
            let step = match due {
                Due::Deadline { attempt } => self.miss(at_us, id, attempt),
                Due::Retry => self.retry(id),
            };
            if step.is_some() {
                return step;
            }
        }
    }

    /// When [`Book::pop`] should be asked next.
    pub(crate) fn next_due_us(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at_us, _), _)| *at_us)
    }

    fn miss(&mut self, at_us: u64, id: String, attempt: u32) -> Option<Step<T>> {
        let open = self.open.get_mut(&id)?;
        if !open.is_outstanding || open.attempt != attempt {
            return None;
        }
        open.is_outstanding = false;
        let socket = open.socket;
        let wait_us = self.terms.ladder_us.get(attempt as usize).copied();
        if let Some(wait_us) = wait_us.filter(|_| open.is_retried) {
            self.plan(at_us.saturating_add(wait_us), &id, Due::Retry);
            return Some(Step::Missed {
                id,
                attempt,
                socket,
            });
        }
        let carries = self.close(&id, false)?;
        Some(Step::GaveUp {
            id,
            attempt,
            socket,
            carries,
        })
    }

    fn retry(&mut self, id: String) -> Option<Step<T>> {
        let open = self.open.get_mut(&id)?;
        open.attempt += 1;
        let attempt = open.attempt;
        Some(Step::Send { id, attempt })
    }

    fn close(&mut self, id: &str, is_acked: bool) -> Option<T> {
        let open = self.open.remove(id)?;
        self.settled.insert(id.to_owned(), is_acked);
        Some(open.carries)
    }

    fn plan(&mut self, at_us: u64, id: &str, due: Due) {
        self.sequence += 1;
        self.due
            .insert((at_us, self.sequence), (id.to_owned(), due));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        deadline_us: 3,
        ladder_us: [0, 60, 300],
    };

    /// Plays an event on sockets that never ack; returns (time, step) until nothing is due.
    fn play(book: &mut Book<()>, takes: bool) -> Vec<(u64, Step<()>)> {
        let mut seen = Vec::new();
        while let Some(now_us) = book.next_due_us() {
            while let Some(step) = book.pop(now_us) {
                if let Step::Send { id, .. } = &step {
                    if takes {
                        book.sent(now_us, id, 1);
                    } else {
                        book.unsent(now_us, id);
                    }
                }
                seen.push((now_us, step));
            }
        }
        seen
    }

    #[test]
    fn an_event_that_nobody_acks_climbs_the_ladder_and_is_given_up() {
        let mut book = Book::new(TERMS);
        book.owe(0, "e", true, ());
        book.sent(0, "e", 1);
        let sends: Vec<(u64, u32)> = play(&mut book, true)
            .into_iter()
            .filter_map(|(at, step)| match step {
                Step::Send { attempt, .. } => Some((at, attempt)),
                _ => None,
            })
            .collect();
        assert_eq!(sends, [(3, 1), (66, 2), (369, 3)]);
        assert_eq!(book.ack(400, "e"), Acked::TooLate);
    }

    #[test]
    fn an_event_without_a_socket_climbs_the_same_ladder() {
        let mut book = Book::new(TERMS);
        book.owe(0, "e", true, ());
        assert_eq!(book.unsent(0, "e"), None);
        let times: Vec<u64> = play(&mut book, false)
            .into_iter()
            .map(|(at, _)| at)
            .collect();
        assert_eq!(times, [3, 66, 369]);
        assert!(book.get("e").is_none(), "given up after the last attempt");
    }

    #[test]
    fn an_ack_in_time_settles_and_a_second_one_is_a_repeat() {
        let mut book = Book::new(TERMS);
        book.owe(0, "e", true, ());
        book.sent(0, "e", 1);
        assert!(matches!(
            book.ack(2, "e"),
            Acked::Settled { attempt: 0, .. }
        ));
        assert_eq!(book.ack(2, "e"), Acked::Repeated);
        assert_eq!(book.ack(2, "other"), Acked::Unknown);
        assert!(play(&mut book, true).is_empty());
    }

    #[test]
    fn a_late_ack_does_not_stop_the_ladder_but_one_for_the_retry_does() {
        let mut book = Book::new(Terms {
            ladder_us: [10, 60, 300],
            ..TERMS
        });
        book.owe(0, "e", true, ());
        book.sent(0, "e", 1);
        assert!(matches!(book.pop(3), Some(Step::Missed { attempt: 0, .. })));
        assert!(matches!(book.ack(5, "e"), Acked::Late { attempt: 0, .. }));
        assert!(matches!(book.pop(13), Some(Step::Send { attempt: 1, .. })));
        book.sent(13, "e", 2);
        let settled = book.ack(14, "e");
        assert!(matches!(
            settled,
            Acked::Settled {
                attempt: 1,
                since_first_us: 14,
                since_sent_us: 1,
                ..
            }
        ));
    }

    #[test]
    fn a_command_is_never_sent_again() {
        let mut book = Book::new(TERMS);
        book.owe(0, "c", false, ());
        book.sent(0, "c", 1);
        assert!(matches!(book.pop(3), Some(Step::GaveUp { attempt: 0, .. })));
        assert_eq!(book.next_due_us(), None);
        book.owe(5, "d", false, ());
        assert_eq!(book.unsent(5, "d"), Some(()));
    }
}
