//! How Slack is reached: proxy, TLS, headers, time-outs, what is logged of it. Values only, checked when made.
pub mod header;
pub mod proxy;
pub mod tls;

use std::time::Duration;

use super::limits::{
    CALL_WITHIN, CLOSE_WITHIN, CONNECT_WITHIN, DIAL_WITHIN, PING_EVERY, TLS_HANDSHAKE_WITHIN,
};
use header::Header;
use proxy::{Exceptions, Proxy};
use tls::Tls;

/// The name under which we go unless told otherwise.
pub const USER_AGENT_DEFAULT: &str = concat!("callboard/", env!("CARGO_PKG_VERSION"));

/// How Slack is reached. The default: directly, with the usual roots.
#[derive(Debug, Clone)]
pub struct Network {
    /// The proxy through which everything goes, Web API calls and sockets.
    pub proxy: Option<Proxy>,
    /// Hosts that are reached directly all the same.
    pub no_proxy: Exceptions,
    /// Whom we trust, and who we are to the other end of TLS.
    pub tls: Tls,
    /// `User-Agent` of calls and of a socket's opening request.
    pub user_agent: String,
    /// Further headers of every Web API call. A `response_url` gets none of them.
    pub headers: Vec<Header>,
    /// Further headers of the request that opens a socket.
    pub socket_headers: Vec<Header>,
    /// How long things may take.
    pub within: Within,
    /// How often a quiet socket is pinged.
    pub ping_every: Duration,
    /// What is logged of what passes.
    pub trace: Trace,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// A TCP connection, finding the address and passing the proxy included.
    pub connect: Duration,
    /// The TLS handshake after it.
    pub tls_handshake: Duration,
    /// A socket, from nothing to its upgrade.
    pub dial: Duration,
    /// A Web API call, from nothing to the last byte of its answer.
    pub call: Duration,
    /// The closing handshake of a socket.
    pub close: Duration,
}

/// What is logged of the frames that pass. Tokens and the URLs of sockets are never shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trace {
    /// Every message, both ways, and the frames that close a socket.
    pub frames: bool,
    /// Every ping and pong.
    pub pings: bool,
}

impl Default for Within {
    fn default() -> Self {
        Self {
            connect: CONNECT_WITHIN,
            tls_handshake: TLS_HANDSHAKE_WITHIN,
            dial: DIAL_WITHIN,
            call: CALL_WITHIN,
            close: CLOSE_WITHIN,
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            proxy: None,
            no_proxy: Exceptions::default(),
            tls: Tls::default(),
            user_agent: USER_AGENT_DEFAULT.to_owned(),
            headers: Vec::new(),
            socket_headers: Vec::new(),
            within: Within::default(),
            ping_every: PING_EVERY,
            trace: Trace::default(),
        }
    }
}

impl Network {
    /// How long nothing at all may come from a socket before it is replaced: four times the wait between two pings,
    /// as the Python clients have it.
    pub fn silence_max(&self) -> Duration {
        4 * self.ping_every
    }

    /// The proxy through which `host` is reached, if it is not reached directly.
    pub fn proxy_to(&self, host: &str, port: u16) -> Option<&Proxy> {
        self.proxy
            .as_ref()
            .filter(|_| !self.no_proxy.includes(host, port))
    }
}
