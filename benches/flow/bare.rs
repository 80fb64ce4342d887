//! What a socket costs without any runtime: awc reads frames, finds the id, leaves the payload raw, and acks.

use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use callboard::base::limits::SOCKET_MODE_SENT_BYTES_MAX;
use callboard::base::network::Network;
use callboard::web::dial::{Frame, Message};
use callboard::web::{Api, Client};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    envelope_id: Option<&'a str>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Ack<'a> {
    envelope_id: &'a str,
}

/// Acks on a thread of its own until the other end closes; gives back the bytes of payload it saw.
pub(crate) fn start(url: String) -> Result<JoinHandle<Result<usize>>> {
    std::thread::Builder::new()
        .name("bare".into())
        .spawn(move || actix_rt::System::new().block_on(acking(&url)))
        .context("starting the bare loop")
}

async fn acking(url: &str) -> Result<usize> {
    let client = Client::new(&Api::url("", Network::default()));
    let opened = client.open(url, SOCKET_MODE_SENT_BYTES_MAX).await;
    let mut socket = opened.map_err(|why| anyhow!(why))?;
    let mut seen = 0;
    while let Some(frame) = socket.next().await {
        let mut next = Some(frame);
        while let Some(frame) = next {
            match frame.map_err(|error| anyhow!("{error}"))? {
                Frame::Text(text) => {
                    let envelope: Envelope<'_> = serde_json::from_slice(&text)?;
                    seen += envelope.payload.map_or(0, |payload| payload.get().len());
                    if let Some(envelope_id) = envelope.envelope_id {
                        let ack = serde_json::to_string(&Ack { envelope_id })?;
                        let fed = socket.feed(Message::Text(ack.into())).await;
                        fed.map_err(|error| anyhow!("{error}"))?;
                    }
                }
                Frame::Close(_) => return Ok(seen),
                _ => {}
            }
            next = socket.next().now_or_never().flatten();
        }
        // Many acks, one write.
        let flushed = SinkExt::<Message>::flush(&mut socket).await;
        flushed.map_err(|error| anyhow!("{error}"))?;
    }
    Ok(seen)
}
