//! What travels between the stages, and nothing that works on it.
//!
//! An [`Envelope`](envelope::Envelope) comes in with its [`Ack`](ack::Ack) token; routing makes
//! [`Delivery`](delivery::Delivery)s of it, each for one [`Key`](key::Key); a turn turns a delivery into a
//! commit with [`Effect`](effect::Effect)s; those leave.
pub mod ack;
pub mod delivery;
pub mod effect;
pub mod envelope;
pub mod gate;
pub mod identity;
pub mod key;
pub mod ports;
