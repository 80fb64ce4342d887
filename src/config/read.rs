//! From TOML tables and variables to checked values; every fault on the way is kept, none stops the reading.

mod app;
mod network;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use toml_edit::{Item, Table, TableLike, Value};

use super::environment::{self, Environment};
use super::fault::{Fault, Faults, Place, shown};
use super::nearest::nearest;
use super::token::{self, Kind, Problem};
use super::{
    APP_NAME_DEFAULT, App, BASE_URL_DEFAULT, Config, Connection, Runtime, STORE_PATH_DEFAULT,
    Slack, Store, Transport, url,
};
use crate::base::limits::SHARDS_MAX;
use crate::base::network::Network;
use crate::base::secret::Secret;

/// The keys of each table; the first row is the top of the file.
pub(super) const KEYS: [(&str, &[&str]); 6] = [
    ("", &["slack", "network", "store", "runtime", "app"]),
    ("[slack]", &["base_url"]),
    ("[network]", network::KEYS),
    ("[store]", &["path"]),
    ("[runtime]", &["shards"]),
    (
        "[[app]]",
        &[
            "name",
            "transport",
            "app_token",
            "bot_tokens",
            "slots",
            "backfill",
            "auto_reconnect",
        ],
    ),
];

/// Reads one source and keeps what is wrong with it.
///
/// A method that returns `None` for a value that must be there has recorded a fault.
pub(super) struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    environment: &'a dyn Environment,
    faults: Vec<Fault>,
    /// Where each token stands, to find those used twice.
    tokens: BTreeMap<String, Place>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, file: &'a str, environment: &'a dyn Environment) -> Self {
        Self {
            text,
            file,
            environment,
            faults: Vec::new(),
            tokens: BTreeMap::new(),
        }
    }

    /// What `read` makes, unless it records a fault.
    pub(super) fn finish<T>(mut self, read: impl FnOnce(&mut Self) -> T) -> Result<T, Faults> {
        let value = read(&mut self);
        if self.faults.is_empty() {
            Ok(value)
        } else {
            Err(Faults::sorted(self.faults))
        }
    }

    /// The whole file; incomplete where a fault was recorded.
    pub(super) fn file(&mut self, root: &Table) -> Config {
        let top = Place::top(self.file);
        self.refuse_unknown_keys(root, &top, "");
        let base_url = self.section(root, "slack", Self::base_url);
        let network = self.section(root, "network", |reader, table, at| {
            Some(reader.network(table, at))
        });
        let path = self.section(root, "store", Self::store_path);
        let shards = self.section(root, "runtime", Self::shards);
        let apps = self.apps(root, &top);
        self.config(base_url, network, path, shards, apps)
    }

    /// The configuration that variables alone make, if one of them asks for it; incomplete as above.
    pub(super) fn variables(&mut self) -> Option<Config> {
        let app_token = environment::set(self.environment, "SLACK_APP_TOKEN");
        let bot_tokens: Vec<(Place, String)> = ["SLACK_BOT_TOKEN", "SLACK_BOT_TOKENS"]
            .into_iter()
            .flat_map(|name| self.listed(name))
            .collect();
        if app_token.is_none() && bot_tokens.is_empty() {
            environment::set(self.environment, "SLACK_BASE_URL")?;
            self.faults.push(Place::variable("SLACK_BASE_URL").fault(
                "is set, but no token is",
                "SLACK_APP_TOKEN and SLACK_BOT_TOKEN beside it, or CALLBOARD_CONFIG",
            ));
            return None;
        }
        if bot_tokens.is_empty() {
            let place = Place::variable("SLACK_BOT_TOKEN");
            self.faults
                .push(place.fault("is not set, but SLACK_APP_TOKEN is", Kind::Bot.expected()));
        }
        let transport = match app_token {
            Some(text) => self
                .token(&Place::variable("SLACK_APP_TOKEN"), &text, Kind::App)
                .map(|app_token| Transport::Socket { app_token }),
            None => Some(Transport::Rtm),
        };
        let bot_tokens = bot_tokens
            .iter()
            .filter_map(|(place, text)| self.token(place, text, Kind::Bot))
            .collect();
        let app = |transport| App {
            name: APP_NAME_DEFAULT.to_owned(),
            transport,
            bot_tokens,
            connection: Connection::default(),
        };
        let apps = transport.map(app).into_iter().collect();
        Some(self.config(None, None, None, None, apps))
    }

    /// The comma-separated parts of a variable, each with its place.
    fn listed(&self, name: &str) -> Vec<(Place, String)> {
        let Some(value) = environment::set(self.environment, name) else {
            return Vec::new();
        };
        let place = Place::variable(name);
        let parts: Vec<&str> = value.split(',').map(str::trim).collect();
        let place_of = |index| match parts.len() {
            1 => place.clone(),
            _ => place.element(index),
        };
        // A comma at the end is no token; an empty part between two is one that is missing.
        let is_end = |index: usize, part: &str| part.is_empty() && index + 1 == parts.len();
        parts
            .iter()
            .enumerate()
            .filter(|(index, part)| !is_end(*index, part))
            .map(|(index, part)| (place_of(index), (*part).to_owned()))
            .collect()
    }

    /// Lays the environment and the defaults around what the file says.
    fn config(
        &mut self,
        base_url: Option<String>,
        network: Option<Network>,
        path: Option<PathBuf>,
        shards: Option<NonZeroUsize>,
        apps: Vec<App>,
    ) -> Config {
        let base_url_variable = environment::set(self.environment, "SLACK_BASE_URL")
            .and_then(|text| self.kept(&Place::variable("SLACK_BASE_URL"), url::checked(&text)));
        let base_url = base_url_variable.or(base_url);
        let path = self.store_path_variable().or(path);
        let network = network.unwrap_or_else(|| {
            let mut network = Network::default();
            self.proxy_variables(&mut network, None);
            network
        });
        Config {
            network,
            slack: Slack {
                base_url: base_url.unwrap_or_else(|| BASE_URL_DEFAULT.to_owned()),
            },
            store: Store {
                path: path.unwrap_or_else(|| PathBuf::from(STORE_PATH_DEFAULT)),
            },
            runtime: Runtime {
                shards: shards.unwrap_or_else(shards_default),
            },
            apps,
        }
    }

    /// What `CALLBOARD_STORE` says, if it is set.
    pub(super) fn store_path_variable(&mut self) -> Option<PathBuf> {
        let text = environment::set(self.environment, "CALLBOARD_STORE")?;
        self.directory(&Place::variable("CALLBOARD_STORE"), &text)
    }

    /// The value that `read` takes from the table `name`, if the table is there.
    fn section<T>(
        &mut self,
        root: &Table,
        name: &str,
        read: impl FnOnce(&mut Self, &dyn TableLike, &Place) -> Option<T>,
    ) -> Option<T> {
        let (place, item) = self.find(root, &Place::top(self.file), name)?;
        let Some(table) = item.as_table_like() else {
            let expected = format!("a table, written [{name}]");
            self.faults.push(place.fault(is_a(item), expected));
            return None;
        };
        self.refuse_unknown_keys(table, &place, &format!("[{name}]"));
        read(self, table, &place)
    }

    fn base_url(&mut self, table: &dyn TableLike, at: &Place) -> Option<String> {
        let expected = "a text such as \"https://slack.com/api/\"";
        let (place, text) = self.text(table, at, "base_url", expected)?;
        self.kept(&place, url::checked(&text))
    }

    fn store_path(&mut self, table: &dyn TableLike, at: &Place) -> Option<PathBuf> {
        let expected = "a text that names a directory, such as \"callboard-data\"";
        let (place, text) = self.text(table, at, "path", expected)?;
        self.directory(&place, &text)
    }

    fn directory(&mut self, place: &Place, text: &str) -> Option<PathBuf> {
        if text.trim().is_empty() || text.contains(['\0', char::REPLACEMENT_CHARACTER]) {
            self.faults.push(place.fault(
                format!("is {}", shown(text)),
                "the UTF-8 name of a directory, such as \"callboard-data\"",
            ));
            return None;
        }
        Some(PathBuf::from(text))
    }

    fn shards(&mut self, table: &dyn TableLike, at: &Place) -> Option<NonZeroUsize> {
        let (place, item) = self.find(table, at, "shards")?;
        let number = item.as_integer().and_then(|n| usize::try_from(n).ok());
        let shards = number
            .filter(|n| *n <= SHARDS_MAX)
            .and_then(NonZeroUsize::new);
        if shards.is_none() {
            self.faults.push(place.fault(
                is_value(item),
                format!("a whole number from 1 to {SHARDS_MAX}, or no such key for one per core"),
            ));
        }
        shards
    }

    /// A token's text, checked, and refused if it was seen before.
    fn token(&mut self, place: &Place, text: &str, kind: Kind) -> Option<Secret> {
        let secret = self.kept(place, token::checked(text, kind))?;
        if let Some(first) = self.tokens.get(text) {
            let found = format!("leads to the same token as {first}");
            self.faults
                .push(place.fault(found, "each token once: one per app or workspace"));
            return None;
        }
        self.tokens.insert(text.to_owned(), place.clone());
        Some(secret)
    }

    /// The value of `key`, with the place where its key stands.
    fn find<'t>(
        &self,
        table: &'t dyn TableLike,
        at: &Place,
        key: &str,
    ) -> Option<(Place, &'t Item)> {
        let (name, item) = table.get_key_value(key)?;
        let place = at.key(key).at_span(self.text, item.span());
        Some((place.at_span(self.text, name.span()), item))
    }

    /// The text at `key`, if it is there.
    fn text(
        &mut self,
        table: &dyn TableLike,
        at: &Place,
        key: &str,
        expected: &str,
    ) -> Option<(Place, String)> {
        let (place, item) = self.find(table, at, key)?;
        if let Some(text) = item.as_str() {
            return Some((place, text.to_owned()));
        }
        self.faults.push(place.fault(is_value(item), expected));
        None
    }

    /// The text at `key`, which must be there.
    fn required_text(
        &mut self,
        table: &dyn TableLike,
        at: &Place,
        key: &str,
        expected: &str,
    ) -> Option<(Place, String)> {
        if !table.contains_key(key) {
            self.faults.push(at.key(key).fault("is missing", expected));
            return None;
        }
        self.text(table, at, key, expected)
    }

    /// Keeps the problem, if it is one, as a fault at `place`.
    fn kept<T>(&mut self, place: &Place, result: Result<T, Problem>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problem) => {
                self.faults
                    .push(place.fault(problem.found, problem.expected));
                None
            }
        }
    }

    fn refuse_unknown_keys(&mut self, table: &dyn TableLike, at: &Place, section: &str) {
        let known = keys_of(section);
        for (key, item) in table.iter() {
            if known.contains(&key) {
                continue;
            }
            let name = table.get_key_value(key).and_then(|(name, _)| name.span());
            let place = at.key(key).at_span(self.text, name.or_else(|| item.span()));
            let elsewhere = KEYS.iter().find(|(_, keys)| keys.contains(&key));
            let hint = match (elsewhere, nearest(key, known)) {
                (Some(("", _)), _) => format!("; {key} stands at the top of the file"),
                (Some((home, _)), _) => format!("; {key} stands in {home}"),
                (None, Some(near)) => format!("; did you mean {near}?"),
                (None, None) => String::new(),
            };
            let only = if known.len() == 1 { "only" } else { "one of" };
            self.faults.push(place.fault(
                "is not a known key",
                format!("{only} {}{hint}", known.join(", ")),
            ));
        }
    }
}

fn keys_of(section: &str) -> &'static [&'static str] {
    KEYS.iter()
        .find(|(name, _)| *name == section)
        .map_or(&[], |(_, keys)| keys)
}

/// One dispatch thread per core, within bounds.
fn shards_default() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    NonZeroUsize::new(SHARDS_MAX).map_or(cores, |most| cores.min(most))
}

/// "is 3", "is \"a\"", or the type where the value is long.
fn is_value(item: &Item) -> String {
    match item.as_value() {
        Some(Value::String(text)) => format!("is the text {}", shown(text.value())),
        Some(Value::Integer(number)) => format!("is {}", number.value()),
        Some(Value::Float(number)) => format!("is {}", number.value()),
        Some(Value::Boolean(truth)) => format!("is {}", truth.value()),
        _ => is_a(item),
    }
}

/// "is a table", without the value.
fn is_a(item: &Item) -> String {
    format!("is {}", with_article(item.type_name()))
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}
