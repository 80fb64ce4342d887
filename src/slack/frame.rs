//! Socket Mode frames, in both directions (fact sheet 1.3 to 1.6).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::id::EnvelopeId;

/// The first frame of a connection: from here on it is usable.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// Open connections of the app over all processes, ghosts included, this one too.
    pub num_connections: u32,
    /// Which app this is.
    pub connection_info: ConnectionInfo,
    /// For humans, except for the expected life time.
    pub debug_info: DebugInfo,
}

/// Names the app of a connection.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionInfo {
    /// The app's id (`A…`).
    pub app_id: String,
}

/// What Slack says of the machine at its end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DebugInfo {
    /// Slack's host.
    pub host: String,
    /// Seconds until Slack will ask to reconnect, about; absent when not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approximate_connection_time: Option<u64>,
}

/// Slack asks to leave this connection.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Disconnect {
    /// `warning`, `refresh_requested`, `link_disabled`, `too_many_websockets`, or a word that is new to us.
    pub reason: String,
}

/// One delivery: an event, a slash command or an interaction.
#[derive(Debug, Clone, Deserialize)]
pub struct Envelope<'a> {
    /// What an ack must name.
    pub envelope_id: EnvelopeId,
    /// `events_api`, `slash_commands`, `interactive`, or new.
    #[serde(rename = "type")]
    pub kind: String,
    /// The JSON that HTTP delivery would have had as its body, untouched.
    #[serde(borrow)]
    pub payload: &'a RawValue,
    /// Whether the ack may carry an answer.
    #[serde(default)]
    pub accepts_response_payload: bool,
    /// 0 for the first delivery; absent on commands and interactions.
    #[serde(default)]
    pub retry_attempt: u32,
}

/// What a frame is, before anything else of it is read.
#[derive(Debug, Clone, Deserialize)]
pub struct Head {
    /// `hello`, `disconnect`, `events_api`, …; absent in RTM replies.
    #[serde(rename = "type", default)]
    pub kind: String,
}

/// The answer to an envelope: we own it now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ack {
    /// The envelope that is answered.
    pub envelope_id: EnvelopeId,
    /// The answer that rides along, where the envelope accepts one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
}
