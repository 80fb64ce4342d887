//! Who we are in each workspace: learnt from `auth.test` and `rtm.connect` before the first event, read on
//! every event, never asked for on the event path.

use std::sync::Arc;

use dashmap::DashMap;

use super::key::AppName;
use crate::base::secret::Secret;
use crate::slack::id::{BotId, TeamId, UserId};

/// One install of an app in one workspace.
#[derive(Debug, Clone)]
pub struct Install {
    /// The token that acts there.
    pub token: Secret,
    /// The user the bot posts as.
    pub user: UserId,
    /// The bot record; empty when Slack did not tell.
    pub bot: BotId,
    /// The workspace's name, for people.
    pub team_name: String,
}

/// Every install that is known, by app and workspace. Read-mostly; shared by all threads.
#[derive(Debug, Clone, Default)]
pub struct Installs {
    known: Arc<DashMap<(AppName, TeamId), Install>>,
    unasked: Arc<DashMap<(AppName, String), ()>>,
}

impl Installs {
    /// Adds or replaces an install.
    pub fn put(&self, app: &AppName, team: &TeamId, install: Install) {
        self.known.insert((app.clone(), team.clone()), install);
    }

    /// A token of `app` is configured, and Slack was not asked yet whose it is. `place` tells an app's tokens apart.
    pub fn expect(&self, app: &AppName, place: &str) {
        self.unasked.insert((app.clone(), place.to_owned()), ());
    }

    /// Slack told whose the token in `place` is, or that it is void.
    pub fn asked(&self, app: &AppName, place: &str) {
        self.unasked.remove(&(app.clone(), place.to_owned()));
    }

    /// Whether every token of `app` was asked for: then an install that is not known is not there.
    pub fn is_complete(&self, app: &AppName) -> bool {
        !self.unasked.iter().any(|unasked| unasked.key().0 == *app)
    }

    /// The install of `app` in `team`.
    pub fn get(&self, app: &AppName, team: &TeamId) -> Option<Install> {
        self.known
            .get(&(app.clone(), team.clone()))
            .map(|found| found.value().clone())
    }

    /// The names of the workspaces an app is known to be installed in, in order.
    pub fn team_names(&self, app: &AppName) -> Vec<String> {
        let of_app = self.known.iter().filter(|install| install.key().0 == *app);
        let mut names: Vec<String> = of_app.map(|install| install.team_name.clone()).collect();
        names.sort();
        names
    }

    /// Whether (user, bot) is the app itself. Unknown installs hide nobody.
    pub fn is_own(&self, app: &AppName, team: &TeamId, user: &str, bot: &str) -> bool {
        self.known
            .get(&(app.clone(), team.clone()))
            .is_some_and(|found| {
                (!user.is_empty() && found.user.as_str() == user)
                    || (!bot.is_empty() && found.bot.as_str() == bot)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_posts_are_known_by_user_or_bot_and_unknown_installs_hide_nobody() {
        let (installs, app, team) = (Installs::default(), AppName::new("a"), TeamId::new("T1"));
        assert!(!installs.is_own(&app, &team, "U1", "B1"));
        let install = Install {
            token: Secret::new("xoxb-1"),
            user: "U1".into(),
            bot: BotId::default(),
            team_name: String::new(),
        };
        installs.put(&app, &team, install);
        assert!(installs.is_own(&app, &team, "U1", ""));
        assert!(!installs.is_own(&app, &team, "U2", "B2"));
        assert!(!installs.is_own(&app, &team, "", ""));
    }

    #[test]
    fn an_app_is_complete_when_each_of_its_tokens_was_asked_for() {
        let (installs, app, other) = (Installs::default(), AppName::new("a"), AppName::new("b"));
        installs.expect(&app, "1");
        installs.expect(&app, "2");
        installs.asked(&app, "1");
        installs.asked(&app, "1");
        assert!(!installs.is_complete(&app));
        assert!(installs.is_complete(&other));
        installs.asked(&app, "2");
        assert!(installs.is_complete(&app));
    }
}
