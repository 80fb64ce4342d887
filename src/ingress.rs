//! Frames come in: the Supervisor, one `ConnectionActor` per token, the pump that owns each socket.
pub mod connection;
mod pump;
mod rtm;
pub(crate) mod socket_mode;
pub mod supervisor;
mod ticket;

use std::sync::Arc;

use dashmap::DashMap;

use crate::base::secret::Secret;
use crate::flow::key::AppName;

/// One token's connection, as it was configured.
#[derive(Debug, Clone)]
pub struct Line {
    /// The app.
    pub app: AppName,
    /// What it is called in logs: the app, and for RTM the number of its token.
    pub name: String,
    /// How it connects.
    pub transport: Transport,
}

/// How a token connects.
#[derive(Debug, Clone)]
pub enum Transport {
    /// One stream for all workspaces.
    SocketMode {
        /// The app-level token.
        app_token: Secret,
        /// A bot token for each workspace.
        bot_tokens: Vec<Secret>,
    },
    /// One socket for one workspace.
    Rtm {
        /// The bot token.
        bot_token: Secret,
    },
}

/// How a connection stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not connected yet, or not any more; the last reason.
    Down(String),
    /// It said hello.
    Up,
    /// It will not be tried again, and why.
    Stopped(String),
}

/// How every connection stands. Anyone may read it without asking an actor.
#[derive(Debug, Clone, Default)]
pub struct Standings {
    lines: Arc<DashMap<String, Standing>>,
}

impl Standings {
    /// Sets one line's.
    pub fn put(&self, line: &str, standing: Standing) {
        self.lines.insert(line.to_owned(), standing);
    }

    /// All of them, in order of their names.
    pub fn all(&self) -> Vec<(String, Standing)> {
        let mut all: Vec<_> = self
            .lines
            .iter()
            .map(|line| (line.key().clone(), line.value().clone()))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}
