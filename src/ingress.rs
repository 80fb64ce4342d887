//! Frames come in: the Supervisor, one `ConnectionActor` per token, the pump that owns each socket.
mod backfill;
pub mod connection;
mod listener;
mod liveness;
mod pump;
mod rtm;
mod sending;
pub(crate) mod socket_mode;
mod standing;
pub mod supervisor;
mod ticket;

use crate::base::limits::SocketTimes;
use crate::base::secret::Secret;
use crate::flow::key::AppName;

pub use listener::{Heard, Listeners};
pub use sending::{NotSent, ToSlack};
pub use standing::{Counters, LineReport, SocketReport, Standing, Standings};

/// One token's connection, as it was configured.
#[derive(Debug, Clone)]
pub struct Line {
    /// The app.
    pub app: AppName,
    /// What it is called in logs: the app, and for RTM the number of its token.
    pub name: String,
    /// How it connects.
    pub transport: Transport,
    /// How long its sockets may take for what.
    pub times: SocketTimes,
    /// Whether sockets that are lost are replaced.
    pub auto_reconnect: bool,
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
        /// How many sockets it keeps, 1 to [`SLOTS_MAX`](crate::base::limits::SLOTS_MAX).
        slots: usize,
    },
    /// One socket for one workspace.
    Rtm {
        /// The bot token.
        bot_token: Secret,
        /// Whether messages that came during a gap are asked for afterwards.
        backfill: bool,
    },
}
