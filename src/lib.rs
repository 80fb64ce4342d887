//! Callboard hosts Slack bots for many workspaces in one process.
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
