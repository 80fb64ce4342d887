//! Effects leave: committed calls in lanes, one at a time per (app, team, channel), lanes side by side.
//!
//! A lane's next call starts only when the note of the last one's success is durable, so after a crash only
//! the first call of a lane can have been made already: that one is looked up before it is made again.
mod looking;
mod machine;
mod sending;
mod shell;

pub use shell::{Count, Entrance, OutboxShell, Parts};
