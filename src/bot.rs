//! What authors program against: [`HandlerActor`](handler::HandlerActor), [`Turn`](turn::Turn), routes, typed
//! answers, deferred jobs. All that a bot needs of it is in the [`prelude`](crate::prelude).
//!
//! Read in this order: [`handler`] (what an author implements), [`route`] (which events reach it), [`incoming`] (what
//! can be received), [`answer`] (what is given back), [`turn`] (what can be done), [`job`] (slow work).
//! [`subscription`] and [`dispatcher`] are for loops of one's own; [`activation`] is for the runtime.
//!
//! There is no actix type in any signature here, and nothing here sends or stores: a turn only records.
pub mod activation;
pub mod answer;
pub mod dispatcher;
pub mod handler;
pub mod incoming;
pub mod job;
pub mod memo;
pub mod read;
pub mod route;
pub mod subscription;
pub mod turn;

/// What a handler may fail with. Any error converts; its text and causes are kept with the dead letter.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of a handler.
pub type Result<T, E = Error> = std::result::Result<T, E>;
