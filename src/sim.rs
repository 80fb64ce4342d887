//! An offline Slack: workspaces, users, channels, the Web API, Socket Mode, RTM, and a page to type in.
//!
//! It shares nothing with the runtime that it tests but the types of Slack's data, and it keeps a record of
//! everything that passed, by which tests judge. The logic is a plain state machine without I/O or clock
//! (`machine`, `book`, `api`); `hub` puts one lock around it, `serve` puts sockets before it.
//!
//! ```no_run
//! use callboard::sim;
//! # fn main() -> std::io::Result<()> {
//! let simulator = sim::start(sim::Options::default())?;
//! println!("{}", simulator.page_url());
//! # Ok(())
//! # }
//! ```

mod api;
mod book;
mod fault;
mod hub;
mod machine;
mod message;
mod record;
mod serve;
mod simulator;
mod theatre;
mod ticket;
mod world;

pub use fault::{Fault, SocketFault, Unsteady};
pub use record::{By, Entry, SocketId, Subject, Via, What};
pub use simulator::{Options, Refused, Simulator, start};
pub use world::{Transport, Unknown, World};

/// What the simulation of the runtime plays in virtual time: Slack's logic without its server.
#[cfg(test)]
pub(crate) mod inside {
    pub(crate) use super::api::{Args, Body, Call};
    pub(crate) use super::book::Terms;
    pub(crate) use super::machine::{Machine, Out, Setup};
}
