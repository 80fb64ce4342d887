//! Bounded admission: the one primitive behind every queue.
//!
//! A gate has a fixed number of permits. A permit rides with the item it admits and is given back when the
//! item is dropped, wherever that is, so the bound covers what is queued *and* what is in progress.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bound on how many items may be inside at once.
#[derive(Debug, Clone)]
pub struct Gate {
    permits: Arc<Semaphore>,
    bound: usize,
}

/// The right to be inside; given back on drop.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Gate {
    /// A gate for at most `bound` items.
    pub fn new(bound: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(bound)),
            bound,
        }
    }

    /// A permit at once, or nothing when the gate is full.
    pub fn try_enter(&self) -> Option<Permit> {
        Arc::clone(&self.permits)
            .try_acquire_owned()
            .ok()
            .map(Permit)
    }

    /// A permit, once there is room.
    pub async fn enter(&self) -> Option<Permit> {
        let permits = Arc::clone(&self.permits);
        permits.acquire_owned().await.ok().map(Permit)
    }

    /// How many items are inside.
    pub fn inside(&self) -> usize {
        self.bound.saturating_sub(self.permits.available_permits())
    }

    /// How many items may be inside at once.
    pub fn bound(&self) -> usize {
        self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_refuses_until_a_permit_is_dropped() {
        let gate = Gate::new(2);
        let first = gate.try_enter().unwrap();
        let _second = gate.clone().try_enter().unwrap();
        assert!(gate.try_enter().is_none());
        assert_eq!(gate.inside(), 2);
        drop(first);
        assert!(gate.try_enter().is_some());
    }
}
