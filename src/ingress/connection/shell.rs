//! The actix actor around a connection's machine.
mod frames;
mod orders;
mod publish;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture,
};
use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::Instrument;

use super::machine::{Generation, Input, Machine, Output, Terms, Tier};
use crate::actor::alarm::Alarm;
use crate::actor::port::WayBack;
use crate::base::clock::{Clock, Instant};
use crate::base::limits::{
    RECONNECT_URL_WITHIN, RTM_SENT_BYTES_MAX, RTM_TICKET_EVERY, RTM_TICKETS_BURST, SENDS_MAX,
    SOCKET_MODE_SENT_BYTES_MAX, SOCKET_OPEN_MAX, TICKET_EVERY, TICKETS_BURST,
};
use crate::base::rng::Rng;
use crate::base::secret::Secret;
use crate::dispatch::inbox::Entrance;
use crate::flow::ack::Released;
use crate::flow::gate::{Gate, Permit};
use crate::flow::identity::Installs;
use crate::ingress::backfill::{self, Newest};
use crate::ingress::pump::{News, Pump};
use crate::ingress::sending::Sending;
use crate::ingress::supervisor::{Lifeline, SupervisorShell};
use crate::ingress::ticket::{self, Known, Refused, Ticket};
use crate::ingress::{Counters, Heard, Line, Listeners, Standing, Standings, Transport};
use crate::slack::id::{ChannelId, TeamId, Ts};
use crate::web::{Api, Client, dial};
use orders::Waiting;

pub use orders::Order;

/// The longest wait that a back-fill takes upon itself when Slack asks for one.
const BACKFILL_WAIT_MAX: Duration = Duration::from_mins(2);

/// After how many looks without anything new a socket on its way out has nothing to do.
const QUIET_LOOKS: u32 = 3;

/// How often a back-fill asks for one channel.
const BACKFILL_TRIES: usize = 5;

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
    /// Who hears what passes.
    pub listeners: Listeners,
    /// The time.
    pub clock: Clock,
}

/// How long a socket's next batch waits for a crowded shard, at most; then it finds room or is shed.
const HOLD_WITHIN: Duration = Duration::from_secs(1);

/// How often it is looked whether there is room again.
const HOLD_LOOK_EVERY: Duration = Duration::from_millis(2);

struct FromPump(Generation, News);

impl Message for FromPump {
    type Result = ();
}

struct Socket {
    close: mpsc::Sender<()>,
    acks: mpsc::Sender<Released>,
    sends: mpsc::Sender<Sending>,
    team: TeamId,
    counters: Arc<Counters>,
    /// Envelopes at the last look, when it is on its way out, and how many looks found nothing new.
    looked_at: (u64, u32),
}

type Ctx = Context<ConnectionShell>;

/// The actor of one token.
pub struct ConnectionShell {
    parts: Parts,
    machine: Machine,
    web: Client,
    gate: Gate,
    known: Known,
    tickets: HashMap<Generation, Ticket>,
    /// A ticket that RTM gave without being asked, and until when it may be used.
    spare: Option<(Ticket, Instant)>,
    sockets: HashMap<Generation, Socket>,
    newest: Newest,
    alarm: Alarm,
    rng: Rng,
    /// Frames of the author's so far: the ids that RTM answers to.
    sent: u64,
    waiting: HashMap<u64, Waiting>,
    shed: u64,
    backfilled: u64,
    standing: Standing,
    standing_since_ms: u64,
    /// What was published last: the machine's revision, and what is counted here.
    published: Option<(u64, u64, u64)>,
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

fn terms(line: &Line) -> Terms {
    let (slots, burst, every) = match line.transport {
        Transport::SocketMode { slots, .. } => (slots, TICKETS_BURST, TICKET_EVERY),
        Transport::Rtm { .. } => (1, RTM_TICKETS_BURST, RTM_TICKET_EVERY),
    };
    Terms {
        slots,
        tier: Tier { burst, every },
        times: line.times,
        is_reconnecting: line.auto_reconnect,
    }
}

impl ConnectionShell {
    /// A connection that its supervisor hears of when it dies. It asks for tickets through `gate`, which all
    /// connections share.
    pub fn new(
        parts: Parts,
        web: Client,
        gate: Gate,
        supervisor: WayBack<SupervisorShell>,
    ) -> Self {
        Self {
            machine: Machine::new(terms(&parts.line), Rng::from_system()),
            web,
            gate,
            known: Known::default(),
            tickets: HashMap::new(),
            spare: None,
            sockets: HashMap::new(),
            newest: Newest::default(),
            alarm: Alarm::default(),
            rng: Rng::from_system(),
            sent: 0,
            waiting: HashMap::new(),
            shed: 0,
            backfilled: 0,
            standing: Standing::Down("connecting".to_owned()),
            standing_since_ms: parts.clock.unix_ms(),
            published: None,
            is_ending: false,
            _lifeline: Lifeline::new(parts.line.name.clone(), supervisor),
            parts,
        }
    }

    fn step(&mut self, input: Input, context: &mut Ctx) {
        let mut out = Vec::new();
        self.machine.step(self.parts.clock.now(), input, &mut out);
        for output in out {
            self.perform(output, context);
        }
        self.publish();
        self.arm(context);
        if self.is_ending && self.machine.is_over() {
            context.stop();
        }
    }

    fn perform(&mut self, output: Output, context: &mut Ctx) {
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
            Output::Look(generation) => self.look(generation, context),
            Output::Up {
                generation,
                after_gap,
            } => {
                tracing::info!(connection, generation, "connected");
                self.stand(Standing::Up);
                if let Some(since) = after_gap {
                    self.fill_gap(generation, since, context);
                }
            }
            Output::Down(why) => {
                self.failed(&why);
                tracing::info!(connection, %why, "not connected, and trying again");
                self.stand(Standing::Down(why));
            }
            Output::Stopped(why) => {
                self.failed(&why);
                tracing::error!(connection, %why, "stopped, and not tried again: mend the token or the app's settings, then `callboard revive {connection}`");
                self.stand(Standing::Stopped(why));
            }
            Output::Ghosts(ghosts) => {
                tracing::warn!(
                    connection,
                    ghosts,
                    "more sockets of this app are open at Slack than are ours: another process, or dead ones, get a share of its events"
                );
            }
        }
    }

    /// Tells listeners that something went wrong.
    fn failed(&self, why: &str) {
        self.parts.listeners.tell(&Heard::Error {
            connection: &self.parts.line.name,
            why,
        });
    }

    fn ask(&mut self, generation: Generation, context: &mut Ctx) {
        if let Some((ticket, until)) = self.spare.take()
            && until > self.parts.clock.now()
        {
            self.tickets.insert(generation, ticket);
            // Not within this step: its outputs come first.
            context.run_later(Duration::ZERO, move |shell, context| {
                shell.step(Input::Ticket(generation), context);
            });
            return;
        }
        let (web, line, installs) = (
            self.web.clone(),
            self.parts.line.clone(),
            self.parts.installs.clone(),
        );
        let (gate, mut known) = (self.gate.clone(), self.known.clone());
        let asked = async move {
            let _permit = gate.enter().await;
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

    /// RTM says how the next socket may be opened without asking.
    fn keep_url(&mut self, generation: Generation, url: String) {
        if let Some(socket) = self.sockets.get(&generation) {
            let ticket = Ticket {
                url: Secret::new(url),
                team: socket.team.clone(),
            };
            self.spare = Some((ticket, self.parts.clock.now() + RECONNECT_URL_WITHIN));
        }
    }

    fn dial(&mut self, generation: Generation, context: &mut Ctx) {
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
    fn pump(&mut self, generation: Generation, team: TeamId, socket: dial::Socket, context: &Ctx) {
        let (close, closing) = mpsc::channel(1);
        let (acks, released) = mpsc::channel(SOCKET_OPEN_MAX);
        let (sends, to_send) = mpsc::channel(SENDS_MAX);
        let way_back = WayBack::new(context.address());
        let counters = Arc::new(Counters::default());
        let pump = Pump {
            socket,
            acks: released,
            sends: to_send,
            closing,
            clock: self.parts.clock,
            times: self.parts.line.times,
            counters: Arc::clone(&counters),
            tell: move |news| way_back.send(FromPump(generation, news)),
        };
        let span = tracing::info_span!("socket", connection = %self.parts.line.name, generation);
        actix_rt::spawn(pump.run().instrument(span));
        let socket = Socket {
            close,
            acks,
            sends,
            team,
            counters,
            looked_at: (0, 0),
        };
        self.sockets.insert(generation, socket);
    }

    /// Gives a batch's place back to its pump once the shards have room for more, or after a while. Until then the
    /// pump keeps what comes, within its bounds: a burst that is faster than its handlers is spread out in time
    /// rather than shed.
    fn hold(&self, place: Permit, until: Instant, context: &mut Ctx) {
        let is_crowded = self.parts.shards.iter().any(Entrance::is_crowded);
        if !is_crowded || self.parts.clock.now() >= until {
            return drop(place);
        }
        context.run_later(HOLD_LOOK_EVERY, move |shell, context| {
            shell.hold(place, until, context);
        });
    }

    /// Whether a socket on its way out has something to do yet.
    fn look(&mut self, generation: Generation, context: &mut Ctx) {
        let Some(socket) = self.sockets.get_mut(&generation) else {
            return;
        };
        let envelopes = socket.counters.envelopes();
        let (before, quiet) = socket.looked_at;
        let quiet = if before == envelopes { quiet + 1 } else { 0 };
        socket.looked_at = (envelopes, quiet);
        if quiet >= QUIET_LOOKS && socket.acks.capacity() == socket.acks.max_capacity() {
            // Not within this step: its outputs come first.
            context.run_later(Duration::ZERO, move |shell, context| {
                shell.step(Input::Idle(generation), context);
            });
        }
    }

    /// Asks for what came while no socket was there, where that is wanted.
    fn fill_gap(&mut self, generation: Generation, since: Instant, context: &mut Ctx) {
        let Transport::Rtm {
            bot_token,
            backfill: true,
        } = &self.parts.line.transport
        else {
            return;
        };
        let gap = self.parts.clock.now().saturating_duration_since(since);
        tracing::info!(connection = %self.parts.line.name, gap_ms = gap.as_millis(), "asking for what came during the gap");
        let (web, token) = (self.web.clone(), bot_token.clone());
        for (channel, since) in self.newest.all() {
            let (web, token, name) = (web.clone(), token.clone(), self.parts.line.name.clone());
            let gate = self.gate.clone();
            let missed = async move {
                let _permit = gate.enter().await;
                fill_channel(&web, &token, &channel, &since, &name).await
            };
            context.spawn(missed.into_actor(self).map(
                move |frames: Vec<Bytes>, shell, _: &mut Ctx| {
                    shell.take_missed(generation, frames);
                    shell.publish();
                },
            ));
        }
    }

    fn run(&self, work: impl Future<Output = ()> + 'static, context: &mut Ctx) {
        context.spawn(work.into_actor(self).map(|(), _, _| ()));
    }

    fn arm(&mut self, context: &mut Ctx) {
        let next = self.machine.next_tick();
        if let Some(wait) = self.alarm.set(next, self.parts.clock.now()) {
            context.run_later(wait, |shell, context| {
                shell.alarm.rang();
                shell.step(Input::Tick, context);
            });
        }
    }
}

async fn fill_channel(
    web: &Client,
    token: &Secret,
    channel: &ChannelId,
    since: &Ts,
    connection: &str,
) -> Vec<Bytes> {
    for _ in 0..BACKFILL_TRIES {
        match backfill::missed(web, token, channel, since).await {
            Ok(missed) => {
                if missed.is_cut {
                    tracing::warn!(connection, %channel, "more came during the gap than is asked for; the oldest are lost");
                }
                return missed.frames;
            }
            Err(error) => {
                let wait = error.retry_after().unwrap_or(Duration::from_secs(1));
                tracing::warn!(connection, %channel, %error, "what came during the gap can't be asked for");
                if error.then() != crate::slack::error::Then::Retry || wait > BACKFILL_WAIT_MAX {
                    break;
                }
                tokio::time::sleep(wait).await;
            }
        }
    }
    Vec::new()
}

impl Actor for ConnectionShell {
    type Context = Ctx;

    fn started(&mut self, context: &mut Self::Context) {
        self.step(Input::Start, context);
    }
}

impl Handler<FromPump> for ConnectionShell {
    type Result = ();

    fn handle(&mut self, FromPump(generation, news): FromPump, context: &mut Self::Context) {
        match news {
            News::Frames(frames, shed, place) => {
                self.frames(generation, frames, shed, context);
                let until = self.parts.clock.now() + HOLD_WITHIN;
                self.hold(place, until, context);
            }
            News::Closed(why) => {
                self.sockets.remove(&generation);
                self.unanswered(generation);
                self.parts.listeners.tell(&Heard::Close {
                    connection: &self.parts.line.name,
                    generation,
                    why: &why,
                });
                self.step(Input::Closed(generation, why), context);
            }
        }
    }
}

impl Handler<Order> for ConnectionShell {
    type Result = ();

    fn handle(&mut self, order: Order, context: &mut Self::Context) {
        self.obey(order, context);
    }
}
