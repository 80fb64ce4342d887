//! Slack's error codes, and what to do next about each (fact sheet 5.3).

use std::fmt;

/// What a caller should do about an error. No caller matches on text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The same call may work later.
    Retry,
    /// The call itself is wrong and stays wrong.
    GiveUp,
    /// The token or the install is gone: nothing with this token will work.
    Stop,
}

/// An error code as Slack wrote it. The set is open: a new code is an ordinary value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code(Box<str>);

impl Code {
    /// Wraps Slack's word.
    pub fn new(code: &str) -> Self {
        Self(code.into())
    }

    /// Slack's word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What to do next. A code that is new to us is taken as a fault of the call.
    pub fn then(&self) -> Then {
        match &*self.0 {
            "ratelimited"
            | "rate_limited"
            | "internal_error"
            | "fatal_error"
            | "service_unavailable"
            | "request_timeout"
            | "team_added_to_org"
            | "migration_in_progress" => Then::Retry,
            "invalid_auth"
            | "not_authed"
            | "account_inactive"
            | "token_revoked"
            | "token_expired"
            | "not_allowed_token_type"
            | "org_login_required"
            | "team_access_not_granted"
            | "user_removed_from_team"
            | "team_disabled"
            | "link_disabled" => Then::Stop,
            _ => Then::GiveUp,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_code_says_what_to_do_next() {
        for (code, then) in [
            ("ratelimited", Then::Retry),
            ("internal_error", Then::Retry),
            ("invalid_auth", Then::Stop),
            ("token_revoked", Then::Stop),
            ("channel_not_found", Then::GiveUp),
            ("a_code_of_next_year", Then::GiveUp),
        ] {
            assert_eq!(Code::new(code).then(), then, "{code}");
        }
    }
}
