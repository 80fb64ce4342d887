//! What an author sends through a socket: RTM's own frames, and raw text.

use std::sync::mpsc::SyncSender;

use serde_json::{Value, json};

use super::supervisor::NotDone;
use crate::slack::id::{ChannelId, Ts, UserId};

/// A frame to Slack. All but [`ToSlack::Raw`] are for RTM.
///
/// Nothing here is stored: what is lost with its socket is lost. What must arrive goes through a
/// [`Turn`](crate::bot::turn::Turn) or an [`Item`](crate::bot::subscription::Item).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToSlack {
    /// A message. Slack takes one a second; its answer has the `ts`.
    Message {
        /// Where.
        channel: ChannelId,
        /// What.
        text: String,
        /// The thread, if it belongs to one.
        thread_ts: Option<Ts>,
    },
    /// The bot is typing; at most one in three seconds.
    Typing {
        /// Where.
        channel: ChannelId,
    },
    /// Whose presence is told from now on, as `presence_change` events; it replaces the list before.
    PresenceSub(Vec<UserId>),
    /// Whose presence is told once, as `presence_change` events.
    PresenceQuery(Vec<UserId>),
    /// A ping of RTM's own, beside those of the socket; Slack answers it.
    Ping,
    /// Text as it is, over either transport. No answer is waited for: listeners hear it.
    Raw(String),
}

/// Why a frame was not sent, or what became of it instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// No connection took it.
    #[error(transparent)]
    NotDone(#[from] NotDone),
    /// The name is an app's with several connections.
    #[error("{0} connections have that name: name one of them")]
    Several(usize),
    /// No socket of the connection serves: try again when it is connected.
    #[error("the connection has no open socket now")]
    NotConnected,
    /// A frame of RTM's for a Socket Mode connection.
    #[error(
        "that is a frame of RTM, and this is a Socket Mode connection: call the Web API instead"
    )]
    NotRtm,
    /// Longer than Slack takes; nothing was sent.
    #[error(
        "it has {bytes} bytes, and a frame may have {bytes_max}: send less, or call the Web API instead"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
        /// What the transport takes.
        bytes_max: usize,
    },
    /// Too many frames wait already: send more slowly.
    #[error("too many frames wait to be sent or answered")]
    Busy,
    /// The socket went before it was answered: it may have arrived or not.
    #[error("the socket was lost before an answer came; it may have arrived")]
    Lost,
    /// No answer came in time: it may have arrived or not.
    #[error("no answer came in time; it may have arrived")]
    Unanswered,
    /// Slack says no.
    #[error("Slack refused it, code {code}: {msg}")]
    Refused {
        /// Slack's number for it.
        code: i64,
        /// Slack's words.
        msg: String,
    },
}

/// What is told to whoever sent: the answer, where the frame has one.
pub(super) type Sent = Result<Option<Value>, NotSent>;

/// A frame on its way to its socket.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) text: String,
    /// Told when it cannot be sent; and when it is, unless an answer is waited for.
    pub(super) told: SyncSender<Sent>,
    pub(super) is_answered: bool,
}

impl ToSlack {
    /// Whether Slack answers it.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self, Self::Message { .. } | Self::Ping)
    }

    /// The frame as text; `id` names it within its connection.
    pub(super) fn into_text(self, id: u64) -> String {
        let frame = match self {
            Self::Raw(text) => return text,
            Self::Message {
                channel,
                text,
                thread_ts: None,
            } => json!({"id": id, "type": "message", "channel": channel, "text": text}),
            Self::Message {
                channel,
                text,
                thread_ts: Some(thread_ts),
            } => {
                json!({"id": id, "type": "message", "channel": channel, "text": text, "thread_ts": thread_ts})
            }
            Self::Typing { channel } => json!({"id": id, "type": "typing", "channel": channel}),
            Self::PresenceSub(ids) => json!({"type": "presence_sub", "ids": ids}),
            Self::PresenceQuery(ids) => json!({"type": "presence_query", "ids": ids}),
            Self::Ping => json!({"id": id, "type": "ping"}),
        };
        frame.to_string()
    }
}

/// An answer of RTM's, and the id of the frame that it is to.
pub(super) fn answer(frame: &[u8]) -> Option<(u64, Sent)> {
    let frame: Value = serde_json::from_slice(frame).ok()?;
    let id = frame.get("reply_to")?.as_u64()?;
    if frame.get("ok").and_then(Value::as_bool) != Some(false) {
        return Some((id, Ok(Some(frame))));
    }
    let error = frame.get("error");
    let of = |name| error.and_then(|error| error.get(name));
    let refused = NotSent::Refused {
        code: of("code").and_then(Value::as_i64).unwrap_or_default(),
        msg: of("msg")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    };
    Some((id, Err(refused)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_written_as_slack_reads_them() {
        let channel = ChannelId::new("C1");
        for (frame, expected) in [
            (
                ToSlack::Message {
                    channel: channel.clone(),
                    text: "hi".into(),
                    thread_ts: Some(Ts::new("1.2")),
                },
                json!({"id": 7, "type": "message", "channel": "C1", "text": "hi", "thread_ts": "1.2"}),
            ),
            (
                ToSlack::Typing { channel },
                json!({"id": 7, "type": "typing", "channel": "C1"}),
            ),
            (
                ToSlack::PresenceSub(vec![UserId::new("U1")]),
                json!({"type": "presence_sub", "ids": ["U1"]}),
            ),
            (
                ToSlack::PresenceQuery(vec![]),
                json!({"type": "presence_query", "ids": []}),
            ),
            (ToSlack::Ping, json!({"id": 7, "type": "ping"})),
        ] {
            let text = frame.into_text(7);
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read, expected);
        }
        assert_eq!(ToSlack::Raw("as it is".into()).into_text(7), "as it is");
    }

    #[test]
    fn answers_are_told_apart_by_the_id_they_are_to() {
        let (id, sent) = answer(br#"{"ok":true,"reply_to":3,"ts":"1.2"}"#).unwrap();
        assert_eq!(id, 3);
        assert_eq!(sent.unwrap().unwrap()["ts"], "1.2");
        let frame = br#"{"ok":false,"reply_to":4,"error":{"code":2,"msg":"no text"}}"#;
        let refused = NotSent::Refused {
            code: 2,
            msg: "no text".into(),
        };
        assert_eq!(answer(frame), Some((4, Err(refused))));
        assert_eq!(answer(br#"{"type":"pong"}"#), None);
    }
}
