//! The composition root: from a configuration and handlers to a running process, and to its end.
//!
//! This is the only place where actors are introduced to each other.
mod drain;
mod offline;
mod program;
mod running;
#[cfg(test)]
mod simulation;
mod steering;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use crate::bot::activation::Registration;
use crate::bot::handler::HandlerActor;
use crate::bot::subscription::{Feed, Interest, Subscription};
use crate::config::{Config, Environment, Faults, SystemEnvironment};
use crate::dispatch::router::{Fault, Router};
use crate::ingress::{Heard, Listeners};

pub use running::{Ended, Running, StartError};

/// A set of handlers and where they are to run.
///
/// [`Callboard::run`] is for programs; [`Callboard::start`] is for tests, and for those who have a loop of their own.
///
/// ```no_run
/// use callboard::prelude::*;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Echo;
///
/// impl HandlerActor for Echo {
///     const NAME: &'static str = "echo";
///
///     fn routes(routes: &mut Routes<Self>) {
///         routes.on::<Message>().per_channel();
///     }
/// }
///
/// impl On<Message> for Echo {
///     async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
///         turn.reply(message.text);
///         Ok(())
///     }
/// }
///
/// fn main() -> ExitCode {
///     Callboard::from_env().handler::<Echo>().run()
/// }
/// ```
#[derive(Debug)]
pub struct Callboard {
    config: Result<Option<Config>, Faults>,
    handlers: Vec<Registration>,
    /// Where the simulator listens, when there is no token.
    listen: std::net::SocketAddr,
    environment: SystemEnvironment,
    listeners: Listeners,
}

/// Where the built-in simulator listens unless told otherwise.
pub const SIM_LISTEN_DEFAULT: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4390);

impl Callboard {
    /// Takes tokens and settings from the environment; without any token, a simulated Slack is started beside
    /// the handlers, with a page to type in.
    ///
    /// `SLACK_APP_TOKEN` with `SLACK_BOT_TOKEN` (or `SLACK_BOT_TOKENS`, separated by commas, one per workspace) is a
    /// Socket Mode app; bot tokens alone are an RTM app. `CALLBOARD_CONFIG` names a configuration file instead.
    /// `SLACK_BASE_URL` and `CALLBOARD_STORE` say where Slack and the store are.
    ///
    /// Faults are reported when it is started or run.
    pub fn from_env() -> Self {
        Self {
            config: crate::config::from_environment(&SystemEnvironment),
            ..Self::offline()
        }
    }

    /// Takes a configuration that was read already, by [`config::load`](crate::config::load) for example.
    pub fn from_config(config: Config) -> Self {
        Self {
            config: Ok(Some(config)),
            ..Self::offline()
        }
    }

    /// Runs against a simulated Slack, whatever tokens the environment has. The store is where `CALLBOARD_STORE` says,
    /// else `callboard-data`.
    pub fn offline() -> Self {
        Self {
            config: Ok(None),
            handlers: Vec::new(),
            listen: SIM_LISTEN_DEFAULT,
            environment: SystemEnvironment,
            listeners: Listeners::default(),
        }
    }

    /// Where the simulated Slack listens, [`SIM_LISTEN_DEFAULT`] unless told otherwise; port 0 picks a free one.
    /// Without a simulated Slack it means nothing.
    #[must_use]
    pub fn listen(mut self, address: std::net::SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Adds a handler. Each has a NAME of its own, and each that has a matching route gets an event.
    #[must_use]
    pub fn handler<H: HandlerActor>(mut self) -> Self {
        self.handlers.push(Registration::of::<H>());
        self
    }

    /// Adds a listener, which hears every message, request, error and close of every connection as it passes. Several hear
    /// it in the order of their adding.
    ///
    /// It runs on the thread of all connections, so it must be quick; what it does is not stored, and happens again for
    /// what Slack delivers again. What is to be done once belongs to a handler or a subscription.
    #[must_use]
    pub fn listener(mut self, listener: impl Fn(&Heard<'_>) + Send + Sync + 'static) -> Self {
        self.listeners.add(listener);
        self
    }

    /// Adds a subscription: a loop of the author's own, beside handlers or instead of them. Each gets what its interest
    /// is in, also what an earlier run left.
    ///
    /// ```no_run
    /// use callboard::prelude::*;
    ///
    /// let (callboard, mut items) =
    ///     Callboard::from_env().subscribe(Interest::new("loop").event("message"));
    /// let running = callboard.start()?;
    /// while let Some(mut item) = items.read() {
    ///     item.reply("Seen.");
    ///     item.done();
    /// }
    /// # drop(running);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn subscribe(mut self, interest: Interest) -> (Self, Subscription) {
        let feed = Arc::new(Feed::default());
        let registration = Registration::of_interest(interest, Arc::clone(&feed));
        self.handlers.push(registration);
        (self, Subscription::new(feed))
    }

    /// Starts threads of its own, and comes back as soon as it runs; connections come up in the background, see
    /// [`Running::standings`]. It runs until [`Running::stop`], or until the [`Running`] is dropped.
    ///
    /// # Errors
    /// Faults of the configuration or the wiring, a store or address that can't be used.
    pub fn start(self) -> Result<Running, StartError> {
        let router = Arc::new(Router::new(self.handlers).map_err(StartError::Wiring)?);
        if let Some(config) = self.config.map_err(StartError::Config)? {
            return running::start(config, router, None, self.listeners);
        }
        let (config, simulator) = offline::config(&router, self.listen, &self.environment)?;
        running::start(config, router, Some(simulator), self.listeners)
    }

    /// Runs until SIGTERM or Ctrl-C; says on stdout what runs where, and logs to stderr (`CALLBOARD_LOG` sets
    /// how much, as `tracing`'s filters are written).
    ///
    /// The exit code is 0 when everything was settled, 3 when the rest is in the store for the next start, 1
    /// when it can't start, 4 when the store can't be written any more.
    pub fn run(self) -> ExitCode {
        init_logging(&self.environment);
        program::run(self)
    }
}

/// Logs to stderr; a second call changes nothing.
pub(crate) fn init_logging(environment: &dyn Environment) {
    let filter = environment
        .get("CALLBOARD_LOG")
        .unwrap_or_else(|| "info,actix_server=warn".to_owned());
    let filter = tracing_subscriber::EnvFilter::new(filter);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init()
        .ok();
}

/// Every fault of the wiring, a line each.
pub(crate) fn told(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
