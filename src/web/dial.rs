//! HTTP clients and sockets, set up once for everybody: TLS roots, `TCP_NODELAY`, bounds, HTTP/1.1.

use std::time::Duration;

use actix_service::ServiceExt;
use actix_tls::connect::{Connection, Connector, Resolver};
use awc::http::{Uri, Version};
use awc::{BoxedSocket, ClientBuilder};

use crate::base::limits::{CALL_WITHIN, DIAL_WITHIN, FRAME_BYTES_MAX};

/// An open socket.
pub type Socket = actix_codec::Framed<BoxedSocket, awc::ws::Codec>;

/// What goes through a socket.
pub use actix_http::ws::{CloseCode, CloseReason, Frame, Item, Message, ProtocolError};

/// A client for this thread.
///
/// HTTP/1.1 only: over HTTP/2 awc refuses to open sockets. Nagle's algorithm is off: it was seen to hold single
/// acks back for 40 ms.
pub fn client() -> awc::Client {
    // The first caller wins; later ones find the same provider.
    drop(rustls::crypto::ring::default_provider().install_default());
    let tcp = Connector::new(Resolver::default()).service().map(
        |connection: Connection<Uri, actix_rt::net::TcpStream>| {
            if let Err(error) = connection.io_ref().set_nodelay(true) {
                tracing::debug!(%error, "can't switch Nagle's algorithm off");
            }
            connection
        },
    );
    let connector = awc::Connector::new()
        .connector(tcp)
        .timeout(Duration::from_secs(10))
        .handshake_timeout(Duration::from_secs(10))
        // Sockets count here for as long as they are open, and connections share a client. What is asked at once is
        // bounded by who asks.
        .limit(0);
    ClientBuilder::new()
        .connector(connector)
        .max_http_version(Version::HTTP_11)
        .disable_redirects()
        .timeout(CALL_WITHIN)
        .finish()
}

/// Opens a socket.
///
/// # Errors
/// The reason, as text: awc's error types are not `Send`. It never holds the URL, which is a ticket.
pub async fn open(client: &awc::Client, url: &str) -> Result<Socket, String> {
    let dialled = client.ws(url).max_frame_size(FRAME_BYTES_MAX).connect();
    match tokio::time::timeout(DIAL_WITHIN, dialled).await {
        Ok(Ok((_, socket))) => Ok(socket),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("not open within {} s", DIAL_WITHIN.as_secs())),
    }
}
