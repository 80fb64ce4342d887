//! Envelopes become turns: admission, routing, the actor of each key, deferred jobs.
pub mod directory;
pub mod handler;
pub mod inbox;
mod internal;
pub mod jobs;
mod reads;
pub mod router;
