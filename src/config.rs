//! What the operator decides: a TOML file and the environment in, a checked [`Config`] out.
//!
//! Nothing in a [`Config`] can be invalid: whatever is wrong is found here, all of it in one go, as [`Faults`]
//! that name the file, the line, the key and what was expected. No setting is read anywhere else, no other
//! module reads environment variables, and only `app` and `cli` know this module; the others are handed values.
//!
//! Layers, the later wins: built-in defaults, the file, the environment (`SLACK_BASE_URL`, `CALLBOARD_STORE`). The
//! variables of every program (`HTTPS_PROXY`, `NO_PROXY`) count only where the file says nothing.
mod environment;
mod fault;
mod nearest;
mod read;
mod token;
mod url;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use toml_edit::Document;

use crate::base::limits::{CONFIG_FILE_BYTES_MAX, SLOTS_DEFAULT, SocketTimes};
use crate::base::network::Network;
use crate::base::secret::Secret;
use fault::Place;
use read::Reader;

pub use environment::{Environment, FixedEnvironment, SystemEnvironment};
pub use fault::{Fault, Faults};

/// Where Slack's Web API is unless configured otherwise.
pub const BASE_URL_DEFAULT: &str = "https://slack.com/api/";

/// The store's directory unless configured otherwise, relative to the working directory.
pub const STORE_PATH_DEFAULT: &str = "callboard-data";

/// The name of the one app that the environment alone describes.
pub const APP_NAME_DEFAULT: &str = "default";

/// Everything the operator decided, checked. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Slack is.
    pub slack: Slack,
    /// How Slack is reached.
    pub network: Network,
    /// Where the durable memory is.
    pub store: Store,
    /// How much of the machine is used.
    pub runtime: Runtime,
    /// The Slack apps to host; at least one, names unique, no token used twice.
    pub apps: Vec<App>,
}

/// Where Slack is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slack {
    /// The address under which the Web API's methods lie; ends with `/`. Plain `http` only for this machine.
    pub base_url: String,
}

/// Where the durable memory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// A directory, relative to the working directory unless absolute. It need not exist yet. `:memory:` is none: see
    /// [`IN_MEMORY`](crate::store::IN_MEMORY).
    pub path: PathBuf,
}

/// How much of the machine is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// Dispatch threads, up to [`SHARDS_MAX`](crate::base::limits::SHARDS_MAX); by default the number of cores.
    pub shards: NonZeroUsize,
}

/// One Slack app and the workspaces that installed it.
#[derive(Debug, Clone)]
pub struct App {
    /// The durable name: part of every key and of the store. `a-z`, `0-9` and `-`, 1 to 64 characters.
    pub name: String,
    /// How its events arrive.
    pub transport: Transport,
    /// Bot tokens (`xoxb-`), one per workspace; at least one.
    pub bot_tokens: Vec<Secret>,
    /// How its connections are kept.
    pub connection: Connection,
}

/// How an app's connections are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Sockets that a Socket Mode token keeps, 1 to [`SLOTS_MAX`](crate::base::limits::SLOTS_MAX).
    pub slots: usize,
    /// Whether messages that came during a gap of an RTM socket are asked for afterwards.
    pub backfill: bool,
    /// Whether sockets that are lost are replaced; those that Slack asks to leave are in any case.
    pub auto_reconnect: bool,
    /// How long its sockets may take for what.
    pub times: Option<SocketTimes>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            slots: SLOTS_DEFAULT,
            backfill: false,
            auto_reconnect: true,
            times: None,
        }
    }
}

/// How an app's events arrive.
#[derive(Debug, Clone)]
pub enum Transport {
    /// Socket Mode: one stream carries the events of all workspaces.
    Socket {
        /// The app-level token (`xapp-`) that opens the stream.
        app_token: Secret,
    },
    /// RTM: one socket per workspace, opened with its bot token.
    Rtm,
}

impl Store {
    /// The store that `CALLBOARD_STORE` names, or the default one: for a start that has no configuration.
    pub fn from_environment(environment: &dyn Environment) -> Result<Self, Faults> {
        Reader::new("", Place::ENVIRONMENT, environment).finish(|reader| {
            let path = reader.store_path_variable();
            Self {
                path: path.unwrap_or_else(|| PathBuf::from(STORE_PATH_DEFAULT)),
            }
        })
    }
}

/// Reads and checks the file at `path`.
pub fn load(path: &Path, environment: &dyn Environment) -> Result<Config, Faults> {
    let file_name = path.display().to_string();
    match read_bounded(path, CONFIG_FILE_BYTES_MAX) {
        Ok(text) => parse(&text, &file_name, environment),
        Err(found) => {
            let place = Place::top(&file_name);
            Err(Faults::one(place.fault(
                found,
                "a readable TOML file, such as callboard.example.toml",
            )))
        }
    }
}

/// Checks `text`, the contents of the file that faults call `file_name`.
///
/// Reads the environment variables and files that it refers to.
pub fn parse(text: &str, file_name: &str, environment: &dyn Environment) -> Result<Config, Faults> {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let place = Place::top(file_name).at_span(text, error.span());
            let found = format!("is not valid TOML ({})", error.message());
            return Err(Faults::one(
                place.fault(found, "TOML 1.0; nothing after this place was checked"),
            ));
        }
    };
    Reader::new(text, file_name, environment).finish(|reader| reader.file(document.as_table()))
}

/// The configuration that the environment names or is.
///
/// `CALLBOARD_CONFIG` names a file. Without it, `SLACK_APP_TOKEN` with `SLACK_BOT_TOKEN` or `SLACK_BOT_TOKENS`
/// (comma separated) make one Socket Mode app, and bot tokens alone make one RTM app. An empty variable counts
/// as not set. `None`: no token and no file is named.
pub fn from_environment(environment: &dyn Environment) -> Result<Option<Config>, Faults> {
    if let Some(path) = environment::set(environment, "CALLBOARD_CONFIG") {
        return load(Path::new(&path), environment).map(Some);
    }
    Reader::new("", Place::ENVIRONMENT, environment).finish(Reader::variables)
}

/// The text of a file of at most `bytes_max` bytes, or what is wrong with it.
fn read_bounded(path: &Path, bytes_max: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read ({error})"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(format!("is longer than {bytes_max} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is not UTF-8 (at byte {at})")
    })
}
