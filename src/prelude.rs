//! Everything an author needs: `use callboard::prelude::*;`.

pub use std::process::ExitCode;

pub use serde::{Deserialize, Serialize};

pub use crate::app::Callboard;
pub use crate::bot::answer::Reply;
pub use crate::bot::handler::{HandlerActor, On};
pub use crate::bot::incoming::Event;
pub use crate::bot::job::{Done, Job};
pub use crate::bot::memo::{Memo, Received, To};
pub use crate::bot::read;
pub use crate::bot::route::Routes;
pub use crate::bot::turn::Turn;
pub use crate::bot::{Error, Result};
pub use crate::flow::effect::Posted;
pub use crate::slack::event::{Command, Message};
pub use crate::slack::id::{ChannelId, TeamId, Ts, UserId};
