//! The buffer between the shards, which fill it, and the author's loop, which empties it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::item::{End, Item, Lent};

/// Items that were not read yet. Bounded by whoever fills it: a workspace has so many deliveries in memory.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    inside: Mutex<Inside>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    items: VecDeque<Lent>,
    waker: Option<Waker>,
    is_closed: bool,
}

impl Feed {
    /// Adds an item. Where nobody reads any more it is given back as unread.
    pub(crate) fn put(&self, lent: Lent) {
        let mut inside = self.locked();
        if inside.is_closed {
            drop(inside);
            return lent.end(End::Unread);
        }
        inside.items.push_back(lent);
        let waker = inside.waker.take();
        drop(inside);
        self.came.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Nothing comes any more, and what was not read is given back.
    pub(crate) fn close(&self) {
        let mut inside = self.locked();
        inside.is_closed = true;
        let (items, waker) = (std::mem::take(&mut inside.items), inside.waker.take());
        drop(inside);
        self.came.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
        for item in items {
            item.end(End::Unread);
        }
    }

    pub(super) fn take_all(&self) -> Vec<Item> {
        let items = std::mem::take(&mut self.locked().items);
        items.into_iter().map(Item::new).collect()
    }

    pub(super) fn wait(&self, within: Option<Duration>) -> Option<Item> {
        let is_waiting = |inside: &mut Inside| inside.items.is_empty() && !inside.is_closed;
        let inside = self.locked();
        let mut inside = match within {
            None => self
                .came
                .wait_while(inside, is_waiting)
                .unwrap_or_else(PoisonError::into_inner),
            Some(within) => {
                let waited = self.came.wait_timeout_while(inside, within, is_waiting);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        inside.items.pop_front().map(Item::new)
    }

    pub(super) fn poll(&self, waker: &Waker) -> Poll<Option<Item>> {
        let mut inside = self.locked();
        if let Some(lent) = inside.items.pop_front() {
            return Poll::Ready(Some(Item::new(lent)));
        }
        if inside.is_closed {
            return Poll::Ready(None);
        }
        inside.waker = Some(waker.clone());
        Poll::Pending
    }

    pub(super) fn len(&self) -> usize {
        self.locked().items.len()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.locked().is_closed
    }

    fn locked(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
