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

/// Why a read failed.
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
