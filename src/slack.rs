//! Slack's protocol as inert data: identifiers, frames, payloads, error codes. serde only.
//!
//! Every type tolerates what it does not know: unknown fields are ignored here because the raw JSON always
//! travels beside the typed view, and unknown kinds have a variant of their own.
pub mod error;
pub mod event;
pub mod frame;
pub mod id;
pub mod rtm;
pub mod scan;
