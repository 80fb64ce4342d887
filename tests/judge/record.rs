//! The record as the judge reads it: JSON, in shapes of its own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything that was written down, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub(crate) entries: Vec<Entry>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entry {
    pub(crate) n: u64,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What happened, as far as the judge needs it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum What {
    SocketOpened {
        app: String,
    },
    SocketClosed {
        socket: u64,
        app: String,
        by: String,
        code: Option<u16>,
    },
    EnvelopeSent {
        socket: u64,
        envelope_id: String,
        #[serde(flatten)]
        subject: Subject,
    },
    Ack {
        socket: u64,
        envelope_id: String,
        is_late: bool,
    },
    FrameIgnored {
        socket: u64,
        why: String,
    },
    RtmSent {
        socket: u64,
        app: String,
        team: String,
        frame: Value,
    },
    Call {
        method: String,
        #[serde(default)]
        app: String,
        #[serde(default)]
        team: String,
        args: Map<String, Value>,
        ok: bool,
        ts: Option<String>,
        metadata: Option<Value>,
    },
    CommandRun {
        team: String,
        user: String,
        command: String,
        text: String,
        envelope_id: String,
    },
    EphemeralShown {
        user: String,
        text: String,
        via: String,
        envelope_id: String,
    },
    Posted {
        team: String,
        channel: String,
        user: String,
        ts: String,
        thread_ts: Option<String>,
        text: String,
        via: String,
    },
    #[serde(other)]
    Other,
}

/// What an envelope is about.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Subject {
    pub(crate) app: String,
    pub(crate) team: String,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) event_id: String,
    pub(crate) channel: String,
    #[serde(default)]
    pub(crate) ts: String,
}

impl Record {
    /// From a simulator in this process.
    pub(crate) fn of<E: Serialize>(entries: &[E]) -> Self {
        let mut record = Self::default();
        record.read_on(entries);
        record
    }

    /// Reads on in what was read up to here before.
    pub(crate) fn read_on<E: Serialize>(&mut self, entries: &[E]) {
        let read = |entry: &E| {
            let value = serde_json::to_value(entry).unwrap();
            Entry::deserialize(&value).unwrap_or_else(|error| panic!("{error} in {value}"))
        };
        let new = entries.iter().skip(self.entries.len());
        self.entries.extend(new.map(read));
    }

    /// From the JSON lines that a simulator serves.
    pub(crate) fn from_lines(lines: &str) -> Self {
        let read = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
        };
        Self {
            entries: lines.lines().map(read).collect(),
        }
    }
}
