//! What an author's turn needs from below comes through here, so that authors' code knows no network.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};

use super::key::AppName;
use crate::slack::error::Then;
use crate::slack::id::TeamId;

/// Reads from Slack, for a turn that waits for the answer.
pub trait Reads {
    /// Calls `method`, which changes nothing, as `app` in `team`.
    fn read(
        &self,
        app: &AppName,
        team: &TeamId,
        method: &'static str,
        args: Map<String, Value>,
    ) -> LocalBoxFuture<'static, Result<Vec<u8>, ReadError>>;
}

/// Calls that a turn makes before its commit, at its own risk.
pub trait Calls {
    /// Waits until everything that this key committed before is durable, then calls `method` as `app` in `team`.
    fn call(
        &self,
        app: &AppName,
        team: &TeamId,
        method: String,
        args: Map<String, Value>,
    ) -> LocalBoxFuture<'static, Result<Vec<u8>, ReadError>>;
}

/// Why a read, or a call within a turn, failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ReadError {
    /// What happened.
    pub text: String,
    /// What to do next.
    pub then: Then,
    /// How long Slack asks to wait.
    pub after: Option<Duration>,
}
