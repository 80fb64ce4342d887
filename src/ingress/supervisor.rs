//! The Supervisor: spawns one `ConnectionActor` per token, and a new one when one dies.
mod handle;
mod machine;
mod shell;

pub use handle::{Connections, NewApp, NotDone};
pub use shell::{Change, Common, Count, Lifeline, Open, Pass, Stop, SupervisorShell, Told, Wish};
