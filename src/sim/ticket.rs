//! The single-use tickets in the addresses that `apps.connections.open` and `rtm.connect` hand out.

use std::collections::{HashMap, VecDeque};

/// Microseconds after which an unused ticket is worth nothing.
pub(crate) const LIFE_US: u64 = 30_000_000;

/// Why a ticket did not open a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Never issued, already used, or so old that it was forgotten.
    Unknown,
    /// Issued, and too old.
    Expired,
}

/// The tickets that were issued and not yet used; `T` is what a ticket opens.
#[derive(Debug)]
pub(crate) struct Tickets<T> {
    open: HashMap<String, (u64, T)>,
    by_age: VecDeque<(u64, String)>,
}

impl<T> Default for Tickets<T> {
    fn default() -> Self {
        Self {
            open: HashMap::new(),
            by_age: VecDeque::new(),
        }
    }
}

impl<T> Tickets<T> {
    /// Remembers a ticket. Tickets that expired more than one life ago are forgotten here.
    pub(crate) fn issue(&mut self, now_us: u64, ticket: String, opens: T) {
        while let Some((issued_us, old)) = self.by_age.front() {
            if now_us < issued_us.saturating_add(2 * LIFE_US) {
                break;
            }
            self.open.remove(old);
            self.by_age.pop_front();
        }
        self.by_age.push_back((now_us, ticket.clone()));
        self.open.insert(ticket, (now_us, opens));
    }

    /// Uses a ticket up.
    pub(crate) fn take(&mut self, now_us: u64, ticket: &str) -> Result<T, Refused> {
        let (issued_us, opens) = self.open.remove(ticket).ok_or(Refused::Unknown)?;
        if now_us > issued_us.saturating_add(LIFE_US) {
            return Err(Refused::Expired);
        }
        Ok(opens)
    }

    /// The things that unused tickets would open, if they are still worth something.
    pub(crate) fn waiting(&mut self, now_us: u64) -> impl Iterator<Item = &mut T> {
        self.open
            .values_mut()
            .filter(move |(issued_us, _)| now_us <= issued_us.saturating_add(LIFE_US))
            .map(|(_, opens)| opens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_once() {
        let mut tickets = Tickets::default();
        tickets.issue(0, "t".into(), 7);
        assert_eq!(tickets.take(LIFE_US, "t"), Ok(7));
        assert_eq!(tickets.take(LIFE_US, "t"), Err(Refused::Unknown));
    }

    #[test]
    fn a_ticket_lives_thirty_seconds() {
        let mut tickets = Tickets::default();
        tickets.issue(0, "t".into(), 7);
        assert_eq!(tickets.take(LIFE_US + 1, "t"), Err(Refused::Expired));
    }

    #[test]
    fn old_tickets_are_forgotten() {
        let mut tickets = Tickets::default();
        for n in 0..1000 {
            tickets.issue(n * LIFE_US, n.to_string(), ());
        }
        assert!(tickets.open.len() <= 3, "{}", tickets.open.len());
    }
}
