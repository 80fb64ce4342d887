//! Socket Mode and RTM sockets, on actix-web-actors.
//!
//! That crate polls an actor only when the HTTP side wants bytes, so a client that stops reading freezes its
//! actor. Therefore no actor holds anything that others need: frames wait in a bounded queue that the hub
//! fills without waiting, and the hub cuts the TCP connection from outside when the queue is full.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc;

use super::Cutter;
use crate::base::clock::{Clock, Instant};
use crate::sim::hub::{Hub, ToSocket};
use crate::sim::machine::Manner;
use crate::sim::record::{By, SocketId};
use crate::sim::ticket::Refused;
use crate::sim::world::Transport;

/// Bytes of one frame that are read at all; a larger one closes the socket.
const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// How often Slack pings.
const PING_EVERY: Duration = Duration::from_secs(10);
/// A client that was silent for so long, pongs included, is cut.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// How long a client may take to answer a close frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// `/link/?ticket=..`: a Socket Mode socket.
pub(super) async fn link(
    request: HttpRequest,
    payload: web::Payload,
    hub: web::Data<Hub>,
) -> actix_web::Result<HttpResponse> {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let pairs = query.map(web::Query::into_inner).unwrap_or_default();
    let ticket = pairs.into_iter().find(|(name, _)| name == "ticket");
    let ticket = ticket.map(|(_, ticket)| ticket).unwrap_or_default();
    open(&request, payload, &hub, &ticket, Transport::Socket)
}

/// `/websocket/<ticket>`: an RTM socket.
pub(super) async fn rtm(
    request: HttpRequest,
    payload: web::Payload,
    ticket: web::Path<String>,
    hub: web::Data<Hub>,
) -> actix_web::Result<HttpResponse> {
    open(&request, payload, &hub, &ticket, Transport::Rtm)
}

fn open(
    request: &HttpRequest,
    payload: web::Payload,
    hub: &web::Data<Hub>,
    ticket: &str,
    transport: Transport,
) -> actix_web::Result<HttpResponse> {
    // The ticket is used up only by what is a WebSocket handshake at all.
    drop(ws::handshake(request)?);
    let cutter = request.conn_data::<Cutter>().cloned();
    let opened = hub.open(cutter.clone(), |machine| machine.open(ticket, transport));
    let (id, manner, frames) = match opened {
        Ok(opened) => opened,
        Err(_) if transport == Transport::Rtm => expired(),
        Err(Refused::Unknown | Refused::Expired) => {
            let text = "This ticket is unknown, used or expired; call apps.connections.open again.";
            return Ok(HttpResponse::Forbidden().body(text));
        }
    };
    let clock = Clock::system();
    let socket = Socket {
        id,
        manner,
        hub: Arc::clone(hub),
        frames: Some(frames),
        cutter,
        clock,
        heard: clock.now(),
        is_closing: false,
    };
    ws::WsResponseBuilder::new(socket, request, payload)
        .frame_size(FRAME_BYTES_MAX)
        .start()
}

/// A socket that nobody knows, to say that its ticket is worth nothing.
fn expired() -> (SocketId, Arc<Manner>, mpsc::Receiver<ToSocket>) {
    let (queue, frames) = mpsc::channel(2);
    let text = r#"{"type":"error","error":{"code":1,"msg":"Socket URL has expired"}}"#;
    drop(queue.try_send(ToSocket::Text(text.into())));
    drop(queue.try_send(ToSocket::Close(1000, String::new())));
    (0, Arc::default(), frames)
}

struct Socket {
    id: SocketId,
    manner: Arc<Manner>,
    hub: Arc<Hub>,
    frames: Option<mpsc::Receiver<ToSocket>>,
    cutter: Option<Cutter>,
    clock: Clock,
    heard: Instant,
    is_closing: bool,
}

type Context = ws::WebsocketContext<Socket>;

impl Socket {
    fn arm_ping(context: &mut Context) {
        context.run_later(PING_EVERY, |socket, context| {
            let silence = socket.clock.now().saturating_duration_since(socket.heard);
            if silence > SILENCE_MAX && !socket.manner.is_mute() {
                socket.hub.with(|machine| machine.cut(socket.id, "no_pong"));
                context.stop();
                return;
            }
            if !socket.is_closing && socket.manner.pings() && !socket.manner.is_mute() {
                context.ping(b"Ping from applink-1");
            }
            Self::arm_ping(context);
        });
    }

    /// Sends a close frame, and cuts the connection if the client does not answer it in time.
    fn close(&mut self, context: &mut Context, code: u16, why: String) {
        if self.is_closing {
            return;
        }
        self.is_closing = true;
        context.close(Some(ws::CloseReason {
            code: ws::CloseCode::from(code),
            description: Some(why).filter(|why| !why.is_empty()),
        }));
        context.run_later(CLOSE_WITHIN, |socket, context| {
            if let Some(cutter) = &socket.cutter {
                cutter.cut();
            }
            context.stop();
        });
    }

    fn client_closed(&mut self, context: &mut Context, reason: Option<ws::CloseReason>) {
        if !self.is_closing {
            let code = reason.as_ref().map(|reason| u16::from(reason.code));
            let why = reason
                .as_ref()
                .and_then(|reason| reason.description.clone());
            let why = why.unwrap_or_default();
            self.hub.ended(self.id, By::Client, code, &why);
            self.is_closing = true;
            return match self.manner.close_ms() {
                Some(0) => {
                    context.close(reason);
                    context.stop();
                }
                Some(ms) => {
                    context.run_later(Duration::from_millis(ms), |_, context| {
                        context.close(reason);
                        context.stop();
                    });
                }
                // The client has to end it.
                None => {}
            };
        }
        context.stop();
    }
}

impl Actor for Socket {
    type Context = Context;

    fn started(&mut self, context: &mut Context) {
        if let Some(mut frames) = self.frames.take() {
            context.add_stream(poll_fn(move |polled| frames.poll_recv(polled)));
        }
        Self::arm_ping(context);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.hub.ended(self.id, By::Lost, None, "connection ended");
    }
}

impl StreamHandler<ToSocket> for Socket {
    fn handle(&mut self, item: ToSocket, context: &mut Context) {
        if self.manner.is_mute() {
            return;
        }
        match item {
            ToSocket::Text(text) if !self.is_closing => context.text(&*text),
            ToSocket::Text(_) => {}
            ToSocket::Close(code, why) => self.close(context, code, why),
        }
    }

    /// The hub let go of this socket. A close frame that was sent has its own end.
    fn finished(&mut self, context: &mut Context) {
        if !self.is_closing {
            context.stop();
        }
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Socket {
    fn handle(&mut self, item: Result<ws::Message, ws::ProtocolError>, context: &mut Context) {
        self.heard = self.clock.now();
        let id = self.id;
        if self.manner.is_mute() && !matches!(item, Err(ws::ProtocolError::Io(_))) {
            return;
        }
        match item {
            Ok(ws::Message::Text(text)) => self.hub.with(|machine| machine.received(id, &text)),
            Ok(ws::Message::Ping(payload)) => {
                if self.manner.pongs() {
                    context.pong(&payload);
                }
            }
            Ok(ws::Message::Pong(_) | ws::Message::Nop) => {}
            Ok(ws::Message::Close(reason)) => self.client_closed(context, reason),
            Ok(ws::Message::Binary(_)) => self.hub.with(|machine| machine.ignore(id, "binary")),
            Ok(ws::Message::Continuation(_)) => {
                self.hub.with(|machine| machine.ignore(id, "fragment"));
            }
            Err(ws::ProtocolError::Overflow) => {
                self.hub
                    .with(|machine| machine.too_large(id, FRAME_BYTES_MAX));
            }
            Err(ws::ProtocolError::Io(_)) => context.stop(),
            Err(_) => {
                self.hub.with(|machine| machine.cut(id, "protocol_error"));
                context.stop();
            }
        }
    }
}
