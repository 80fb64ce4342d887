//! The simulated Slack as one plain state machine.
//!
//! Every input comes with the time in microseconds since the start; everything that must leave collects in
//! [`Machine::take_outs`]. There is no I/O, no thread and no clock in here, so a whole world can also be played
//! in virtual time.

mod command;
mod event;
mod room;
mod rtm;
mod socket;
mod trouble;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::book::{Book, Terms};
use super::fault::Faults;
use super::message::Log;
use super::record::{Entry, SocketId, What};
use super::ticket::Tickets;
use super::world::World;
use crate::base::rng::Rng;
use crate::slack::id::{AppId, ChannelId, TeamId, Ts};

pub(crate) use command::{Hook, Run};
pub(crate) use event::Parcel;
pub(crate) use room::Draft;
pub(crate) use socket::{Opens, Socket};
pub(crate) use trouble::Manner;

/// What a machine is started with.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) world: World,
    /// Where the simulator serves, without a slash at the end: `http://127.0.0.1:4000`.
    pub(crate) root: String,
    /// The time of day at time zero, in microseconds since 1970.
    pub(crate) epoch_us: u64,
    pub(crate) terms: Terms,
    pub(crate) seed: u64,
    /// The seconds that hello tells of a socket's life.
    pub(crate) life_s: u64,
}

/// Something that must leave the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Out {
    /// A text frame for a socket.
    Frame(SocketId, Arc<str>),
    /// A close frame for a socket.
    Close(SocketId, u16, String),
    /// The TCP connection of a socket is to be cut.
    Cut(SocketId),
    /// A frame for every viewer of the page.
    Live(Arc<str>),
}

/// A request that names something which is not there, or is otherwise wrong: Slack-like word and human text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) error: &'static str,
    pub(crate) detail: String,
}

impl Wrong {
    pub(crate) fn new(error: &'static str, detail: impl Into<String>) -> Self {
        Self {
            error,
            detail: detail.into(),
        }
    }
}

/// The simulated Slack.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) world: World,
    pub(crate) root: String,
    pub(crate) faults: Faults,
    epoch_us: u64,
    now_us: u64,
    last_ts_us: u64,
    rng: Rng,
    counter: u64,
    logs: HashMap<ChannelId, Log>,
    tickets: Tickets<Opens>,
    book: Book<Parcel>,
    sockets: HashMap<SocketId, Socket>,
    last_socket: SocketId,
    stages: HashMap<(AppId, Option<TeamId>), socket::Stage>,
    hooks: HashMap<String, Hook>,
    record: Vec<Arc<Entry>>,
    outs: Vec<Out>,
    is_watched: bool,
    troubles: trouble::Troubles,
    life_s: u64,
}

impl Machine {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            world: setup.world,
            root: setup.root,
            faults: Faults::default(),
            epoch_us: setup.epoch_us,
            now_us: 0,
            last_ts_us: 0,
            rng: Rng::seeded(setup.seed),
            counter: 0,
            logs: HashMap::new(),
            tickets: Tickets::default(),
            book: Book::new(setup.terms),
            sockets: HashMap::new(),
            last_socket: 0,
            stages: HashMap::new(),
            hooks: HashMap::new(),
            record: Vec::new(),
            outs: Vec::new(),
            is_watched: false,
            troubles: trouble::Troubles::default(),
            life_s: setup.life_s,
        }
    }

    /// Says what time it is; must come before every other input. Time never runs backwards in here.
    pub(crate) fn at(&mut self, now_us: u64) -> &mut Self {
        self.now_us = self.now_us.max(now_us);
        self
    }

    /// Whether anybody looks at the page; if not, no frames are made for it.
    pub(crate) fn set_watched(&mut self, is_watched: bool) {
        self.is_watched = is_watched;
    }

    /// What must leave, in order.
    pub(crate) fn take_outs(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.outs)
    }

    /// When [`Machine::tick`] should be called next.
    pub(crate) fn next_due_us(&self) -> Option<u64> {
        let late = self.troubles.next_due_us();
        self.book.next_due_us().into_iter().chain(late).min()
    }

    /// The entries after number `n`.
    pub(crate) fn record_since(&self, n: u64) -> Vec<Arc<Entry>> {
        let skip = usize::try_from(n).unwrap_or(usize::MAX);
        self.record.get(skip..).map_or_else(Vec::new, <[_]>::to_vec)
    }

    fn note(&mut self, what: What) {
        let n = self.record.len() as u64 + 1;
        self.record.push(Arc::new(Entry {
            n,
            at_us: self.now_us,
            what,
        }));
    }

    fn live(&mut self, frame: impl FnOnce(&Self) -> Value) {
        if self.is_watched {
            let frame = frame(self).to_string();
            self.outs.push(Out::Live(frame.into()));
        }
    }

    /// A timestamp that is larger than every one before.
    fn next_ts(&mut self) -> Ts {
        let us = (self.epoch_us + self.now_us).max(self.last_ts_us + 1);
        self.last_ts_us = us;
        Ts::new(format!("{}.{:06}", us / 1_000_000, us % 1_000_000))
    }

    /// A timestamp for something that is no message: an edit, a reaction.
    pub(crate) fn fresh_ts(&mut self) -> Ts {
        self.next_ts()
    }

    /// Writes down a Web API call.
    pub(crate) fn note_call(&mut self, call: What) {
        self.note(call);
    }

    /// When the simulator started, in seconds since 1970.
    pub(crate) fn started_s(&self) -> u64 {
        self.epoch_us / 1_000_000
    }

    fn unix_s(&self) -> u64 {
        (self.epoch_us + self.now_us) / 1_000_000
    }

    /// A number that is unique in this run.
    fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// 32 hexadecimal digits.
    pub(crate) fn next_hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64())
    }

    /// An id in the form of a UUID.
    fn next_uuid(&mut self) -> String {
        let (a, b) = (self.rng.next_u64(), self.rng.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }

    /// The apps as the page sees them.
    pub(crate) fn apps_json(&self) -> Value {
        let apps = self.world.apps().iter().map(|app| {
            let teams: Vec<_> = app.installs.iter().map(|install| &install.team).collect();
            let sockets = self.sockets.values().filter(|it| it.app == app.id).count();
            json!({"name": app.name, "id": app.id, "transport": app.transport, "teams": teams, "sockets": sockets})
        });
        apps.collect()
    }
}

#[cfg(test)]
mod tests;
