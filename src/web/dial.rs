//! HTTP clients and sockets, set up once for everybody: proxy, TLS, `TCP_NODELAY`, bounds, HTTP/1.1.
//!
//! awc has no proxy, waits for a whole frame before it looks at its length, joins no fragments, checks no text, and
//! says little in its errors; what is in `tunnel`, `codec` and here stands for that.
mod codec;
mod failure;
mod trace;
mod tunnel;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_tls::connect::rustls_0_23::webpki_roots_cert_store;
use awc::{BoxedSocket, ClientBuilder};
use futures_util::{Sink, Stream};
use rustls::ClientConfig;
use rustls::sign::SingleCertAndKey;

use crate::base::limits::FRAME_BYTES_MAX;
use crate::base::network::Network;
use crate::base::network::tls::Tls;
use codec::Codec;
use tunnel::Tunnel;

/// What goes through a socket.
pub use actix_http::ws::{CloseCode, CloseReason, Message};
pub use codec::{Fault, Frame};
pub(super) use failure::{late, told};

/// How Slack is reached, ready for dialling: made once, shared by every client of the process.
pub struct Link {
    network: Network,
    tls: Arc<ClientConfig>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Link").field(&self.network).finish()
    }
}

impl Link {
    /// As `network` says.
    pub fn new(network: Network) -> Self {
        // The first caller wins; later ones find the same provider. awc looks for it.
        drop(rustls::crypto::ring::default_provider().install_default());
        Self {
            tls: Arc::new(tls(&network.tls)),
            network,
        }
    }

    /// As it was chosen.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// A client for this thread.
    ///
    /// HTTP/1.1 only: over HTTP/2 awc refuses to open sockets. Nagle's algorithm is off: it was seen to hold single
    /// acks back for 40 ms.
    pub(super) fn client(self: &Arc<Self>) -> awc::Client {
        let within = self.network.within;
        let connector = awc::Connector::new()
            .rustls_0_23(Arc::clone(&self.tls))
            .connector(Tunnel::new(Arc::clone(self)))
            // The tunnel's own limit comes first, and says more.
            .timeout(within.connect + Duration::from_secs(1))
            .handshake_timeout(within.tls_handshake)
            // Sockets count here for as long as they are open. What is asked at once is bounded by who asks.
            .limit(0);
        ClientBuilder::new()
            .connector(connector)
            .disable_redirects()
            .timeout(within.call)
            .add_default_header(("user-agent", self.network.user_agent.as_str()))
            .finish()
    }

    /// Opens a socket, through which frames of at most `sent_bytes_max` bytes may be sent.
    ///
    /// # Errors
    /// The reason, as text: awc's error types are not `Send`. It never holds the URL, which is a ticket.
    pub(super) async fn open(
        &self,
        client: &awc::Client,
        url: &str,
        sent_bytes_max: usize,
    ) -> Result<Socket, String> {
        let within = self.network.within;
        let mut request = client.ws(url);
        for header in &self.network.socket_headers {
            request = request.header(header.name(), header.value().expose());
        }
        let dialled = request.max_frame_size(FRAME_BYTES_MAX).connect();
        match tokio::time::timeout(within.dial, dialled).await {
            Ok(Ok((_, framed))) => {
                let trace = self.network.trace;
                Ok(Socket {
                    framed: framed.into_map_codec(|codec| Codec::new(codec, sent_bytes_max, trace)),
                    close_within: within.close,
                    ping_every: self.network.ping_every,
                    silence_max: self.network.silence_max(),
                })
            }
            Ok(Err(error)) => Err(failure::told_of_socket(&error, within)),
            Err(_) => Err(format!(
                "the socket was not open within {} s",
                within.dial.as_secs_f32()
            )),
        }
    }
}

/// rustls's settings: the usual roots and those of `chosen`, no HTTP/2.
fn tls(chosen: &Tls) -> ClientConfig {
    let mut roots = webpki_roots_cert_store();
    // They were looked at when they were read.
    roots.add_parsable_certificates(chosen.roots().iter().cloned());
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match chosen.identity() {
        Some(identity) => builder
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity)))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// An open socket: whole messages in, whole frames out.
///
/// After a [`Fault`] of what was received nothing more is read from it: what follows can't be understood.
pub struct Socket {
    framed: actix_codec::Framed<BoxedSocket, Codec>,
    close_within: Duration,
    ping_every: Duration,
    silence_max: Duration,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl Socket {
    /// How long its closing handshake may take.
    pub fn close_within(&self) -> Duration {
        self.close_within
    }

    /// How often it is to be pinged while it is quiet.
    pub fn ping_every(&self) -> Duration {
        self.ping_every
    }

    /// How long nothing at all may come from it.
    pub fn silence_max(&self) -> Duration {
        self.silence_max
    }
}

impl Stream for Socket {
    type Item = Result<Frame, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.framed).poll_next(context)
    }
}

impl Sink<Message> for Socket {
    type Error = Fault;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Sink::<Message>::poll_ready(Pin::new(&mut self.framed), context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Fault> {
        Pin::new(&mut self.framed).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Sink::<Message>::poll_flush(Pin::new(&mut self.framed), context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Sink::<Message>::poll_close(Pin::new(&mut self.framed), context)
    }
}
