//! Listeners: functions of the author's that hear what passes on every connection, as it passes.

use std::fmt;
use std::sync::Arc;

use crate::actor::fence::fenced_now;
use crate::flow::envelope::Envelope;

/// What a listener hears. It hears it before anything is stored or acked, and duplicates too.
#[derive(Debug)]
#[non_exhaustive]
pub enum Heard<'a> {
    /// A text frame came, of whatever type, as Slack sent it.
    Message {
        /// The connection that it came over.
        connection: &'a str,
        /// The socket, by its number within the connection.
        generation: u64,
        /// The frame.
        text: &'a str,
    },
    /// An envelope came: an event, a command or an interaction. Its frame was heard before.
    Request {
        /// The connection that it came over.
        connection: &'a str,
        /// The envelope.
        envelope: &'a Envelope,
    },
    /// Something went wrong: a socket can't be had, was lost, or is not tried again.
    Error {
        /// The connection.
        connection: &'a str,
        /// What, without secrets.
        why: &'a str,
    },
    /// A socket is gone.
    Close {
        /// The connection that it belonged to.
        connection: &'a str,
        /// The socket.
        generation: u64,
        /// Why.
        why: &'a str,
    },
}

type Listener = Arc<dyn Fn(&Heard<'_>) + Send + Sync>;

/// The listeners of a process, in the order of their adding.
#[derive(Clone, Default)]
pub struct Listeners {
    all: Vec<Listener>,
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listeners").field(&self.all.len()).finish()
    }
}

impl Listeners {
    /// Adds one.
    pub fn add(&mut self, listener: impl Fn(&Heard<'_>) + Send + Sync + 'static) {
        self.all.push(Arc::new(listener));
    }

    /// A listener that panics is logged, and the others hear it all the same.
    pub(super) fn tell(&self, heard: &Heard<'_>) {
        for listener in &self.all {
            if let Err(broken) = fenced_now(|| listener(heard)) {
                tracing::error!(%broken, "a listener failed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_listener_hears_in_order_and_one_that_panics_silences_nobody() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut listeners = Listeners::default();
        listeners.add(|_| panic!("a fault of the author's"));
        for n in [1, 2] {
            let heard = Arc::clone(&heard);
            listeners.add(move |it| {
                if let Heard::Error { why, .. } = it {
                    heard.lock().unwrap().push(format!("{n} {why}"));
                }
            });
        }
        listeners.tell(&Heard::Error {
            connection: "acme",
            why: "cut",
        });
        assert_eq!(*heard.lock().unwrap(), ["1 cut", "2 cut"]);
    }
}
