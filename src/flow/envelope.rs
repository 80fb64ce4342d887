//! The envelope: our record of what Slack delivered, whatever transport brought it.

use std::sync::Arc;

use bytes::Bytes;
use compact_str::format_compact;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::ack::Ack;
use super::gate::Permit;
use super::key::AppName;
use crate::slack::event::{Callback, Command, EventHead};
use crate::slack::id::{ChannelId, TeamId, Ts, UserId, Word};
use crate::slack::scan::Scan;

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
    /// A message from another key, made by ourselves.
    Memo,
}

impl Kind {
    /// Whether Slack waits for an answer with a body.
    pub fn is_answered(self) -> bool {
        matches!(self, Self::Command | Self::Interaction)
    }

    /// Whether it is made by ourselves for one key: then it is never shed, and nobody acks it.
    pub fn is_internal(self) -> bool {
        matches!(self, Self::JobResult | Self::Memo)
    }

    /// The word that the store keeps.
    pub fn word(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::RtmEvent => "rtm_event",
            Self::Command => "command",
            Self::Interaction => "interaction",
            Self::JobResult => "job_result",
            Self::Memo => "memo",
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
            Self::Memo,
        ]
        .into_iter()
        .find(|kind| kind.word() == word)
    }
}

/// The fields by which an envelope is routed. Absent ones are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The event's type, the command with its slash, the interaction's type, or the job's NAME.
    pub name: Word,
    /// A message's subtype.
    pub subtype: Word,
    /// Who did it.
    pub user: UserId,
    /// Where.
    pub channel: ChannelId,
    /// The kind of conversation, where the event tells: `channel`, `group`, `im`, `mpim`.
    pub channel_type: Word,
    /// The message.
    pub ts: Ts,
    /// The thread it is in.
    pub thread_ts: Ts,
    /// The bot that did it.
    pub bot: Word,
    /// What was written.
    pub text: String,
}

/// One thing that Slack delivered. Plain, storable, sendable.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// What it is deduplicated by, with the app in front: `acme/Ev1`. Empty: never deduplicated.
    pub id: Word,
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
    /// The event inside the payload, sharing its bytes; the payload itself where there is none inside.
    pub event: Bytes,
    /// When we received it, milliseconds since 1970.
    pub received_ms: u64,
    /// When it happened by Slack's clock, seconds since 1970; 0 when not told.
    pub happened_s: u64,
    /// How many messages between keys, one causing the next, led to it; 0 for what Slack sent.
    pub hops: u32,
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
    fn new(what: &'static str, why: &impl ToString) -> Self {
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
        let mut envelope = Self::unread(kind, origin, payload, received_ms);
        match kind {
            Kind::Event => envelope.read_event()?,
            Kind::RtmEvent => envelope.read_rtm()?,
            Kind::Command => envelope.read_command(origin.envelope_id)?,
            Kind::Interaction => envelope.read_interaction(origin.envelope_id)?,
            Kind::JobResult | Kind::Memo => envelope.read_internal()?,
        }
        Ok(envelope)
    }

    /// An event whose payload was read already, in one pass with the frame around it.
    pub fn of_callback(
        origin: &Origin<'_>,
        payload: Bytes,
        callback: Callback<'_>,
        received_ms: u64,
    ) -> Self {
        let mut envelope = Self::unread(Kind::Event, origin, payload, received_ms);
        envelope.take_callback(callback);
        envelope
    }

    fn unread(kind: Kind, origin: &Origin<'_>, payload: Bytes, received_ms: u64) -> Self {
        Self {
            id: Word::default(),
            app: origin.app.clone(),
            team: origin.team.clone(),
            kind,
            subject: Subject::default(),
            event: payload.clone(),
            payload,
            received_ms,
            happened_s: 0,
            hops: 0,
        }
    }

    fn read_event(&mut self) -> Result<(), Unreadable> {
        let payload = self.payload.clone();
        let mut scan = scan(&payload, "events_api payload")?;
        let callback = Callback::read(&mut scan)
            .and_then(|callback| scan.end().map(|()| callback))
            .map_err(|fault| Unreadable::new("events_api payload", &fault))?;
        self.take_callback(callback);
        Ok(())
    }

    /// What was read of its payload by whoever read the frame around it.
    fn take_callback(&mut self, callback: Callback<'_>) {
        // In Slack Connect channels the outer id may be the other side's; the authorization is ours.
        self.team = if callback.authorized_team.is_empty() {
            TeamId::new(callback.team)
        } else {
            TeamId::new(callback.authorized_team)
        };
        self.happened_s = callback.event_time;
        if !callback.event_id.is_empty() {
            self.id = format_compact!("{}/{}", self.app, callback.event_id);
        }
        match callback.event {
            Some((event, head)) => {
                self.event = self.payload.slice_ref(event.as_bytes());
                self.take_head(head);
            }
            None => self.subject.name = callback.kind.into(),
        }
    }

    fn take_head(&mut self, head: EventHead<'_>) {
        self.subject = Subject {
            name: head.kind.into(),
            subtype: head.subtype.into(),
            user: UserId::new(head.user),
            channel: ChannelId::new(head.channel),
            channel_type: head.channel_type.into(),
            ts: Ts::new(head.ts),
            thread_ts: Ts::new(head.thread_ts),
            bot: head.bot_id.into(),
            text: head.text.into_owned(),
        };
    }

    fn read_rtm(&mut self) -> Result<(), Unreadable> {
        let payload = self.payload.clone();
        let mut scan = scan(&payload, "RTM event")?;
        let head = EventHead::read(&mut scan)
            .and_then(|head| scan.end().map(|()| head))
            .map_err(|fault| Unreadable::new("RTM event", &fault))?;
        self.take_head(head);
        if !self.subject.ts.is_empty() {
            let Subject {
                name,
                subtype,
                channel,
                ts,
                ..
            } = &self.subject;
            // A change and its message share a ts, so the kind is part of the id.
            self.id = format_compact!("{}/{}/{name}.{subtype}/{channel}/{ts}", self.app, self.team);
        }
        Ok(())
    }

    fn read_command(&mut self, envelope_id: &str) -> Result<(), Unreadable> {
        let command: Command = serde_json::from_slice(&self.payload)
            .map_err(|error| Unreadable::new("slash_commands payload", &error))?;
        self.id = format_compact!("{}/{envelope_id}", self.app);
        self.team = command.team_id;
        self.subject = Subject {
            name: command.command.into(),
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
        self.id = format_compact!("{}/{envelope_id}", self.app);
        self.team = head
            .team
            .map_or_else(|| head.user.team_id.clone().into(), |team| team.id.into());
        self.subject = Subject {
            name: head.kind.into(),
            user: head.user.id.into(),
            channel: head.channel.unwrap_or_default().id.into(),
            ..Subject::default()
        };
        Ok(())
    }

    fn read_internal(&mut self) -> Result<(), Unreadable> {
        let Internal {
            effect,
            name,
            hops,
            context,
            ..
        } = serde_json::from_slice(&self.payload)
            .map_err(|error| Unreadable::new("internal payload", &error))?;
        self.id = effect.into();
        self.team = context.team;
        self.hops = hops;
        self.subject = Subject {
            name: name.into(),
            user: context.user,
            channel: context.channel,
            ts: context.ts,
            thread_ts: context.thread_ts,
            ..Subject::default()
        };
        Ok(())
    }

    /// Names an envelope that Slack gave no id: unique, and never deduplicated.
    pub fn name_anonymous(&mut self, nonce: u64) {
        self.id = format_compact!("{}{ANONYMOUS}{nonce:016x}", self.app);
    }

    /// The hash by which it is deduplicated; nothing for what is never a duplicate.
    pub fn mark(&self) -> Option<Mark> {
        let own = self.id.strip_prefix(self.app.as_str()).unwrap_or_default();
        let is_known = !self.id.is_empty() && !own.starts_with(ANONYMOUS);
        is_known.then(|| Mark(xxh3_128(self.id.as_bytes())))
    }
}

/// The start of a payload, which is text.
fn scan<'a>(payload: &'a [u8], what: &'static str) -> Result<Scan<'a>, Unreadable> {
    std::str::from_utf8(payload)
        .map(Scan::new)
        .map_err(|error| Unreadable::new(what, &error))
}

/// What the ids of envelopes without one of Slack's begin with.
const ANONYMOUS: &str = "/anonymous-";

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

impl Context {
    /// Where an envelope's turns stand.
    pub fn of(envelope: &Envelope) -> Self {
        let subject = &envelope.subject;
        Self {
            team: envelope.team.clone(),
            user: subject.user.clone(),
            channel: subject.channel.clone(),
            ts: subject.ts.clone(),
            thread_ts: subject.thread_ts.clone(),
        }
    }
}

/// What every payload of our own begins with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Internal {
    /// The effect that it comes from: its id, by which it is deduplicated.
    pub effect: String,
    /// The job's or the memo's NAME.
    pub name: String,
    /// The key it is for.
    pub key: String,
    /// How many messages between keys led to it.
    pub hops: u32,
    /// Where the turn stood that caused it.
    pub context: Context,
}

/// The payload of a job's result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobResult {
    /// Whose it is.
    #[serde(flatten)]
    pub head: Internal,
    /// What the job was given.
    pub input: String,
    /// What it gave back, or its error's text.
    pub output: Result<String, String>,
}

/// The payload of a memo.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Memo {
    /// Whose it is.
    #[serde(flatten)]
    pub head: Internal,
    /// The key that sent it.
    pub from: String,
    /// What it says, as JSON text.
    pub body: String,
}

/// An envelope with its tokens: valid in this process only.
#[derive(Debug)]
pub struct Arrival {
    /// What came.
    pub envelope: Arc<Envelope>,
    /// The right to ack it; none where the transport has no acks.
    pub ack: Option<Ack>,
    /// Its place in the process; none for what a committed turn of ours sent, which has its place on disk.
    pub permit: Option<Permit>,
    /// The delivery was repeated: it may be older than what memory remembers.
    pub is_retry: bool,
}

#[cfg(test)]
mod tests;
