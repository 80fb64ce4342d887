//! The inbox of a shard: admission, deduplication, durability, acks, and what is settled.
//!
//! An envelope goes to its actors first; what is not committed within a millisecond is stored as an unfinished
//! row, and acked then. A fast turn thus costs one durable write, and its ack already means *handled*.
mod dedupe;
mod lent;
mod machine;
mod messages;
mod shell;

pub use machine::Counted;
pub use messages::{Count, Counts, Entrance, Exhume, FlushWanted, Recovered, Stop};
pub use shell::{InboxShell, Parts};
