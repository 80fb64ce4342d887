//! Envelopes become turns: admission, routing, the actor of each key, deferred jobs.
pub mod directory;
pub mod handler;
pub mod inbox;
pub mod jobs;
pub mod router;
