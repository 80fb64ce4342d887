//! Sockets that misbehave: how each behaves, what comes late, and sockets that nobody has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{Machine, Out};
use crate::sim::fault::{SocketFault, Unsteady};
use crate::sim::record::{By, SocketId};
use crate::slack::id::{AppId, TeamId};

/// How a socket behaves below its frames; shared with whoever serves it.
#[derive(Debug, Default)]
pub(crate) struct Manner {
    is_mute: AtomicBool,
    pings_not: AtomicBool,
    pongs_not: AtomicBool,
    /// Milliseconds from a close frame to its answer; [`u64::MAX`] for never.
    close_ms: AtomicU64,
}

impl Manner {
    /// Nothing goes in or out, and TCP stays open.
    pub(crate) fn is_mute(&self) -> bool {
        self.is_mute.load(Ordering::Relaxed)
    }

    pub(crate) fn pings(&self) -> bool {
        !self.pings_not.load(Ordering::Relaxed)
    }

    pub(crate) fn pongs(&self) -> bool {
        !self.pongs_not.load(Ordering::Relaxed)
    }

    /// How long a client's close frame waits for its answer; nothing for ever.
    pub(crate) fn close_ms(&self) -> Option<u64> {
        let ms = self.close_ms.load(Ordering::Relaxed);
        (ms != u64::MAX).then_some(ms)
    }
}

/// What comes later than usual.
#[derive(Debug)]
enum Late {
    Hello(SocketId),
    Send { envelope_id: String },
}

/// Everything that is out of the ordinary.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    planned: Vec<(AppId, SocketFault, u32)>,
    unsteady: Unsteady,
    late: BTreeMap<(u64, u64), Late>,
    sequence: u64,
}

impl Troubles {
    /// The fault of the app's next socket, used up by it.
    pub(super) fn strike(&mut self, app: &AppId) -> Option<SocketFault> {
        self.planned.retain(|(_, _, left)| *left > 0);
        let (_, fault, left) = self.planned.iter_mut().find(|(of, _, _)| of == app)?;
        *left -= 1;
        Some(fault.clone())
    }

    pub(super) fn next_due_us(&self) -> Option<u64> {
        self.late.keys().next().map(|(due_us, _)| *due_us)
    }

    fn later(&mut self, due_us: u64, late: Late) {
        self.sequence += 1;
        self.late.insert((due_us, self.sequence), late);
    }
}

impl Machine {
    /// The next `times` sockets of an app suffer `fault`, after those planned earlier.
    pub(crate) fn plan_socket_fault(&mut self, app: &AppId, fault: SocketFault, times: u32) {
        self.troubles.planned.push((app.clone(), fault, times));
    }

    /// Forgets what was planned for sockets. Those that are open stay as they are.
    pub(crate) fn clear_socket_faults(&mut self) {
        self.troubles.planned.clear();
        self.troubles.unsteady = Unsteady::default();
    }

    /// From now on envelopes come twice, or later than others, now and then.
    pub(crate) fn set_unsteady(&mut self, unsteady: Unsteady) {
        self.troubles.unsteady = unsteady;
    }

    /// Open sockets of an app, the oldest first, at most `count`, suffer `fault` from now on. Returns how many.
    pub(crate) fn afflict(&mut self, app: &AppId, fault: &SocketFault, count: usize) -> usize {
        let mut sockets = self.sockets_where(|it| it.app == *app && !it.is_ghost);
        sockets.truncate(count);
        for (socket, _) in &sockets {
            self.suffer(*socket, fault);
        }
        sockets.len()
    }

    pub(super) fn suffer(&mut self, socket: SocketId, fault: &SocketFault) {
        let Some(found) = self.sockets.get_mut(&socket) else {
            return;
        };
        let manner = &found.manner;
        match fault {
            SocketFault::FirstFrame { .. }
            | SocketFault::NoHello
            | SocketFault::LateHello { .. } => {
                // About a socket's beginning; an open one is past it.
            }
            SocketFault::HalfOpen => manner.is_mute.store(true, Ordering::Relaxed),
            SocketFault::NoPings => manner.pings_not.store(true, Ordering::Relaxed),
            SocketFault::NoPongs => manner.pongs_not.store(true, Ordering::Relaxed),
            SocketFault::Deaf => found.is_deaf = true,
            SocketFault::SlowClose { ms } => manner.close_ms.store(*ms, Ordering::Relaxed),
            SocketFault::NoClose => manner.close_ms.store(u64::MAX, Ordering::Relaxed),
        }
    }

    /// How a socket behaves; as usual, when there is no such socket any more.
    pub(crate) fn manner(&self, socket: SocketId) -> Arc<Manner> {
        let found = self.sockets.get(&socket);
        found.map_or_else(Arc::default, |found| Arc::clone(&found.manner))
    }

    /// `count` more sockets of an app that nobody has: they count, and get their share of its envelopes.
    pub(crate) fn haunt(&mut self, app: &AppId, count: usize) {
        for _ in 0..count {
            self.last_socket += 1;
            let socket = self.last_socket;
            self.register(socket, app.clone(), None);
            if let Some(found) = self.sockets.get_mut(&socket) {
                found.is_ghost = true;
            }
        }
    }

    /// Slack notices that nobody has them. Returns how many there were.
    pub(crate) fn exorcise(&mut self, app: &AppId) -> usize {
        let ghosts = self.sockets_where(|it| it.app == *app && it.is_ghost);
        for (socket, _) in &ghosts {
            self.ended(*socket, By::Simulator, None, "ghost");
        }
        ghosts.len()
    }

    /// Says hello on a Socket Mode socket, now or later.
    pub(super) fn greet(&mut self, socket: SocketId, wait_ms: u64) {
        if wait_ms > 0 {
            if let Some(found) = self.sockets.get_mut(&socket) {
                found.is_deaf = true;
            }
            let due_us = self.now_us.saturating_add(wait_ms.saturating_mul(1000));
            return self.troubles.later(due_us, Late::Hello(socket));
        }
        let Some(found) = self.sockets.get_mut(&socket) else {
            return;
        };
        found.is_deaf = false;
        let app = found.app.clone();
        let stage = self.stages.get(&(app.clone(), None));
        let open = stage.map_or(0, super::socket::Stage::len);
        let hello = json!({
            "type": "hello", "num_connections": open, "connection_info": {"app_id": app},
            "debug_info": {"host": "applink-1", "build_number": 10,
                "approximate_connection_time": self.life_s},
        });
        self.push(socket, &hello);
    }

    /// Whether a first sending is put off, by which it is overtaken.
    pub(super) fn puts_off(&mut self, envelope_id: &str) -> bool {
        let unsteady = self.troubles.unsteady;
        if unsteady.late_per_mille == 0
            || self.rng.below(1000) >= u64::from(unsteady.late_per_mille)
        {
            return false;
        }
        let wait_us = 1 + self
            .rng
            .below(unsteady.late_ms_max.max(1).saturating_mul(1000));
        let envelope_id = envelope_id.to_owned();
        self.troubles.later(
            self.now_us.saturating_add(wait_us),
            Late::Send { envelope_id },
        );
        true
    }

    pub(super) fn doubles(&mut self) -> bool {
        let per_mille = u64::from(self.troubles.unsteady.twice_per_mille);
        per_mille > 0 && self.rng.below(1000) < per_mille
    }

    /// Does what comes late and is due.
    pub(super) fn tick_late(&mut self) {
        while let Some(entry) = self.troubles.late.first_entry() {
            if entry.key().0 > self.now_us {
                return;
            }
            match entry.remove() {
                Late::Hello(socket) => self.greet(socket, 0),
                Late::Send { envelope_id } => self.send(&envelope_id, 0),
            }
        }
    }

    /// Tells the workspace's RTM sockets that it moves, and closes them. Returns how many were told.
    pub(crate) fn migrate(&mut self, team: &TeamId) -> usize {
        self.leave(team, "team_migration_started")
    }

    /// Hands every RTM socket of a workspace an address for its next one. Returns how many.
    pub(crate) fn offer_reconnect(&mut self, team: &TeamId) -> usize {
        let sockets = self.sockets_where(|it| it.team.as_ref() == Some(team));
        for (socket, app) in &sockets {
            let url = self.rtm_url(app, team);
            let frame: Value = json!({"type": "reconnect_url", "url": url});
            self.push(*socket, &frame);
        }
        sockets.len()
    }

    /// A text frame for every open socket of an app, whatever it says: for frames that Slack never sends.
    pub(crate) fn inject(&mut self, app: &AppId, text: &str) -> usize {
        let sockets = self.sockets_where(|it| it.app == *app);
        for (socket, _) in &sockets {
            self.outs.push(Out::Frame(*socket, text.into()));
        }
        sockets.len()
    }
}
