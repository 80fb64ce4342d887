//! Reading RTM frames: an event is flat, and there is no ack.

use bytes::Bytes;
use serde::Deserialize;

use crate::slack::rtm::Head;

/// A frame, as far as the connection needs it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// The socket is usable.
    Hello,
    /// Slack asks to leave.
    Goodbye,
    /// The workspace moves to another server, and the socket closes.
    Migration,
    /// A URL that opens the next socket without asking for one.
    ReconnectUrl(Url),
    /// An event.
    Event,
    /// An answer to something that was sent, or a frame that only matters to this socket.
    Own,
    /// Slack could not go on; its words.
    Error(String),
    /// Not a frame of Slack's.
    Unreadable(String),
}

/// A URL that opens a socket, and therefore does not show.
#[derive(PartialEq, Eq)]
pub(super) struct Url(pub(super) String);

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("‹url›")
    }
}

/// Reads a text frame.
pub(super) fn read(frame: &Bytes) -> Read {
    let head: Head<'_> = match serde_json::from_slice(frame) {
        Ok(head) => head,
        Err(error) => return Read::Unreadable(error.to_string()),
    };
    match &*head.kind {
        "hello" => Read::Hello,
        "goodbye" => Read::Goodbye,
        "team_migration_started" => Read::Migration,
        "reconnect_url" => reconnect_url(frame),
        "error" => Read::Error(String::from_utf8_lossy(frame).into_owned()),
        "" | "pong" => Read::Own,
        _ => Read::Event,
    }
}

#[derive(Deserialize)]
struct Reconnect {
    url: String,
}

fn reconnect_url(frame: &Bytes) -> Read {
    match serde_json::from_slice::<Reconnect>(frame) {
        Ok(Reconnect { url }) if url.starts_with("ws") => Read::ReconnectUrl(Url(url)),
        // Without one the next ticket is asked for, as usual.
        Ok(_) | Err(_) => Read::Own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_told_apart() {
        for (frame, expected) in [
            (r#"{"type":"hello"}"#, Read::Hello),
            (r#"{"type":"goodbye"}"#, Read::Goodbye),
            (r#"{"type":"team_migration_started"}"#, Read::Migration),
            (r#"{"type":"message","ts":"1.2"}"#, Read::Event),
            (r#"{"type":"of_next_year"}"#, Read::Event),
            (r#"{"ok":true,"reply_to":1}"#, Read::Own),
            (
                r#"{"type":"reconnect_url","url":"wss://x"}"#,
                Read::ReconnectUrl(Url("wss://x".into())),
            ),
            (r#"{"type":"reconnect_url"}"#, Read::Own),
        ] {
            assert_eq!(
                read(&Bytes::from_static(frame.as_bytes())),
                expected,
                "{frame}"
            );
        }
        assert!(matches!(
            read(&Bytes::from_static(b"{")),
            Read::Unreadable(_)
        ));
        let error = Bytes::from_static(br#"{"type":"error","error":{"code":1}}"#);
        assert!(matches!(read(&error), Read::Error(_)));
    }
}
