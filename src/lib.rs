//! Callboard hosts Slack bots for many workspaces in one process.
pub mod actor;
pub mod base;
pub mod bot;
pub mod flow;
pub mod slack;
pub mod store;
