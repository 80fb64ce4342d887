//! Dialling, against peers of the tests' own: a Slack of raw bytes, a proxy, TLS with a private root.
#![cfg(test)]

mod certificates;
#[path = "../runtime/folder.rs"]
mod folder;
mod frames;
mod options;
mod peer;
mod proxy;
mod runtime;
mod trace;
