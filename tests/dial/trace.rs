//! The trace switches: what is logged when they are on, and that nothing is when they are off.

use std::io;
use std::sync::{Arc, Mutex};

use callboard::base::limits::SOCKET_MODE_SENT_BYTES_MAX;
use callboard::base::network::{Network, Trace};
use callboard::web::dial::{Frame, Message};
use callboard::web::{Api, Client};
use futures_util::{SinkExt, StreamExt};

use crate::peer::{Slack, frame};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap()
            .push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged of one message, ping, pong and close, each way.
async fn logged(trace: Trace) -> String {
    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || written.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    // This thread's only, and the client's future runs on it.
    let guard = tracing::subscriber::set_default(subscriber);
    let slack = Slack::plain(Arc::new(|_, peer| {
        let text =
            br#"{"type":"reconnect_url","url":"wss://x.test/?ticket=s3cret","token":"v3rify"}"#;
        peer.send(
            &[
                frame(0x81, text),
                frame(0x89, b"from Slack"),
                frame(0x88, b""),
            ]
            .concat(),
        );
        peer.rest();
    }));
    let network = Network {
        trace,
        ..Network::default()
    };
    let client = Client::new(&Api::url("http://unused/", network));
    let opened = client
        .open(&slack.socket_url(), SOCKET_MODE_SENT_BYTES_MAX)
        .await;
    let mut socket = opened.unwrap();
    for message in [
        Message::Text(r#"{"text":"hi","x":"xoxb-s3cret"}"#.into()),
        Message::Ping("from us".into()),
    ] {
        socket.send(message).await.unwrap();
    }
    while let Some(Ok(frame)) = socket.next().await {
        if matches!(frame, Frame::Close(_)) {
            break;
        }
    }
    drop(guard);
    let text = lines.0.lock().unwrap().clone();
    assert!(
        !text.contains("s3cret") && !text.contains("v3rify"),
        "{text}"
    );
    text
}

#[actix_rt::test]
async fn frames_and_pings_are_logged_each_by_its_own_switch_without_secrets() {
    for (frames, pings) in [(false, false), (true, false), (false, true), (true, true)] {
        let text = logged(Trace { frames, pings }).await;
        for (part, is_expected) in [
            (
                r#"sent" kind="text" bytes=31 text={"text":"hi","x":"‹token›"}"#,
                frames,
            ),
            (r#"received" kind="text""#, frames),
            (
                r#"{"type":"reconnect_url","url":"‹socket›","token":"‹token›"}"#,
                frames,
            ),
            (r#"received" kind="close""#, frames),
            (r#"sent" kind="ping" bytes=7 text=from us"#, pings),
            (r#"received" kind="ping" bytes=10 text=from Slack"#, pings),
        ] {
            assert_eq!(text.contains(part), is_expected, "{part} in {text}");
        }
    }
}
