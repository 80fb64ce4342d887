//! Effects: what a turn wants done, written by its commit and performed after it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::envelope::Context;
use crate::slack::id::{ChannelId, Ts};

/// The durable name of an effect: its delivery and its number within the turn, `acme/Ev1/greeter#0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectName(pub String);

/// One thing to do once the commit is durable.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A Web API call.
    Call(Call),
    /// A deferred job.
    Job(Job),
    /// A message to another key.
    Memo(Memo),
}

/// A Web API call that waits in the outbox.
#[derive(Clone, Serialize, Deserialize)]
pub struct Call {
    /// The method's name, or an `http…` URL to post to (`response_url`).
    pub method: String,
    /// Its arguments.
    pub args: Map<String, Value>,
    /// Arguments that are the `ts` of something posted earlier, by argument.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub posted: BTreeMap<String, EffectName>,
}

impl Call {
    /// What orders it among the calls of its (app, team): its channel, else its method or URL.
    pub fn lane(&self) -> String {
        match self.args.get("channel") {
            Some(Value::String(channel)) => channel.clone(),
            // A `response_url` lets its holder post: only its hash may show.
            _ if self.is_to_url() => {
                format!("response_url/{:016x}", xxh3_64(self.method.as_bytes()))
            }
            _ => self.method.clone(),
        }
    }

    /// Whether it goes to a `response_url`.
    pub fn is_to_url(&self) -> bool {
        self.method.starts_with("http")
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = if self.is_to_url() {
            "response_url"
        } else {
            &self.method
        };
        f.debug_struct("Call")
            .field("method", &method)
            .finish_non_exhaustive()
    }
}

/// A deferred job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The job's NAME.
    pub name: String,
    /// What it is given.
    pub input: Box<RawValue>,
    /// The key its result goes back to.
    pub key: String,
    /// Where it was deferred.
    pub context: Context,
    /// How many messages between keys led to it.
    #[serde(default)]
    pub hops: u32,
}

/// A message to another key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Memo {
    /// The memo's NAME.
    pub name: String,
    /// What it says.
    pub body: Box<RawValue>,
    /// The key it is for.
    pub key: String,
    /// The key that sends it.
    pub from: String,
    /// Where it was sent.
    pub context: Context,
    /// How many messages between keys led to it, itself included.
    pub hops: u32,
}

/// A message: one that Slack delivered, or one that a turn posts and whose `ts` is not known yet.
///
/// May be kept in a handler's state and named by later effects as their thread or target: when the effect
/// leaves, the `ts` is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// Where it stands.
    pub channel: ChannelId,
    /// Which message it is.
    #[serde(flatten)]
    pub message: MessageRef,
}

/// Which message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageRef {
    /// Slack has named it.
    Ts(Ts),
    /// It is posted by this effect.
    Effect(EffectName),
}

impl Posted {
    /// Writes the message's `ts` as `argument` of `call`, now or when it is known.
    pub fn name_in(&self, call: &mut Call, argument: &str) {
        match &self.message {
            MessageRef::Ts(ts) => {
                call.args.insert(argument.into(), ts.as_str().into());
            }
            MessageRef::Effect(name) => {
                call.posted.insert(argument.into(), name.clone());
            }
        }
    }
}

/// An effect that is durable and not yet done.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The journal entry of its turn.
    pub seq: u64,
    /// Its number within the turn.
    pub n: u32,
    /// Its durable name.
    pub name: EffectName,
    /// The app that acts.
    pub app: super::key::AppName,
    /// The workspace it acts in.
    pub team: crate::slack::id::TeamId,
    /// What to do.
    pub effect: Effect,
    /// When its turn was committed, or soon after, but before it was done: milliseconds since 1970; 0 where that is
    /// not known.
    pub at_ms: u64,
    /// It may have been done before a crash: look before doing it again.
    pub is_recovered: bool,
}
