//! The envelope: our record of what Slack delivered, whatever transport brought it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::ack::Ack;
use super::gate::Permit;
use super::key::AppName;
use crate::slack::event::{Callback, Command, EventHead};
use crate::slack::id::{ChannelId, TeamId, Ts, UserId};

/// What an envelope carries, and so how its payload is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An Events API callback: the event stands inside.
    Event,
    /// An RTM frame: the event is the whole frame.
    RtmEvent,
    /// A slash command.
    Command,
    /// An interaction: a click, a submission, a shortcut.
    Interaction,
    /// A deferred job's result, made by ourselves.
    JobResult,
}

impl Kind {
    /// Whether Slack waits for an answer with a body.
    pub fn is_answered(self) -> bool {
        matches!(self, Self::Command | Self::Interaction)
    }

    /// The word that the store keeps.
    pub fn word(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::RtmEvent => "rtm_event",
            Self::Command => "command",
            Self::Interaction => "interaction",
            Self::JobResult => "job_result",
        }
    }

    /// The kind a stored word means.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Event,
            Self::RtmEvent,
            Self::Command,
            Self::Interaction,
            Self::JobResult,
        ]
        .into_iter()
        .find(|kind| kind.word() == word)
    }
}

/// The fields by which an envelope is routed. Absent ones are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The event's type, the command with its slash, the interaction's type, or the job's NAME.
    pub name: String,
    /// A message's subtype.
    pub subtype: String,
    /// Who did it.
    pub user: UserId,
    /// Where.
    pub channel: ChannelId,
    /// The message.
    pub ts: Ts,
    /// The thread it is in.
    pub thread_ts: Ts,
    /// The bot that did it.
    pub bot: String,
    /// What was written.
    pub text: String,
}

/// One thing that Slack delivered. Plain, storable, sendable.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// What it is deduplicated by, with the app in front: `acme/Ev1`. Empty: never deduplicated.
    pub id: String,
    /// The app it came to.
    pub app: AppName,
    /// The workspace it is about.
    pub team: TeamId,
    /// How the payload is read.
    pub kind: Kind,
    /// What it is routed by.
    pub subject: Subject,
    /// The JSON as Slack sent it.
    pub payload: Bytes,
    /// When we received it, milliseconds since 1970.
    pub received_ms: u64,
    /// When it happened by Slack's clock, seconds since 1970; 0 when not told.
    pub happened_s: u64,
}

/// What the transport knows of an envelope, beside its payload.
#[derive(Debug, Clone)]
pub struct Origin<'a> {
    /// The app it came to.
    pub app: &'a AppName,
    /// Socket Mode's id, by which commands and interactions are deduplicated; empty elsewhere.
    pub envelope_id: &'a str,
    /// The workspace of an RTM connection, whose frames name the author's instead; empty elsewhere.
    pub team: TeamId,
}

/// An envelope that could not be read, and why. It is not acked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Unreadable {
    /// What was being read.
    pub what: &'static str,
    /// The reader's words.
    pub why: String,
}

impl Unreadable {
    fn new(what: &'static str, why: &serde_json::Error) -> Self {
        Self {
            what,
            why: why.to_string(),
        }
    }
}

impl Envelope {
    /// Reads as much of `payload` as routing needs.
    ///
    /// # Errors
    /// When the payload is not JSON of the shape that `kind` promises.
    pub fn read(
        kind: Kind,
        origin: &Origin<'_>,
        payload: Bytes,
        received_ms: u64,
    ) -> Result<Self, Unreadable> {
        let mut envelope = Self {
            id: String::new(),
            app: origin.app.clone(),
            team: origin.team.clone(),
            kind,
            subject: Subject::default(),
            payload,
            received_ms,
            happened_s: 0,
        };
        match kind {
            Kind::Event => envelope.read_event()?,
            Kind::RtmEvent => envelope.read_rtm()?,
            Kind::Command => envelope.read_command(origin.envelope_id)?,
            Kind::Interaction => envelope.read_interaction(origin.envelope_id)?,
            Kind::JobResult => envelope.read_job()?,
        }
        Ok(envelope)
    }

    fn read_event(&mut self) -> Result<(), Unreadable> {
        let payload = self.payload.clone();
        let callback: Callback<'_> = serde_json::from_slice(&payload)
            .map_err(|error| Unreadable::new("events_api payload", &error))?;
        // In Slack Connect channels the outer id may be the other side's; the authorization is ours.
        self.team = callback
            .authorizations
            .first()
            .and_then(|install| install.team_id.clone())
            .unwrap_or(callback.team_id);
        self.happened_s = callback.event_time;
        if !callback.event_id.is_empty() {
            self.id = format!("{}/{}", self.app, callback.event_id);
        }
        if let Some(event) = callback.event {
            return self.read_inner(event.get().as_bytes());
        }
        self.subject.name = callback.kind.into_owned();
        Ok(())
    }

    fn read_inner(&mut self, event: &[u8]) -> Result<(), Unreadable> {
        let head: EventHead<'_> =
            serde_json::from_slice(event).map_err(|error| Unreadable::new("event", &error))?;
        self.subject = Subject {
            name: head.kind.into_owned(),
            subtype: head.subtype.unwrap_or_default().into_owned(),
            user: head.user.as_ref().map_or("", |user| user.id()).into(),
            channel: head.channel.as_ref().map_or("", |at| at.id()).into(),
            ts: Ts::new(head.ts.unwrap_or_default()),
            thread_ts: Ts::new(head.thread_ts.unwrap_or_default()),
            bot: head.bot_id.unwrap_or_default().into_owned(),
            text: head.text.unwrap_or_default().into_owned(),
        };
        Ok(())
    }

    fn read_rtm(&mut self) -> Result<(), Unreadable> {
        let payload = self.payload.clone();
        self.read_inner(&payload)?;
        if !self.subject.ts.is_empty() {
            let Subject {
                name,
                subtype,
                channel,
                ts,
                ..
            } = &self.subject;
            // A change and its message share a ts, so the kind is part of the id.
            self.id = format!("{}/{}/{name}.{subtype}/{channel}/{ts}", self.app, self.team);
        }
        Ok(())
    }

    fn read_command(&mut self, envelope_id: &str) -> Result<(), Unreadable> {
        let command: Command = serde_json::from_slice(&self.payload)
            .map_err(|error| Unreadable::new("slash_commands payload", &error))?;
        self.id = format!("{}/{envelope_id}", self.app);
        self.team = command.team_id;
        self.subject = Subject {
            name: command.command,
            user: command.user,
            channel: command.channel,
            text: command.text,
            ..Subject::default()
        };
        Ok(())
    }

    fn read_interaction(&mut self, envelope_id: &str) -> Result<(), Unreadable> {
        let head: InteractionHead = serde_json::from_slice(&self.payload)
            .map_err(|error| Unreadable::new("interactive payload", &error))?;
        self.id = format!("{}/{envelope_id}", self.app);
        self.team = head
            .team
            .map_or_else(|| head.user.team_id.clone().into(), |team| team.id.into());
        self.subject = Subject {
            name: head.kind,
            user: head.user.id.into(),
            channel: head.channel.unwrap_or_default().id.into(),
            ..Subject::default()
        };
        Ok(())
    }

    fn read_job(&mut self) -> Result<(), Unreadable> {
        let result: JobResult = serde_json::from_slice(&self.payload)
            .map_err(|error| Unreadable::new("job result", &error))?;
        self.id = format!("{}/{}", self.app, result.job);
        self.team = result.context.team;
        self.subject = Subject {
            name: result.name,
            user: result.context.user,
            channel: result.context.channel,
            ts: result.context.ts,
            thread_ts: result.context.thread_ts,
            ..Subject::default()
        };
        Ok(())
    }

    /// The hash by which it is deduplicated; nothing for what is never a duplicate.
    pub fn mark(&self) -> Option<Mark> {
        (!self.id.is_empty()).then(|| Mark(xxh3_128(self.id.as_bytes())))
    }
}

/// A deduplication mark: 128 bits of the envelope's id, stable over versions and processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(pub u128);

#[derive(Deserialize)]
struct InteractionHead {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    team: Option<WithId>,
    #[serde(default)]
    user: InteractionUser,
    #[serde(default)]
    channel: Option<WithId>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InteractionUser {
    id: String,
    team_id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WithId {
    id: String,
}

/// Where a turn stands: carried from the delivery that deferred a job to the delivery of its result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// The workspace.
    pub team: TeamId,
    /// Who caused it.
    pub user: UserId,
    /// Where.
    pub channel: ChannelId,
    /// The message that caused it.
    pub ts: Ts,
    /// The thread it is in.
    pub thread_ts: Ts,
}

/// The payload of a job's result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobResult {
    /// The job's id: the effect that started it.
    pub job: String,
    /// The job's NAME.
    pub name: String,
    /// The key that deferred it.
    pub key: String,
    /// Where it was deferred.
    pub context: Context,
    /// What it was given.
    pub input: Box<serde_json::value::RawValue>,
    /// What it gave back, or its error's text.
    pub output: Result<Box<serde_json::value::RawValue>, String>,
}

/// An envelope with its tokens: valid in this process only.
#[derive(Debug)]
pub struct Arrival {
    /// What came.
    pub envelope: Envelope,
    /// The right to ack it; none where the transport has no acks.
    pub ack: Option<Ack>,
    /// Its place in the process.
    pub permit: Permit,
    /// The delivery was repeated: it may be older than what memory remembers.
    pub is_retry: bool,
}

#[cfg(test)]
mod tests;
