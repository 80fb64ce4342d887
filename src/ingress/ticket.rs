//! Asking for a socket's URL, and learning who we are on the way.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Map;

use super::{Line, Transport};
use crate::base::secret::Secret;
use crate::flow::identity::{Install, Installs};
use crate::slack::error::Then;
use crate::slack::id::{BotId, TeamId, UserId};
use crate::web::{Client, Error, Request};

/// A URL that opens one socket, once, soon.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) url: Secret,
    /// The workspace of an RTM socket; empty for Socket Mode.
    pub(super) team: TeamId,
}

/// Why there is no ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) error: String,
    pub(super) after: Option<Duration>,
    /// Asking again will not help.
    pub(super) is_final: bool,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self {
            error: error.to_string(),
            after: error.retry_after(),
            is_final: is_final(&error),
        }
    }
}

/// Whether asking again for a socket is of no use. Codes that are new to us are not among these: they are tried
/// again, ever more rarely.
fn is_final(error: &Error) -> bool {
    if error.then() == Then::Stop {
        return true;
    }
    let Error::Slack { code, .. } = error else {
        return false;
    };
    matches!(
        code.as_str(),
        "forbidden_team" | "missing_scope" | "no_permission" | "access_denied" | "is_bot"
    )
}

#[derive(Deserialize)]
struct Opened {
    #[serde(default)]
    url: String,
    #[serde(default)]
    team: Team,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Team {
    id: TeamId,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Identity {
    team: String,
    team_id: TeamId,
    user_id: UserId,
    bot_id: BotId,
}

/// Asks for a ticket. Bot tokens that are not known yet are asked who they are first, so that the app's own
/// posts are recognised from the first event on.
pub(super) async fn ask(
    web: &Client,
    line: &Line,
    installs: &Installs,
    known: &mut Known,
) -> Result<Ticket, Refused> {
    match &line.transport {
        Transport::SocketMode {
            app_token,
            bot_tokens,
            slots: _,
        } => {
            for (n, token) in bot_tokens.iter().enumerate() {
                if !known.asked.contains(&n) {
                    match identify(web, line, token, installs).await {
                        Ok(_) => {}
                        // One workspace's token is void: the others go on without it.
                        Err(refused) if refused.is_final => {
                            tracing::error!(connection = %line.name, token = n + 1, error = %refused.error,
                                "a bot token is refused; its workspace gets no answers until it is replaced");
                        }
                        Err(refused) => return Err(refused),
                    }
                    known.asked.push(n);
                }
            }
            known.is_all = true;
            open(web, "apps.connections.open", app_token).await
        }
        Transport::Rtm { bot_token, .. } => {
            let identified = identify(web, line, bot_token, installs).await;
            known.is_all |= match &identified {
                Ok(_) => true,
                Err(refused) => refused.is_final,
            };
            let team = identified?;
            let mut ticket = open(web, "rtm.connect", bot_token).await?;
            if ticket.team.is_empty() {
                ticket.team = team;
            }
            Ok(ticket)
        }
    }
}

/// Which bot tokens were asked already, by their place.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    asked: Vec<usize>,
    is_all: bool,
}

impl Known {
    /// Every token is asked again.
    pub(super) fn forget(&mut self) {
        self.asked.clear();
    }

    /// Whether every token was asked once.
    pub(super) fn is_all(&self) -> bool {
        self.is_all
    }
}

async fn open(web: &Client, method: &str, token: &Secret) -> Result<Ticket, Refused> {
    let opened: Opened = parsed(web, method, token).await?;
    Ok(Ticket {
        url: Secret::new(opened.url),
        team: opened.team.id,
    })
}

async fn identify(
    web: &Client,
    line: &Line,
    token: &Secret,
    installs: &Installs,
) -> Result<TeamId, Refused> {
    let identity: Identity = parsed(web, "auth.test", token).await?;
    let install = Install {
        token: token.clone(),
        user: identity.user_id,
        bot: identity.bot_id,
        team_name: identity.team,
    };
    installs.put(&line.app, &identity.team_id, install);
    Ok(identity.team_id)
}

async fn parsed<T: serde::de::DeserializeOwned>(
    web: &Client,
    method: &str,
    token: &Secret,
) -> Result<T, Refused> {
    let request = Request {
        method,
        args: &Map::new(),
        token: Some(token),
    };
    let response = web.call(request).await?;
    response.parse().map_err(|error| Refused {
        error: format!("{method}: {error}"),
        after: None,
        is_final: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slack::error::Code;

    #[test]
    fn what_no_repetition_mends_is_final_and_what_is_new_to_us_is_not() {
        let refused = |code: &str| {
            Refused::from(Error::Slack {
                method: "apps.connections.open".into(),
                code: Code::new(code),
                detail: String::new(),
            })
        };
        for code in [
            "invalid_auth",
            "not_authed",
            "account_inactive",
            "token_revoked",
            "not_allowed_token_type",
            "team_disabled",
            "user_removed_from_team",
            "link_disabled",
            "missing_scope",
            "forbidden_team",
        ] {
            assert!(refused(code).is_final, "{code}");
        }
        for code in [
            "internal_error",
            "migration_in_progress",
            "ratelimited",
            "of_next_year",
        ] {
            assert!(!refused(code).is_final, "{code}");
        }
    }
}
