//! End to end over real sockets: what people type, what Slack does to the connections, what handlers get wrong.
//! Tests of the delivery's rules are named after them (`rule_10_..`).
mod answers;
mod calls;
mod commands;
mod connections;
mod failures;
mod handles;
mod lines;
mod memos;
mod own_loops;
mod policies;
mod refresh;
mod restarts;
mod rtm;
mod several;
mod sockets;
mod steering;
mod storm;
mod tickets;
