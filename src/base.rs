//! What the standard library lacks: bounds, time, chance, waiting, secrets.
//!
//! Nothing here knows Slack, actors, files or sockets. What an operator may choose about the network is here as
//! values only: `config` reads them, `web` dials by them, and neither knows the other.
pub mod backoff;
pub mod clock;
pub mod limits;
pub mod map;
pub mod network;
pub mod rng;
pub mod secret;
