//! Typed answers: what Slack shows to the person who waits.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// What a handler gives back: `()` for events, [`Reply`] for commands. Which one it is belongs to what is answered,
/// see [`Incoming::Answer`](super::incoming::Incoming::Answer).
pub trait Answer: 'static {
    /// The JSON that rides in the ack, or later goes to the `response_url`; nothing when there is nothing to
    /// say.
    fn into_payload(self) -> Option<Box<RawValue>>;
}

impl Answer for () {
    fn into_payload(self) -> Option<Box<RawValue>> {
        None
    }
}

/// The answer to a slash command.
///
/// Slack waits 3 s for it. An answer that is there in time rides in the ack; a later or a very long one goes to the
/// command's `response_url` by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    message: Option<Map<String, Value>>,
}

impl Reply {
    /// No answer: the command is accepted in silence.
    pub fn none() -> Self {
        Self::default()
    }

    /// Text that only the person who ran the command sees.
    pub fn ephemeral(text: impl Into<String>) -> Self {
        Self::text("ephemeral", text.into())
    }

    /// Text that everybody in the channel sees, under the command as it was typed.
    pub fn in_channel(text: impl Into<String>) -> Self {
        Self::text("in_channel", text.into())
    }

    /// Adds blocks, as the list of Slack's JSON. The text is then what notifications show.
    #[must_use]
    pub fn blocks(mut self, blocks: Value) -> Self {
        self.message
            .get_or_insert_default()
            .insert("blocks".into(), blocks);
        self
    }

    fn text(response_type: &str, text: String) -> Self {
        let mut message = Map::new();
        message.insert("response_type".into(), json!(response_type));
        message.insert("text".into(), Value::String(text));
        Self {
            message: Some(message),
        }
    }
}

impl Answer for Reply {
    fn into_payload(self) -> Option<Box<RawValue>> {
        self.message
            .and_then(|message| serde_json::value::to_raw_value(&message).ok())
    }
}
