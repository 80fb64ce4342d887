//! RTM frames (fact sheet 2.3). An event is flat: its fields stand beside its `type`.

use serde::Deserialize;

/// The fields that decide what an RTM frame is and whether it was seen before.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Head<'a> {
    /// `hello`, `goodbye`, `message`, …; absent in replies to what the client sent.
    #[serde(rename = "type", borrow)]
    pub kind: std::borrow::Cow<'a, str>,
    /// The message's timestamp, or the event's.
    #[serde(borrow)]
    pub ts: Option<std::borrow::Cow<'a, str>>,
    /// When the event happened; tells apart two events about one message.
    #[serde(borrow)]
    pub event_ts: Option<std::borrow::Cow<'a, str>>,
    /// The id of the client's frame that this one answers.
    pub reply_to: Option<u64>,
}
