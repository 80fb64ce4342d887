//! The pump: owns one socket, so that pings are answered whatever waits behind it.

use std::collections::VecDeque;

use crate::web::dial::{CloseCode, CloseReason, Frame, Item, Message, ProtocolError};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::base::clock::{Clock, Instant};
use crate::base::limits::{
    CLOSE_WITHIN, FRAME_BYTES_MAX, PING_EVERY, SILENCE_MAX, SOCKET_BATCH_MAX,
};
use crate::flow::ack::Released;
use crate::flow::gate::{Gate, Permit};
use crate::web::dial::Socket;

/// What a pump tells its connection.
#[derive(Debug)]
pub(super) enum News {
    /// Complete text frames, in order, with the place they take until they are dealt with.
    Frames(Vec<Bytes>, Permit),
    /// The socket is gone, and why. The last news.
    Closed(String),
}

/// What a connection tells its pump: only to close.
pub(super) type Closing = mpsc::Receiver<()>;

/// A socket and everything that goes through it.
pub(super) struct Pump<T> {
    pub(super) socket: Socket,
    pub(super) acks: mpsc::Receiver<Released>,
    pub(super) closing: Closing,
    pub(super) clock: Clock,
    pub(super) tell: T,
}

#[derive(Serialize)]
struct AckFrame<'a> {
    envelope_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
}

/// Why the pump's loop ended.
struct End(String);

impl<T: Fn(News)> Pump<T> {
    /// Pumps until the socket is gone.
    pub(super) async fn run(mut self) {
        let End(why) = self.pump().await;
        (self.tell)(News::Closed(why));
    }

    async fn pump(&mut self) -> End {
        // Two batches may be on their way: one that is read from, one that waits.
        let gate = Gate::new(2);
        let mut parts = BytesMut::new();
        let mut batch: Vec<Bytes> = Vec::new();
        let mut heard = self.clock.now();
        let mut pinged = heard;
        loop {
            let wake = (heard.max(pinged) + PING_EVERY).min(heard + SILENCE_MAX);
            let step = tokio::select! {
                biased;
                Some(released) = self.acks.recv() => self.ack(released).await,
                _ = self.closing.recv() => return self.close("we closed it").await,
                frame = self.socket.next() => {
                    heard = self.clock.now();
                    self.take(frame, &mut parts, &mut batch).await
                }
                () = tokio::time::sleep_until(wake) => {
                    pinged = self.clock.now();
                    self.ping(heard).await
                }
            };
            let step = match step {
                Ok(()) => self.take_ready(&mut parts, &mut batch).await,
                Err(end) => Err(end),
            };
            self.hand_over(&mut batch, &gate).await;
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Takes what has arrived already, so that many frames make one message.
    async fn take_ready(
        &mut self,
        parts: &mut BytesMut,
        batch: &mut Vec<Bytes>,
    ) -> Result<(), End> {
        while !batch.is_empty() && batch.len() < SOCKET_BATCH_MAX {
            let Some(frame) = self.socket.next().now_or_never() else {
                return Ok(());
            };
            self.take(frame, parts, batch).await?;
        }
        Ok(())
    }

    async fn hand_over(&self, batch: &mut Vec<Bytes>, gate: &Gate) {
        if !batch.is_empty()
            && let Some(permit) = gate.enter().await
        {
            (self.tell)(News::Frames(std::mem::take(batch), permit));
        }
    }

    async fn take(
        &mut self,
        frame: Option<Result<Frame, ProtocolError>>,
        parts: &mut BytesMut,
        batch: &mut Vec<Bytes>,
    ) -> Result<(), End> {
        match frame {
            Some(Ok(Frame::Text(text))) => batch.push(text),
            Some(Ok(Frame::Continuation(item))) => return assemble(item, parts, batch),
            Some(Ok(Frame::Ping(payload))) => return self.send(Message::Pong(payload)).await,
            // Any frame is a sign of life; nothing else is in these.
            Some(Ok(Frame::Pong(_) | Frame::Binary(_))) => {}
            Some(Ok(Frame::Close(reason))) => {
                let why = reason
                    .as_ref()
                    .map_or("without a code".to_owned(), |reason| {
                        format!("code {}", u16::from(reason.code))
                    });
                self.send(Message::Close(reason)).await.ok();
                return Err(End(format!("Slack closed it, {why}")));
            }
            Some(Err(error)) => {
                self.close("a bad frame").await;
                return Err(End(format!("a bad frame: {error}")));
            }
            None => return Err(End("the connection was cut".to_owned())),
        }
        Ok(())
    }

    async fn ack(&mut self, released: Released) -> Result<(), End> {
        let mut next = Some(released);
        let mut frames = VecDeque::new();
        while let Some(released) = next {
            let frame = AckFrame {
                envelope_id: released.envelope_id.as_str(),
                payload: released.answer.as_deref(),
            };
            if let Ok(text) = serde_json::to_string(&frame) {
                frames.push_back(text);
            }
            next = self.acks.try_recv().ok();
        }
        // Many acks, one write.
        for text in frames {
            self.feed(Message::Text(text.into())).await?;
        }
        self.flush().await
    }

    async fn ping(&mut self, heard: Instant) -> Result<(), End> {
        let silent = self.clock.now().saturating_duration_since(heard);
        if silent >= SILENCE_MAX {
            return Err(End(format!("silent for {} s", silent.as_secs())));
        }
        self.send(Message::Ping(Bytes::from_static(b"callboard")))
            .await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        self.feed(message).await?;
        self.flush().await
    }

    async fn feed(&mut self, message: Message) -> Result<(), End> {
        written(self.socket.feed(message)).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        written(self.socket.flush()).await
    }

    /// Says goodbye, and waits for the answer only so long: Slack leaves TCP open after it.
    async fn close(&mut self, why: &str) -> End {
        let shake = async {
            let reason = CloseReason::from(CloseCode::Normal);
            self.send(Message::Close(Some(reason))).await.ok();
            while let Some(Ok(frame)) = self.socket.next().await {
                if matches!(frame, Frame::Close(_)) {
                    return;
                }
            }
        };
        // Either way it is dropped now.
        tokio::time::timeout(CLOSE_WITHIN, shake).await.ok();
        End(why.to_owned())
    }
}

/// A peer that reads nothing must not hold the pump up for ever.
async fn written(write: impl Future<Output = Result<(), ProtocolError>>) -> Result<(), End> {
    match tokio::time::timeout(SILENCE_MAX, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End(format!("it can't be written: {error}"))),
        Err(_) => Err(End("it takes no more bytes".to_owned())),
    }
}

/// Puts fragments together, up to the bound of a whole frame.
fn assemble(item: Item, parts: &mut BytesMut, batch: &mut Vec<Bytes>) -> Result<(), End> {
    let (bytes, is_last) = match item {
        Item::FirstText(bytes) => {
            parts.clear();
            (bytes, false)
        }
        Item::Continue(bytes) => (bytes, false),
        Item::Last(bytes) => (bytes, true),
        Item::FirstBinary(_) => return Err(End("a binary frame in fragments".to_owned())),
    };
    if parts.len() + bytes.len() > FRAME_BYTES_MAX {
        return Err(End(format!("a frame of more than {FRAME_BYTES_MAX} bytes")));
    }
    parts.extend_from_slice(&bytes);
    if is_last {
        batch.push(parts.split().freeze());
    }
    Ok(())
}
