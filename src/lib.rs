//! The runtime, what authors write against, and the offline Slack, as one library.
//!
//! Begin with [`prelude`], which is all that a bot needs, and [`app::Callboard`], which runs it. What follows is
//! the README.
#![doc = include_str!("../README.md")]
pub mod actor;
pub mod admin;
pub mod app;
pub mod base;
pub mod bot;
pub mod cli;
pub mod config;
pub mod dispatch;
pub mod egress;
pub mod flow;
pub mod ingress;
pub mod prelude;
pub mod sim;
pub mod slack;
pub mod store;
pub mod web;
