//! The only way out to Slack: Web API calls, and the dialling of sockets.
//!
//! awc's types are not `Send` and its pools belong to a thread, so each arbiter that calls has a [`Client`] of
//! its own. Nothing here retries or limits: that is `egress`'s and, for connections, `ingress`'s.
mod client;
pub mod dial;
mod error;
mod wire;

pub use client::{Client, Request, Response};
pub use error::Error;
pub use wire::{Api, Incoming, Outgoing, Wire};
