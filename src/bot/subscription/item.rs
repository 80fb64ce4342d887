//! One item of a subscription, and how it is settled.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::bot::incoming::Incoming;
use crate::bot::{Error, Result};
use crate::flow::effect::{Call, Effect};
use crate::flow::envelope::{Envelope, Kind};
use crate::flow::key::AppName;
use crate::slack::id::TeamId;

/// What became of an item.
#[derive(Debug)]
pub(crate) enum End {
    /// It is settled, and this is to be done.
    Done(Settled),
    /// It was not finished, and why.
    Failed(String),
    /// Nobody read it.
    Unread,
}

/// What an item wants done once it is settled.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) effects: Vec<Effect>,
    pub(crate) answer: Option<Box<RawValue>>,
}

/// Who is told what became of an item.
pub(crate) trait Settle: Send + Sync {
    fn end(&self, slot: u64, end: End);
}

/// An item on its way to its reader.
pub(crate) struct Lent {
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) slot: u64,
    pub(crate) attempt: u32,
    pub(crate) settle: Arc<dyn Settle>,
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent")
            .field("id", &self.envelope.id)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl Lent {
    pub(super) fn end(&self, end: End) {
        self.settle.end(self.slot, end);
    }
}

/// One thing that Slack delivered, to be settled by [`Item::done`].
///
/// Dropping it unfinished, also by a panic, is a failed attempt: it comes again, up to 5 times, and then it is kept as
/// a dead letter. What it is to cause in Slack is recorded in it, and leaves when it is settled: all of it or nothing.
#[derive(Debug)]
#[must_use = "an item that is dropped unfinished has failed; settle it with `done`"]
pub struct Item {
    lent: Lent,
    settled: Settled,
    is_over: bool,
}

impl Item {
    pub(super) fn new(lent: Lent) -> Self {
        Self {
            lent,
            settled: Settled::default(),
            is_over: false,
        }
    }

    /// Its type: an event's, such as `message`; a command with its slash; an interaction's.
    pub fn kind(&self) -> &str {
        &self.lent.envelope.subject.name
    }

    /// Slack's name for it: an event's `event_id`; the `envelope_id` of a command or interaction. Something of our own
    /// making where Slack gives none.
    pub fn id(&self) -> &str {
        let envelope = &self.lent.envelope;
        let id = envelope.id.strip_prefix(envelope.app.as_str());
        id.and_then(|id| id.strip_prefix('/')).unwrap_or_default()
    }

    /// The app that it came to, by its configured name.
    pub fn app(&self) -> &AppName {
        &self.lent.envelope.app
    }

    /// The workspace it is about.
    pub fn team(&self) -> &TeamId {
        &self.lent.envelope.team
    }

    /// 1 for the first try in this process.
    pub fn attempt(&self) -> u32 {
        self.lent.attempt
    }

    /// Whether Slack shows somebody an answer to it: a command or an interaction.
    pub fn is_answered(&self) -> bool {
        self.lent.envelope.kind.is_answered()
    }

    /// It as one of the types that handlers receive, such as [`Message`](crate::slack::event::Message) or
    /// [`Command`](crate::slack::event::Command).
    ///
    /// # Errors
    /// When it is something else.
    pub fn read<E: Incoming>(&self) -> Result<E> {
        let envelope = &self.lent.envelope;
        if E::is_one(envelope.kind, &envelope.subject) {
            return E::read(envelope);
        }
        let wanted = std::any::type_name::<E>();
        Err(format!("{} is no {wanted}", self.kind()).into())
    }

    /// Its JSON, as a type of the author's: the event, or a command's or interaction's payload.
    ///
    /// # Errors
    /// When the JSON does not have that shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let envelope = &self.lent.envelope;
        let json = match envelope.kind {
            Kind::Event | Kind::RtmEvent => &envelope.event,
            Kind::Command | Kind::Interaction | Kind::JobResult | Kind::Memo => &envelope.payload,
        };
        Ok(serde_json::from_slice(json)?)
    }

    /// Posts in the channel where it happened, once it is settled.
    pub fn say(&mut self, text: impl Into<String>) {
        self.post(text.into(), None);
    }

    /// Posts in the thread of the message that it is about, once it is settled; begins the thread if there is none.
    pub fn reply(&mut self, text: impl Into<String>) {
        let subject = &self.lent.envelope.subject;
        let heads = [&subject.thread_ts, &subject.ts];
        let head = heads.into_iter().find(|ts| !ts.is_empty());
        let head = head.map(|ts| json!(ts));
        self.post(text.into(), head);
    }

    /// Calls any method of the Web API once it is settled, as [`Turn::call`](crate::bot::turn::Turn::call) does.
    pub fn call(&mut self, method: &str, args: Map<String, Value>) {
        self.settled.effects.push(Effect::Call(Call {
            method: method.to_owned(),
            args,
            posted: BTreeMap::default(),
        }));
    }

    fn post(&mut self, text: String, thread: Option<Value>) {
        let channel = json!(self.lent.envelope.subject.channel);
        let mut args = Map::from_iter([
            ("channel".to_owned(), channel),
            ("text".to_owned(), text.into()),
        ]);
        args.extend(thread.map(|thread| ("thread_ts".to_owned(), thread)));
        self.call("chat.postMessage", args);
    }

    /// It is dealt with: what was recorded leaves, once that is durable.
    pub fn done(mut self) {
        let settled = std::mem::take(&mut self.settled);
        self.over(End::Done(settled));
    }

    /// It is dealt with, and this is the answer to whoever waits. Within 2.5 s it rides in the ack; later, or when it is
    /// long, a command's goes to its `response_url`.
    ///
    /// # Errors
    /// When the answer can't be written as JSON: the item has failed then.
    pub fn respond(mut self, answer: &impl Serialize) -> Result<()> {
        self.settled.answer = Some(serde_json::value::to_raw_value(answer)?);
        self.done();
        Ok(())
    }

    /// It is not dealt with: a failed attempt, with its reason.
    pub fn fail(mut self, error: impl Into<Error>) {
        let error = error.into().to_string();
        self.over(End::Failed(error));
    }

    fn over(&mut self, end: End) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.lent.end(end);
        }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.over(End::Failed("it was dropped unfinished".to_owned()));
    }
}
