//! TCP connections to Slack: direct ones, and tunnels through an HTTP proxy (`CONNECT`).
//!
//! The tunnel ends where TLS begins, so the proxy sees the host's name and nothing else. Plain `http` and `ws`, which
//! only tests and simulators have, go through a tunnel as well.

use std::io;
use std::sync::Arc;

use actix_rt::net::TcpStream;
use actix_service::Service;
use actix_tls::connect::{
    ConnectError, ConnectInfo, Connection, Connector, ConnectorService, Resolver,
};
use awc::http::Uri;
use awc::http::uri::InvalidUri;
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Link;
use crate::base::limits::PROXY_ANSWER_BYTES_MAX;
use crate::base::network::proxy::Proxy;

/// Makes TCP connections as a [`Link`] says.
#[derive(Clone)]
pub(super) struct Tunnel {
    link: Arc<Link>,
    tcp: ConnectorService,
}

/// Why there is no way through. It names the proxy and holds no credentials.
#[derive(Debug, thiserror::Error)]
enum Blocked {
    #[error("{to} did not take a connection within {seconds} s{via}")]
    Late {
        to: String,
        seconds: f32,
        via: String,
    },
    #[error(
        "the proxy {proxy} can't be reached ({why}): mend network.proxy, or HTTPS_PROXY where that is not set"
    )]
    Unreachable { proxy: String, why: String },
    #[error(
        "the proxy {proxy} wants credentials (HTTP 407): give them in its URL, as http://user:password@{host}"
    )]
    NoCredentials { proxy: String, host: String },
    #[error(
        "the proxy {proxy} refuses the credentials of its URL (HTTP 407): mend user and password there"
    )]
    WrongCredentials { proxy: String },
    #[error(
        "the proxy {proxy} answered HTTP {status} when asked for {to}: let it pass there, or name it in network.no_proxy"
    )]
    Refused {
        proxy: String,
        status: u16,
        to: String,
    },
    #[error(
        "the proxy {proxy} does not speak HTTP ({why}): is that a proxy, and its port the right one?"
    )]
    NoProxy { proxy: String, why: String },
}

impl Tunnel {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            tcp: Connector::new(Resolver::default()).service(),
        }
    }

    async fn connect(
        self,
        target: ConnectInfo<Uri>,
    ) -> Result<Connection<Uri, TcpStream>, ConnectError> {
        let to = format!("{}:{}", target.hostname(), target.port());
        let proxy = self
            .link
            .network()
            .proxy_to(target.hostname(), target.port());
        let within = self.link.network().within.connect;
        let connected = async {
            let connection = match proxy {
                None => self.tcp.call(target).await?,
                Some(proxy) => self.through(proxy, &to, target).await?,
            };
            if let Err(error) = connection.io_ref().set_nodelay(true) {
                tracing::debug!(%error, "can't switch Nagle's algorithm off");
            }
            Ok(connection)
        };
        match tokio::time::timeout(within, connected).await {
            Ok(connected) => connected,
            Err(_) => Err(io_error(Blocked::Late {
                seconds: within.as_secs_f32(),
                via: proxy.map_or_else(String::new, |proxy| format!(" through the proxy {proxy}")),
                to,
            })),
        }
    }

    async fn through(
        &self,
        proxy: &Proxy,
        to: &str,
        target: ConnectInfo<Uri>,
    ) -> Result<Connection<Uri, TcpStream>, ConnectError> {
        let unreachable = |why: String| {
            io_error(Blocked::Unreachable {
                proxy: proxy.to_string(),
                why,
            })
        };
        let address: Uri = proxy
            .to_string()
            .parse()
            .map_err(|error: InvalidUri| unreachable(error.to_string()))?;
        let connected = self.tcp.call(ConnectInfo::new(address)).await;
        let (mut stream, _) = connected
            .map_err(|error| unreachable(reason(&error)))?
            .into_parts();
        let asked = ask(&mut stream, proxy, to).await;
        let head = asked.map_err(|error| unreachable(error.to_string()))?;
        judge(&head, proxy, to).map_err(io_error)?;
        Ok(Connection::new(target.request().clone(), stream))
    }
}

impl Service<ConnectInfo<Uri>> for Tunnel {
    type Response = Connection<Uri, TcpStream>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    actix_service::always_ready!();

    fn call(&self, target: ConnectInfo<Uri>) -> Self::Future {
        Box::pin(self.clone().connect(target))
    }
}

fn io_error(blocked: Blocked) -> ConnectError {
    ConnectError::Io(io::Error::other(blocked))
}

/// actix's own texts leave the reason to `source`.
fn reason(error: &ConnectError) -> String {
    match error {
        ConnectError::Resolver(error) => format!("its name is not known: {error}"),
        ConnectError::Io(error) => error.to_string(),
        ConnectError::NoRecords | ConnectError::InvalidInput | ConnectError::Unresolved => {
            error.to_string()
        }
    }
}

/// Asks for a tunnel, and reads the answer up to its empty line, and not one byte more: what follows is Slack's.
async fn ask(stream: &mut TcpStream, proxy: &Proxy, to: &str) -> io::Result<Vec<u8>> {
    stream.write_all(request(proxy, to).as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < PROXY_ANSWER_BYTES_MAX {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            // What there is tells more than that there is no more.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !head.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}

fn request(proxy: &Proxy, to: &str) -> String {
    let mut text = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
    if let Some(authorization) = proxy.authorization() {
        text.push_str("Proxy-Authorization: ");
        text.push_str(authorization.expose());
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text
}

/// Whether the answer `head` opens the tunnel.
fn judge(head: &[u8], proxy: &Proxy, to: &str) -> Result<(), Blocked> {
    let name = proxy.to_string();
    let status = status(head);
    match status {
        Some(200..=299) if head.ends_with(b"\r\n\r\n") => Ok(()),
        Some(200..=299) | None => Err(Blocked::NoProxy {
            why: format!("{} bytes that are no whole answer", head.len()),
            proxy: name,
        }),
        Some(407) if proxy.authorization().is_some() => {
            Err(Blocked::WrongCredentials { proxy: name })
        }
        Some(407) => Err(Blocked::NoCredentials {
            host: format!("{}:{}", proxy.host(), proxy.port()),
            proxy: name,
        }),
        Some(status) => Err(Blocked::Refused {
            proxy: name,
            status,
            to: to.to_owned(),
        }),
    }
}

/// The status of an HTTP/1 answer.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words
        .next()
        .filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn small_frames_are_not_held_back() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let link = Arc::new(Link::new(crate::base::network::Network::default()));
        let target: Uri = format!("http://{address}/").parse().unwrap();
        let connected = Tunnel::new(link).connect(ConnectInfo::new(target)).await;
        assert!(connected.unwrap().io_ref().nodelay().unwrap());
    }

    #[test]
    fn a_proxy_is_asked_with_its_credentials() {
        let proxy = Proxy::parse("http://ann:secret@proxy:1").unwrap();
        assert_eq!(
            request(&proxy, "slack.com:443"),
            "CONNECT slack.com:443 HTTP/1.1\r\nHost: slack.com:443\r\nProxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n"
        );
        let proxy = Proxy::parse("http://proxy:1").unwrap();
        assert_eq!(
            request(&proxy, "slack.com:443"),
            "CONNECT slack.com:443 HTTP/1.1\r\nHost: slack.com:443\r\n\r\n"
        );
    }

    #[test]
    fn its_answer_opens_the_way_or_says_what_to_do() {
        let with = Proxy::parse("http://ann:secret@proxy:1").unwrap();
        let without = Proxy::parse("http://proxy:1").unwrap();
        let told = |head: &str, proxy: &Proxy| {
            let judged = judge(head.as_bytes(), proxy, "slack.com:443");
            judged.map_err(|blocked| blocked.to_string())
        };
        assert_eq!(
            told("HTTP/1.1 200 Connection established\r\n\r\n", &with),
            Ok(())
        );
        assert_eq!(told("HTTP/1.0 200\r\nVia: x\r\n\r\n", &with), Ok(()));
        for (head, proxy, part) in [
            (
                "HTTP/1.1 407 No\r\n\r\n",
                &without,
                "give them in its URL, as http://user:password@proxy:1",
            ),
            (
                "HTTP/1.1 407 No\r\n\r\n",
                &with,
                "refuses the credentials of its URL",
            ),
            (
                "HTTP/1.1 403 No\r\n\r\n",
                &with,
                "answered HTTP 403 when asked for slack.com:443: let it pass there, or name it in network.no_proxy",
            ),
            (
                "HTTP/1.1 200 OK\r\n",
                &with,
                "does not speak HTTP (17 bytes",
            ),
            ("SSH-2.0-x\r\n", &with, "is that a proxy"),
            ("", &with, "is that a proxy"),
        ] {
            let error = told(head, proxy).unwrap_err();
            assert!(
                error.contains("http://proxy:1") && error.contains(part),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
