//! Where the Web API is: under a URL, or behind a port that carries calls some other way.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};

use super::Request;
use super::client::form;
use super::dial::Link;
use crate::base::network::Network;
use crate::base::secret::Secret;

/// Where the Web API is.
#[derive(Clone)]
pub enum Api {
    /// Methods are under this URL, which ends with a slash; it is reached by this link, and so are sockets.
    Url(String, Arc<Link>),
    /// Calls go through this, and no socket can be opened: the simulation has no network.
    Wire(Arc<dyn Wire>),
}

impl Api {
    /// Under `base_url`, which ends with a slash, reached as `network` says.
    pub fn url(base_url: &str, network: Network) -> Self {
        Self::Url(base_url.to_owned(), Arc::new(Link::new(network)))
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url, link) => f.debug_tuple("Url").field(url).field(link).finish(),
            Self::Wire(_) => f.write_str("Wire"),
        }
    }
}

/// A way to Slack that is not HTTP.
pub trait Wire: Send + Sync {
    /// Carries one call there, and its answer back; the text says why there was none. Whoever carries it also
    /// bounds how long that takes.
    fn send(&self, call: Outgoing) -> LocalBoxFuture<'static, Result<Incoming, String>>;
}

/// A call on its way.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The method's name, or the `response_url`.
    pub method: String,
    /// Who calls.
    pub token: Option<Secret>,
    /// For a method its form's fields, all of them texts; for a `response_url` its JSON.
    pub fields: Map<String, Value>,
}

/// An answer on its way.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// HTTP's status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The body; the text says why it did not come.
    pub body: Result<Bytes, String>,
}

impl Outgoing {
    pub(super) fn of(request: &Request<'_>) -> Self {
        let fields = if request.method.starts_with("http") {
            request.args.clone()
        } else {
            let texts = form(request.args).into_iter();
            texts
                .map(|(name, text)| (name.to_owned(), Value::String(text)))
                .collect()
        };
        Self {
            method: request.method.to_owned(),
            token: request.token.cloned(),
            fields,
        }
    }
}
