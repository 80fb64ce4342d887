//! What authors program against: [`HandlerActor`](handler::HandlerActor), [`Turn`](turn::Turn), routes, typed
//! answers, deferred jobs.
//!
//! There is no actix type in any signature here, and nothing here sends or stores: a turn only records.
pub mod activation;
pub mod answer;
pub mod handler;
pub mod incoming;
pub mod job;
pub mod memo;
pub mod read;
pub mod route;
pub mod turn;

/// What a handler may fail with. Any error converts; its text and causes are kept with the dead letter.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of a handler.
pub type Result<T, E = Error> = std::result::Result<T, E>;
