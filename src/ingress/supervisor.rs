//! The Supervisor: spawns one `ConnectionActor` per token, and a new one when one dies.
mod machine;
mod shell;

pub use shell::{Count, Lifeline, Open, Stop, SupervisorShell};
