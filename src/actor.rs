//! Our skin over actix: the bounded address, the way back, a fence around an author's code, arbiters.
pub mod alarm;
pub mod arbiters;
pub mod batch;
pub mod fence;
pub mod port;
pub mod vital;

/// What an actor can be told; derived, so that a message is two lines.
pub use actix::Message;
