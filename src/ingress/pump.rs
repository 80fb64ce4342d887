//! The pump: owns one socket, so that pings are answered whatever waits behind it.

use std::collections::VecDeque;

use crate::web::dial::{CloseCode, CloseReason, Fault, Frame, Message};
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::base::clock::{Clock, Instant};
use crate::base::limits::{SILENCE_MAX, SOCKET_BATCH_MAX};
use crate::base::secret::redacted;
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
        let mut batch: Vec<Bytes> = Vec::new();
        let mut heard = self.clock.now();
        let mut pinged = heard;
        let (ping_every, silence_max) = (self.socket.ping_every(), self.socket.silence_max());
        loop {
            let wake = (heard.max(pinged) + ping_every).min(heard + silence_max);
            let step = tokio::select! {
                biased;
                Some(released) = self.acks.recv() => self.ack(released).await,
                _ = self.closing.recv() => return self.close(CloseCode::Normal, "we closed it").await,
                frame = self.socket.next() => {
                    heard = self.clock.now();
                    self.take(frame, &mut batch).await
                }
                () = tokio::time::sleep_until(wake) => {
                    pinged = self.clock.now();
                    self.ping(heard).await
                }
            };
            let step = match step {
                Ok(()) => self.take_ready(&mut batch).await,
                Err(end) => Err(end),
            };
            self.hand_over(&mut batch, &gate).await;
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Takes what has arrived already, so that many frames make one message.
    async fn take_ready(&mut self, batch: &mut Vec<Bytes>) -> Result<(), End> {
        while !batch.is_empty() && batch.len() < SOCKET_BATCH_MAX {
            let Some(frame) = self.socket.next().now_or_never() else {
                return Ok(());
            };
            self.take(frame, batch).await?;
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
        frame: Option<Result<Frame, Fault>>,
        batch: &mut Vec<Bytes>,
    ) -> Result<(), End> {
        match frame {
            Some(Ok(Frame::Text(text))) => batch.push(text),
            Some(Ok(Frame::Ping(payload))) => return self.send(Message::Pong(payload)).await,
            // Any frame is a sign of life; nothing else is in these.
            Some(Ok(Frame::Pong(_) | Frame::Binary(_))) => {}
            Some(Ok(Frame::Close(reason))) => {
                let why = told(reason.as_ref());
                self.send(Message::Close(reason)).await.ok();
                return Err(End(format!("Slack closed it, {why}")));
            }
            Some(Err(fault)) => {
                if let Some(code) = fault.close_code() {
                    self.close(code, "").await;
                }
                return Err(End(fault.to_string()));
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
        if silent >= self.socket.silence_max() {
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
    async fn close(&mut self, code: CloseCode, why: &str) -> End {
        let within = self.socket.close_within();
        let shake = async {
            let reason = CloseReason::from(code);
            self.send(Message::Close(Some(reason))).await.ok();
            while let Some(Ok(frame)) = self.socket.next().await {
                if matches!(frame, Frame::Close(_)) {
                    return;
                }
            }
        };
        // Either way it is dropped now.
        tokio::time::timeout(within, shake).await.ok();
        End(why.to_owned())
    }
}

/// A peer that reads nothing must not hold the pump up for ever.
async fn written(write: impl Future<Output = Result<(), Fault>>) -> Result<(), End> {
    match tokio::time::timeout(SILENCE_MAX, write).await {
        Ok(Ok(())) => Ok(()),
        // The socket is as good as before, and Slack delivers again what was not acked.
        Ok(Err(fault @ (Fault::SentTooLong { .. } | Fault::SentInPieces))) => {
            tracing::error!(%fault, "a frame is left out");
            Ok(())
        }
        Ok(Err(fault)) => Err(End(format!("it can't be written: {fault}"))),
        Err(_) => Err(End("it takes no more bytes".to_owned())),
    }
}

/// A close frame in words.
fn told(reason: Option<&CloseReason>) -> String {
    let Some(reason) = reason else {
        return "without a code".to_owned();
    };
    let code = u16::from(reason.code);
    match &reason.description {
        Some(description) => format!("code {code} ({:?})", redacted(description)),
        None => format!("code {code}"),
    }
}
