//! The turn: one delivery handled, from start to commit. It records; nothing leaves before the commit.
//!
//! Calls leave in order for each channel, and are tried again when Slack can't be reached or asks to wait. One that
//! Slack refuses becomes a dead letter; the handler does not hear of it. At most 200 things may be recorded in a turn
//! ([`EFFECTS_MAX`](crate::base::limits::EFFECTS_MAX)).

use std::fmt;
use std::rc::Rc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Result;
use super::handler::On;
use super::job::Job;
use super::memo::{Memo, Received, To};
use super::read::Read;
use crate::base::limits::HOPS_MAX;
use crate::flow::delivery::Delivery;
use crate::flow::effect::{Call, Effect, EffectName, MessageRef, Posted};
use crate::flow::envelope::{Context, Envelope, Subject};
use crate::flow::key::{AppName, Key};
use crate::flow::ports::{Calls, ReadError, Reads};
use crate::slack::error::Then;
use crate::slack::id::{ChannelId, TeamId, Ts, UserId};

/// What a handler is given beside the event.
pub struct Turn {
    setting: Setting,
    effects: Vec<Effect>,
}

/// Where a turn stands, and what it may ask.
pub struct Setting {
    /// What is handled, and whose turn it is.
    pub delivery: Delivery,
    /// 1 for the first try.
    pub attempt: u32,
    /// Answers reads.
    pub reads: Rc<dyn Reads>,
    /// Makes calls within the turn.
    pub calls: Rc<dyn Calls>,
}

impl Setting {
    fn envelope(&self) -> &Envelope {
        &self.delivery.envelope
    }

    fn subject(&self) -> &Subject {
        &self.envelope().subject
    }

    /// Who caused it, and where.
    fn context(&self) -> Context {
        Context::of(self.envelope())
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("delivery", &self.setting.delivery.id())
            .field("effects", &self.effects)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("delivery", &self.delivery.id())
            .finish_non_exhaustive()
    }
}

impl Turn {
    /// A turn for one delivery. Made by the runtime, and by tests of handlers.
    pub fn new(setting: Setting) -> Self {
        Self {
            setting,
            effects: Vec::new(),
        }
    }

    /// Posts `text` in the channel where the event happened, outside of any thread. An event that happened nowhere
    /// (see [`Turn::channel`]) needs [`Turn::post`].
    ///
    /// What comes back stands for the message: it can be kept in the state, and named as the thread or the target of
    /// later effects, before Slack has given it a `ts`.
    pub fn say(&mut self, text: impl Into<String>) -> Posted {
        let channel = self.channel().clone();
        self.post(&channel, text)
    }

    /// Posts `text` in a channel.
    pub fn post(&mut self, channel: &ChannelId, text: impl Into<String>) -> Posted {
        let call = call(
            "chat.postMessage",
            [("channel", json!(channel)), ("text", text.into().into())],
        );
        self.posting(channel, call)
    }

    /// Answers in the thread of the message that caused this turn; begins the thread if there is none. After
    /// an event without a message (a slash command) it posts in the channel.
    pub fn reply(&mut self, text: impl Into<String>) -> Posted {
        match self.thread() {
            Some(thread) => self.reply_to(&thread, text),
            None => self.say(text),
        }
    }

    /// Answers in the thread of `message`, which may be one that an earlier effect posts, of this turn or another. If
    /// that one is never posted, the answer becomes a dead letter.
    pub fn reply_to(&mut self, message: &Posted, text: impl Into<String>) -> Posted {
        let mut call = call(
            "chat.postMessage",
            [
                ("channel", json!(message.channel)),
                ("text", text.into().into()),
            ],
        );
        message.name_in(&mut call, "thread_ts");
        self.posting(&message.channel, call)
    }

    /// Replaces the text of a message that this app posted.
    pub fn update(&mut self, message: &Posted, text: impl Into<String>) {
        let mut call = call(
            "chat.update",
            [
                ("channel", json!(message.channel)),
                ("text", text.into().into()),
            ],
        );
        message.name_in(&mut call, "ts");
        self.effects.push(Effect::Call(call));
    }

    /// Adds an emoji, named without colons, to a message.
    pub fn react(&mut self, message: &Posted, emoji: &str) {
        let mut call = call(
            "reactions.add",
            [("channel", json!(message.channel)), ("name", json!(emoji))],
        );
        message.name_in(&mut call, "timestamp");
        self.effects.push(Effect::Call(call));
    }

    /// Calls any method of the Web API, by its name, once the turn is committed: in order with the other calls that
    /// have the same `channel` argument, or without one, with the other calls of the same method. Lists and objects
    /// among `args` travel as JSON text. What Slack answers is not kept.
    pub fn call(&mut self, method: &str, args: Map<String, Value>) {
        self.effects.push(Effect::Call(Call {
            method: method.to_owned(),
            args,
            posted: std::collections::BTreeMap::default(),
        }));
    }

    /// Starts a job once the turn is committed; its result comes back to this key as
    /// [`Done`](super::job::Done), where [`Turn::say`] and [`Turn::reply`] mean the same place as here.
    ///
    /// # Errors
    /// When the job can't be written as JSON.
    pub fn defer<J: Job>(&mut self, job: &J) -> Result<()> {
        self.effects.push(Effect::Job(crate::flow::effect::Job {
            name: J::NAME.to_owned(),
            input: raw(job)?,
            key: self.key().as_str().to_owned(),
            context: self.setting.context(),
            hops: self.setting.envelope().hops,
        }));
        Ok(())
    }

    /// Sends `memo` to a key of the handler `H`, in this app and workspace, once the turn is committed.
    ///
    /// # Errors
    /// When more than [`HOPS_MAX`] memos, one causing the next, led here: a loop; or when the memo can't be
    /// written as JSON.
    pub fn memo<H, M>(&mut self, to: &To, memo: &M) -> Result<()>
    where
        M: Memo,
        H: On<Received<M>>,
    {
        let hops = self.setting.envelope().hops;
        if hops >= HOPS_MAX {
            let text =
                format!("{hops} memos, one causing the next, led to this one: a loop between keys");
            return Err(text.into());
        }
        let target = Key::new(H::NAME, self.app(), self.team(), to.scope, &to.id);
        self.effects.push(Effect::Memo(crate::flow::effect::Memo {
            name: M::NAME.to_owned(),
            body: raw(memo)?,
            key: target.as_str().to_owned(),
            from: self.key().as_str().to_owned(),
            context: self.setting.context(),
            hops: hops + 1,
        }));
        Ok(())
    }

    /// Asks Slack, and waits for the answer. Only what changes nothing can be asked.
    ///
    /// # Errors
    /// What Slack or the way there said; [`ReadError::then`] says what to do.
    pub async fn read<R: Read>(&self, read: &R) -> Result<R::Answer, ReadError> {
        let unreadable = |error: serde_json::Error| ReadError {
            text: format!("{}: {error}", R::METHOD),
            then: Then::GiveUp,
            after: None,
        };
        let args = match serde_json::to_value(read).map_err(unreadable)? {
            Value::Object(args) => args,
            _ => Map::new(),
        };
        let answer = self
            .setting
            .reads
            .read(self.app(), self.team(), R::METHOD, args)
            .await?;
        serde_json::from_slice(&answer).map_err(unreadable)
    }

    /// Calls a method that changes something, and waits for its answer: for whoever can't go on without it.
    ///
    /// It is not part of the commit. It starts only when everything that this key committed before is durable,
    /// and when the turn fails, or the process dies, before its own commit, the turn runs again and so does the
    /// call: it is made at least once. Whatever need not be waited for is better recorded.
    ///
    /// # Errors
    /// What Slack or the way there said; after [`Then::Retry`] the call may have been done all the same.
    pub async fn call_at_least_once(
        &self,
        method: &str,
        args: Map<String, Value>,
    ) -> Result<Value, ReadError> {
        let calls = &self.setting.calls;
        let called = calls.call(self.app(), self.team(), method.to_owned(), args);
        let answer = called.await?;
        serde_json::from_slice(&answer).map_err(|error| ReadError {
            text: format!("{method}: {error}"),
            then: Then::GiveUp,
            after: None,
        })
    }

    /// The message that caused this turn, where a message did.
    pub fn cause(&self) -> Option<Posted> {
        self.message_at(&self.setting.subject().ts)
    }

    /// The head of the thread that this turn is about; a message outside threads is the head of its own.
    pub fn thread(&self) -> Option<Posted> {
        let head = self.message_at(&self.setting.subject().thread_ts);
        head.or_else(|| self.cause())
    }

    fn message_at(&self, ts: &Ts) -> Option<Posted> {
        (!ts.is_empty()).then(|| Posted {
            channel: self.channel().clone(),
            message: MessageRef::Ts(ts.clone()),
        })
    }

    /// The app that is acting, by its configured name.
    pub fn app(&self) -> &AppName {
        &self.setting.envelope().app
    }

    /// The key whose turn this is.
    pub fn key(&self) -> &Key {
        &self.setting.delivery.key
    }

    /// The workspace.
    pub fn team(&self) -> &TeamId {
        &self.setting.envelope().team
    }

    /// Who caused the event; empty where nobody did.
    pub fn user(&self) -> &UserId {
        &self.setting.subject().user
    }

    /// Where it happened; empty where that is nowhere.
    pub fn channel(&self) -> &ChannelId {
        &self.setting.subject().channel
    }

    /// 1 for the first try of this delivery in this process.
    pub fn attempt(&self) -> u32 {
        self.setting.attempt
    }

    /// What was recorded, in order.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// What was recorded, in order, and nothing else of the turn.
    pub fn into_effects(self) -> Vec<Effect> {
        self.effects
    }

    fn posting(&mut self, channel: &ChannelId, call: Call) -> Posted {
        let name = EffectName(format!(
            "{}#{}",
            self.setting.delivery.id(),
            self.effects.len()
        ));
        self.effects.push(Effect::Call(call));
        Posted {
            channel: channel.clone(),
            message: MessageRef::Effect(name),
        }
    }
}

fn call<const N: usize>(method: &str, args: [(&str, Value); N]) -> Call {
    Call {
        method: method.to_owned(),
        args: args
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        posted: std::collections::BTreeMap::default(),
    }
}

fn raw(value: &impl serde::Serialize) -> Result<Box<RawValue>> {
    Ok(serde_json::value::to_raw_value(value)?)
}
