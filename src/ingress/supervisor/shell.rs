//! The actix actor that spawns the connections.

use std::collections::HashMap;

use actix::{Actor, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;

use super::machine::{Input, Machine, Output};
use crate::actor::port::WayBack;
use crate::base::clock::Clock;
use crate::base::limits::TICKETS_AT_ONCE;
use crate::base::rng::Rng;
use crate::dispatch::inbox::Entrance;
use crate::flow::gate::Gate;
use crate::flow::identity::Installs;
use crate::ingress::connection::{ConnectionShell, Order, Parts};
use crate::ingress::{Line, Listeners, Standings};
use crate::web::{Api, Client};

/// What every connection is made of, beside its line.
#[derive(Debug, Clone)]
pub struct Common {
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

/// Open this connection, and keep it. One of that name that is there already stays as it is, and who asked hears
/// `false`.
#[derive(Debug)]
pub struct Open(pub Line, pub Option<Told>);

impl Message for Open {
    type Result = ();
}

/// Where somebody waits for whether it was done. Nobody may wait any more.
pub type Told = std::sync::mpsc::SyncSender<bool>;

/// What is to become of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Close its sockets, and keep it to be revived.
    Stop,
    /// Connect again now, whatever stopped it.
    Revive,
    /// Close its sockets, and forget it.
    Remove,
}

/// Do this with the connection of that name; tell whether there is one.
#[derive(Debug)]
pub struct Change(pub String, pub Wish, pub Told);

impl Message for Change {
    type Result = ();
}

/// Pass this order on to the connection of that name; tell whether there is one.
#[derive(Debug)]
pub struct Pass(pub String, pub Order, pub Told);

impl Message for Pass {
    type Result = ();
}

/// Close every connection, for good.
#[derive(Debug)]
pub struct Stop;

impl Message for Stop {
    type Result = ();
}

/// Asks how many connections live.
#[derive(Debug)]
pub struct Count(pub oneshot::Sender<usize>);

impl Message for Count {
    type Result = ();
}

#[derive(Debug)]
struct Died(String);

impl Message for Died {
    type Result = ();
}

/// Tells the supervisor when its holder is dropped: by an end, a panic, or the end of its thread.
#[derive(Debug)]
pub struct Lifeline {
    name: String,
    supervisor: WayBack<SupervisorShell>,
}

impl Lifeline {
    /// A lifeline of the connection `name`.
    pub fn new(name: String, supervisor: WayBack<SupervisorShell>) -> Self {
        Self { name, supervisor }
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.supervisor.send(Died(std::mem::take(&mut self.name)));
    }
}

/// The actor that every connection hangs from.
pub struct SupervisorShell {
    machine: Machine,
    common: Common,
    lines: HashMap<String, Line>,
    children: HashMap<String, WayBack<ConnectionShell>>,
    /// One for all connections of this thread: it holds the TLS roots.
    web: Client,
    gate: Gate,
}

impl std::fmt::Debug for SupervisorShell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SupervisorShell").finish_non_exhaustive()
    }
}

impl SupervisorShell {
    /// A supervisor without connections. Must be made on the thread where it lives.
    pub fn new(common: Common) -> Self {
        Self {
            machine: Machine::new(Rng::from_system()),
            web: Client::new(&common.api),
            gate: Gate::new(TICKETS_AT_ONCE),
            common,
            lines: HashMap::new(),
            children: HashMap::new(),
        }
    }

    fn step(&mut self, input: Input, context: &mut Context<Self>) {
        let mut out = Vec::new();
        let now = self.common.clock.now();
        self.machine.step(now, input, &mut out);
        for output in out {
            match output {
                Output::Spawn(name) => self.spawn(name, context),
                Output::RestartAfter(name, wait) => {
                    tracing::error!(connection = %name, wait_ms = wait.as_millis(), "a connection's actor died, and is made again");
                    context.run_later(wait, |shell, context| {
                        shell.step(Input::RestartDue(name), context);
                    });
                }
                Output::End(name) => self.tell(&name, Order::End),
                Output::Forget(name) => {
                    tracing::info!(connection = %name, "removed");
                    self.lines.remove(&name);
                    self.common.standings.remove(&name);
                }
            }
        }
    }

    fn spawn(&mut self, name: String, context: &Context<Self>) {
        let Some(line) = self.lines.get(&name) else {
            return;
        };
        let common = self.common.clone();
        let parts = Parts {
            line: line.clone(),
            installs: common.installs,
            shards: common.shards,
            standings: common.standings,
            api: common.api,
            listeners: common.listeners,
            clock: common.clock,
        };
        let way_back = WayBack::new(context.address());
        let child = ConnectionShell::new(parts, self.web.clone(), self.gate.clone(), way_back);
        self.children.insert(name, WayBack::new(child.start()));
    }

    fn tell(&self, name: &str, order: Order) {
        if let Some(child) = self.children.get(name) {
            child.send(order);
        }
    }
}

impl Actor for SupervisorShell {
    type Context = Context<Self>;
}

impl Handler<Open> for SupervisorShell {
    type Result = ();

    fn handle(&mut self, Open(line, told): Open, context: &mut Self::Context) {
        let name = line.name.clone();
        let is_new = !self.lines.contains_key(&name);
        if is_new {
            self.lines.insert(name.clone(), line);
            self.step(Input::Open(name), context);
        }
        if let Some(told) = told {
            told.try_send(is_new).ok();
        }
    }
}

impl Handler<Change> for SupervisorShell {
    type Result = ();

    fn handle(&mut self, Change(name, wish, told): Change, context: &mut Self::Context) {
        let is_there = self.lines.contains_key(&name);
        match wish {
            Wish::Stop => self.tell(&name, Order::Stop),
            Wish::Revive => self.tell(&name, Order::Revive),
            Wish::Remove => self.step(Input::Close(name), context),
        }
        told.try_send(is_there).ok();
    }
}

impl Handler<Pass> for SupervisorShell {
    type Result = ();

    fn handle(&mut self, Pass(name, order, told): Pass, _: &mut Self::Context) {
        let is_there = self.lines.contains_key(&name);
        if let (Order::Reconnecting(is_on), Some(line)) = (&order, self.lines.get_mut(&name)) {
            // Also for the actor that takes the place of this one, should it die.
            line.auto_reconnect = *is_on;
        }
        self.tell(&name, order);
        told.try_send(is_there).ok();
    }
}

impl Handler<Died> for SupervisorShell {
    type Result = ();

    fn handle(&mut self, Died(name): Died, context: &mut Self::Context) {
        self.children.remove(&name);
        self.step(Input::Died(name), context);
    }
}

impl Handler<Stop> for SupervisorShell {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.step(Input::Stop, context);
    }
}

impl Handler<Count> for SupervisorShell {
    type Result = ();

    fn handle(&mut self, count: Count, _: &mut Self::Context) {
        let _stopped_waiting = count.0.send(self.children.len());
    }
}
