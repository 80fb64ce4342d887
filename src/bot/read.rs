//! Reads that a turn may wait for. Only what changes nothing can be awaited: that is what the types here are for;
//! whatever changes something is recorded by the turn, and leaves with its commit.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::slack::id::{ChannelId, Ts, UserId};

/// A method of the Web API that changes nothing, and its arguments.
pub trait Read: Serialize {
    /// The method.
    const METHOD: &'static str;

    /// What it answers.
    type Answer: DeserializeOwned;
}

macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident = $method:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                pub $field: $type,
            )*
        }

        impl Read for $name {
            const METHOD: &'static str = $method;
            type Answer = Value;
        }
    )+};
}

reads! {
    /// Who a user is.
    UsersInfo = "users.info" {
        /// The user.
        user: UserId,
    }
    /// What a conversation is.
    ConversationsInfo = "conversations.info" {
        /// The conversation.
        channel: ChannelId,
    }
    /// Who is in a conversation: one page.
    ConversationsMembers = "conversations.members" {
        /// The conversation.
        channel: ChannelId,
        /// Members per page; 1000 at most.
        limit: u32,
        /// Where the page begins; empty for the first.
        cursor: String,
    }
    /// The newest messages of a conversation.
    ConversationsHistory = "conversations.history" {
        /// The conversation.
        channel: ChannelId,
        /// Messages per page; 999 at most.
        limit: u32,
    }
    /// The messages of a thread, its first included.
    ConversationsReplies = "conversations.replies" {
        /// The conversation.
        channel: ChannelId,
        /// Any message of the thread.
        ts: Ts,
        /// Messages per page; 1000 at most.
        limit: u32,
    }
}
