//! What is lent to the author's own loops: each delivery once, until it is settled. Pure.

use std::collections::VecDeque;

use crate::base::limits::TURN_ATTEMPTS_MAX;
use crate::base::map::Map;
use crate::bot::subscription::{End, Settled};
use crate::flow::delivery::Delivery;
use crate::flow::key::Key;

/// What is to be done now with a delivery.
#[derive(Debug)]
pub(super) enum Next {
    /// Hand it out; its attempt.
    HandOut(u64, u32),
    /// Put on record that it is about to be handed out.
    Record(u64),
    /// The process survived the attempt that is on record.
    Survived(u64),
    /// Wait, then hand it out again: so many attempts failed.
    Wait(u64, u32),
    /// It is settled.
    Commit(u64, Settled),
    /// It is given up.
    GiveUp(u64, String),
}

#[derive(Debug)]
struct Entry {
    delivery: Delivery,
    /// Attempts so far, the present one too.
    attempt: u32,
    is_on_record: bool,
    /// It is with a loop, or on its way to one.
    is_out: bool,
}

/// Deliveries that are with the author's loops, or wait for one.
#[derive(Debug, Default)]
pub(super) struct Lending {
    entries: Map<u64, Entry>,
    /// Deliveries of an earlier run, which may have ended it: one of a key at a time, its attempt on record first.
    suspects: Map<Key, VecDeque<u64>>,
}

impl Lending {
    pub(super) fn delivery(&self, slot: u64) -> Option<&Delivery> {
        self.entries.get(&slot).map(|entry| &entry.delivery)
    }

    /// Those that no loop has: once nothing is handed out any more, nobody is going to settle them.
    pub(super) fn resting(&self) -> impl Iterator<Item = u64> + '_ {
        let resting = self.entries.iter().filter(|(_, entry)| !entry.is_out);
        resting.map(|(slot, _)| *slot)
    }

    pub(super) fn put(&mut self, delivery: Delivery) -> Option<Next> {
        let slot = delivery.slot;
        let (key, is_suspect) = (delivery.key.clone(), delivery.is_suspect);
        let entry = Entry {
            delivery,
            attempt: 0,
            is_on_record: false,
            is_out: false,
        };
        self.entries.insert(slot, entry);
        if !is_suspect {
            return self.hand_out(slot);
        }
        let waiting = self.suspects.entry(key).or_default();
        waiting.push_back(slot);
        (waiting.len() == 1).then_some(Next::Record(slot))
    }

    /// The attempt of the key's next suspect is on record.
    pub(super) fn on_record(&mut self, key: &Key) -> Option<Next> {
        let slot = *self.suspects.get(key)?.front()?;
        self.entries.get_mut(&slot)?.is_on_record = true;
        self.hand_out(slot)
    }

    fn hand_out(&mut self, slot: u64) -> Option<Next> {
        let entry = self.entries.get_mut(&slot)?;
        entry.attempt += 1;
        entry.is_out = true;
        Some(Next::HandOut(slot, entry.attempt))
    }

    /// The wait after a failed attempt is over.
    pub(super) fn again(&mut self, slot: u64) -> Option<Next> {
        let entry = self.entries.get(&slot)?;
        if entry.delivery.is_suspect {
            return Some(Next::Record(slot));
        }
        self.hand_out(slot)
    }

    pub(super) fn ended(&mut self, slot: u64, end: End) -> Vec<Next> {
        let Some(entry) = self.entries.get_mut(&slot) else {
            return Vec::new();
        };
        entry.is_out = false;
        let was_on_record = std::mem::take(&mut entry.is_on_record);
        let survived = was_on_record.then_some(Next::Survived(slot));
        match end {
            End::Done(settled) => self.over(slot, Next::Commit(slot, settled)),
            End::Failed(error) if entry.attempt >= TURN_ATTEMPTS_MAX => {
                let error = format!("{error} (tried {} times)", entry.attempt);
                self.over(slot, Next::GiveUp(slot, error))
            }
            End::Failed(_) => {
                let wait = Next::Wait(slot, entry.attempt);
                survived.into_iter().chain([wait]).collect()
            }
            End::Unread => survived.into_iter().collect(),
        }
    }

    /// It is settled, and the next suspect of its key may come.
    fn over(&mut self, slot: u64, last: Next) -> Vec<Next> {
        let mut all = vec![last];
        if let Some(entry) = self.entries.remove(&slot)
            && entry.delivery.is_suspect
            && let Some(waiting) = self.suspects.get_mut(&entry.delivery.key)
        {
            waiting.retain(|it| *it != slot);
            match waiting.front() {
                Some(next) => all.push(Next::Record(*next)),
                None => {
                    self.suspects.remove(&entry.delivery.key);
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::flow::envelope::{Envelope, Kind, Origin};
    use crate::flow::key::{AppName, Scope};
    use crate::slack::id::TeamId;

    fn delivery(slot: u64, is_suspect: bool) -> Delivery {
        let app = AppName::new("acme");
        let origin = Origin {
            app: &app,
            envelope_id: "",
            team: TeamId::default(),
        };
        let payload = Bytes::from_static(b"{\"type\":\"message\"}");
        let envelope = Envelope::read(Kind::RtmEvent, &origin, payload, 0).unwrap();
        Delivery {
            envelope: Arc::new(envelope),
            key: Key::new("loop", &app, &TeamId::new("T1"), Scope::Team, "T1"),
            slot,
            is_suspect,
        }
    }

    fn told(all: impl IntoIterator<Item = Next>) -> Vec<String> {
        let told = |next| match next {
            Next::HandOut(slot, attempt) => format!("out {slot} {attempt}"),
            Next::Record(slot) => format!("record {slot}"),
            Next::Survived(slot) => format!("survived {slot}"),
            Next::Wait(slot, attempt) => format!("wait {slot} {attempt}"),
            Next::Commit(slot, _) => format!("commit {slot}"),
            Next::GiveUp(slot, error) => format!("give up {slot}: {error}"),
        };
        all.into_iter().map(told).collect()
    }

    fn failed() -> End {
        End::Failed("no".to_owned())
    }

    #[test]
    fn what_failed_comes_again_five_times_in_all() {
        let mut lending = Lending::default();
        assert_eq!(told(lending.put(delivery(1, false))), ["out 1 1"]);
        for attempt in 1..5 {
            let wait = format!("wait 1 {attempt}");
            assert_eq!(told(lending.ended(1, failed())), [wait]);
            let out = format!("out 1 {}", attempt + 1);
            assert_eq!(told(lending.again(1)), [out]);
        }
        let last = told(lending.ended(1, failed()));
        assert_eq!(last, ["give up 1: no (tried 5 times)"]);
        assert!(lending.ended(1, failed()).is_empty(), "settled once");
        assert!(lending.delivery(1).is_none());
    }

    #[test]
    fn rule_7_deliveries_of_an_earlier_run_are_on_record_first_and_one_of_a_key_at_a_time() {
        let mut lending = Lending::default();
        assert_eq!(told(lending.put(delivery(1, true))), ["record 1"]);
        assert!(lending.put(delivery(2, true)).is_none());
        assert_eq!(told(lending.put(delivery(3, false))), ["out 3 1"]);
        let key = delivery(1, true).key;
        assert_eq!(told(lending.on_record(&key)), ["out 1 1"]);
        assert_eq!(told(lending.ended(1, failed())), ["survived 1", "wait 1 1"]);
        assert_eq!(told(lending.again(1)), ["record 1"]);
        assert_eq!(told(lending.on_record(&key)), ["out 1 2"]);
        let done = End::Done(Settled::default());
        assert_eq!(told(lending.ended(1, done)), ["commit 1", "record 2"]);
        assert_eq!(told(lending.on_record(&key)), ["out 2 1"]);
        assert_eq!(told(lending.ended(2, End::Unread)), ["survived 2"]);
        assert_eq!(lending.resting().collect::<Vec<_>>(), [2]);
    }
}
