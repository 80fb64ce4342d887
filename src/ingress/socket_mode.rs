//! Reading Socket Mode frames: what it is first, the payload untouched.

use std::borrow::Cow;

use bytes::Bytes;

use crate::flow::envelope::Kind;
use crate::slack::event::Callback;
use crate::slack::frame::Hello;
use crate::slack::id::EnvelopeId;
use crate::slack::scan::{Fault, Scan};

/// A frame, as far as the connection needs it.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and nearly all are the largest"
)]
pub(crate) enum Read<'a> {
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
        /// What was read of the payload, as far as it is an event's.
        callback: Callback<'a>,
        /// It was delivered before.
        is_retry: bool,
    },
    /// A type that is new to us; it is left alone.
    Unknown(String),
    /// Not a frame of Slack's.
    Unreadable(String),
}

#[derive(Default)]
struct Frame<'a> {
    kind: Cow<'a, str>,
    envelope_id: Cow<'a, str>,
    payload: Option<(&'a str, Callback<'a>)>,
    retry_attempt: u64,
    reason: Cow<'a, str>,
}

impl<'a> Frame<'a> {
    fn read(frame: &'a str) -> Result<Self, Fault> {
        let (mut scan, mut read) = (Scan::new(frame), Self::default());
        scan.fields(|scan, name| {
            match name {
                "type" => read.kind = scan.word()?,
                "envelope_id" => read.envelope_id = scan.word()?,
                // Most payloads are events, and the type may stand behind the payload.
                "payload" => read.payload = Some(scan.noted(Callback::read)?),
                "retry_attempt" => read.retry_attempt = scan.number()?,
                "reason" => read.reason = scan.word()?,
                _ => drop(scan.skip()?),
            }
            Ok(())
        })?;
        scan.end()?;
        Ok(read)
    }
}

/// Reads a text frame.
pub(crate) fn read<'a>(bytes: &Bytes, frame: &'a str) -> Read<'a> {
    let head = match Frame::read(frame) {
        Ok(head) => head,
        Err(fault) => return Read::Unreadable(fault.to_string()),
    };
    let kind = match &*head.kind {
        "hello" => {
            return match serde_json::from_str(frame) {
                Ok(hello) => Read::Hello(hello),
                // Its details are for people; that it came is what matters.
                Err(_) => Read::Hello(Hello::default()),
            };
        }
        "disconnect" => return Read::Disconnect(head.reason.into_owned()),
        "events_api" => Kind::Event,
        "slash_commands" => Kind::Command,
        "interactive" => Kind::Interaction,
        "" => return Read::Unreadable("a frame without a type".to_owned()),
        _ => return Read::Unknown(head.kind.into_owned()),
    };
    match head.payload {
        Some((payload, callback)) if !head.envelope_id.is_empty() && payload != "null" => {
            Read::Envelope {
                envelope_id: EnvelopeId::new(head.envelope_id),
                kind,
                payload: bytes.slice_ref(payload.as_bytes()),
                callback,
                is_retry: head.retry_attempt > 0,
            }
        }
        Some(_) | None => Read::Unreadable("an envelope without its id or payload".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frame: &str, expected: &str) {
        let bytes = Bytes::copy_from_slice(frame.as_bytes());
        let read = read(&bytes, std::str::from_utf8(&bytes).unwrap());
        let told = match read {
            Read::Hello(hello) => format!("hello {}", hello.num_connections),
            Read::Disconnect(reason) => format!("disconnect {reason}"),
            Read::Envelope {
                envelope_id,
                kind,
                payload,
                is_retry,
                ..
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
