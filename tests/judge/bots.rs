//! The bots that the judge knows: whom they answer, by which counter, in which words.

use std::fmt;

use super::facts::Greeting;

/// A bot that answers messages and counts its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Bot {
    /// Per user: `Hello <@U>, that makes N`, in the thread where it was greeted.
    Greeter,
    /// Per channel: `Noted <@U> in <#C>, number N`. Each note is told to the tally.
    Clerk,
    /// Per workspace: `Tally N: <@U> was number M in <#C>`, where M is the clerk's number.
    Tally,
    /// Per user: `Canary <@U> sang N`.
    Canary,
    /// Per user: `Aside <@U>, number N`. Its deliveries let others pass while they are tried again.
    Sider,
    /// Per user: `Relay <@U> arrived, number N`, after a chain of memos from the user to himself.
    Relay,
}

/// Whose counter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) bot: Bot,
    pub(crate) app: String,
    pub(crate) team: String,
    /// The user, the channel, or the workspace again.
    pub(crate) id: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bot, app, team, id } = self;
        write!(f, "{bot:?} {app} {team} {id}")
    }
}

/// What a post of a bot says.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) bot: Bot,
    pub(super) count: u64,
    pub(super) user: String,
    /// The channel it names, where it names one.
    pub(super) channel: Option<String>,
    /// The clerk's number, in the tally's words.
    pub(super) number: Option<u64>,
}

impl Bot {
    /// Every bot.
    pub(super) const ALL: [Self; 6] = [
        Self::Greeter,
        Self::Clerk,
        Self::Tally,
        Self::Canary,
        Self::Sider,
        Self::Relay,
    ];

    /// Its name as a handler.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Greeter => "greeter",
            Self::Clerk => "clerk",
            Self::Tally => "tally",
            Self::Canary => "canary",
            Self::Sider => "sider",
            Self::Relay => "relay",
        }
    }

    /// Whether its events are handled in the order in which they came.
    pub(super) fn keeps_order(self) -> bool {
        match self {
            Self::Greeter | Self::Clerk | Self::Canary => true,
            // The tally's order is that of its notes; memos and what comes from people pass each other.
            Self::Tally | Self::Sider | Self::Relay => false,
        }
    }

    /// Whether a message with this text is to be answered.
    pub(super) fn is_asked_by(self, text: &str) -> bool {
        let word = match self {
            Self::Greeter | Self::Clerk | Self::Tally => "hello",
            Self::Canary => "canary",
            Self::Sider => "aside",
            Self::Relay => "relay",
        };
        text.to_lowercase().contains(word)
    }

    /// Whose counter `greeting` counts for.
    pub(super) fn key_of(self, greeting: &Greeting) -> Key {
        let id = match self {
            Self::Greeter | Self::Canary | Self::Sider | Self::Relay => &greeting.user,
            Self::Clerk => &greeting.channel,
            Self::Tally => &greeting.team,
        };
        self.key(&greeting.app, &greeting.team, id)
    }

    /// The thread in which `greeting` is answered.
    pub(super) fn thread_of(self, greeting: &Greeting) -> Option<&String> {
        let is_threaded = self == Self::Greeter;
        greeting.thread_ts.as_ref().filter(|_| is_threaded)
    }

    pub(super) fn key(self, app: &str, team: &str, id: &str) -> Key {
        Key {
            bot: self,
            app: app.to_owned(),
            team: team.to_owned(),
            id: id.to_owned(),
        }
    }
}

impl Words {
    /// Understands the text of a post; nothing when it is no bot's answer.
    pub(super) fn read(text: &str) -> Option<Self> {
        let words = |bot, user: &str, count: &str| {
            Some(Self {
                bot,
                count: count.parse().ok()?,
                user: user.to_owned(),
                channel: None,
                number: None,
            })
        };
        if let Some(rest) = text.strip_prefix("Hello <@") {
            let (user, count) = rest.split_once(">, that makes ")?;
            return words(Bot::Greeter, user, count);
        }
        for (bot, before, between) in [
            (Bot::Canary, "Canary <@", "> sang "),
            (Bot::Sider, "Aside <@", ">, number "),
            (Bot::Relay, "Relay <@", "> arrived, number "),
        ] {
            if let Some(rest) = text.strip_prefix(before) {
                let (user, count) = rest.split_once(between)?;
                return words(bot, user, count);
            }
        }
        if let Some(rest) = text.strip_prefix("Noted <@") {
            let (user, rest) = rest.split_once("> in <#")?;
            let (channel, count) = rest.split_once(">, number ")?;
            return Some(Self {
                channel: Some(channel.to_owned()),
                ..words(Bot::Clerk, user, count)?
            });
        }
        let (count, rest) = text.strip_prefix("Tally ")?.split_once(": <@")?;
        let (user, rest) = rest.split_once("> was number ")?;
        let (number, channel) = rest.strip_suffix('>')?.split_once(" in <#")?;
        Some(Self {
            channel: Some(channel.to_owned()),
            number: Some(number.parse().ok()?),
            ..words(Bot::Tally, user, count)?
        })
    }

    /// Whose counter it is, posted by `app` in `team`.
    pub(super) fn key(&self, app: &str, team: &str) -> Key {
        let id = match self.bot {
            Bot::Greeter | Bot::Canary | Bot::Sider | Bot::Relay => self.user.as_str(),
            Bot::Clerk => self.channel.as_deref().unwrap_or_default(),
            Bot::Tally => team,
        };
        self.bot.key(app, team, id)
    }
}
