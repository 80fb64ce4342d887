//! The `HandlerActor`'s runtime side: holds the state of one key and handles its deliveries one at a time.
mod machine;
mod shell;

pub(crate) use shell::checked;
pub use shell::{
    AttemptSurvived, AttemptWanted, HandlerLost, HandlerShell, OnRecord, Routed, TurnEnded,
    TurnResult, Workplace,
};
