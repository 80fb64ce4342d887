//! The places and people of the simulated Slack: workspaces, users, channels, apps and their tokens.
//!
//! Built before the simulator starts. Every id and token follows from the order of the calls, so the same
//! program builds the same world again. What people write lives elsewhere.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::slack::id::{AppId, BotId, ChannelId, TeamId, UserId};

/// A builder was given an id that this world does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    kind: &'static str,
    id: String,
}

impl Unknown {
    fn new(kind: &'static str, id: impl fmt::Display) -> Self {
        Self {
            kind,
            id: id.to_string(),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this world has no {} `{}`; add it before it is used",
            self.kind, self.id
        )
    }
}

impl std::error::Error for Unknown {}

/// How an app is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Socket Mode: one app-level token, one stream of envelopes for all workspaces.
    Socket,
    /// RTM: one bot token and one socket per workspace; no slash commands.
    Rtm,
}

/// One workspace.
#[derive(Debug, Clone)]
pub(crate) struct Team {
    pub(crate) id: TeamId,
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) users: Vec<User>,
    pub(crate) channels: Vec<Channel>,
}

/// A person, or an app's bot user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) real_name: String,
    /// Set for bot users: the bot record and its app.
    pub(crate) bot: Option<(BotId, AppId)>,
}

/// One channel.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) members: Vec<UserId>,
    inside: HashSet<UserId>,
}

impl Channel {
    /// Whether `user` is a member.
    pub(crate) fn has(&self, user: &UserId) -> bool {
        self.inside.contains(user)
    }

    fn join(&mut self, user: &UserId) {
        if self.inside.insert(user.clone()) {
            self.members.push(user.clone());
        }
    }
}

/// A slash command that an app answers.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    /// With its slash.
    pub(crate) name: String,
    pub(crate) usage_hint: String,
    pub(crate) description: String,
}

/// An app in one workspace.
#[derive(Debug, Clone)]
pub(crate) struct Install {
    pub(crate) team: TeamId,
    pub(crate) user: UserId,
    pub(crate) bot: BotId,
    pub(crate) token: String,
}

/// A Slack app.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) id: AppId,
    pub(crate) name: String,
    pub(crate) transport: Transport,
    /// The app-level token; only Socket Mode apps have one.
    pub(crate) level_token: Option<String>,
    pub(crate) commands: Vec<Command>,
    pub(crate) installs: Vec<Install>,
    install_at: HashMap<TeamId, usize>,
}

impl App {
    /// The app's install in a workspace.
    pub(crate) fn install_in(&self, team: &TeamId) -> Option<&Install> {
        self.installs.get(*self.install_at.get(team)?)
    }
}

/// Whom a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// An app-level token.
    App(AppId),
    /// A bot token: the app in one workspace.
    Bot(AppId, TeamId),
}

/// The simulated workspaces with their users, channels and apps.
///
/// ```
/// use callboard::sim::{Transport, World};
/// # fn main() -> Result<(), callboard::sim::Unknown> {
/// let mut world = World::empty();
/// let team = world.team("Lantern Theatre");
/// let ann = world.user(&team, "ann", "Ann Ash")?;
/// let general = world.channel(&team, "general", "Everything")?;
/// let app = world.app("callboard", Transport::Socket);
/// world.command(&app, "/greeted", "", "How often was I greeted?")?;
/// let bot_token = world.install(&app, &team)?;
/// assert!(bot_token.starts_with("xoxb-"));
/// # let _used = (ann, general);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct World {
    teams: Vec<Team>,
    apps: Vec<App>,
    team_at: HashMap<TeamId, usize>,
    channel_at: HashMap<ChannelId, (usize, usize)>,
    user_at: HashMap<UserId, (usize, usize)>,
    app_at: HashMap<AppId, usize>,
    holders: HashMap<String, Holder>,
    bots: usize,
}

impl World {
    /// A world without workspaces and apps.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds a workspace.
    pub fn team(&mut self, name: &str) -> TeamId {
        let id = TeamId::new(format!("T{:08}", self.teams.len() + 1));
        self.team_at.insert(id.clone(), self.teams.len());
        self.teams.push(Team {
            id: id.clone(),
            name: name.to_owned(),
            domain: name.to_lowercase().replace(' ', "-"),
            users: Vec::new(),
            channels: Vec::new(),
        });
        id
    }

    /// Adds a person, who joins every channel the workspace has so far.
    pub fn user(&mut self, team: &TeamId, name: &str, real_name: &str) -> Result<UserId, Unknown> {
        self.add_user(team, name, real_name, None)
    }

    /// Adds a public channel; everybody who is in the workspace so far is a member.
    pub fn channel(
        &mut self,
        team: &TeamId,
        name: &str,
        topic: &str,
    ) -> Result<ChannelId, Unknown> {
        let at = self.index_of(team)?;
        let id = ChannelId::new(format!("C{:08}", self.channel_at.len() + 1));
        let home = self
            .teams
            .get_mut(at)
            .ok_or_else(|| Unknown::new("workspace", team))?;
        let members: Vec<UserId> = home.users.iter().map(|user| user.id.clone()).collect();
        self.channel_at
            .insert(id.clone(), (at, home.channels.len()));
        home.channels.push(Channel {
            id: id.clone(),
            name: name.to_owned(),
            topic: topic.to_owned(),
            inside: members.iter().cloned().collect(),
            members,
        });
        Ok(id)
    }

    /// Takes a user out of a channel. A bot that is no member hears nothing there and may not write.
    pub fn leave(&mut self, channel: &ChannelId, user: &UserId) -> Result<(), Unknown> {
        let unknown = || Unknown::new("channel", channel);
        let (team, at) = *self.channel_at.get(channel).ok_or_else(unknown)?;
        let channel = self
            .teams
            .get_mut(team)
            .and_then(|team| team.channels.get_mut(at))
            .ok_or_else(unknown)?;
        channel.inside.remove(user);
        channel.members.retain(|member| member != user);
        Ok(())
    }

    /// Adds an app that is installed nowhere yet.
    pub fn app(&mut self, name: &str, transport: Transport) -> AppId {
        let id = AppId::new(format!("A{:08}", self.apps.len() + 1));
        let level_token =
            (transport == Transport::Socket).then(|| format!("xapp-1-{id}-simulated"));
        if let Some(token) = &level_token {
            self.holders.insert(token.clone(), Holder::App(id.clone()));
        }
        self.app_at.insert(id.clone(), self.apps.len());
        self.apps.push(App {
            id: id.clone(),
            name: name.to_owned(),
            transport,
            level_token,
            commands: Vec::new(),
            installs: Vec::new(),
            install_at: HashMap::new(),
        });
        id
    }

    /// Gives an app a slash command (`command` with its slash) wherever the app is installed.
    pub fn command(
        &mut self,
        app: &AppId,
        command: &str,
        usage_hint: &str,
        description: &str,
    ) -> Result<(), Unknown> {
        self.app_mut(app)?.commands.push(Command {
            name: command.to_owned(),
            usage_hint: usage_hint.to_owned(),
            description: description.to_owned(),
        });
        Ok(())
    }

    /// Installs an app in a workspace: its bot user joins every channel there is so far. The bot token is
    /// returned; installing twice returns the token of the first time.
    pub fn install(&mut self, app: &AppId, team: &TeamId) -> Result<String, Unknown> {
        let team_number = self.index_of(team)? + 1;
        let app_number = self.app_at.get(app).map_or(0, |at| at + 1);
        let (name, known) = {
            let app = self.app_mut(app)?;
            let known = app.install_in(team);
            (app.name.clone(), known.map(|install| install.token.clone()))
        };
        if let Some(token) = known {
            return Ok(token);
        }
        self.bots += 1;
        let bot = BotId::new(format!("B{:08}", self.bots));
        let user = self.add_user(team, &name, &name, Some((bot.clone(), app.clone())))?;
        let token = format!("xoxb-{team_number}-{app_number}-simulated");
        self.holders
            .insert(token.clone(), Holder::Bot(app.clone(), team.clone()));
        let app = self.app_mut(app)?;
        app.install_at.insert(team.clone(), app.installs.len());
        app.installs.push(Install {
            team: team.clone(),
            user,
            bot,
            token: token.clone(),
        });
        Ok(token)
    }

    fn add_user(
        &mut self,
        team: &TeamId,
        name: &str,
        real_name: &str,
        bot: Option<(BotId, AppId)>,
    ) -> Result<UserId, Unknown> {
        let at = self.index_of(team)?;
        let id = UserId::new(format!("U{:08}", self.user_at.len() + 1));
        let home = self
            .teams
            .get_mut(at)
            .ok_or_else(|| Unknown::new("workspace", team))?;
        self.user_at.insert(id.clone(), (at, home.users.len()));
        for channel in &mut home.channels {
            channel.join(&id);
        }
        home.users.push(User {
            id: id.clone(),
            name: name.to_owned(),
            real_name: real_name.to_owned(),
            bot,
        });
        Ok(id)
    }

    fn index_of(&self, team: &TeamId) -> Result<usize, Unknown> {
        self.team_at
            .get(team)
            .copied()
            .ok_or_else(|| Unknown::new("workspace", team))
    }

    fn app_mut(&mut self, app: &AppId) -> Result<&mut App, Unknown> {
        self.app_at
            .get(app)
            .and_then(|at| self.apps.get_mut(*at))
            .ok_or_else(|| Unknown::new("app", app))
    }

    pub(crate) fn teams(&self) -> &[Team] {
        &self.teams
    }

    pub(crate) fn apps(&self) -> &[App] {
        &self.apps
    }

    pub(crate) fn find_team(&self, id: &TeamId) -> Option<&Team> {
        self.teams.get(*self.team_at.get(id)?)
    }

    pub(crate) fn find_app(&self, id: &AppId) -> Option<&App> {
        self.apps.get(*self.app_at.get(id)?)
    }

    /// The channel, when it belongs to `team`.
    pub(crate) fn find_channel(&self, team: &TeamId, id: &ChannelId) -> Option<&Channel> {
        let (at, channel) = *self.channel_at.get(id)?;
        let team = self.teams.get(at).filter(|home| home.id == *team)?;
        team.channels.get(channel)
    }

    /// The user, when it belongs to `team`.
    pub(crate) fn find_user(&self, team: &TeamId, id: &UserId) -> Option<&User> {
        let (at, user) = *self.user_at.get(id)?;
        let team = self.teams.get(at).filter(|home| home.id == *team)?;
        team.users.get(user)
    }

    pub(crate) fn find_install(&self, app: &AppId, team: &TeamId) -> Option<&Install> {
        self.find_app(app)?.install_in(team)
    }

    pub(crate) fn holder(&self, token: &str) -> Option<&Holder> {
        self.holders.get(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_tokens_follow_from_the_order_of_the_calls() {
        let build = || {
            let mut world = World::empty();
            let team = world.team("Lantern Theatre");
            world.user(&team, "ann", "Ann Ash").unwrap();
            let channel = world.channel(&team, "general", "").unwrap();
            let app = world.app("callboard", Transport::Socket);
            let token = world.install(&app, &team).unwrap();
            (world, team, channel, app, token)
        };
        let (world, team, channel, app, token) = build();
        assert_eq!(token, build().4);
        assert_eq!(
            world.holder(&token),
            Some(&Holder::Bot(app.clone(), team.clone()))
        );
        let bot = &world.find_install(&app, &team).unwrap().user;
        assert!(world.find_channel(&team, &channel).unwrap().has(bot));
    }

    #[test]
    fn an_unknown_id_is_named_in_the_error() {
        let mut world = World::empty();
        let error = world.user(&TeamId::from("T9"), "ann", "Ann").unwrap_err();
        assert!(error.to_string().contains("`T9`"), "{error}");
    }
}
