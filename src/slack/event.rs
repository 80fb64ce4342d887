//! What Slack delivers inside an envelope: Events API callbacks and slash commands (fact sheet 3.2, 4.3).

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::id::{ChannelId, EventId, TeamId, Ts, UserId};

/// The outer part of an Events API delivery; the inner event stays raw.
#[derive(Debug, Clone, Deserialize)]
pub struct Callback<'a> {
    /// `event_callback`, `app_rate_limited`, or new.
    #[serde(rename = "type", default, borrow)]
    pub kind: Cow<'a, str>,
    /// The workspace it is about; in Slack Connect channels possibly the other side's.
    #[serde(default, deserialize_with = "null_is_default")]
    pub team_id: TeamId,
    /// Unique, and the same in every redelivery; absent where there is no inner event.
    #[serde(default, deserialize_with = "null_is_default")]
    pub event_id: EventId,
    /// When it happened, seconds since 1970.
    #[serde(default, deserialize_with = "null_is_default")]
    pub event_time: u64,
    /// At most one of the installs that can see the event.
    #[serde(default, deserialize_with = "null_is_default")]
    pub authorizations: Vec<Authorization>,
    /// The event itself; absent in `app_rate_limited`.
    #[serde(default, borrow)]
    pub event: Option<&'a RawValue>,
}

/// An install that can see an event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Authorization {
    /// The workspace that installed the app; absent in an org-wide install.
    pub team_id: Option<TeamId>,
    /// The user the app acts as.
    pub user_id: Option<UserId>,
}

/// The fields of an inner event by which it is routed; everything else stays raw.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EventHead<'a> {
    /// `message`, `app_mention`, …
    #[serde(rename = "type", borrow)]
    pub kind: Reference<'a>,
    /// The kind of message, where it is not a plain one.
    #[serde(borrow)]
    pub subtype: Reference<'a>,
    /// Who did it. Some events carry a whole user object here.
    #[serde(borrow)]
    pub user: Reference<'a>,
    /// Where. Some events carry a whole conversation object here.
    #[serde(borrow)]
    pub channel: Reference<'a>,
    /// What was written.
    #[serde(borrow)]
    pub text: Reference<'a>,
    /// The message.
    #[serde(borrow)]
    pub ts: Reference<'a>,
    /// The thread it is in.
    #[serde(borrow)]
    pub thread_ts: Reference<'a>,
    /// The bot that posted it.
    #[serde(borrow)]
    pub bot_id: Reference<'a>,
}

/// An inner event of which only the type can be read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EventKind<'a> {
    /// `message`, `app_mention`, …
    #[serde(rename = "type", borrow)]
    pub kind: Reference<'a>,
}

impl<'a> From<EventKind<'a>> for EventHead<'a> {
    fn from(event: EventKind<'a>) -> Self {
        Self {
            kind: event.kind,
            ..Self::default()
        }
    }
}

/// Reads `null` as if the field were absent.
///
/// # Errors
/// When the value is neither null nor a `T`.
pub fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A text, or the `id` of an object; empty for anything else, which is tolerated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reference<'a>(Cow<'a, str>);

impl Reference<'_> {
    /// The text or id, or nothing.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Reference<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand: serde's untagged enums copy every value before they look at it, on the hottest path there is.
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Reference<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Reference(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Reference(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut id = Reference::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == "id" {
                id = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(id)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Reference::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Reference::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Reference::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Reference::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Reference::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Reference::default())
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
    pub channel_type: Option<String>,
    /// What was written, in Slack's markup.
    pub text: String,
    /// Its timestamp: its id within the channel.
    pub ts: Ts,
    /// The thread it stands in, when it is an answer.
    pub thread_ts: Option<Ts>,
    /// The kind of message, where it is not a plain one.
    pub subtype: Option<String>,
    /// The bot that posted it, when a bot did.
    pub bot_id: Option<String>,
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
