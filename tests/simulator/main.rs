//! The simulator over real sockets, in this process.

// `cfg(test)` is true here anyway; it tells clippy that these modules may panic.
#[cfg(test)]
mod link;
#[cfg(test)]
mod rtm;
#[cfg(test)]
mod stand;
#[cfg(test)]
mod web;
