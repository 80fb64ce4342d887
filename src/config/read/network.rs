//! The `[network]` table, and the variables that stand in for its proxy.

use std::path::Path;
use std::time::Duration;

use toml_edit::{TableLike, Value};

use super::{Reader, is_a, is_value};
use crate::base::limits::{NETWORK_WITHIN_MOST, PEM_FILE_BYTES_MAX, TOKEN_FILE_BYTES_MAX};
use crate::base::network::Network;
use crate::base::network::header::Header;
use crate::base::network::proxy::{Exceptions, Proxy};
use crate::base::network::tls::{Tls, Unusable};
use crate::config::environment;
use crate::config::fault::{Place, shown};
use crate::config::read_bounded;
use crate::config::token::{Problem, is_like_one};

/// The keys of `[network]`.
pub(super) const KEYS: &[&str] = &[
    "proxy",
    "no_proxy",
    "roots_file",
    "client_certificate_file",
    "client_key_file",
    "user_agent",
    "headers",
    "socket_headers",
    "connect_within_seconds",
    "tls_handshake_within_seconds",
    "dial_within_seconds",
    "call_within_seconds",
    "close_within_seconds",
    "ping_every_seconds",
    "trace_frames",
    "trace_pings",
];

/// Where a proxy is looked for when the file names none; the first that is set, as the Python clients have it.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

const NO_PROXY_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

const PROXY: &str = "a proxy such as \"http://proxy.example:3128\", \"env:NAME\" or \"file:PATH\" where the URL has a password, or \"none\"";

const NO_PROXY: &str =
    "hosts such as \"slack.example\", \"10.0.0.0/8\", \"[::1]\" or \"*\", each perhaps with a port";

impl Reader<'_> {
    /// What the table says; the defaults and the environment where it says nothing.
    pub(super) fn network(&mut self, table: &dyn TableLike, at: &Place) -> Network {
        let mut network = Network::default();
        let no_proxy = self.no_proxy(table, at);
        if table.contains_key("proxy") {
            network.proxy = self.proxy(table, at);
            if network.proxy.is_some() {
                network.no_proxy = no_proxy.unwrap_or_else(|| self.no_proxy_variable());
            }
        } else {
            self.proxy_variables(&mut network, no_proxy);
        }
        network.tls = self.tls(table, at).unwrap_or_default();
        if let Some(agent) = self.user_agent(table, at) {
            network.user_agent = agent;
        }
        network.headers = self.headers(table, at, "headers");
        network.socket_headers = self.headers(table, at, "socket_headers");
        let within = &mut network.within;
        for (key, within) in [
            ("connect_within_seconds", &mut within.connect),
            ("tls_handshake_within_seconds", &mut within.tls_handshake),
            ("dial_within_seconds", &mut within.dial),
            ("call_within_seconds", &mut within.call),
            ("close_within_seconds", &mut within.close),
            ("ping_every_seconds", &mut network.ping_every),
        ] {
            if let Some(time) = self.seconds(table, at, key) {
                *within = time;
            }
        }
        network.trace.frames = self.switch(table, at, "trace_frames").unwrap_or_default();
        network.trace.pings = self.switch(table, at, "trace_pings").unwrap_or_default();
        network
    }

    /// The proxy that variables name. This machine is reached without it: such variables are meant for the way out.
    pub(super) fn proxy_variables(&mut self, network: &mut Network, no_proxy: Option<Exceptions>) {
        let Some((name, text)) = self.first_set(&PROXY_VARIABLES) else {
            return;
        };
        let parsed = Proxy::parse(&text).map_err(|unfit| Problem::new(unfit.to_string(), PROXY));
        network.proxy = self.kept(&Place::variable(name), parsed);
        let no_proxy = no_proxy.unwrap_or_else(|| self.no_proxy_variable());
        network.no_proxy = no_proxy.and_loopback();
    }

    fn no_proxy_variable(&mut self) -> Exceptions {
        let Some((name, text)) = self.first_set(&NO_PROXY_VARIABLES) else {
            return Exceptions::default();
        };
        let parsed = Exceptions::parse(text.split(','))
            .map_err(|entry| Problem::new(format!("has the entry {}", shown(entry)), NO_PROXY));
        self.kept(&Place::variable(name), parsed)
            .unwrap_or_default()
    }

    fn first_set(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names
            .iter()
            .find_map(|name| Some((*name, environment::set(self.environment, name)?)))
    }

    /// The proxy that the file names, if it does not say that there shall be none.
    fn proxy(&mut self, table: &dyn TableLike, at: &Place) -> Option<Proxy> {
        let (place, text) = self.text(table, at, "proxy", PROXY)?;
        if text == "none" {
            return None;
        }
        let read = self.referred(&text).and_then(|(text, is_reference)| {
            if text.contains('@') && !is_reference {
                return Err(Problem::new(
                    "holds a user name or a password in plain text",
                    "a reference, so that no secret lies in this file: \"env:NAME\" or \"file:PATH\"",
                ));
            }
            Proxy::parse(&text).map_err(|unfit| Problem::new(unfit.to_string(), PROXY))
        });
        self.kept(&place, read)
    }

    fn no_proxy(&mut self, table: &dyn TableLike, at: &Place) -> Option<Exceptions> {
        let (place, item) = self.find(table, at, "no_proxy")?;
        let entries: Option<Vec<&str>> = match item.as_array() {
            Some(list) => list.iter().map(Value::as_str).collect(),
            None => None,
        };
        let Some(entries) = entries else {
            self.faults
                .push(place.fault(is_value(item), format!("a list of {NO_PROXY}")));
            return None;
        };
        let parsed = Exceptions::parse(entries)
            .map_err(|entry| Problem::new(format!("has the entry {}", shown(entry)), NO_PROXY));
        self.kept(&place, parsed)
    }

    fn tls(&mut self, table: &dyn TableLike, at: &Place) -> Option<Tls> {
        let mut tls = Tls::default();
        if let Some((place, pem)) = self.pem(table, at, "roots_file") {
            let trusting = tls
                .clone()
                .trusting(pem.as_bytes())
                .map_err(|error| unusable(&error));
            tls = self.kept(&place, trusting)?;
        }
        let (certificate, key) = ("client_certificate_file", "client_key_file");
        for (one, other) in [(certificate, key), (key, certificate)] {
            if table.contains_key(one) && !table.contains_key(other) {
                let (place, _) = self.find(table, at, one)?;
                let found = format!("is given without {other}");
                self.faults.push(
                    place.fault(found, "both, or neither: a certificate and its private key"),
                );
                return None;
            }
        }
        let chain = self.pem(table, at, certificate);
        let key = self.pem(table, at, key);
        let (Some((chain_place, chain)), Some((key_place, key))) = (chain, key) else {
            return Some(tls);
        };
        let presenting = tls.presenting(chain.as_bytes(), key.as_bytes());
        let place = match &presenting {
            Err(Unusable::NoCertificate | Unusable::Certificate(_)) => chain_place,
            Err(Unusable::NoKey | Unusable::Pair(_)) | Ok(_) => key_place,
        };
        self.kept(&place, presenting.map_err(|error| unusable(&error)))
    }

    /// What is in the file that `key` names.
    fn pem(&mut self, table: &dyn TableLike, at: &Place, key: &str) -> Option<(Place, String)> {
        let expected = "the path of a PEM file";
        let (place, path) = self.text(table, at, key, expected)?;
        let read = read_bounded(Path::new(&path), PEM_FILE_BYTES_MAX);
        let read = read.map_err(|found| {
            Problem::new(format!("names {}, which {found}", shown(&path)), expected)
        });
        Some((place.clone(), self.kept(&place, read)?))
    }

    fn user_agent(&mut self, table: &dyn TableLike, at: &Place) -> Option<String> {
        let expected = "a text of visible ASCII such as \"callboard/0.1 (acme)\"";
        let (place, text) = self.text(table, at, "user_agent", expected)?;
        let is_allowed = |c: char| c.is_ascii_graphic() || c == ' ';
        if text.trim().is_empty() || !text.chars().all(is_allowed) || is_like_one(&text) {
            self.faults
                .push(place.fault(format!("is {}", shown(&text)), expected));
            return None;
        }
        Some(text.trim().to_owned())
    }

    fn headers(&mut self, table: &dyn TableLike, at: &Place, key: &str) -> Vec<Header> {
        let expected = "headers, each written name = \"value\", \"env:NAME\" or \"file:PATH\"";
        let Some((place, item)) = self.find(table, at, key) else {
            return Vec::new();
        };
        let Some(entries) = item.as_table_like() else {
            self.faults.push(place.fault(is_a(item), expected));
            return Vec::new();
        };
        let mut headers = Vec::new();
        for (name, item) in entries.iter() {
            let place = place.key(name).at_span(self.text, item.span());
            let Some(value) = item.as_str() else {
                self.faults.push(place.fault(is_a(item), expected));
                continue;
            };
            let header = self.referred(value).and_then(|(value, _)| {
                Header::new(name, &value)
                    .map_err(|unfit| Problem::new(format!("can't be sent: {unfit}"), expected))
            });
            headers.extend(self.kept(&place, header));
        }
        headers
    }

    fn seconds(&mut self, table: &dyn TableLike, at: &Place, key: &str) -> Option<Duration> {
        let (place, item) = self.find(table, at, key)?;
        let whole = item.as_integer().and_then(|n| u32::try_from(n).ok());
        let seconds = item.as_float().or(whole.map(f64::from));
        let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let time = time.filter(|time| !time.is_zero() && *time <= NETWORK_WITHIN_MOST);
        if time.is_none() {
            let most = NETWORK_WITHIN_MOST.as_secs();
            self.faults.push(place.fault(
                is_value(item),
                format!("a number of seconds, more than 0 and at most {most}"),
            ));
        }
        time
    }

    fn switch(&mut self, table: &dyn TableLike, at: &Place, key: &str) -> Option<bool> {
        let (place, item) = self.find(table, at, key)?;
        let switch = item.as_bool();
        if switch.is_none() {
            self.faults
                .push(place.fault(is_value(item), "true or false"));
        }
        switch
    }

    /// A text, or the one that it refers to, and whether it did.
    fn referred(&self, text: &str) -> Result<(String, bool), Problem> {
        let problem = |found: String| Problem::new(found, "a reference that leads to a text");
        if let Some(name) = text.strip_prefix("env:") {
            let value = environment::set(self.environment, name).ok_or_else(|| {
                problem(format!(
                    "refers to the environment variable {}, which is not set",
                    shown(name)
                ))
            })?;
            return Ok((value, true));
        }
        if let Some(path) = text.strip_prefix("file:") {
            let read = read_bounded(Path::new(path), TOKEN_FILE_BYTES_MAX);
            let value = read.map_err(|found| {
                problem(format!("refers to the file {}, which {found}", shown(path)))
            })?;
            return Ok((value.trim().to_owned(), true));
        }
        Ok((text.to_owned(), false))
    }
}

fn unusable(error: &Unusable) -> Problem {
    Problem::new(
        format!("names a file that {error}"),
        "PEM files, as OpenSSL and most authorities write them",
    )
}
