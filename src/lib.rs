//! Callboard hosts Slack bots for many workspaces in one process.
pub mod base;
pub mod cli;
pub mod sim;
pub mod slack;
