//! A loop of one's own: what an interest is in, read when the author wants it.
//!
//! An item is stored before it is acked to Slack, and it stays stored until it is settled: by [`Item::done`]. Reading
//! one confirms nothing, and one that is dropped unfinished is a failed attempt.
mod buffer;
mod item;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;

use super::route::Matcher;
use crate::flow::envelope::{Kind, Subject};

pub(crate) use buffer::Feed;
pub(crate) use item::{End, Lent, Settle, Settled};

pub use item::Item;

/// What a subscription is to get, and its durable name: part of every key, as a handler's NAME is.
#[derive(Debug)]
pub struct Interest {
    pub(crate) name: &'static str,
    pub(crate) matchers: Vec<Matcher>,
}

impl Interest {
    /// An interest in nothing yet. The name has 1 to 64 bytes, without `/` and `#`, and no handler has it; what is
    /// stored and not settled is found again by it after a restart.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            matchers: Vec::new(),
        }
    }

    /// Events of one type, such as `message`; `*` is every type.
    #[must_use]
    pub fn event(self, kind: &str) -> Self {
        let wanted = kind.to_owned();
        self.with(format!("event {kind}"), None, move |kind, subject| {
            matches!(kind, Kind::Event | Kind::RtmEvent)
                && (wanted == "*" || subject.name == wanted)
        })
    }

    /// A slash command, written with its slash. Nobody else may answer it.
    #[must_use]
    pub fn command(self, command: &str) -> Self {
        let wanted = command.to_owned();
        let label = format!("command {command}");
        self.with(label, Some(command), move |kind, subject| {
            kind == Kind::Command && subject.name == wanted
        })
    }

    /// Interactions of one type, such as `block_actions`; `*` is every type.
    #[must_use]
    pub fn interaction(self, kind: &str) -> Self {
        let wanted = kind.to_owned();
        self.with(format!("interaction {kind}"), None, move |kind, subject| {
            kind == Kind::Interaction && (wanted == "*" || subject.name == wanted)
        })
    }

    fn with(
        mut self,
        label: String,
        command: Option<&str>,
        is_one: impl Fn(Kind, &Subject) -> bool + Send + Sync + 'static,
    ) -> Self {
        let command = command.map(str::to_owned);
        self.matchers
            .push(Matcher::of_interest(label, command, Arc::new(is_one)));
        self
    }
}

/// The reading end of an interest. It can be moved to any thread; it ends when the process stops.
///
/// At most 64 items of a workspace are in memory ([`KEY_MAILBOX_MAX`](crate::base::limits::KEY_MAILBOX_MAX)); more
/// wait on disk, acked, and come when earlier ones are settled. Items of a workspace come in order; one that failed
/// comes again after those that are there, up to 5 times, then it is kept as a dead letter.
///
/// As a [`Stream`] it gives one item at a time, as [`Subscription::read`] does.
#[derive(Debug)]
pub struct Subscription {
    feed: Arc<Feed>,
}

impl Subscription {
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        Self { feed }
    }

    /// Everything that is there, at once and without waiting; empty when nothing is.
    pub fn read_all(&mut self) -> Vec<Item> {
        self.feed.take_all()
    }

    /// The next item. Blocks until there is one; nothing when the process stops.
    pub fn read(&mut self) -> Option<Item> {
        self.feed.wait(None)
    }

    /// The next item, if it comes within that time.
    pub fn read_within(&mut self, within: Duration) -> Option<Item> {
        self.feed.wait(Some(within))
    }

    /// How many items are there to be read.
    pub fn len(&self) -> usize {
        self.feed.len()
    }

    /// Whether there is nothing to be read now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing comes any more: the process stops.
    pub fn is_closed(&self) -> bool {
        self.feed.is_closed()
    }
}

impl Stream for Subscription {
    type Item = Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        self.feed.poll(context.waker())
    }
}

impl Drop for Subscription {
    /// What was not read stays in the store.
    fn drop(&mut self) {
        self.feed.close();
    }
}

#[cfg(test)]
mod tests;
