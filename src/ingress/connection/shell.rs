//! The actix actor around a connection's machine.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture,
};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::Instrument;

use super::machine::{Generation, Input, Machine, Output};
use crate::actor::alarm::Alarm;
use crate::actor::port::WayBack;
use crate::base::clock::Clock;
use crate::base::limits::{RTM_SENT_BYTES_MAX, SOCKET_MODE_SENT_BYTES_MAX, SOCKET_OPEN_MAX};
use crate::base::rng::Rng;
use crate::dispatch::inbox::Entrance;
use crate::flow::ack::{Ack, Released};
use crate::flow::envelope::{Arrival, Envelope, Kind, Origin};
use crate::flow::identity::Installs;
use crate::flow::key::home_shard;
use crate::ingress::pump::{News, Pump};
use crate::ingress::supervisor::{Lifeline, SupervisorShell};
use crate::ingress::ticket::{self, Known, Refused, Ticket};
use crate::ingress::{Line, Standing, Standings, Transport, rtm, socket_mode};
use crate::slack::id::{EnvelopeId, TeamId};
use crate::web::{Api, Client, dial};

/// What a connection is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Which token, and how.
    pub line: Line,
    /// Who we are where.
    pub installs: Installs,
    /// The shards, by number.
    pub shards: Vec<Entrance>,
    /// How connections stand.
    pub standings: Standings,
    /// Where the Web API is.
    pub api: Api,
    /// The time.
    pub clock: Clock,
}

struct FromPump(Generation, News);

impl Message for FromPump {
    type Result = ();
}

/// Close every socket, for good.
#[derive(Debug)]
pub struct Stop;

impl Message for Stop {
    type Result = ();
}

struct Socket {
    close: mpsc::Sender<()>,
    acks: mpsc::Sender<Released>,
    team: TeamId,
}

/// The actor of one token.
pub struct ConnectionShell {
    parts: Parts,
    machine: Machine,
    web: Client,
    known: Known,
    tickets: HashMap<Generation, Ticket>,
    sockets: HashMap<Generation, Socket>,
    alarm: Alarm,
    rng: Rng,
    shed: u64,
    /// It was told to end, rather than stopped by what Slack said: then it stays to be seen.
    is_ending: bool,
    _lifeline: Lifeline,
}

impl std::fmt::Debug for ConnectionShell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionShell")
            .field("line", &self.parts.line.name)
            .finish_non_exhaustive()
    }
}

impl ConnectionShell {
    /// A connection that its supervisor hears of when it dies.
    pub fn new(parts: Parts, supervisor: WayBack<SupervisorShell>) -> Self {
        Self {
            machine: Machine::new(Rng::from_system()),
            web: Client::new(&parts.api),
            known: Known::default(),
            tickets: HashMap::new(),
            sockets: HashMap::new(),
            alarm: Alarm::default(),
            rng: Rng::from_system(),
            shed: 0,
            is_ending: false,
            _lifeline: Lifeline::new(parts.line.name.clone(), supervisor),
            parts,
        }
    }

    fn step(&mut self, input: Input, context: &mut Context<Self>) {
        let mut out = Vec::new();
        self.machine.step(self.parts.clock.now(), input, &mut out);
        for output in out {
            self.perform(output, context);
        }
        self.arm(context);
        if self.is_ending && self.machine.is_over() {
            context.stop();
        }
    }

    fn perform(&mut self, output: Output, context: &mut Context<Self>) {
        let connection = self.parts.line.name.as_str();
        match output {
            Output::Ask(generation) => self.ask(generation, context),
            Output::Dial(generation) => self.dial(generation, context),
            Output::Close(generation) => {
                if let Some(socket) = self.sockets.get(&generation) {
                    // One request is enough; a second finds the place taken.
                    socket.close.try_send(()).ok();
                }
            }
            Output::Up(generation) => {
                tracing::info!(connection, generation, "connected");
                self.parts.standings.put(connection, Standing::Up);
            }
            Output::Down(why) => {
                tracing::info!(connection, %why, "not connected, and trying again");
                self.parts.standings.put(connection, Standing::Down(why));
            }
            Output::Stopped(why) => {
                tracing::error!(connection, %why, "stopped, and not tried again: mend the token or the app's settings, then restart");
                self.parts.standings.put(connection, Standing::Stopped(why));
            }
        }
    }

    fn ask(&self, generation: Generation, context: &mut Context<Self>) {
        let (web, line, installs) = (
            self.web.clone(),
            self.parts.line.clone(),
            self.parts.installs.clone(),
        );
        let mut known = self.known.clone();
        let asked = async move {
            let ticket = ticket::ask(&web, &line, &installs, &mut known).await;
            (ticket, known)
        };
        context.spawn(asked.into_actor(self).map(
            move |(ticket, known): (Result<Ticket, Refused>, Known), shell, context| {
                if known.is_all() && !shell.known.is_all() {
                    shell.parts.installs.asked(&shell.parts.line.app);
                }
                shell.known = known;
                match ticket {
                    Ok(ticket) => {
                        shell.tickets.insert(generation, ticket);
                        shell.step(Input::Ticket(generation), context);
                    }
                    Err(refused) => shell.step(Input::Refused(generation, refused), context),
                }
                shell.tickets.remove(&generation);
            },
        ));
    }

    fn dial(&mut self, generation: Generation, context: &mut Context<Self>) {
        let Some(Ticket { url, team }) = self.tickets.remove(&generation) else {
            return;
        };
        let web = self.web.clone();
        let sent_bytes_max = match self.parts.line.transport {
            Transport::SocketMode { .. } => SOCKET_MODE_SENT_BYTES_MAX,
            Transport::Rtm { .. } => RTM_SENT_BYTES_MAX,
        };
        let opened = async move { web.open(url.expose(), sent_bytes_max).await };
        context.spawn(
            opened
                .into_actor(self)
                .map(move |opened, shell, context| match opened {
                    Ok(socket) => {
                        shell.pump(generation, team, socket, context);
                        shell.step(Input::Opened(generation), context);
                    }
                    Err(why) => shell.step(Input::DialFailed(generation, why), context),
                }),
        );
    }

    /// Gives the socket to a pump of its own.
    fn pump(
        &mut self,
        generation: Generation,
        team: TeamId,
        socket: dial::Socket,
        context: &Context<Self>,
    ) {
        let (close, closing) = mpsc::channel(1);
        let (acks, released) = mpsc::channel(SOCKET_OPEN_MAX);
        let way_back = WayBack::new(context.address());
        let pump = Pump {
            socket,
            acks: released,
            closing,
            clock: self.parts.clock,
            tell: move |news| way_back.send(FromPump(generation, news)),
        };
        let span = tracing::info_span!("socket", connection = %self.parts.line.name, generation);
        actix_rt::spawn(pump.run().instrument(span));
        let socket = Socket { close, acks, team };
        self.sockets.insert(generation, socket);
    }

    fn frames(&mut self, generation: Generation, frames: Vec<Bytes>, context: &mut Context<Self>) {
        let mut arrivals: Vec<Vec<Arrival>> =
            self.parts.shards.iter().map(|_| Vec::new()).collect();
        for frame in frames {
            // The socket closes for what is not UTF-8, so this only gives the bytes their type back.
            let Ok(text) = std::str::from_utf8(&frame) else {
                tracing::warn!(connection = %self.parts.line.name, "a frame that is not UTF-8; it is left alone");
                continue;
            };
            match self.parts.line.transport {
                Transport::SocketMode { .. } => {
                    let read = socket_mode::read(&frame, text);
                    self.socket_mode_frame(generation, read, &mut arrivals, context);
                }
                Transport::Rtm { .. } => self.rtm_frame(generation, frame, &mut arrivals, context),
            }
        }
        for (shard, arrivals) in self.parts.shards.iter().zip(arrivals) {
            shard.put(arrivals);
        }
    }

    fn socket_mode_frame(
        &mut self,
        generation: Generation,
        read: socket_mode::Read<'_>,
        arrivals: &mut [Vec<Arrival>],
        context: &mut Context<Self>,
    ) {
        use socket_mode::Read;
        match read {
            Read::Hello(hello) => {
                tracing::debug!(generation, connections = hello.num_connections, "hello");
                self.step(Input::Hello(generation), context);
            }
            Read::Disconnect(reason) => {
                tracing::info!(connection = %self.parts.line.name, generation, %reason, "asked to reconnect");
                self.step(Input::Disconnect(generation, reason), context);
            }
            Read::Envelope {
                envelope_id,
                kind,
                payload,
                callback,
                is_retry,
            } => {
                let origin = Origin {
                    app: &self.parts.line.app,
                    envelope_id: envelope_id.as_str(),
                    team: TeamId::default(),
                };
                let received_ms = self.parts.clock.unix_ms();
                let read = if kind == Kind::Event {
                    Ok(Envelope::of_callback(
                        &origin,
                        payload,
                        callback,
                        received_ms,
                    ))
                } else {
                    Envelope::read(kind, &origin, payload, received_ms)
                };
                self.admit(
                    generation,
                    read.map(|envelope| (envelope, Some(envelope_id), is_retry)),
                    arrivals,
                );
            }
            Read::Unknown(kind) => {
                tracing::warn!(connection = %self.parts.line.name, %kind, "a kind of frame that is not known here; it is left alone");
            }
            Read::Unreadable(error) => {
                tracing::warn!(connection = %self.parts.line.name, %error, "a frame that can't be read; it is left alone");
            }
        }
    }

    fn rtm_frame(
        &mut self,
        generation: Generation,
        frame: Bytes,
        arrivals: &mut [Vec<Arrival>],
        context: &mut Context<Self>,
    ) {
        use rtm::Read;
        match rtm::read(&frame) {
            Read::Hello => self.step(Input::Hello(generation), context),
            Read::Goodbye => {
                tracing::info!(connection = %self.parts.line.name, generation, "told goodbye");
                self.step(Input::Disconnect(generation, "goodbye".to_owned()), context);
            }
            Read::Event => {
                let team = self
                    .sockets
                    .get(&generation)
                    .map(|socket| socket.team.clone());
                let origin = Origin {
                    app: &self.parts.line.app,
                    envelope_id: "",
                    team: team.unwrap_or_default(),
                };
                let read =
                    Envelope::read(Kind::RtmEvent, &origin, frame, self.parts.clock.unix_ms());
                self.admit(
                    generation,
                    read.map(|envelope| (envelope, None, false)),
                    arrivals,
                );
            }
            Read::Own => {}
            Read::Error(error) | Read::Unreadable(error) => {
                tracing::warn!(connection = %self.parts.line.name, %error, "an RTM frame that is no event");
            }
        }
    }

    /// Finds room for an envelope, or sheds it: it is then not acked, and Slack delivers it again. (RTM has no
    /// acks: there shedding is loss, and counted as such.)
    fn admit(
        &mut self,
        generation: Generation,
        read: Result<(Envelope, Option<EnvelopeId>, bool), crate::flow::envelope::Unreadable>,
        arrivals: &mut [Vec<Arrival>],
    ) {
        let (mut envelope, envelope_id, is_retry) = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(connection = %self.parts.line.name, %error, "an envelope that can't be read is not acked");
                return;
            }
        };
        if envelope.id.is_empty() {
            // Nothing tells a second copy of it from the first, but what it causes needs a name of its own.
            envelope.name_anonymous(self.rng.next_u64());
        }
        let shard = home_shard(&envelope.app, &envelope.team, self.parts.shards.len());
        let (Some(entrance), Some(arrivals)) =
            (self.parts.shards.get(shard), arrivals.get_mut(shard))
        else {
            return;
        };
        let ack = match envelope_id {
            None => None,
            Some(envelope_id) => {
                let Some(socket) = self.sockets.get(&generation) else {
                    return;
                };
                match socket.acks.clone().try_reserve_owned() {
                    Ok(place) => Some(Ack { place, envelope_id }),
                    Err(TrySendError::Full(_)) => return self.count_shed(),
                    // The socket went after its last frames: nobody can ack them, and Slack delivers again.
                    Err(TrySendError::Closed(_)) => return,
                }
            }
        };
        let Some(permit) = entrance.try_enter() else {
            return self.count_shed();
        };
        arrivals.push(Arrival {
            envelope: Arc::new(envelope),
            ack,
            permit: Some(permit),
            is_retry,
        });
    }

    fn count_shed(&mut self) {
        self.shed += 1;
        // The first, then each power of two: a flood must not flood the log as well.
        if self.shed.is_power_of_two() {
            tracing::warn!(connection = %self.parts.line.name, shed = self.shed, "full: envelopes are left un-acked for Slack to deliver again");
        }
    }

    fn arm(&mut self, context: &mut Context<Self>) {
        let next = self.machine.next_tick();
        if let Some(wait) = self.alarm.set(next, self.parts.clock.now()) {
            context.run_later(wait, |shell, context| {
                shell.alarm.rang();
                shell.step(Input::Tick, context);
            });
        }
    }
}

impl Actor for ConnectionShell {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let down = Standing::Down("connecting".to_owned());
        self.parts.standings.put(&self.parts.line.name, down);
        self.step(Input::Start, context);
    }
}

impl Handler<FromPump> for ConnectionShell {
    type Result = ();

    fn handle(&mut self, FromPump(generation, news): FromPump, context: &mut Self::Context) {
        match news {
            News::Frames(frames, _place) => self.frames(generation, frames, context),
            News::Closed(why) => {
                self.sockets.remove(&generation);
                self.step(Input::Closed(generation, why), context);
            }
        }
    }
}

impl Handler<Stop> for ConnectionShell {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.is_ending = true;
        self.step(Input::Stop, context);
    }
}
