//! What Slack delivers inside an envelope: Events API callbacks and slash commands (fact sheet 3.2, 4.3).

use std::borrow::Cow;

use serde::Deserialize;

use super::id::{ChannelId, TeamId, Ts, UserId, Word};
use super::scan::{Fault, Scan};

/// What routing needs of an Events API delivery, picked out in one pass; everything else is checked and skipped.
///
/// Fields that are absent, null or of another shape are empty: one odd field must not hide an event.
#[derive(Debug, Clone, Default)]
pub struct Callback<'a> {
    /// `event_callback`, `app_rate_limited`, or new.
    pub kind: Cow<'a, str>,
    /// The workspace it is about; in Slack Connect channels possibly the other side's.
    pub team: Cow<'a, str>,
    /// The workspace of the first install that can see it; empty where the install is org-wide.
    pub authorized_team: Cow<'a, str>,
    /// Unique, and the same in every redelivery; empty where there is no inner event.
    pub event_id: Cow<'a, str>,
    /// When it happened, seconds since 1970; 0 where it is not told.
    pub event_time: u64,
    /// The event itself, and what is in it; absent in `app_rate_limited`.
    pub event: Option<(&'a str, EventHead<'a>)>,
}

/// The fields of an inner event by which it is routed.
#[derive(Debug, Clone, Default)]
pub struct EventHead<'a> {
    /// `message`, `app_mention`, …
    pub kind: Cow<'a, str>,
    /// The kind of message, where it is not a plain one.
    pub subtype: Cow<'a, str>,
    /// Who did it. Some events carry a whole user object here; this is its id.
    pub user: Cow<'a, str>,
    /// Where. Some events carry a whole conversation object here; this is its id.
    pub channel: Cow<'a, str>,
    /// The kind of conversation: `channel`, `group`, `im`, `mpim`.
    pub channel_type: Cow<'a, str>,
    /// What was written.
    pub text: Cow<'a, str>,
    /// The message.
    pub ts: Cow<'a, str>,
    /// The thread it is in.
    pub thread_ts: Cow<'a, str>,
    /// The bot that posted it.
    pub bot_id: Cow<'a, str>,
}

impl<'a> Callback<'a> {
    /// Reads the value at `scan`; what is no object is an empty callback.
    ///
    /// # Errors
    /// Where it is no JSON.
    pub fn read(scan: &mut Scan<'a>) -> Result<Self, Fault> {
        let mut read = Self::default();
        scan.fields(|scan, name| {
            match name {
                "type" => read.kind = scan.word()?,
                "team_id" => read.team = scan.word()?,
                "event_id" => read.event_id = scan.word()?,
                "event_time" => read.event_time = scan.number()?,
                "authorizations" => read.authorized_team = first_team(scan)?,
                "event" => read.event = EventHead::read_within(scan)?,
                _ => drop(scan.skip()?),
            }
            Ok(())
        })?;
        Ok(read)
    }
}

/// The workspace of the first of a list of installs.
fn first_team<'a>(scan: &mut Scan<'a>) -> Result<Cow<'a, str>, Fault> {
    let mut first = None;
    scan.values(|scan| {
        let mut team = Cow::default();
        scan.fields(|scan, name| {
            match name {
                "team_id" => team = scan.word()?,
                _ => drop(scan.skip()?),
            }
            Ok(())
        })?;
        first.get_or_insert(team);
        Ok(())
    })?;
    Ok(first.unwrap_or_default())
}

impl<'a> EventHead<'a> {
    /// Reads the value at `scan`; what is no object is an empty head.
    ///
    /// # Errors
    /// Where it is no JSON.
    pub fn read(scan: &mut Scan<'a>) -> Result<Self, Fault> {
        let mut head = Self::default();
        scan.fields(|scan, name| {
            match name {
                "type" => head.kind = scan.word()?,
                "subtype" => head.subtype = scan.word()?,
                "user" => head.user = scan.reference()?,
                "channel" => head.channel = scan.reference()?,
                "channel_type" => head.channel_type = scan.word()?,
                "text" => head.text = scan.word()?,
                "ts" => head.ts = scan.word()?,
                "thread_ts" => head.thread_ts = scan.word()?,
                "bot_id" => head.bot_id = scan.word()?,
                _ => drop(scan.skip()?),
            }
            Ok(())
        })?;
        Ok(head)
    }

    /// The same, with the text that it was read from; nothing for `null`.
    fn read_within(scan: &mut Scan<'a>) -> Result<Option<(&'a str, Self)>, Fault> {
        let (text, head) = scan.noted(Self::read)?;
        Ok((text != "null").then_some((text, head)))
    }
}

/// A message that somebody posted: a person, or another bot (then `bot_id` is there).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Message {
    /// Who wrote it; empty for a few kinds that have no author.
    pub user: UserId,
    /// The conversation.
    pub channel: ChannelId,
    /// `channel`, `group`, `im` or `mpim`; absent over RTM.
    pub channel_type: Option<Word>,
    /// What was written, in Slack's markup.
    pub text: String,
    /// Its timestamp: its id within the channel.
    pub ts: Ts,
    /// The thread it stands in, when it is an answer.
    pub thread_ts: Option<Ts>,
    /// The kind of message, where it is not a plain one.
    pub subtype: Option<Word>,
    /// The bot that posted it, when a bot did.
    pub bot_id: Option<Word>,
}

/// A slash command that somebody ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Command {
    /// The command itself, with its slash.
    pub command: String,
    /// What stood behind it; may be empty.
    pub text: String,
    /// The workspace.
    pub team_id: TeamId,
    /// Where it was typed.
    #[serde(rename = "channel_id")]
    pub channel: ChannelId,
    /// Who typed it.
    #[serde(rename = "user_id")]
    pub user: UserId,
    /// Where late answers may be sent: 5 times within 30 minutes.
    pub response_url: String,
    /// Opens a view, once, within 3 s.
    pub trigger_id: String,
}
