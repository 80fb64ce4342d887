//! Callboard hosts Slack bots for many workspaces in one process.
pub mod base;
pub mod config;
pub mod slack;
