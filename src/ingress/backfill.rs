//! What an RTM connection missed: after a gap, the messages since the last one that came are asked for.
//!
//! Over RTM nobody delivers again. Messages that came twice, live and from here, are told apart by their ts.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::base::limits::{BACKFILL_CHANNELS_MAX, BACKFILL_MESSAGES_MAX};
use crate::base::secret::Secret;
use crate::slack::id::{ChannelId, Ts};
use crate::web::{Client, Error, Request};

/// The newest message that came, by channel.
#[derive(Debug, Clone, Default)]
pub(super) struct Newest {
    by_channel: HashMap<ChannelId, Ts>,
    order: VecDeque<ChannelId>,
}

impl Newest {
    /// A message came.
    pub(super) fn saw(&mut self, channel: &ChannelId, ts: &Ts) {
        if channel.is_empty() || ts.is_empty() {
            return;
        }
        if let Some(newest) = self.by_channel.get_mut(channel) {
            // Timestamps sort as text.
            if newest.as_str() < ts.as_str() {
                *newest = ts.clone();
            }
            return;
        }
        if self.order.len() >= BACKFILL_CHANNELS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_channel.remove(&oldest);
        }
        self.order.push_back(channel.clone());
        self.by_channel.insert(channel.clone(), ts.clone());
    }

    /// What to ask for, in the order in which the channels were first heard of.
    pub(super) fn all(&self) -> Vec<(ChannelId, Ts)> {
        let known =
            |channel: &ChannelId| Some((channel.clone(), self.by_channel.get(channel)?.clone()));
        self.order.iter().filter_map(known).collect()
    }
}

/// What is missing in one channel, the oldest first, as RTM would have brought it.
#[derive(Debug, Default)]
pub(super) struct Missed {
    pub(super) frames: Vec<Bytes>,
    /// There was more than is asked for.
    pub(super) is_cut: bool,
}

#[derive(Deserialize)]
struct History {
    #[serde(default)]
    messages: Vec<Map<String, Value>>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    next_cursor: String,
}

/// Asks for the messages of a channel after `since`.
pub(super) async fn missed(
    web: &Client,
    token: &Secret,
    channel: &ChannelId,
    since: &Ts,
) -> Result<Missed, Error> {
    let mut messages: Vec<Map<String, Value>> = Vec::new();
    let mut cursor = String::new();
    let mut is_cut = false;
    loop {
        let mut args = Map::new();
        args.insert("channel".to_owned(), json!(channel));
        args.insert("oldest".to_owned(), json!(since));
        args.insert("limit".to_owned(), json!(200));
        if !cursor.is_empty() {
            args.insert("cursor".to_owned(), json!(cursor));
        }
        let request = Request {
            method: "conversations.history",
            args: &args,
            token: Some(token),
        };
        let answer = web.call(request).await?;
        // What has another shape holds no message that could be read.
        let Ok(history) = answer.parse::<History>() else {
            break;
        };
        messages.extend(history.messages);
        cursor = history
            .response_metadata
            .map_or_else(String::new, |metadata| metadata.next_cursor);
        if !history.has_more || cursor.is_empty() {
            break;
        }
        if messages.len() >= BACKFILL_MESSAGES_MAX {
            is_cut = true;
            break;
        }
    }
    // The newest come first.
    let frames = messages
        .into_iter()
        .rev()
        .filter_map(|message| frame(message, channel));
    Ok(Missed {
        frames: frames.collect(),
        is_cut,
    })
}

/// A message of the history as the event that it was.
fn frame(mut message: Map<String, Value>, channel: &ChannelId) -> Option<Bytes> {
    message.insert("type".to_owned(), json!("message"));
    message.insert("channel".to_owned(), json!(channel));
    serde_json::to_vec(&message).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_channel_is_kept_and_the_oldest_channel_gives_way() {
        let mut newest = Newest::default();
        let saw =
            |newest: &mut Newest, channel: &str, ts: &str| newest.saw(&channel.into(), &ts.into());
        saw(&mut newest, "C1", "20.000001");
        saw(&mut newest, "C1", "10.000001");
        saw(&mut newest, "", "30.000001");
        saw(&mut newest, "C2", "");
        assert_eq!(newest.all(), [("C1".into(), "20.000001".into())]);
        for n in 0..BACKFILL_CHANNELS_MAX {
            saw(&mut newest, &format!("D{n}"), "5.000001");
        }
        assert_eq!(newest.all().len(), BACKFILL_CHANNELS_MAX);
        assert_eq!(newest.all()[0].0, "D0".into());
        assert_eq!(newest.by_channel.len(), newest.order.len());
    }

    #[test]
    fn a_message_of_the_history_becomes_the_event_that_it_was() {
        let Value::Object(message) = json!({"user": "U1", "text": "hi", "ts": "1.2"}) else {
            panic!("an object")
        };
        let frame = frame(message, &"C1".into()).unwrap();
        let event: Value = serde_json::from_slice(&frame).unwrap();
        assert_eq!(
            event,
            json!({"type": "message", "channel": "C1", "user": "U1", "text": "hi", "ts": "1.2"})
        );
    }
}
