//! What a handler can receive: [`Message`], [`Command`], [`Event`] for everything else, and [`Done`] for the results
//! of its jobs.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::answer::{Answer, Reply};
use super::job::{Done, Job};
use super::memo::{Memo, Received};
use super::{Error, Result};
use crate::flow::envelope::{self, Envelope, JobResult, Kind, Subject};
use crate::flow::key::Key;
use crate::slack::event::{Command, Message};
use crate::slack::id::Word;

/// A kind of thing that Slack delivers, or that we deliver to ourselves.
///
/// Events that have no type here are received as [`Event`], which any type can be read from.
pub trait Incoming: Sized + 'static {
    /// What its handler gives back.
    type Answer: Answer;

    /// Whether `subject`, of an envelope of `kind`, is one of these at all; routes narrow it further.
    fn is_one(kind: Kind, subject: &Subject) -> bool;

    /// Reads it from the envelope.
    ///
    /// # Errors
    /// A payload of an unexpected shape. The raw JSON is still kept with the dead letter.
    fn read(envelope: &Envelope) -> Result<Self>;
}

fn is_event(kind: Kind) -> bool {
    matches!(kind, Kind::Event | Kind::RtmEvent)
}

/// Messages that somebody wrote: plain, with files, with `/me`, sent to the channel from a thread, or by another
/// bot. Edits, deletions, joins and the like are [`Event`]s.
impl Incoming for Message {
    type Answer = ();

    fn is_one(kind: Kind, subject: &Subject) -> bool {
        is_event(kind)
            && subject.name == "message"
            && matches!(
                subject.subtype.as_str(),
                "" | "file_share" | "me_message" | "thread_broadcast" | "bot_message"
            )
    }

    fn read(envelope: &Envelope) -> Result<Self> {
        // Everything in it was picked out when the envelope was read.
        let subject = &envelope.subject;
        let present = |word: &Word| (!word.is_empty()).then(|| word.clone());
        Ok(Self {
            user: subject.user.clone(),
            channel: subject.channel.clone(),
            channel_type: present(&subject.channel_type),
            text: subject.text.clone(),
            ts: subject.ts.clone(),
            thread_ts: (!subject.thread_ts.is_empty()).then(|| subject.thread_ts.clone()),
            subtype: present(&subject.subtype),
            bot_id: present(&subject.bot),
        })
    }
}

impl Incoming for Command {
    type Answer = Reply;

    fn is_one(kind: Kind, _: &Subject) -> bool {
        kind == Kind::Command
    }

    fn read(envelope: &Envelope) -> Result<Self> {
        Ok(serde_json::from_slice(&envelope.payload)?)
    }
}

/// Any event, known to us or not: its type and its JSON. Routed by [`Routes::event`](super::route::Routes::event).
///
/// ```
/// # use callboard::prelude::*;
/// #[derive(Deserialize)]
/// struct Joined {
///     user: UserId,
///     channel: ChannelId,
/// }
///
/// # fn read(event: &Event) -> Result<()> {
/// let Joined { user, channel } = event.parse()?;
/// # drop((user, channel));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Event {
    /// The event's type: `reaction_added`, `team_join`, …
    pub kind: String,
    /// The event as Slack sent it.
    pub raw: Box<RawValue>,
}

impl Event {
    /// The event as a type of the author's.
    ///
    /// # Errors
    /// When the JSON does not have that shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_str(self.raw.get())?)
    }
}

impl Incoming for Event {
    type Answer = ();

    fn is_one(kind: Kind, _: &Subject) -> bool {
        is_event(kind)
    }

    fn read(envelope: &Envelope) -> Result<Self> {
        Ok(Self {
            kind: envelope.subject.name.to_string(),
            raw: serde_json::from_slice(&envelope.event)?,
        })
    }
}

impl<J: Job> Incoming for Done<J> {
    type Answer = ();

    fn is_one(kind: Kind, subject: &Subject) -> bool {
        kind == Kind::JobResult && subject.name == J::NAME
    }

    fn read(envelope: &Envelope) -> Result<Self> {
        let result: JobResult = serde_json::from_slice(&envelope.payload)?;
        Ok(Self {
            job: serde_json::from_str(&result.input)?,
            output: match result.output {
                Ok(output) => Ok(serde_json::from_str(&output)?),
                Err(text) => Err(Error::from(text)),
            },
        })
    }
}

impl<M: Memo> Incoming for Received<M> {
    type Answer = ();

    fn is_one(kind: Kind, subject: &Subject) -> bool {
        kind == Kind::Memo && subject.name == M::NAME
    }

    fn read(envelope: &Envelope) -> Result<Self> {
        let memo: envelope::Memo = serde_json::from_slice(&envelope.payload)?;
        Ok(Self {
            memo: serde_json::from_str(&memo.body)?,
            from: Key::from_stored(&memo.from),
        })
    }
}
