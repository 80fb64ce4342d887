//! Starting, steering and stopping a simulator from the same process.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::book::Terms;
use super::fault::{Fault, SocketFault, Unsteady};
use super::hub::Hub;
use super::machine::{Machine, Setup, Wrong};
use super::record::Entry;
use super::serve::{self, ServerHandle};
use super::theatre;
use super::world::{App, Team, World};
use crate::base::clock::Clock;
use crate::base::rng::Rng;
use crate::slack::id::{AppId, ChannelId, TeamId, Ts, UserId};

/// How long stopping may take before the threads are left to themselves.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What a simulator is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to serve; port 0 picks a free one. Loopback unless there is a reason.
    pub listen: SocketAddr,
    /// The workspaces, people and apps.
    pub world: World,
    /// How soon an envelope must be acked.
    pub ack_deadline: Duration,
    /// By how much the redelivery ladder (0 s, 1 min, 5 min after a missed deadline) is divided. The deadline
    /// itself is not. Must be larger than 0.
    pub time_scale: f64,
    /// Threads that serve sockets and requests.
    pub workers: usize,
    /// Frames that may wait for one socket. One more cuts it (`queue_full` in the record), since a client
    /// that does not read must not fill the memory.
    pub queue_frames_max: usize,
    /// Makes envelope ids and tickets repeatable; from the system when absent.
    pub seed: Option<u64>,
    /// The life that hello tells a Socket Mode client, in seconds. The simulator itself ends none by age.
    pub life_s: u64,
}

impl Default for Options {
    /// Three theatres on a free loopback port, with Slack's own times.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            world: theatre::world().unwrap_or_default(),
            ack_deadline: Duration::from_secs(3),
            time_scale: 1.0,
            workers: 2,
            queue_frames_max: 16_384,
            seed: None,
            life_s: 18_060,
        }
    }
}

/// The simulated Slack refused what a simulated person, or the test itself, asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// A word like Slack's: `channel_not_found`, `unknown_command`, …
    pub error: String,
    /// What was wrong, for humans.
    pub detail: String,
}

impl From<Wrong> for Refused {
    fn from(wrong: Wrong) -> Self {
        Self {
            error: wrong.error.to_owned(),
            detail: wrong.detail,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.detail)
    }
}

impl std::error::Error for Refused {}

/// A running simulator; dropping it stops it within a bounded time.
#[derive(Debug)]
pub struct Simulator {
    hub: Arc<Hub>,
    root: String,
    handle: ServerHandle,
    threads: Vec<JoinHandle<()>>,
    ended: mpsc::Receiver<()>,
}

/// Starts a simulator on threads of its own and returns once it serves. Needs no runtime around it.
///
/// Fails when the address is taken or not ours, when `time_scale` is not a positive number, or when threads
/// cannot be had.
pub fn start(options: Options) -> io::Result<Simulator> {
    let terms = terms(&options)?;
    let listener = TcpListener::bind(options.listen).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot listen on {}: {error}", options.listen),
        )
    })?;
    let root = format!("http://{}", listener.local_addr()?);
    let clock = Clock::system();
    let setup = Setup {
        world: options.world,
        root: root.clone(),
        epoch_us: u64::try_from(clock.unix().as_micros()).unwrap_or(u64::MAX),
        terms,
        seed: options
            .seed
            .unwrap_or_else(|| Rng::from_system().next_u64()),
        life_s: options.life_s,
    };
    let hub = Arc::new(Hub::new(
        clock,
        clock.now(),
        options.queue_frames_max,
        setup,
    ));
    let (tell_handle, handles) = mpsc::sync_channel(1);
    let (tell_ended, ended) = mpsc::sync_channel(2);
    let timer = {
        let (hub, tell_ended) = (Arc::clone(&hub), tell_ended.clone());
        thread::Builder::new()
            .name("sim-timer".into())
            .spawn(move || {
                hub.keep_time();
                tell_ended.send(()).ok();
            })?
    };
    let server = {
        let hub = Arc::clone(&hub);
        thread::Builder::new().name("sim".into()).spawn(move || {
            actix_rt::System::new().block_on(run(hub, listener, options.workers, tell_handle));
            tell_ended.send(()).ok();
        })
    };
    let started = server.and_then(|server| {
        let gone = || io::Error::other("the simulator's thread ended before it served");
        let handle = handles.recv().map_err(|_gone| gone())??;
        Ok((server, handle))
    });
    let (server, handle) = started.inspect_err(|_| hub.stop())?;
    Ok(Simulator {
        hub,
        root,
        handle,
        threads: vec![timer, server],
        ended,
    })
}

async fn run(
    hub: Arc<Hub>,
    listener: TcpListener,
    workers: usize,
    tell_handle: mpsc::SyncSender<io::Result<ServerHandle>>,
) {
    match serve::server(hub, listener, workers) {
        Ok(server) => {
            drop(tell_handle.send(Ok(server.handle())));
            drop(server.await);
        }
        Err(error) => drop(tell_handle.send(Err(error))),
    }
}

fn terms(options: &Options) -> io::Result<Terms> {
    let scale = options.time_scale;
    if !scale.is_finite() || scale <= 0.0 {
        let text = format!("the time scale must be a number above 0, not {scale}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let scaled = |seconds: f64| {
        let time = Duration::try_from_secs_f64(seconds / scale);
        micros(time.unwrap_or(Duration::MAX))
    };
    Ok(Terms {
        deadline_us: micros(options.ack_deadline),
        ladder_us: [0, scaled(60.0), scaled(300.0)],
    })
}

impl Simulator {
    /// Where Web API methods are: `http://127.0.0.1:PORT/api/`.
    pub fn api_url(&self) -> String {
        format!("{}/api/", self.root)
    }

    /// Where the page is: `http://127.0.0.1:PORT/`.
    pub fn page_url(&self) -> String {
        format!("{}/", self.root)
    }

    /// Everything a client needs: addresses, apps with tokens, workspaces with channels and users.
    pub fn describe(&self) -> Value {
        self.hub.with(|machine| {
            json!({
                "api_url": self.api_url(), "page_url": self.page_url(),
                "apps": machine.world.apps().iter().map(app_json).collect::<Value>(),
                "teams": machine.world.teams().iter().map(team_json).collect::<Value>(),
            })
        })
    }

    /// The whole record.
    pub fn record(&self) -> Vec<Entry> {
        self.record_since(0)
    }

    /// The record's entries after number `n`.
    pub fn record_since(&self, n: u64) -> Vec<Entry> {
        let entries = self.hub.with(|machine| machine.record_since(n));
        entries.iter().map(|entry| Entry::clone(entry)).collect()
    }

    /// A person writes a message, in a thread when `thread_ts` names a message of it.
    pub fn post(
        &self,
        team: &TeamId,
        channel: &ChannelId,
        user: &UserId,
        text: &str,
        thread_ts: Option<&Ts>,
    ) -> Result<Ts, Refused> {
        self.ask(|machine| Ok(machine.post(team, channel, user, text, thread_ts)?))
    }

    /// A person runs a slash command (`command` with its slash). Returns its envelope's id; what becomes of it
    /// is in the record.
    pub fn command(
        &self,
        team: &TeamId,
        channel: &ChannelId,
        user: &UserId,
        command: &str,
        text: &str,
    ) -> Result<String, Refused> {
        self.ask(|machine| {
            let run = machine.command(team, channel, user, command, text)?;
            Ok(run.envelope_id)
        })
    }

    /// Sends `disconnect` with `reason` on the app's Socket Mode sockets, and closes them if asked. Returns how
    /// many were told.
    pub fn disconnect(&self, app: &AppId, reason: &str, then_close: bool) -> usize {
        self.hub
            .with(|machine| machine.disconnect(app, reason, then_close))
    }

    /// Sends `goodbye` on the workspace's RTM sockets and closes them. Returns how many were told.
    pub fn goodbye(&self, team: &TeamId) -> usize {
        self.hub.with(|machine| machine.goodbye(team))
    }

    /// Cuts the app's connections without a close frame. Returns how many there were.
    pub fn drop_sockets(&self, app: &AppId) -> usize {
        self.hub.with(|machine| machine.drop_sockets(app))
    }

    /// The next `times` calls of `method` (`*`: of any) suffer `fault`, after those planned earlier.
    pub fn fault(&self, method: &str, fault: Fault, times: u32) {
        self.hub
            .with(|machine| machine.faults.plan(method, fault, times));
    }

    /// Forgets all planned faults. Sockets that are open stay as they are.
    pub fn clear_faults(&self) {
        self.hub.with(|machine| {
            machine.faults.clear();
            machine.clear_socket_faults();
        });
    }

    /// The next `times` Socket Mode sockets of an app suffer `fault`, after those planned earlier.
    pub fn socket_fault(&self, app: &AppId, fault: SocketFault, times: u32) {
        self.hub
            .with(|machine| machine.plan_socket_fault(app, fault, times));
    }

    /// Open sockets of an app, the oldest first and at most `count`, suffer `fault` from now on. Returns how many.
    pub fn afflict(&self, app: &AppId, fault: &SocketFault, count: usize) -> usize {
        self.hub.with(|machine| machine.afflict(app, fault, count))
    }

    /// From now on envelopes come twice, or late, now and then.
    pub fn unsteady(&self, unsteady: Unsteady) {
        self.hub.with(|machine| machine.set_unsteady(unsteady));
    }

    /// Adds sockets of an app that nobody has: they count, and get their share of its envelopes.
    pub fn haunt(&self, app: &AppId, count: usize) {
        self.hub.with(|machine| machine.haunt(app, count));
    }

    /// Removes them. Returns how many there were.
    pub fn exorcise(&self, app: &AppId) -> usize {
        self.hub.with(|machine| machine.exorcise(app))
    }

    /// Tells the workspace's RTM sockets that it moves to another server, and closes them. Returns how many.
    pub fn migrate(&self, team: &TeamId) -> usize {
        self.hub.with(|machine| machine.migrate(team))
    }

    /// Hands each RTM socket of a workspace an address for its next one. Returns how many.
    pub fn offer_reconnect(&self, team: &TeamId) -> usize {
        self.hub.with(|machine| machine.offer_reconnect(team))
    }

    /// Sends a text frame of any content on every open socket of an app. Returns how many there are.
    pub fn inject(&self, app: &AppId, text: &str) -> usize {
        self.hub.with(|machine| machine.inject(app, text))
    }

    fn ask<R>(&self, input: impl FnOnce(&mut Machine) -> Result<R, Refused>) -> Result<R, Refused> {
        self.hub.with(input)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.hub.stop();
        // The command to stop is queued by the call itself; the future only waits for its end.
        drop(self.handle.stop(false));
        let has_ended = |_: &JoinHandle<()>| self.ended.recv_timeout(STOP_WITHIN).is_ok();
        if self.threads.iter().all(has_ended) {
            for thread in self.threads.drain(..) {
                // A panic in there was reported when it happened.
                drop(thread.join());
            }
        }
    }
}

fn app_json(app: &App) -> Value {
    let tokens: Map<String, Value> = app
        .installs
        .iter()
        .map(|install| (install.team.to_string(), json!(install.token)))
        .collect();
    let commands: Vec<_> = app.commands.iter().map(|it| &it.name).collect();
    let mut shape = json!({"name": app.name, "id": app.id, "transport": app.transport,
        "bot_tokens": tokens, "commands": commands});
    if let (Some(token), Some(fields)) = (&app.level_token, shape.as_object_mut()) {
        fields.insert("app_token".to_owned(), json!(token));
    }
    shape
}

fn team_json(team: &Team) -> Value {
    let channels = team
        .channels
        .iter()
        .map(|it| json!({"id": it.id, "name": it.name}));
    let users = team
        .users
        .iter()
        .map(|it| json!({"id": it.id, "name": it.name, "is_bot": it.bot.is_some()}));
    json!({"id": team.id, "name": team.name, "channels": channels.collect::<Value>(),
        "users": users.collect::<Value>()})
}
