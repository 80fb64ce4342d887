//! Frames of RFC 6455 as a client reads and writes them, with what actix-http's codec leaves to its user.
//!
//! That codec unmasks, tells opcodes and lengths apart, and refuses reserved bits, masked frames of a server, control
//! frames of more than 125 bytes or in fragments, continuations without a beginning, and close codes that may not be
//! sent. Left to us, and done here: a length is refused when it is announced, not when all of it has arrived;
//! fragments are put together, within the same bound; text is UTF-8; and after a fault nothing more is read.
//! Pongs, and the answer to a close frame, are the pump's.

use std::io;

use actix_codec::{Decoder, Encoder};
use actix_http::ws::{self, CloseCode, CloseReason, Item, Message, ProtocolError};
use bytes::{Bytes, BytesMut};

use super::trace;
use crate::base::limits::FRAME_BYTES_MAX;
use crate::base::network::Trace;

/// A message, whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// Text; it is UTF-8.
    Text(Bytes),
    /// Anything else.
    Binary(Bytes),
    /// To be answered with a pong of the same bytes.
    Ping(Bytes),
    /// The answer to a ping.
    Pong(Bytes),
    /// Nothing comes after this.
    Close(Option<CloseReason>),
}

/// What is wrong with a frame or its connection. Never holds what a frame says.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A message that is longer than we take.
    #[error("a message of more than {max} bytes")]
    TooLong {
        /// The bound.
        max: usize,
    },
    /// A text that is not UTF-8.
    #[error("a text that is not UTF-8")]
    NotUtf8,
    /// A frame that RFC 6455 does not have.
    #[error("a frame that breaks the protocol: {0}")]
    Broken(String),
    /// A message of ours that Slack would close the socket for. It is not sent, and the socket is as good as before.
    #[error("a message of {bytes} bytes is not sent: Slack closes the socket for more than {max}")]
    SentTooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// A fragment of ours. Slack loses messages that come in pieces, so it is not sent.
    #[error("a message is not sent in pieces")]
    SentInPieces,
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Fault {
    /// The code with which the other end is told of it; nothing where there is no use in telling.
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::TooLong { .. } => Some(CloseCode::Size),
            Self::NotUtf8 => Some(CloseCode::Invalid),
            Self::Broken(_) => Some(CloseCode::Protocol),
            Self::SentTooLong { .. } | Self::SentInPieces | Self::Io(_) => None,
        }
    }
}

/// One socket's reading and writing.
pub(super) struct Codec {
    inner: ws::Codec,
    sent_bytes_max: usize,
    trace: Trace,
    /// Fragments so far, and whether they are text.
    parts: BytesMut,
    is_text: bool,
    is_broken: bool,
}

/// What the first bytes of a frame say of it.
struct Announced {
    is_control: bool,
    bytes: u64,
}

impl Codec {
    pub(super) fn new(inner: ws::Codec, sent_bytes_max: usize, trace: Trace) -> Self {
        Self {
            inner,
            sent_bytes_max,
            trace,
            parts: BytesMut::new(),
            is_text: false,
            is_broken: false,
        }
    }

    /// Refuses what is too long before it is here: a peer could fill our memory with it.
    fn check_length(&self, source: &[u8]) -> Result<(), Fault> {
        let Some(Announced { is_control, bytes }) = announced(source) else {
            return Ok(());
        };
        if is_control {
            if bytes > 125 {
                return Err(Fault::Broken(format!("a control frame of {bytes} bytes")));
            }
            return Ok(());
        }
        let whole =
            u64::try_from(self.parts.len()).map_or(u64::MAX, |had| had.saturating_add(bytes));
        if usize::try_from(whole).is_ok_and(|whole| whole <= FRAME_BYTES_MAX) {
            return Ok(());
        }
        Err(Fault::TooLong {
            max: FRAME_BYTES_MAX,
        })
    }

    fn read(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, Fault> {
        loop {
            self.check_length(source)?;
            let Some(frame) = self.inner.decode(source).map_err(fault)? else {
                return Ok(None);
            };
            let frame = match frame {
                ws::Frame::Text(text) => checked(text)?,
                ws::Frame::Binary(bytes) => Frame::Binary(bytes),
                ws::Frame::Ping(bytes) => Frame::Ping(bytes),
                ws::Frame::Pong(bytes) => Frame::Pong(bytes),
                ws::Frame::Close(reason) => Frame::Close(reason),
                ws::Frame::Continuation(item) => match self.assembled(item)? {
                    Some(frame) => frame,
                    None => continue,
                },
            };
            return Ok(Some(frame));
        }
    }

    /// The message, once its last fragment is there.
    fn assembled(&mut self, item: Item) -> Result<Option<Frame>, Fault> {
        match item {
            Item::FirstText(bytes) => {
                self.is_text = true;
                self.parts.extend_from_slice(&bytes);
            }
            Item::FirstBinary(bytes) => {
                self.is_text = false;
                self.parts.extend_from_slice(&bytes);
            }
            Item::Continue(bytes) => self.parts.extend_from_slice(&bytes),
            Item::Last(bytes) => {
                self.parts.extend_from_slice(&bytes);
                // Not kept for the next: most messages come whole.
                let whole = std::mem::take(&mut self.parts).freeze();
                return if self.is_text {
                    checked(whole).map(Some)
                } else {
                    Ok(Some(Frame::Binary(whole)))
                };
            }
        }
        Ok(None)
    }
}

impl Decoder for Codec {
    type Item = Frame;
    type Error = Fault;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, Fault> {
        if self.is_broken {
            source.clear();
            return Ok(None);
        }
        let read = self.read(source);
        match &read {
            Ok(Some(frame)) => {
                trace::received(self.trace, frame);
                // Whatever follows a close frame is not for us.
                self.is_broken = matches!(frame, Frame::Close(_));
            }
            Ok(None) => {}
            Err(_) => self.is_broken = true,
        }
        if self.is_broken {
            source.clear();
        }
        read
    }

    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, Fault> {
        let frame = self.decode(source)?;
        if frame.is_none() && !source.is_empty() {
            self.is_broken = true;
            source.clear();
            let cut = "the connection was cut in the middle of a frame";
            return Err(Fault::Io(io::Error::new(io::ErrorKind::UnexpectedEof, cut)));
        }
        Ok(frame)
    }
}

impl Encoder<Message> for Codec {
    type Error = Fault;

    fn encode(&mut self, message: Message, target: &mut BytesMut) -> Result<(), Fault> {
        let bytes = match &message {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => bytes.len(),
            Message::Continuation(_) => return Err(Fault::SentInPieces),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Nop => 0,
        };
        if bytes > self.sent_bytes_max {
            return Err(Fault::SentTooLong {
                bytes,
                max: self.sent_bytes_max,
            });
        }
        trace::sent(self.trace, &message);
        self.inner.encode(message, target).map_err(fault)
    }
}

fn checked(text: Bytes) -> Result<Frame, Fault> {
    match std::str::from_utf8(&text) {
        Ok(_) => Ok(Frame::Text(text)),
        Err(_) => Err(Fault::NotUtf8),
    }
}

/// What the beginning of `source` announces, if that much is there. Nothing of a frame that is refused for its first
/// two bytes anyway: which fault is found must not depend on how the network cuts the bytes.
fn announced(source: &[u8]) -> Option<Announced> {
    let (first, rest) = source.split_first()?;
    let (second, rest) = rest.split_first()?;
    let is_known = matches!(first & 0x7f, 0..=2 | 8..=10);
    let is_masked = second & 0x80 != 0;
    if !is_known || is_masked {
        return None;
    }
    let bytes = match second & 0x7f {
        126 => u64::from(u16::from_be_bytes(*rest.first_chunk()?)),
        127 => u64::from_be_bytes(*rest.first_chunk()?),
        short => u64::from(short),
    };
    Some(Announced {
        is_control: first & 0x08 != 0,
        bytes,
    })
}

/// In our words: the codec has no names for some of what it finds.
fn fault(error: ProtocolError) -> Fault {
    match error {
        ProtocolError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            Fault::Broken("reserved bits are set".to_owned())
        }
        ProtocolError::Io(error) => Fault::Io(error),
        ProtocolError::Overflow => Fault::TooLong {
            max: FRAME_BYTES_MAX,
        },
        // It says so of a bad code or reason as well; a bad opcode is `InvalidOpcode`.
        ProtocolError::BadOpCode => Fault::Broken("a bad close code or reason".to_owned()),
        error => Fault::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
