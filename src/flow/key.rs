//! The key: which actor a delivery belongs to.

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::slack::id::TeamId;

/// The name an app has in the configuration. Durable: part of every key and of every stored event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppName(Arc<str>);

impl AppName {
    /// Wraps a checked name (the configuration allows `[a-z0-9-]`, up to 64 characters).
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much one activation's state covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One activation per workspace.
    Team,
    /// One per user of a workspace.
    User,
    /// One per channel.
    Channel,
    /// One per thread; a message outside threads is the head of its own.
    Thread,
}

impl Scope {
    fn word(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::User => "user",
            Self::Channel => "channel",
            Self::Thread => "thread",
        }
    }
}

/// Handler, app, team, scope and id, as one text: `greeter/acme/T1/user/U1`.
///
/// Two apps in one team share nothing, two handlers share nothing. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// The key of `handler` for what happened in `team` of `app`.
    pub fn new(handler: &str, app: &AppName, team: &TeamId, scope: Scope, id: &str) -> Self {
        let parts = [handler, app.as_str(), team.as_str(), scope.word(), id];
        Self(parts.join("/").into())
    }

    /// A key that was stored.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The handler's NAME.
    pub fn handler(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The home shard of a workspace: everything of one (app, team) is decided on one thread.
///
/// Placement is not stored, so that the number of shards may change between two runs.
pub fn home_shard(app: &AppName, team: &TeamId, shards: usize) -> usize {
    let hash = xxh3_64(app.as_str().as_bytes()) ^ xxh3_64(team.as_str().as_bytes()).rotate_left(32);
    usize::try_from(hash % u64::try_from(shards.max(1)).unwrap_or(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_2_apps_teams_handlers_and_scopes_never_share_a_key() {
        let keys: std::collections::HashSet<Key> = [
            ("h", "a", "T1", Scope::User),
            ("g", "a", "T1", Scope::User),
            ("h", "b", "T1", Scope::User),
            ("h", "a", "T2", Scope::User),
            ("h", "a", "T1", Scope::Channel),
        ]
        .map(|(handler, app, team, scope)| {
            Key::new(handler, &AppName::new(app), &team.into(), scope, "X1")
        })
        .into();
        assert_eq!(keys.len(), 5);
        assert!(keys.iter().any(|key| key.handler() == "g"));
    }

    #[test]
    fn a_workspace_stays_on_its_shard_and_many_workspaces_use_all() {
        let app = AppName::new("acme");
        let mut used = [0; 4];
        for n in 0..400 {
            let team = TeamId::new(format!("T{n}"));
            assert_eq!(home_shard(&app, &team, 4), home_shard(&app, &team, 4));
            used[home_shard(&app, &team, 4)] += 1;
        }
        assert!(used.iter().all(|&n| n > 50), "{used:?}");
    }
}
