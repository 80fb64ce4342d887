//! The two trace switches: what passes through a socket, in the log, without tokens and the URLs of sockets.

use actix_http::ws::Message;

use super::Frame;
use crate::base::limits::TRACED_BYTES_MAX;
use crate::base::network::Trace;
use crate::base::secret::redacted;

/// Logs what was received, as far as that is asked for.
pub(super) fn received(trace: Trace, frame: &Frame) {
    match frame {
        Frame::Text(text) => log(trace.frames, "received", "text", text),
        Frame::Binary(bytes) => log_length(trace.frames, "received", "binary", bytes.len()),
        Frame::Close(_) => log_length(trace.frames, "received", "close", 0),
        Frame::Ping(bytes) => log(trace.pings, "received", "ping", bytes),
        Frame::Pong(bytes) => log(trace.pings, "received", "pong", bytes),
    }
}

/// Logs what is sent, as far as that is asked for.
pub(super) fn sent(trace: Trace, message: &Message) {
    match message {
        Message::Text(text) => log(trace.frames, "sent", "text", text.as_ref()),
        Message::Binary(bytes) => log_length(trace.frames, "sent", "binary", bytes.len()),
        Message::Close(_) => log_length(trace.frames, "sent", "close", 0),
        Message::Ping(bytes) => log(trace.pings, "sent", "ping", bytes),
        Message::Pong(bytes) => log(trace.pings, "sent", "pong", bytes),
        Message::Continuation(_) | Message::Nop => {}
    }
}

fn log(is_on: bool, way: &str, kind: &str, bytes: &[u8]) {
    if is_on {
        let text = shown(bytes);
        tracing::info!(way, kind, bytes = bytes.len(), %text, "frame");
    }
}

fn log_length(is_on: bool, way: &str, kind: &str, bytes: usize) {
    if is_on {
        tracing::info!(way, kind, bytes, "frame");
    }
}

/// As the log may have it: no secret, and not without end.
fn shown(bytes: &[u8]) -> String {
    // Redacted first: a cut could take away what a secret is known by.
    let mut text = redacted(&String::from_utf8_lossy(bytes));
    if text.len() > TRACED_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TRACED_BYTES_MAX));
        text.push_str("… (cut)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_frames_are_cut_and_nothing_secret_is_left_by_it() {
        let long = format!("{}xoxb-secret", "ü".repeat(TRACED_BYTES_MAX / 2 - 1));
        let text = shown(long.as_bytes());
        assert!(text.ends_with("… (cut)"));
        assert!(!text.contains("xoxb-s"), "{text}");
        assert_eq!(shown(b"{}"), "{}");
    }
}
