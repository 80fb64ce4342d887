//! The proxy that stands between us and Slack, and the hosts that are reached without it.

use std::fmt;
use std::net::IpAddr;

use crate::base::secret::Secret;

/// An HTTP proxy that is asked for tunnels (`CONNECT`). It displays as its URL, without credentials.
#[derive(Clone)]
pub struct Proxy {
    /// As it stands in a URL: an IPv6 address has its brackets.
    host: String,
    port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<Secret>,
}

/// Why a text is no proxy's URL, as the end of a sentence. It holds nothing of the text: that may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// `https`, `socks5`, …
    Scheme,
    /// No host, or none that can be one.
    Host,
    /// Not between 1 and 65535.
    Port,
    /// A path, a query or a fragment.
    Path,
    /// A `%` without two hexadecimal digits, or a control character.
    Credentials,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => {
                "has another scheme than http (what goes through it is encrypted all the same)"
            }
            Self::Host => "has no valid host",
            Self::Port => "has a port that is not between 1 and 65535",
            Self::Path => "has a path, a query or a fragment",
            Self::Credentials => "has a user name or password that is not percent-encoded well",
        })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("url", &self.to_string())
            .field("has_credentials", &self.authorization.is_some())
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// The port of a proxy whose URL has none.
    const PORT_DEFAULT: u16 = 80;

    /// Reads `http://user:password@host:port`. Scheme, credentials and port may be missing; user and password may be
    /// percent-encoded.
    ///
    /// # Errors
    /// When it is not that.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(Unfit::Scheme),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // A password may hold an @; a host may not.
        let (credentials, authority) = match rest.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials), authority),
            None => (None, rest),
        };
        if authority.contains(['/', '?', '#']) {
            return Err(Unfit::Path);
        }
        let (host, port) = split_port(authority);
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0),
            None => Some(Self::PORT_DEFAULT),
        };
        if !is_host(host) {
            return Err(Unfit::Host);
        }
        Ok(Self {
            host: host.to_owned(),
            port: port.ok_or(Unfit::Port)?,
            authorization: credentials.map(authorization).transpose()?,
        })
    }

    /// Its host, as it stands in a URL.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of `Proxy-Authorization`, if it has credentials.
    pub fn authorization(&self) -> Option<&Secret> {
        self.authorization.as_ref()
    }
}

/// The value of `Proxy-Authorization` for `user:password`.
fn authorization(credentials: &str) -> Result<Secret, Unfit> {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let mut plain = decoded(user)?;
    if plain.contains(&b':') {
        return Err(Unfit::Credentials);
    }
    plain.push(b':');
    plain.extend(decoded(password)?);
    Ok(Secret::new(format!("Basic {}", base64(&plain))))
}

/// Percent-decoded.
fn decoded(text: &str) -> Result<Vec<u8>, Unfit> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(bytes.next()), digit(bytes.next()));
            let value = high.zip(low).map(|(high, low)| high * 16 + low);
            value.and_then(|value| u8::try_from(value).ok())
        } else {
            Some(byte)
        };
        match byte {
            Some(byte) if !byte.is_ascii_control() => plain.push(byte),
            Some(_) | None => return Err(Unfit::Credentials),
        }
    }
    Ok(plain)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |n: usize| three.get(n).copied().map_or(0, u32::from);
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            let digit = (bits >> (18 - 6 * n)) & 63;
            let digit = usize::try_from(digit).ok().and_then(|n| DIGITS.get(n));
            let is_there = n <= three.len();
            text.push(digit.filter(|_| is_there).map_or('=', |&d| char::from(d)));
        }
    }
    text
}

/// Hosts that are reached without the proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exceptions {
    rules: Vec<Rule>,
    /// This machine is one of them.
    loopback: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    hosts: Hosts,
    /// Every port, where there is none.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    /// Every one.
    All,
    /// The name and whatever ends with a dot and it.
    Name(String),
    /// Addresses with the same first bits as this one.
    Net(IpAddr, u8),
}

impl Exceptions {
    /// Reads entries as `NO_PROXY` has them: `*`, a name (with all below it), an address, a range such as
    /// `10.0.0.0/8`; each but a range may have a port behind a colon. Entries that are empty mean nothing.
    ///
    /// # Errors
    /// The first entry that is none of these.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let entries = entries.into_iter().map(str::trim);
        let rules = entries
            .filter(|entry| !entry.is_empty())
            .map(|entry| Rule::parse(entry).ok_or(entry))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            rules,
            loopback: false,
        })
    }

    /// This machine is reached directly too.
    #[must_use]
    pub fn and_loopback(self) -> Self {
        Self {
            loopback: true,
            ..self
        }
    }

    /// Whether `host` is one of them.
    pub fn includes(&self, host: &str, port: u16) -> bool {
        let host = bare(host).trim_end_matches('.').to_ascii_lowercase();
        let ip: Option<IpAddr> = host.parse().ok();
        if self.loopback && (host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())) {
            return true;
        }
        let is_it = |rule: &Rule| {
            rule.port.is_none_or(|only| only == port)
                && match &rule.hosts {
                    Hosts::All => true,
                    Hosts::Name(name) => host
                        .strip_suffix(name.as_str())
                        .is_some_and(|before| before.is_empty() || before.ends_with('.')),
                    Hosts::Net(net, bits) => ip.is_some_and(|ip| is_within(ip, *net, *bits)),
                }
        };
        self.rules.iter().any(is_it)
    }
}

impl Rule {
    fn parse(entry: &str) -> Option<Self> {
        if let Some((net, bits)) = entry.split_once('/') {
            let net: IpAddr = bare(net).parse().ok()?;
            let bits = bits.parse().ok().filter(|bits| *bits <= width(net))?;
            return Some(Self {
                hosts: Hosts::Net(net, bits),
                port: None,
            });
        }
        let (host, port) = match bare(entry).parse::<IpAddr>() {
            Ok(_) => (entry, None),
            Err(_) => split_port(entry),
        };
        let port = match port {
            Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
            None => None,
        };
        let hosts = if host == "*" {
            Hosts::All
        } else if let Ok(ip) = bare(host).parse::<IpAddr>() {
            Hosts::Net(ip, width(ip))
        } else {
            let name = host.strip_prefix('*').unwrap_or(host);
            let name = name.strip_prefix('.').unwrap_or(name);
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if !is_host(&name) {
                return None;
            }
            Hosts::Name(name)
        };
        Some(Self { hosts, port })
    }
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn is_within(ip: IpAddr, net: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (ip, net) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => {
            let differing = ip.to_bits() ^ net.to_bits();
            differing.leading_zeros() >= bits
        }
        (IpAddr::V6(ip), IpAddr::V6(net)) => {
            let differing = ip.to_bits() ^ net.to_bits();
            differing.leading_zeros() >= bits
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// Without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    inner.unwrap_or(host)
}

/// Host and port of `host:port`; the colons inside brackets are the host's.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.starts_with('[') || host.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

fn is_host(host: &str) -> bool {
    if host.starts_with('[') {
        return bare(host).parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !label.is_empty() && label.chars().all(is_allowed)
    };
    host.split('.').all(is_label)
}

#[cfg(test)]
mod tests;
