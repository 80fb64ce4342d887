//! Reading RTM frames: an event is flat, and there is no ack.

use bytes::Bytes;

use crate::slack::rtm::Head;

/// A frame, as far as the connection needs it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// The socket is usable.
    Hello,
    /// Slack asks to leave.
    Goodbye,
    /// An event.
    Event,
    /// An answer to something that was sent, or a frame that only matters to this socket.
    Own,
    /// Slack could not go on; its words.
    Error(String),
    /// Not a frame of Slack's.
    Unreadable(String),
}

/// Reads a text frame.
pub(super) fn read(frame: &Bytes) -> Read {
    let head: Head<'_> = match serde_json::from_slice(frame) {
        Ok(head) => head,
        Err(error) => return Read::Unreadable(error.to_string()),
    };
    match &*head.kind {
        "hello" => Read::Hello,
        // Slack moves the workspace to another server, and closes.
        "goodbye" | "team_migration_started" => Read::Goodbye,
        "error" => Read::Error(String::from_utf8_lossy(frame).into_owned()),
        "" | "pong" | "reconnect_url" => Read::Own,
        _ => Read::Event,
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
            (r#"{"type":"team_migration_started"}"#, Read::Goodbye),
            (r#"{"type":"message","ts":"1.2"}"#, Read::Event),
            (r#"{"type":"of_next_year"}"#, Read::Event),
            (r#"{"ok":true,"reply_to":1}"#, Read::Own),
            (r#"{"type":"reconnect_url","url":"wss://x"}"#, Read::Own),
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
