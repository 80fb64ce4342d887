//! End to end over real sockets: what people type, what Slack does to the connections, what handlers get wrong.
mod answers;
mod calls;
mod commands;
mod connections;
mod failures;
mod restarts;
mod storm;
