//! How connections stand, for whoever wants to know: read without asking an actor.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};

/// How a connection stands, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", content = "why", rename_all = "snake_case")]
pub enum Standing {
    /// Not connected yet, or not any more; the last reason.
    Down(String),
    /// At least one of its sockets said hello.
    Up,
    /// It will not be tried again until it is revived, and why.
    Stopped(String),
}

/// What passed through one socket. The pump counts, anyone reads.
#[derive(Debug, Default)]
pub struct Counters {
    frames: AtomicU64,
    odd: AtomicU64,
    envelopes: AtomicU64,
    acks: AtomicU64,
    heard_ms: AtomicU64,
}

impl Counters {
    /// A frame of any kind came, at this time.
    pub(super) fn heard(&self, unix_ms: u64) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.heard_ms.store(unix_ms, Ordering::Relaxed);
    }

    /// A frame came that means nothing here.
    pub(super) fn odd(&self) {
        self.odd.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn brought(&self, envelopes: u64) {
        self.envelopes.fetch_add(envelopes, Ordering::Relaxed);
    }

    pub(super) fn acked(&self) {
        self.acks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn envelopes(&self) -> u64 {
        self.envelopes.load(Ordering::Relaxed)
    }
}

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketReport {
    /// The slot it belongs to, from 1; absent when nobody wants it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<usize>,
    /// Its number within its connection.
    pub generation: u64,
    /// `asking` (for a ticket), `dialling`, `greeting` (hello is awaited), `serving`, `retiring` (it still acks) or
    /// `closing`.
    pub state: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Frames of any kind that came, pings and pongs too.
    pub frames: u64,
    /// Of them, frames that meant nothing: binary, not JSON, of an unknown type.
    pub odd_frames: u64,
    /// Of them, envelopes (RTM: events).
    pub envelopes: u64,
    /// Acks that left.
    pub acks: u64,
    /// When the last frame came, in milliseconds since 1970; 0 for none.
    pub heard_ms: u64,
}

/// One connection with its sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineReport {
    /// Its name: the app, and for RTM the number of its token.
    pub name: String,
    /// The app.
    pub app: String,
    /// `socket_mode` or `rtm`.
    pub transport: String,
    /// How it stands.
    pub standing: Standing,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// How many sockets it keeps.
    pub slots: usize,
    /// Sockets that took the place of another, whatever the reason.
    pub reconnects: u64,
    /// How many for which reason: Slack's word, `age`, `deaf`, or how the socket was lost.
    pub reasons: BTreeMap<String, u64>,
    /// Moments in which no socket served.
    pub gaps: u64,
    /// Sockets that had to go before their replacement came, since Slack takes no more of them.
    pub broken_first: u64,
    /// Sockets of the app that Slack counted beyond ours, at the last hello: another process, or dead ones.
    pub ghosts: u32,
    /// Tickets that were asked for.
    pub tickets: u64,
    /// Envelopes that were left un-acked for want of room (RTM: lost).
    pub shed: u64,
    /// Messages that a back-fill brought after gaps.
    pub backfilled: u64,
    /// The last failure, even if it was overcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Its sockets, those on their way in and out too.
    pub sockets: Vec<SocketReport>,
}

/// A socket's place in a report: its particulars, and the counters that go on.
#[derive(Debug, Clone)]
pub(super) struct SocketEntry {
    pub(super) report: SocketReport,
    pub(super) counters: Option<Arc<Counters>>,
}

/// A connection as it last published itself.
#[derive(Debug, Clone)]
pub(super) struct LineEntry {
    pub(super) report: LineReport,
    pub(super) sockets: Vec<SocketEntry>,
}

/// How every connection stands. Anyone may read it without asking an actor; no reader holds one up.
#[derive(Debug, Clone, Default)]
pub struct Standings {
    lines: Arc<DashMap<String, Arc<LineEntry>>>,
}

impl Standings {
    pub(super) fn publish(&self, entry: LineEntry) {
        let name = entry.report.name.clone();
        self.lines.insert(name, Arc::new(entry));
    }

    pub(super) fn remove(&self, name: &str) {
        self.lines.remove(name);
    }

    /// How each stands, in order of their names.
    pub fn all(&self) -> Vec<(String, Standing)> {
        let entries = self.entries().into_iter();
        entries
            .map(|entry| (entry.report.name.clone(), entry.report.standing.clone()))
            .collect()
    }

    /// Everything that is known of each, in order of their names.
    pub fn report(&self) -> Vec<LineReport> {
        let entries = self.entries().into_iter();
        entries.map(|entry| shown(&entry)).collect()
    }

    fn entries(&self) -> Vec<Arc<LineEntry>> {
        let lines = self.lines.iter();
        let mut entries: Vec<_> = lines.map(|line| Arc::clone(line.value())).collect();
        entries.sort_by(|a, b| a.report.name.cmp(&b.report.name));
        entries
    }
}

fn shown(entry: &LineEntry) -> LineReport {
    let sockets = entry.sockets.iter().map(|socket| {
        let mut report = socket.report.clone();
        if let Some(counters) = &socket.counters {
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            report.frames = read(&counters.frames);
            report.odd_frames = read(&counters.odd);
            report.envelopes = read(&counters.envelopes);
            report.acks = read(&counters.acks);
            report.heard_ms = read(&counters.heard_ms);
        }
        report
    });
    LineReport {
        sockets: sockets.collect(),
        ..entry.report.clone()
    }
}
