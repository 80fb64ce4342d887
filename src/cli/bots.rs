//! The two bots that the program brings along: to try it, and to see how one is written.
pub(super) mod greeter;
pub(super) mod report;
