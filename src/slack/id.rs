//! Slack's identifiers as types of their own, so that a channel can't be passed where a user is meant.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// A short text: up to 24 bytes need no allocation, and nearly every identifier, type and timestamp of Slack's has
/// fewer.
pub type Word = CompactString;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Word);

        impl $name {
            /// Wraps the identifier as Slack wrote it; no shape is enforced, since Slack's shapes change.
            pub fn new(id: impl Into<Word>) -> Self {
                Self(id.into())
            }

            /// The identifier as Slack wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether Slack left it out.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.into())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id.into())
            }
        }
    )+};
}

ids! {
    /// One workspace (`T…`).
    TeamId,
    /// A user (`U…`, or `W…` in an Enterprise org).
    UserId,
    /// A conversation of any kind (`C…`, `G…`, `D…`).
    ChannelId,
    /// A Slack app (`A…`).
    AppId,
    /// A bot record (`B…`); not the bot's user id.
    BotId,
    /// An event (`Ev…`): the same in every redelivery.
    EventId,
    /// A Socket Mode envelope: the same in every redelivery.
    EnvelopeId,
    /// A message's timestamp, `<unix seconds>.<6 digits>`: its id within a channel. Sorts as text; never a number.
    Ts,
}
