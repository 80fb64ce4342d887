//! Messages between handlers and keys.
//!
//! A memo is an effect: it leaves with the commit of the turn that sends it, arrives once, after a crash too, and
//! nobody waits for an answer. Two keys that write to each other for ever are stopped by a hop limit.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::flow::key::{Key, Scope};

/// What one key tells another.
pub trait Memo: Serialize + DeserializeOwned + 'static {
    /// The durable name.
    const NAME: &'static str;
}

/// A memo, as it arrives.
#[derive(Debug)]
pub struct Received<M: Memo> {
    /// What it says.
    pub memo: M,
    /// Who sent it.
    pub from: Key,
}

/// Which key of a handler a memo is for, in the sender's app and workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct To {
    pub(crate) scope: Scope,
    pub(crate) id: String,
}

impl To {
    /// The state of one user.
    pub fn user(user: &crate::slack::id::UserId) -> Self {
        Self::of(Scope::User, user.as_str())
    }

    /// The state of one channel.
    pub fn channel(channel: &crate::slack::id::ChannelId) -> Self {
        Self::of(Scope::Channel, channel.as_str())
    }

    /// The state of the workspace.
    pub fn team(team: &crate::slack::id::TeamId) -> Self {
        Self::of(Scope::Team, team.as_str())
    }

    /// The state of one thread: the channel, and the `ts` of the message that began it.
    pub fn thread(channel: &crate::slack::id::ChannelId, ts: &crate::slack::id::Ts) -> Self {
        Self::of(Scope::Thread, &format!("{channel}/{ts}"))
    }

    fn of(scope: Scope, id: &str) -> Self {
        Self {
            scope,
            id: id.to_owned(),
        }
    }
}
