//! The `ConnectionActor`: one per token; replaces its socket on goodbye, disconnect and close.
mod machine;
mod shell;

pub use shell::{ConnectionShell, Order, Parts};
