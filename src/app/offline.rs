//! Without tokens: a simulated Slack, and the configuration that points at it.

use std::net::SocketAddr;

use serde_json::Value;

use super::StartError;
use crate::base::network::Network;
use crate::base::secret::Secret;
use crate::config::{App, Config, Connection, Environment, Runtime, Slack, Store, Transport};
use crate::dispatch::router::Router;
use crate::sim::{self, Options, Simulator, start};

/// Starts the simulator, and configures an app for each of its apps.
pub(super) fn config(
    router: &Router,
    listen: SocketAddr,
    environment: &dyn Environment,
) -> Result<(Config, Simulator), StartError> {
    let mut options = Options {
        listen,
        ..Options::default()
    };
    // Only Socket Mode carries commands.
    let app = options
        .world
        .transports()
        .find(|(_, transport)| *transport == sim::Transport::Socket)
        .map(|(id, _)| id.clone());
    for command in router.commands() {
        if let Some(app) = &app {
            let added = options.world.command(app, &command, "", "");
            added.map_err(|error| StartError::Simulator(error.to_string()))?;
        }
    }
    let simulator = start(options).map_err(|error| StartError::Simulator(error.to_string()))?;
    let config = Config {
        slack: Slack {
            base_url: simulator.api_url(),
        },
        network: Network::default(),
        store: Store::from_environment(environment).map_err(StartError::Config)?,
        runtime: Runtime {
            shards: std::thread::available_parallelism().unwrap_or(std::num::NonZeroUsize::MIN),
        },
        apps: apps(&simulator.describe()),
    };
    Ok((config, simulator))
}

fn apps(described: &Value) -> Vec<App> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = described.get("apps").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .map(|app| {
            let tokens = app.get("bot_tokens").and_then(Value::as_object);
            App {
                name: text(app.get("name")),
                transport: match app.get("app_token") {
                    Some(token) => Transport::Socket {
                        app_token: Secret::new(text(Some(token))),
                    },
                    None => Transport::Rtm,
                },
                bot_tokens: tokens
                    .into_iter()
                    .flatten()
                    .map(|(_, token)| Secret::new(text(Some(token))))
                    .collect(),
                connection: Connection::default(),
            }
        })
        .collect()
}
