//! Which handlers an envelope reaches, and by which keys. Pure.

use std::collections::{HashMap, HashSet};

use crate::actor::fence::fenced_now;
use crate::bot::activation::Registration;
use crate::bot::route::{Matcher, Policy};
use crate::flow::envelope::{Envelope, Internal};
use crate::flow::key::{Key, Scope};

/// Every route of every handler, checked.
#[derive(Debug, Clone)]
pub struct Router {
    handlers: Vec<Registration>,
}

/// A fault of the wiring, found at start-up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A NAME can't be part of a key.
    #[error("handler {0:?}: a NAME has 1 to 64 characters and neither `/` nor `#`")]
    Name(String),
    /// Two handlers have one NAME.
    #[error("two handlers have the NAME {0:?}: names are durable and must differ")]
    SameName(String),
    /// Nothing ever reaches a handler.
    #[error("handler {0:?} has no route: nothing would ever reach it")]
    NoRoute(String),
    /// Two routes would answer one command.
    #[error("command {command} is answered by {first:?} and by {second:?}: Slack takes one answer")]
    TwoAnswers {
        /// The command.
        command: String,
        /// A handler.
        first: String,
        /// Another, or the same.
        second: String,
    },
    /// A command without its slash.
    #[error("handler {handler:?}: the command {command:?} must begin with `/`")]
    NoSlash {
        /// The handler.
        handler: String,
        /// The command.
        command: String,
    },
    /// Two jobs have one NAME.
    #[error("two jobs have the NAME {0:?}: names are durable and must differ")]
    SameJob(String),
}

/// Where a delivery goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whose it is.
    pub key: Key,
    /// Which route of the handler.
    pub route: usize,
    /// How that route's turns run.
    pub policy: Policy,
}

impl Router {
    /// Checks the wiring.
    ///
    /// # Errors
    /// Every fault, not only the first.
    pub fn new(handlers: Vec<Registration>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut names = HashSet::new();
        let mut commands: HashMap<&str, &str> = HashMap::new();
        let mut jobs = HashSet::new();
        for handler in &handlers {
            let name = handler.name;
            if name.is_empty() || name.len() > 64 || name.contains(['/', '#']) {
                faults.push(Fault::Name(name.to_owned()));
            }
            if !names.insert(name) {
                faults.push(Fault::SameName(name.to_owned()));
            }
            if handler.matchers.is_empty() {
                faults.push(Fault::NoRoute(name.to_owned()));
            }
            for (job, _) in &handler.jobs {
                if !jobs.insert(job) {
                    faults.push(Fault::SameJob((*job).to_owned()));
                }
            }
            for command in handler
                .matchers
                .iter()
                .filter_map(|matcher| matcher.command.as_deref())
            {
                if !command.starts_with('/') {
                    faults.push(Fault::NoSlash {
                        handler: name.to_owned(),
                        command: command.to_owned(),
                    });
                }
                if let Some(first) = commands.insert(command, name) {
                    faults.push(Fault::TwoAnswers {
                        command: command.to_owned(),
                        first: first.to_owned(),
                        second: name.to_owned(),
                    });
                }
            }
        }
        if faults.is_empty() {
            Ok(Self { handlers })
        } else {
            Err(faults)
        }
    }

    /// The deliveries of an envelope: within a handler the first matching route gets it, and every handler
    /// that has one. A route whose key the envelope does not have does not match.
    pub fn targets(&self, envelope: &Envelope) -> Vec<Target> {
        self.handlers
            .iter()
            .filter_map(|handler| Self::target_in(handler, envelope))
            .collect()
    }

    /// Where a stored delivery goes today; nothing when its handler or route is gone.
    pub fn target_of(&self, key: &Key, envelope: &Envelope) -> Option<Target> {
        let handler = self.handler(key.handler())?;
        Self::target_in(handler, envelope).map(|target| Target {
            // The key was fixed at admission, whatever today's routes would make of it.
            key: key.clone(),
            ..target
        })
    }

    /// A handler by its NAME.
    pub fn handler(&self, name: &str) -> Option<&Registration> {
        self.handlers.iter().find(|handler| handler.name == name)
    }

    /// Every handler.
    pub fn handlers(&self) -> &[Registration] {
        &self.handlers
    }

    /// Subscriptions get nothing more.
    pub fn close(&self) {
        for feed in self.handlers.iter().filter_map(Registration::feed) {
            feed.close();
        }
    }

    /// Every slash command that is answered, in order.
    pub fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = self
            .handlers
            .iter()
            .flat_map(|handler| handler.matchers.iter())
            .filter_map(|matcher| matcher.command.clone())
            .collect();
        commands.sort();
        commands
    }

    fn target_in(handler: &Registration, envelope: &Envelope) -> Option<Target> {
        let matching = handler.matchers.iter().enumerate();
        matching
            .filter(|(_, matcher)| is_taken(handler.name, matcher, envelope))
            .find_map(|(route, matcher)| {
                Some(Target {
                    key: key_of(handler.name, matcher, envelope)?,
                    route,
                    policy: matcher.policy,
                })
            })
    }
}

/// A predicate is the author's: one that panics does not match, and takes nobody with it.
fn is_taken(handler: &str, matcher: &Matcher, envelope: &Envelope) -> bool {
    fenced_now(|| matcher.is_taken_by(envelope.kind, &envelope.subject)).unwrap_or_else(|error| {
        tracing::error!(handler, route = matcher.label(), event = %envelope.id, %error, "a route's predicate failed");
        false
    })
}

fn key_of(handler: &str, matcher: &Matcher, envelope: &Envelope) -> Option<Key> {
    if envelope.kind.is_internal() {
        // A result goes back to the key that asked, a memo to the key it names; and to no other handler.
        let head: Internal = serde_json::from_slice(&envelope.payload).ok()?;
        let key = Key::from_stored(&head.key);
        return (key.handler() == handler).then_some(key);
    }
    let subject = &envelope.subject;
    let id = match matcher.scope {
        Scope::Team => envelope.team.as_str(),
        Scope::User => subject.user.as_str(),
        Scope::Channel => subject.channel.as_str(),
        Scope::Thread if subject.thread_ts.is_empty() => subject.ts.as_str(),
        Scope::Thread => subject.thread_ts.as_str(),
    };
    if id.is_empty() {
        return None;
    }
    let (app, team) = (&envelope.app, &envelope.team);
    if matcher.scope == Scope::Thread {
        // A thread's ts is unique within its channel only.
        let id = format!("{}/{id}", subject.channel);
        return Some(Key::new(handler, app, team, matcher.scope, &id));
    }
    Some(Key::new(handler, app, team, matcher.scope, id))
}

#[cfg(test)]
mod tests;
