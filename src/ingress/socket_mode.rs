//! Reading Socket Mode frames: what it is first, the payload untouched.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::flow::envelope::Kind;
use crate::slack::frame::Hello;
use crate::slack::id::EnvelopeId;

/// A frame, as far as the connection needs it.
#[derive(Debug)]
pub(crate) enum Read {
    /// The socket is usable.
    Hello(Hello),
    /// Slack asks to leave; its reason.
    Disconnect(String),
    /// A delivery.
    Envelope {
        /// What an ack must name.
        envelope_id: EnvelopeId,
        /// How its payload is read.
        kind: Kind,
        /// The payload's bytes, shared with the frame.
        payload: Bytes,
        /// It was delivered before.
        is_retry: bool,
    },
    /// A type that is new to us; it is left alone.
    Unknown(String),
    /// Not a frame of Slack's.
    Unreadable(String),
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    envelope_id: EnvelopeId,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    retry_attempt: u32,
    #[serde(default)]
    reason: String,
}

/// Reads a text frame.
pub(crate) fn read(frame: &Bytes) -> Read {
    let head: Frame<'_> = match serde_json::from_slice(frame) {
        Ok(head) => head,
        Err(error) => return Read::Unreadable(error.to_string()),
    };
    let kind = match head.kind.as_str() {
        "hello" => {
            return match serde_json::from_slice(frame) {
                Ok(hello) => Read::Hello(hello),
                // Its details are for people; that it came is what matters.
                Err(_) => Read::Hello(Hello::default()),
            };
        }
        "disconnect" => return Read::Disconnect(head.reason),
        "events_api" => Kind::Event,
        "slash_commands" => Kind::Command,
        "interactive" => Kind::Interaction,
        _ => return Read::Unknown(head.kind),
    };
    match head.payload {
        Some(payload) if !head.envelope_id.is_empty() => Read::Envelope {
            envelope_id: head.envelope_id,
            kind,
            payload: frame.slice_ref(payload.get().as_bytes()),
            is_retry: head.retry_attempt > 0,
        },
        Some(_) | None => Read::Unreadable("an envelope without its id or payload".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frame: &str, expected: &str) {
        let read = read(&Bytes::copy_from_slice(frame.as_bytes()));
        let told = match read {
            Read::Hello(hello) => format!("hello {}", hello.num_connections),
            Read::Disconnect(reason) => format!("disconnect {reason}"),
            Read::Envelope {
                envelope_id,
                kind,
                payload,
                is_retry,
            } => format!(
                "{envelope_id} {} {} {is_retry}",
                kind.word(),
                String::from_utf8_lossy(&payload)
            ),
            Read::Unknown(kind) => format!("unknown {kind}"),
            Read::Unreadable(_) => "unreadable".to_owned(),
        };
        assert_eq!(told, expected, "{frame}");
    }

    #[test]
    fn every_frame_is_told_apart_and_the_payload_is_untouched() {
        check(r#"{"type":"hello","num_connections":2}"#, "hello 2");
        check(r#"{"type":"hello","num_connections":"odd"}"#, "hello 0");
        check(
            r#"{"type":"disconnect","reason":"warning"}"#,
            "disconnect warning",
        );
        check(r#"{"type":"disconnect"}"#, "disconnect ");
        check(
            r#"{"payload":{"a" : 1},"envelope_id":"e","type":"events_api","retry_attempt":1}"#,
            r#"e event {"a" : 1} true"#,
        );
        check(
            r#"{"envelope_id":"e","type":"slash_commands","payload":{}}"#,
            "e command {} false",
        );
        check(
            r#"{"envelope_id":"e","type":"interactive","payload":{}}"#,
            "e interaction {} false",
        );
        check(
            r#"{"type":"of_next_year","envelope_id":"e","payload":{}}"#,
            "unknown of_next_year",
        );
        check(r#"{"type":"events_api","payload":{}}"#, "unreadable");
        check("7", "unreadable");
        check("{", "unreadable");
    }
}
