//! The runtime from outside: real sockets, a simulated Slack, and a judge that knows only what passed between.
#![cfg(test)]

mod bots;
mod crash;
mod end_to_end;
mod folder;
#[path = "../judge/judge.rs"]
mod judge;
mod operator;
mod sentinel;
mod stand;
