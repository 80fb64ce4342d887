//! What an operator asks of a store: a look into it, and dead letters back or away.
//!
//! # The control socket
//!
//! A running process has its store to itself, so it answers for it: on the Unix socket `control.sock` in the
//! store's folder, which only its own user may open. A connection carries one [`Request`], a line of JSON, and
//! its answer, lines of JSON with a `type` each. The last line is a [`Told::End`] or a [`Told::Error`]; an answer
//! that ends otherwise was cut off.
//!
//! ```text
//! > {"inspect":{"what":"dead","limit":10,"with_payload":true}}
//! < {"type":"dead","id":17,"at":"…","kind":"event","name":"acme/Ev1","of":"greeter/acme/T1/user/U1","error":"…","payload":{…}}
//! < {"type":"end","more":false,"behind":0}
//! > {"retry":{"ids":[17]}}
//! < {"type":"retried","id":17,"name":"acme/Ev1"}
//! < {"type":"end","more":false,"behind":0}
//! ```
//!
//! A stopped store is opened by whoever asks, for as long as it takes; the answer is the same.
mod asking;
mod connections;
mod control;
mod editing;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ingress::LineReport;
use crate::store::inspect::{Filter, Inspector, Query};

pub use asking::{Error, ask};
pub use control::{Control, NoControl};

/// The name of the control socket in the store's folder.
pub const SOCKET: &str = "control.sock";

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// A look.
    Inspect(Query),
    /// Dead letters back to where they were.
    Retry(Which),
    /// Dead letters away for good.
    Drop(Which),
    /// How the connections of a running process stand.
    Connections(Meant),
    /// Connect again now, whatever stopped it or makes it wait.
    Revive(Meant),
    /// Close the sockets until it is revived.
    Disconnect(Meant),
    /// Close the sockets, and forget it.
    Remove(Meant),
    /// Connect one more app.
    Add(Addition),
}

/// Which connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Meant {
    /// A connection, or an app with all of its connections; only a look may leave it out, and shows them all.
    pub name: String,
}

/// An app that is to be connected. Its tokens show nowhere but on the control socket, which only the process's own
/// user may open.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Addition {
    /// Its name.
    pub name: String,
    /// The app-level token; without one its bot tokens connect over RTM.
    pub app_token: Option<String>,
    /// A bot token for each workspace.
    pub bot_tokens: Vec<String>,
    /// How many sockets a Socket Mode token keeps.
    pub slots: Option<usize>,
    /// Whether what came over RTM during a gap is asked for afterwards.
    pub backfill: bool,
}

impl std::fmt::Debug for Addition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addition")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Which dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Which {
    /// These.
    pub ids: Vec<u64>,
    /// All there are.
    pub all: bool,
    /// Of them, only those.
    pub filter: Filter,
}

/// A line of an answer, beside what a look [found](crate::store::inspect::Found).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Told {
    /// The dead letter is back, and will be tried again.
    Retried {
        /// Its number.
        id: u64,
        /// What it is.
        name: String,
    },
    /// The dead letter is gone.
    Dropped {
        /// Its number.
        id: u64,
        /// What it was.
        name: String,
    },
    /// There is no dead letter of this number, or not any more.
    Missing {
        /// The number.
        id: u64,
    },
    /// The dead letter stays where it is.
    Refused {
        /// Its number.
        id: u64,
        /// Why.
        error: String,
    },
    /// A connection as it stands.
    Connection(Box<LineReport>),
    /// The connection was told to do what was asked.
    Done {
        /// What it is called.
        name: String,
    },
    /// Nothing more comes, and not all was done.
    Error {
        /// Why, in words.
        error: String,
    },
    /// The answer is complete.
    End {
        /// There is more than fits one answer.
        more: bool,
        /// Durable entries that it does not show yet.
        behind: u64,
    },
}

impl Told {
    fn line(&self) -> String {
        // Plain numbers and texts: there is nothing to fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn error(error: &dyn std::fmt::Display) -> Self {
        Self::Error {
            error: error.to_string(),
        }
    }
}

/// Where the control socket of a store is.
fn socket_in(folder: &Path) -> PathBuf {
    folder.join(SOCKET)
}

/// Looks, and gives the whole answer. Blocks.
fn look(inspector: &Inspector, query: &Query) -> Vec<String> {
    match inspector.look(query) {
        Ok(page) => {
            let end = Told::End {
                more: page.is_cut,
                behind: page.behind,
            };
            let mut lines = page.lines;
            lines.push(end.line());
            lines
        }
        Err(error) => vec![Told::error(&error).line()],
    }
}
