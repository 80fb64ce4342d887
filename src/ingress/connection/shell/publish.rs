//! What a connection shows of itself.

use super::super::machine::Mode;
use super::ConnectionShell;
use crate::ingress::standing::{LineEntry, SocketEntry};
use crate::ingress::{LineReport, SocketReport, Standing, Transport};

impl ConnectionShell {
    pub(super) fn stand(&mut self, standing: Standing) {
        if self.standing != standing {
            self.standing = standing;
            self.standing_since_ms = self.parts.clock.unix_ms();
            // The machine's revision says nothing of this.
            self.published = None;
        }
    }

    /// Shows the present state, unless it is shown already.
    pub(super) fn publish(&mut self) {
        let now = (self.machine.revision(), self.shed, self.backfilled);
        if self.published == Some(now) {
            return;
        }
        self.published = Some(now);
        self.parts.standings.publish(self.entry());
    }

    fn entry(&self) -> LineEntry {
        let view = self.machine.view();
        let line = &self.parts.line;
        let (transport, slots) = match &line.transport {
            Transport::SocketMode { slots, .. } => ("socket_mode", *slots),
            Transport::Rtm { .. } => ("rtm", 1),
        };
        let (now, now_ms) = (self.parts.clock.now(), self.parts.clock.unix_ms());
        let sockets = view.sockets.iter().map(|socket| {
            let since = now.saturating_duration_since(socket.since).as_millis();
            SocketEntry {
                report: SocketReport {
                    slot: (socket.slot < slots).then_some(socket.slot.saturating_add(1)),
                    generation: socket.generation,
                    state: socket.state.to_owned(),
                    since_ms: now_ms.saturating_sub(u64::try_from(since).unwrap_or(u64::MAX)),
                    frames: 0,
                    odd_frames: 0,
                    envelopes: 0,
                    acks: 0,
                    heard_ms: 0,
                },
                counters: self
                    .sockets
                    .get(&socket.generation)
                    .map(|socket| std::sync::Arc::clone(&socket.counters)),
            }
        });
        let sockets = sockets.collect();
        let stopped = match view.mode {
            Mode::Live => None,
            Mode::Halted(why) => Some(why.clone()),
        };
        let report = LineReport {
            name: line.name.clone(),
            app: line.app.as_str().to_owned(),
            transport: transport.to_owned(),
            standing: stopped.map_or_else(|| self.standing.clone(), Standing::Stopped),
            since_ms: self.standing_since_ms,
            slots,
            reconnects: view.reconnects,
            reasons: view.reasons.clone(),
            gaps: view.gaps,
            broken_first: view.broken_first,
            ghosts: view.ghosts,
            tickets: view.tickets,
            shed: self.shed,
            backfilled: self.backfilled,
            last_error: view.last_error.map(str::to_owned),
            sockets: Vec::new(),
        };
        LineEntry { report, sockets }
    }
}
