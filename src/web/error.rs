//! How a call can fail, and what to do next.

use std::time::Duration;

use crate::slack::error::{Code, Then};

/// A failed call. Holds no token and no argument.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Slack asks to wait.
    #[error("{method}: rate limited for {} s", .after.as_secs())]
    RateLimited {
        /// The method.
        method: String,
        /// How long nothing may be sent to it.
        after: Duration,
    },
    /// Slack says no.
    #[error("{method}: {code}{detail}")]
    Slack {
        /// The method.
        method: String,
        /// Slack's word.
        code: Code,
        /// What else it says: missing scopes, messages.
        detail: String,
    },
    /// An answer that is not Slack's JSON.
    #[error("{method}: HTTP {status}{detail}")]
    Http {
        /// The method.
        method: String,
        /// The status.
        status: u16,
        /// What was wrong with it.
        detail: String,
    },
    /// No answer: the call may or may not have been done.
    #[error("{method}: {why}")]
    Unanswered {
        /// The method.
        method: String,
        /// What happened.
        why: String,
    },
    /// The call can't be made at all.
    #[error("{method}: {why}")]
    Impossible {
        /// The method.
        method: String,
        /// Why.
        why: String,
    },
}

impl Error {
    /// What to do next.
    pub fn then(&self) -> Then {
        match self {
            Self::RateLimited { .. } | Self::Unanswered { .. } => Then::Retry,
            Self::Slack { code, .. } => code.then(),
            Self::Http { status, .. } if *status >= 500 || *status == 408 => Then::Retry,
            Self::Http { .. } | Self::Impossible { .. } => Then::GiveUp,
        }
    }

    /// How long Slack asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { after, .. } => Some(*after),
            _ => None,
        }
    }

    /// Whether the call may have been done all the same.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Unanswered { .. } => true,
            Self::Http { status, .. } => *status >= 500,
            Self::Slack { code, .. } => matches!(code.as_str(), "internal_error" | "fatal_error"),
            Self::RateLimited { .. } | Self::Impossible { .. } => false,
        }
    }
}
