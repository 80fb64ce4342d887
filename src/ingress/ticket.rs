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
            is_final: error.then() == Then::Stop,
        }
    }
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
        Transport::SocketMode { app_token, .. } => {
            for (n, (place, token)) in line.bot_tokens().into_iter().enumerate() {
                if !known.contains(n) {
                    match identify(web, line, token, &place, installs).await {
                        Ok(_) => {}
                        // One workspace's token is void: the others go on without it.
                        Err(refused) if refused.is_final => {
                            tracing::error!(connection = %line.name, token = n + 1, error = %refused.error,
                                "a bot token is refused; its workspace gets no answers until it is replaced");
                        }
                        Err(refused) => return Err(refused),
                    }
                    known.put(n);
                }
            }
            open(web, "apps.connections.open", app_token).await
        }
        Transport::Rtm { bot_token } => {
            let team = identify(web, line, bot_token, &line.name, installs).await?;
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
pub(super) struct Known(Vec<usize>);

impl Known {
    fn contains(&self, n: usize) -> bool {
        self.0.contains(&n)
    }

    fn put(&mut self, n: usize) {
        self.0.push(n);
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
    place: &str,
    installs: &Installs,
) -> Result<TeamId, Refused> {
    let identity: Identity = match parsed(web, "auth.test", token).await {
        Ok(identity) => identity,
        Err(refused) => {
            if refused.is_final {
                installs.asked(&line.app, place);
            }
            return Err(refused);
        }
    };
    let install = Install {
        token: token.clone(),
        user: identity.user_id,
        bot: identity.bot_id,
        team_name: identity.team,
    };
    installs.put(&line.app, &identity.team_id, install);
    installs.asked(&line.app, place);
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
