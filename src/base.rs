//! What the standard library lacks: bounds, time, chance, waiting, secrets.
//!
//! Nothing here knows Slack, actors, files or sockets.
pub mod backoff;
pub mod clock;
pub mod limits;
pub mod map;
pub mod rng;
pub mod secret;
