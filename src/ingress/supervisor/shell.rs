//! The actix actor that spawns the connections.

use std::collections::HashMap;

use actix::{Actor, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;

use super::machine::{Input, Machine, Output};
use crate::actor::port::WayBack;
use crate::base::clock::Clock;
use crate::base::rng::Rng;
use crate::ingress::connection::{self, ConnectionShell, Parts};

/// Open this connection, and keep it.
#[derive(Debug)]
pub struct Open(pub Parts);

impl Message for Open {
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
    parts: HashMap<String, Parts>,
    children: HashMap<String, WayBack<ConnectionShell>>,
    clock: Clock,
}

impl std::fmt::Debug for SupervisorShell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SupervisorShell").finish_non_exhaustive()
    }
}

impl SupervisorShell {
    /// A supervisor without connections.
    pub fn new(clock: Clock) -> Self {
        Self {
            machine: Machine::new(Rng::from_system()),
            parts: HashMap::new(),
            children: HashMap::new(),
            clock,
        }
    }

    fn step(&mut self, input: Input, context: &mut Context<Self>) {
        let mut out = Vec::new();
        self.machine.step(self.clock.now(), input, &mut out);
        for output in out {
            match output {
                Output::Spawn(name) => {
                    if let Some(parts) = self.parts.get(&name) {
                        let way_back = WayBack::new(context.address());
                        let child = ConnectionShell::new(parts.clone(), way_back).start();
                        self.children.insert(name, WayBack::new(child));
                    }
                }
                Output::RestartAfter(name, wait) => {
                    tracing::error!(connection = %name, wait_ms = wait.as_millis(), "a connection's actor died, and is made again");
                    context.run_later(wait, |shell, context| {
                        shell.step(Input::RestartDue(name), context);
                    });
                }
                Output::End(name) => {
                    if let Some(child) = self.children.get(&name) {
                        child.send(connection::Stop);
                    }
                }
            }
        }
    }
}

impl Actor for SupervisorShell {
    type Context = Context<Self>;
}

impl Handler<Open> for SupervisorShell {
    type Result = ();

    fn handle(&mut self, Open(parts): Open, context: &mut Self::Context) {
        let name = parts.line.name.clone();
        self.parts.insert(name.clone(), parts);
        self.step(Input::Open(name), context);
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
