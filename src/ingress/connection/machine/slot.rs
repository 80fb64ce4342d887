//! One slot: the socket that serves in it, and the one that is on its way to replace it.

use std::time::Duration;

use super::Generation;
use super::says::Stage;
use crate::base::clock::Instant;
use crate::base::limits::RECONNECT_SETTLED;

/// The socket that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// None is wanted, or its time has not come.
    None,
    /// Not before this moment.
    Waiting { until: Instant },
    /// A ticket is asked for.
    Asking {
        generation: Generation,
        since: Instant,
    },
    /// The ticket is here, and the socket is being opened.
    Dialling {
        generation: Generation,
        since: Instant,
    },
    /// It is open, and hello is awaited.
    Greeting {
        generation: Generation,
        since: Instant,
    },
}

/// The socket that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Serving {
    pub(super) generation: Generation,
    pub(super) since: Instant,
    /// When it is to be replaced before Slack asks.
    pub(super) ages_at: Option<Instant>,
    /// When it last brought an envelope, or began.
    pub(super) heard: Instant,
    /// What the other slots brought since.
    pub(super) others: u64,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) next: Next,
    pub(super) serving: Option<Serving>,
    /// Why the serving socket is to be replaced.
    pub(super) wanted: Option<String>,
    /// Attempts in a row that came to nothing.
    pub(super) failures: u32,
    /// When to look again whether it may begin.
    pub(super) due: Option<Instant>,
    /// How often it was replaced for being deaf, in a row.
    pub(super) deaf: u32,
    /// A socket served in it since it was last told to connect.
    pub(super) has_served: bool,
}

/// Whether a socket is one of the slot's, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Next,
    Serving,
    Stranger,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            next: Next::None,
            serving: None,
            wanted: None,
            failures: 0,
            due: None,
            deaf: 0,
            has_served: false,
        }
    }

    /// The generation that is on its way, from its ticket to its hello, and since when.
    pub(super) fn under_way(&self) -> Option<(Generation, Instant)> {
        match self.next {
            Next::None | Next::Waiting { .. } => None,
            Next::Asking { generation, since }
            | Next::Dialling { generation, since }
            | Next::Greeting { generation, since } => Some((generation, since)),
        }
    }

    /// The generation whose socket is open and has not said hello.
    pub(super) fn greeting(&self) -> Option<Generation> {
        match self.next {
            Next::Greeting { generation, .. } => Some(generation),
            Next::None | Next::Waiting { .. } | Next::Asking { .. } | Next::Dialling { .. } => None,
        }
    }

    pub(super) fn standing(&self, generation: Generation) -> Standing {
        if self.under_way().is_some_and(|(it, _)| it == generation) {
            Standing::Next
        } else if self.is_serving(generation) {
            Standing::Serving
        } else {
            Standing::Stranger
        }
    }

    pub(super) fn is_serving(&self, generation: Generation) -> bool {
        let serving = self.serving.as_ref();
        serving.is_some_and(|serving| serving.generation == generation)
    }

    /// Where an open socket of this slot stands towards Slack.
    pub(super) fn stage(&self, generation: Generation) -> Option<Stage> {
        if self.greeting() == Some(generation) {
            Some(Stage::Greeting)
        } else if self.is_serving(generation) {
            Some(Stage::Serving)
        } else {
            None
        }
    }

    /// Takes the serving socket out. One that held for a while clears the failures before it.
    pub(super) fn take_serving(&mut self, now: Instant) -> Option<Serving> {
        let serving = self.serving.take()?;
        if now.saturating_duration_since(serving.since) >= RECONNECT_SETTLED {
            self.failures = 0;
        }
        self.wanted = None;
        Some(serving)
    }

    /// When time alone changes something here.
    pub(super) fn next_tick(&self, hello_within: Duration) -> Option<Instant> {
        let next = match self.next {
            Next::None | Next::Waiting { .. } => self.due,
            Next::Greeting { since, .. } => Some(since + hello_within),
            Next::Asking { .. } | Next::Dialling { .. } => None,
        };
        let ages = self.serving.as_ref().and_then(|serving| serving.ages_at);
        // Once it is to be replaced, its age is no news.
        let ages = ages.filter(|_| self.wanted.is_none());
        next.into_iter().chain(ages).min()
    }
}
