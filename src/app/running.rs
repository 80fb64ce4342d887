//! A running process: its threads, and the way to end them.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use actix_rt::System;
use tokio::sync::oneshot;

use super::drain;
use crate::actor::arbiters::Arbiters;
use crate::actor::port::WayBack;
use crate::admin::Control;
use crate::base::clock::Clock;
use crate::base::limits::{MARKS_IN_MEMORY, SocketTimes};
use crate::base::network::Network;
use crate::config::{App, Config, Faults, Transport};
use crate::dispatch::directory::Directory;
use crate::dispatch::inbox::{self, InboxShell};
use crate::dispatch::router::{Fault, Router};
use crate::egress::{self, OutboxShell};
use crate::flow::effect::Effect;
use crate::flow::identity::Installs;
use crate::flow::key::{AppName, home_shard};
use crate::ingress::supervisor::{Common, Connections, NewApp, NotDone, SupervisorShell};
use crate::ingress::{Line, LineReport, Listeners, Standings};
use crate::sim::Simulator;
use crate::slack::id::TeamId;
use crate::store::{self, Recovered, Store};
use crate::web::Api;

/// The exit code of a process whose store can't be written.
const STORE_FAILED: i32 = 4;

/// Why it can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has faults.
    #[error("{0}")]
    Config(Faults),
    /// The handlers don't fit together.
    #[error("{}", super::told(.0))]
    Wiring(Vec<Fault>),
    /// The store can't be used.
    #[error("{0}")]
    Store(#[from] store::Error),
    /// The simulated Slack can't listen.
    #[error("{0}")]
    Simulator(String),
    /// A thread can't be made.
    #[error("a thread can't be started: {0}")]
    Thread(std::io::Error),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was taken in is settled.
    Settled,
    /// This much is in the store, for the next start.
    Left(usize),
}

/// The actors, from outside.
pub(super) struct Cast {
    pub(super) supervisor: WayBack<SupervisorShell>,
    pub(super) shards: Vec<WayBack<InboxShell>>,
    pub(super) outbox: WayBack<OutboxShell>,
    pub(super) connections: Connections,
    pub(super) router: Arc<Router>,
    pub(super) clock: Clock,
}

/// A running set of handlers. Dropping it stops it, as [`Running::stop`] does, and waits for that.
pub struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Ended>>,
    standings: Standings,
    store: PathBuf,
    installs: Installs,
    pub(super) connections: Connections,
    router: Arc<Router>,
    simulator: Option<Simulator>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// How each connection stands.
    pub fn standings(&self) -> &Standings {
        &self.standings
    }

    /// Who we are in which workspace.
    pub fn installs(&self) -> &Installs {
        &self.installs
    }

    /// Where the store is.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// The tokens that are connected, or to be connected.
    pub fn lines(&self) -> Vec<Line> {
        self.connections.lines()
    }

    /// Everything that is known of each connection: its sockets, frames and acks, reconnections and why. Holds no
    /// actor up.
    pub fn connections(&self) -> Vec<LineReport> {
        self.standings.report()
    }

    /// Connects one more app; for an RTM app that is there already, more tokens of it. The others are not touched.
    /// Says how the connections are called. Blocks for a moment.
    ///
    /// # Errors
    /// When it is there already, or the process is stopping.
    pub fn add(&self, app: &App) -> Result<Vec<String>, NotDone> {
        self.connections.add(new_app(app))
    }

    /// Closes the sockets of one connection, or of all of an app's, until it is revived. Blocks for a moment.
    ///
    /// # Errors
    /// When there is none of that name, or the process is stopping.
    pub fn disconnect(&self, name: &str) -> Result<Vec<String>, NotDone> {
        self.connections.stop(name)
    }

    /// Connects again now, whatever stopped the connection or makes it wait. Blocks for a moment.
    ///
    /// # Errors
    /// When there is none of that name, or the process is stopping.
    pub fn revive(&self, name: &str) -> Result<Vec<String>, NotDone> {
        self.connections.revive(name)
    }

    /// Closes the sockets of one connection, or of all of an app's, and forgets it. What it brought is handled all
    /// the same. Blocks for a moment.
    ///
    /// # Errors
    /// When there is none of that name, or the process is stopping.
    pub fn remove(&self, name: &str) -> Result<Vec<String>, NotDone> {
        self.connections.remove(name)
    }

    /// The handlers and their routes.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The simulated Slack, when there is one.
    pub fn simulator(&self) -> Option<&Simulator> {
        self.simulator.as_ref()
    }

    /// Stops: admits nothing more, finishes what it can within 10 s, and leaves the rest in the store. Blocks until
    /// that is done.
    pub fn stop(mut self) -> Ended {
        self.end()
    }

    fn end(&mut self) -> Ended {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            // It was stopped before, or panicked: what it took in is in the store.
            Some(Err(_)) | None => Ended::Left(0),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

/// Ends the process: what runs is ahead of the disk, so nothing may be acked any more.
#[expect(
    clippy::exit,
    reason = "there is no going on, and no unwinding through other threads"
)]
fn end_for_store(error: &store::Error) {
    tracing::error!(%error, "the store can't be written, so the process ends at once; nothing acked is lost: mend the disk and start again");
    std::process::exit(STORE_FAILED);
}

/// Opens the store and starts every thread.
pub(super) fn start(
    config: Config,
    router: Arc<Router>,
    simulator: Option<Simulator>,
    listeners: Listeners,
) -> Result<Running, StartError> {
    let clock = Clock::system();
    let store_config = store::Config {
        path: config.store.path.clone(),
        marks_back_ms: u64::try_from(MARKS_IN_MEMORY.as_millis()).unwrap_or(u64::MAX),
        free_bytes: store::free_bytes(),
        probe: None,
        on_failure: Arc::new(end_for_store),
    };
    let (store, recovered) = Store::open(&store_config, clock)?;
    let control = store.inspector().and_then(|_| {
        let bound = Control::bind(&config.store.path);
        bound
            .inspect_err(
                |error| tracing::warn!(%error, "nobody can look into the store while it is in use"),
            )
            .ok()
    });
    let (standings, installs) = (Standings::default(), Installs::default());
    let (stop, stopped) = oneshot::channel();
    let stage = Stage {
        apps: config.apps.iter().map(new_app).collect(),
        times: times(&config.network),
        api: Api::url(&config.slack.base_url, config.network.clone()),
        shards: config.runtime.shards.get(),
        router: Arc::clone(&router),
        installs: installs.clone(),
        standings: standings.clone(),
        listeners,
        clock,
        control,
    };
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("callboard".into())
        .spawn(move || stage.play(store, recovered, stopped, &tell))
        .map_err(StartError::Thread)?;
    let gone = |_| StartError::Thread(std::io::Error::other("it ended before it had begun"));
    let connections = told.recv().map_err(gone)?;
    Ok(Running {
        stop: Some(stop),
        thread: Some(thread),
        standings,
        store: config.store.path,
        installs,
        connections,
        router,
        simulator,
    })
}

/// How long sockets may take for what, as the file says of the network.
fn times(network: &Network) -> SocketTimes {
    SocketTimes {
        close_within: network.within.close,
        ping_every: network.ping_every,
        // Within the four intervals after which a silent socket is dead, and of the first ping's sending.
        pong_within: 3 * network.ping_every,
        silence_max: network.silence_max(),
        ..SocketTimes::default()
    }
}

fn new_app(app: &App) -> NewApp {
    NewApp {
        name: app.name.clone(),
        app_token: match &app.transport {
            Transport::Socket { app_token } => Some(app_token.clone()),
            Transport::Rtm => None,
        },
        bot_tokens: app.bot_tokens.clone(),
        slots: app.connection.slots,
        backfill: app.connection.backfill,
        times: app.connection.times,
        auto_reconnect: app.connection.auto_reconnect,
    }
}

/// What the actors are made from.
struct Stage {
    apps: Vec<NewApp>,
    /// Those of an app that says nothing else.
    times: SocketTimes,
    api: Api,
    shards: usize,
    router: Arc<Router>,
    installs: Installs,
    standings: Standings,
    listeners: Listeners,
    clock: Clock,
    /// Nothing where the socket can't be made.
    control: Option<Control>,
}

impl Stage {
    fn play(
        self,
        store: Store,
        recovered: Recovered,
        stopped: oneshot::Receiver<()>,
        tell: &std::sync::mpsc::SyncSender<Connections>,
    ) -> Ended {
        System::new().block_on(async move {
            let arbiters = Arbiters::start(self.shards);
            let cast = self.cast(&arbiters, &store, recovered);
            // Whoever started us waits for this.
            tell.try_send(cast.connections.clone()).ok();
            let ended = tokio::select! {
                ended = until_drained(stopped, &cast) => ended,
                never = self.answer(&cast, &store) => match never {},
            };
            drop(cast);
            arbiters.stop();
            // While there is a socket, the store is in use.
            drop(self.control);
            store.close();
            ended
        })
    }

    /// Answers operators, where there is a socket for them.
    async fn answer(&self, cast: &Cast, store: &Store) -> Infallible {
        match (&self.control, store.inspector()) {
            (Some(control), Some(inspector)) => {
                let shards = cast.shards.clone();
                control
                    .serve(inspector, shards, cast.connections.clone())
                    .await
            }
            (None, _) | (_, None) => std::future::pending().await,
        }
    }

    fn cast(&self, arbiters: &Arbiters, store: &Store, recovered: Recovered) -> Cast {
        let outbox_parts = egress::Parts {
            api: self.api.clone(),
            installs: self.installs.clone(),
            queue: Arc::clone(&store.queue),
            reader: store.reader.clone(),
            clock: self.clock,
        };
        let outbox = arbiters.on_io(move |context| OutboxShell::new(outbox_parts, context));
        let outbox = WayBack::new(outbox);
        let entrance = egress::Entrance::new(outbox.clone());
        let directory = Directory::default();
        let shards: Vec<WayBack<InboxShell>> = (0..self.shards)
            .map(|shard| {
                let parts = inbox::Parts {
                    router: Arc::clone(&self.router),
                    installs: self.installs.clone(),
                    directory: directory.clone(),
                    queue: Arc::clone(&store.queue),
                    reader: store.reader.clone(),
                    space: store.space.clone(),
                    outbox: entrance.clone(),
                    api: self.api.clone(),
                    clock: self.clock,
                };
                let inbox =
                    arbiters.on_shard(shard, move |context| InboxShell::new(parts, context));
                WayBack::new(inbox)
            })
            .collect();
        // Before anything is handed out: calls of an earlier run wait until it is known whose they are.
        let supervisor = self.supervisor(arbiters, &shards);
        let connections = Connections::new(
            supervisor.clone(),
            self.standings.clone(),
            self.installs.clone(),
            self.times,
        );
        let mut lines = Vec::new();
        for app in &self.apps {
            // Checked: names are unique, and tokens there.
            lines.extend(connections.prepare(app.clone()).unwrap_or_default());
        }
        hand_out(recovered, &shards);
        connections.open(lines);
        Cast {
            supervisor,
            shards,
            outbox,
            connections,
            router: Arc::clone(&self.router),
            clock: self.clock,
        }
    }

    fn supervisor(
        &self,
        arbiters: &Arbiters,
        shards: &[WayBack<InboxShell>],
    ) -> WayBack<SupervisorShell> {
        let common = Common {
            installs: self.installs.clone(),
            shards: shards.iter().cloned().map(inbox::Entrance::new).collect(),
            standings: self.standings.clone(),
            listeners: self.listeners.clone(),
            api: self.api.clone(),
            clock: self.clock,
        };
        WayBack::new(arbiters.on_io(move |_| SupervisorShell::new(common)))
    }
}

async fn until_drained(stopped: oneshot::Receiver<()>, cast: &Cast) -> Ended {
    // The other end is dropped to stop us.
    stopped.await.ok();
    drain::drain(cast).await
}

/// Gives each shard what an earlier run left for it, before the first socket opens: mailboxes are in order, so
/// it is there before the first envelope.
pub(super) fn hand_out(recovered: Recovered, shards: &[WayBack<InboxShell>]) {
    let mut parts: Vec<inbox::Recovered> = shards
        .iter()
        .map(|_| inbox::Recovered {
            marks: recovered.marks.clone().into(),
            rows: Vec::new(),
            effects: Vec::new(),
        })
        .collect();
    let home = |app: &AppName, team: &TeamId| home_shard(app, team, shards.len());
    for row in recovered.rows {
        let app = AppName::new(&row.head.app);
        if let Some(part) = parts.get_mut(home(&app, &row.head.team)) {
            part.rows.push(row);
        }
    }
    let mut calls = 0;
    for effect in recovered.effects {
        calls += usize::from(matches!(effect.effect, Effect::Call(_)));
        if let Some(part) = parts.get_mut(home(&effect.app, &effect.team)) {
            part.effects.push(effect);
        }
    }
    let rows: usize = parts.iter().map(|part| part.rows.len()).sum();
    if rows + calls > 0 {
        tracing::info!(
            deliveries = rows,
            calls,
            "an earlier run left work; it goes on"
        );
    }
    for (shard, part) in shards.iter().zip(parts) {
        shard.send(part);
    }
}
