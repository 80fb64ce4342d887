//! Everything an author needs: `use callboard::prelude::*;`.
//!
//! | to ... | there is |
//! |---|---|
//! | hold the state of a key and say what reaches it | [`HandlerActor`], [`Routes`] |
//! | handle something | [`On`], for [`Message`], [`Command`], [`Event`] and [`Done`] |
//! | say what is to be done | [`Turn`], and [`Posted`] for a message |
//! | answer a command | [`Reply`] |
//! | do slow work | [`Job`] |
//! | have a loop of one's own | [`Interest`], [`Subscription`], [`Item`], [`Dispatcher`] |
//! | run it | [`Callboard`] |
//!
//! [`Result`] has a default error that any error converts to. The derive macros of [`Serialize`] and [`Deserialize`]
//! ask for the crate `serde` by name, so a bot depends on that as well.

pub use std::process::ExitCode;

pub use serde::{Deserialize, Serialize};

pub use crate::app::Callboard;
pub use crate::bot::answer::Reply;
pub use crate::bot::dispatcher::Dispatcher;
pub use crate::bot::handler::{HandlerActor, On};
pub use crate::bot::incoming::Event;
pub use crate::bot::job::{Done, Job};
pub use crate::bot::memo::{Memo, Received, To};
pub use crate::bot::read;
pub use crate::bot::route::Routes;
pub use crate::bot::subscription::{Interest, Item, Subscription};
pub use crate::bot::turn::Turn;
pub use crate::bot::{Error, Result};
pub use crate::flow::effect::Posted;
pub use crate::slack::event::{Command, Message};
pub use crate::slack::id::{ChannelId, TeamId, Ts, UserId};
