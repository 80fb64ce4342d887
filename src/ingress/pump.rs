//! The pump: owns one socket, so that pings are answered whatever waits behind it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::web::dial::{CloseCode, CloseReason, Fault, Frame, Message};
use bytes::Bytes;
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::base::clock::Clock;
use crate::base::limits::{SOCKET_BATCH_MAX, SOCKET_KEPT_BYTES_MAX, SOCKET_OPEN_MAX, SocketTimes};
use crate::base::secret::redacted;
use crate::flow::ack::Released;
use crate::flow::gate::{Gate, Permit};
use crate::ingress::liveness::{Liveness, Verdict};
use crate::ingress::sending::{NotSent, Sending};
use crate::ingress::standing::Counters;

/// What a pump tells its connection.
#[derive(Debug)]
pub(super) enum News {
    /// Complete text frames, in order, with the place they take until they are dealt with; and how many had to be
    /// left out before them, because the connection was busy for too long.
    Frames(Vec<Bytes>, u64, Permit),
    /// The socket is gone, and why. The last news.
    Closed(String),
}

/// What a connection tells its pump: only to close.
pub(super) type Closing = mpsc::Receiver<()>;

/// A socket and everything that goes through it.
pub(super) struct Pump<S, T> {
    pub(super) socket: S,
    pub(super) acks: mpsc::Receiver<Released>,
    pub(super) sends: mpsc::Receiver<Sending>,
    pub(super) closing: Closing,
    pub(super) clock: Clock,
    pub(super) times: SocketTimes,
    pub(super) counters: Arc<Counters>,
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

/// Frames that were read and not handed over yet.
#[derive(Default)]
struct Kept {
    frames: VecDeque<Bytes>,
    bytes: usize,
    shed: u64,
}

impl Kept {
    fn is_full(&self) -> bool {
        self.frames.len() >= SOCKET_OPEN_MAX || self.bytes >= SOCKET_KEPT_BYTES_MAX
    }

    /// Keeps a frame where there is room. Where there is none it is left un-acked, for Slack to deliver again.
    fn push(&mut self, frame: Bytes) {
        if self.is_full() {
            self.shed += 1;
        } else {
            self.bytes += frame.len();
            self.frames.push_back(frame);
        }
    }

    /// What is handed over at once.
    fn batch(&mut self) -> (Vec<Bytes>, u64) {
        let count = self.frames.len().min(SOCKET_BATCH_MAX);
        let frames: Vec<Bytes> = self.frames.drain(..count).collect();
        self.bytes -= frames.iter().map(Bytes::len).sum::<usize>();
        (frames, std::mem::take(&mut self.shed))
    }
}

impl<S, T> Pump<S, T>
where
    S: Stream<Item = Result<Frame, Fault>> + Sink<Message, Error = Fault> + Unpin,
    T: Fn(News),
{
    /// Pumps until the socket is gone.
    pub(super) async fn run(mut self) {
        let mut kept = Kept::default();
        let End(why) = self.pump(&mut kept).await;
        // What was read belongs to the connection, whatever became of the socket.
        if !kept.frames.is_empty()
            && let Some(permit) = Gate::new(1).try_enter()
        {
            (self.tell)(News::Frames(kept.frames.into(), kept.shed, permit));
        }
        (self.tell)(News::Closed(why));
    }

    async fn pump(&mut self, kept: &mut Kept) -> End {
        // Two batches may be on their way: one that is read from, one that waits.
        let gate = Gate::new(2);
        let mut liveness = Liveness::new(self.times, self.clock.now());
        loop {
            let step = tokio::select! {
                biased;
                Some(released) = self.acks.recv() => self.ack(released).await,
                Some(sending) = self.sends.recv() => self.send_frame(sending).await,
                _ = self.closing.recv() => return self.close(CloseCode::Normal, "we closed it", kept).await,
                frame = self.socket.next() => {
                    let taken = self.take(frame, &mut liveness, kept).await;
                    match taken {
                        Ok(()) => self.take_ready(&mut liveness, kept).await,
                        Err(end) => Err(end),
                    }
                }
                // The connection is busy: meanwhile the socket is read on, so that its pings are answered.
                Some(permit) = gate.enter(), if !kept.frames.is_empty() => {
                    self.hand_over(kept, permit);
                    Ok(())
                }
                () = tokio::time::sleep_until(liveness.next_look()) => {
                    match liveness.look(self.clock.now()) {
                        Verdict::Fine => Ok(()),
                        Verdict::Ping(number) => self.ping(number).await,
                        Verdict::Dead(why) => Err(End(why)),
                    }
                }
            };
            if let Err(end) = step {
                return end;
            }
            if !kept.frames.is_empty()
                && let Some(permit) = gate.try_enter()
            {
                self.hand_over(kept, permit);
            }
        }
    }

    /// Takes what has arrived already, so that many frames make one message.
    async fn take_ready(&mut self, liveness: &mut Liveness, kept: &mut Kept) -> Result<(), End> {
        while !kept.frames.is_empty() && kept.frames.len() < SOCKET_BATCH_MAX {
            let Some(frame) = self.socket.next().now_or_never() else {
                return Ok(());
            };
            self.take(frame, liveness, kept).await?;
        }
        Ok(())
    }

    fn hand_over(&self, kept: &mut Kept, permit: Permit) {
        let (frames, shed) = kept.batch();
        (self.tell)(News::Frames(frames, shed, permit));
    }

    async fn take(
        &mut self,
        frame: Option<Result<Frame, Fault>>,
        liveness: &mut Liveness,
        kept: &mut Kept,
    ) -> Result<(), End> {
        let now = self.clock.now();
        liveness.heard(now);
        self.counters.heard(self.clock.unix_ms());
        match frame {
            Some(Ok(Frame::Text(text))) => kept.push(text),
            Some(Ok(Frame::Ping(payload))) => return self.send(Message::Pong(payload)).await,
            Some(Ok(Frame::Pong(payload))) => {
                if let Some(number) = ping_number(&payload) {
                    liveness.answered(number);
                }
            }
            // A sign of life; Slack sends none, and nothing is in it for us.
            Some(Ok(Frame::Binary(_))) => self.counters.odd(),
            Some(Ok(Frame::Close(reason))) => {
                let why = told(reason.as_ref());
                self.send(Message::Close(reason)).await.ok();
                return Err(End(format!("Slack closed it, {why}")));
            }
            Some(Err(fault)) => {
                if let Some(code) = fault.close_code() {
                    self.close(code, "", kept).await;
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
                self.counters.acked();
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

    async fn ping(&mut self, number: u64) -> Result<(), End> {
        self.send(Message::Ping(Bytes::from(format!("{PING}{number}"))))
            .await
    }

    /// Sends a frame of the author's, who is told when it can't be.
    async fn send_frame(&mut self, sending: Sending) -> Result<(), End> {
        let Sending {
            text,
            told,
            is_answered,
        } = sending;
        let write = self.socket.send(Message::Text(text.into()));
        let (sent, end) = match tokio::time::timeout(self.times.silence_max, write).await {
            Ok(Ok(())) if is_answered => return Ok(()),
            Ok(Ok(())) => (Ok(None), Ok(())),
            Ok(Err(Fault::SentTooLong { bytes, max })) => {
                let bytes_max = max;
                (Err(NotSent::TooLong { bytes, bytes_max }), Ok(()))
            }
            Ok(Err(fault)) => (
                Err(NotSent::Lost),
                Err(End(format!("it can't be written: {fault}"))),
            ),
            Err(_) => (
                Err(NotSent::Lost),
                Err(End("it takes no more bytes".to_owned())),
            ),
        };
        // Whoever asked may have stopped waiting.
        told.try_send(sent).ok();
        end
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        self.feed(message).await?;
        self.flush().await
    }

    async fn feed(&mut self, message: Message) -> Result<(), End> {
        written(self.times, self.socket.feed(message)).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        written(self.times, self.socket.flush()).await
    }

    /// Says goodbye, and waits for the answer only so long: Slack leaves TCP open after it. What Slack sent before
    /// it heard is taken along.
    async fn close(&mut self, code: CloseCode, why: &str, kept: &mut Kept) -> End {
        let within = self.times.close_within;
        let shake = async {
            let reason = CloseReason::from(code);
            self.send(Message::Close(Some(reason))).await.ok();
            while let Some(Ok(frame)) = self.socket.next().await {
                match frame {
                    Frame::Close(_) => return,
                    Frame::Text(text) => kept.push(text),
                    Frame::Binary(_) | Frame::Ping(_) | Frame::Pong(_) => {}
                }
            }
        };
        // Either way it is dropped now.
        tokio::time::timeout(within, shake).await.ok();
        End(why.to_owned())
    }
}

/// The beginning of our pings' payloads; their number follows.
const PING: &str = "callboard ";

fn ping_number(payload: &[u8]) -> Option<u64> {
    std::str::from_utf8(payload)
        .ok()?
        .strip_prefix(PING)?
        .parse()
        .ok()
}

/// A peer that reads nothing must not hold the pump up for ever.
async fn written(
    times: SocketTimes,
    write: impl Future<Output = Result<(), Fault>>,
) -> Result<(), End> {
    match tokio::time::timeout(times.silence_max, write).await {
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;
    use crate::slack::id::EnvelopeId;

    type Told = Rc<RefCell<Vec<News>>>;

    /// Our end of a socket, in memory.
    struct Ours {
        from_slack: mpsc::Receiver<Frame>,
        to_slack: mpsc::Sender<Message>,
    }

    impl Stream for Ours {
        type Item = Result<Frame, Fault>;

        fn poll_next(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Self::Item>> {
            self.from_slack
                .poll_recv(context)
                .map(|frame| frame.map(Ok))
        }
    }

    impl Sink<Message> for Ours {
        type Error = Fault;

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
            Poll::Ready(Ok(()))
        }

        fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Fault> {
            self.to_slack.try_send(message).ok();
            Ok(())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Slack's end, and the ways to the pump.
    struct Stuck {
        frames: mpsc::Sender<Frame>,
        messages: mpsc::Receiver<Message>,
        told: Told,
        acks: mpsc::Sender<Released>,
        close: mpsc::Sender<()>,
    }

    /// A pump whose news nobody deals with.
    fn stuck() -> Stuck {
        let (frames, from_slack) = mpsc::channel(64);
        let (to_slack, messages) = mpsc::channel(1024);
        let (acks, released) = mpsc::channel(8);
        let (close, closing) = mpsc::channel(1);
        let told = Told::default();
        let tell = {
            let told = Rc::clone(&told);
            // Kept with its permit: the connection never gets round to it.
            move |news| told.borrow_mut().push(news)
        };
        let pump = Pump {
            socket: Ours {
                from_slack,
                to_slack,
            },
            acks: released,
            sends: mpsc::channel(1).1,
            closing,
            clock: Clock::system(),
            times: SocketTimes::default(),
            counters: Arc::default(),
            tell,
        };
        actix_rt::spawn(pump.run());
        Stuck {
            frames,
            messages,
            told,
            acks,
            close,
        }
    }

    fn text(n: usize) -> Frame {
        Frame::Text(format!("{{\"type\":\"events_api\",\"n\":{n}}}").into())
    }

    #[actix_rt::test]
    async fn pings_are_answered_and_acks_leave_while_everything_behind_is_full() {
        let Stuck {
            frames: slack,
            mut messages,
            told,
            acks,
            close,
        } = stuck();
        let frames = 20 * SOCKET_BATCH_MAX;
        for n in 0..frames {
            slack.send(text(n)).await.unwrap();
        }
        let ping = Frame::Ping(Bytes::from_static(b"are you there"));
        slack.send(ping).await.unwrap();
        let released = Released {
            envelope_id: EnvelopeId::new("e1"),
            answer: None,
        };
        let mut is_ponged = false;
        acks.send(released).await.unwrap();
        let mut is_acked = false;
        while !(is_ponged && is_acked) {
            match messages.recv().await.unwrap() {
                Message::Pong(payload) => {
                    assert_eq!(payload, "are you there");
                    is_ponged = true;
                }
                Message::Text(text) => is_acked |= text.starts_with("{\"envelope_id\":\"e1\""),
                other => panic!("{other:?}"),
            }
        }
        let kept = |news: &News| match news {
            News::Frames(frames, ..) => frames.len(),
            News::Closed(why) => panic!("{why}"),
        };
        let (batches, handed): (usize, usize) = {
            let told = told.borrow();
            (told.len(), told.iter().map(kept).sum())
        };
        assert_eq!(batches, 2, "no more than two on their way");
        assert!(handed <= 2 * SOCKET_BATCH_MAX, "{handed}");
        // There is room again: what was kept comes, and how many had to be left out.
        let (mut came, mut shed) = (handed, 0);
        while came + shed < frames {
            told.borrow_mut().clear();
            while told.borrow().is_empty() {
                tokio::task::yield_now().await;
            }
            for news in told.borrow().iter() {
                let News::Frames(frames, left_out, _) = news else {
                    panic!("{news:?}")
                };
                came += frames.len();
                shed += usize::try_from(*left_out).unwrap();
            }
        }
        assert_eq!(came + shed, frames, "every frame is handed over or counted");
        assert!(shed > 0, "there was not room for all");
        close.send(()).await.unwrap();
        while !matches!(messages.recv().await, Some(Message::Close(_))) {}
    }

    #[actix_rt::test]
    async fn an_unanswered_close_takes_no_longer_than_it_may() {
        tokio::time::pause();
        let Stuck {
            frames: slack,
            told,
            acks: _acks,
            close,
            ..
        } = stuck();
        let clock = Clock::system();
        let begun = clock.now();
        close.send(()).await.unwrap();
        while told.borrow().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(matches!(&told.borrow()[0], News::Closed(_)));
        let took = clock.now() - begun;
        assert!(took <= SocketTimes::default().close_within * 2, "{took:?}");
        drop(slack);
    }
}
