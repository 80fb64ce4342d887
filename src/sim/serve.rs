//! The simulator's server: Web API, `response_url`s, sockets, and the page with its own small API.

mod api;
mod page;
mod socket;
mod viewer;

use std::any::Any;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

pub(super) use actix_web::dev::ServerHandle;
use actix_web::dev::{Extensions, Server};
use actix_web::http::KeepAlive;
use actix_web::{App, HttpServer, web};

use super::hub::Hub;

/// Bytes of one request's body.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Seconds for which an idle connection is kept.
const KEEP_ALIVE_S: u64 = 75;

/// Cuts a TCP connection, even while nobody reads from it or writes to it.
#[derive(Debug, Clone)]
pub(super) struct Cutter(Arc<TcpStream>);

impl Cutter {
    /// Shuts both directions down. That the peer was faster is no error.
    pub(super) fn cut(&self) {
        drop(self.0.shutdown(Shutdown::Both));
    }
}

/// Keeps a handle on each connection, so that it can be cut from outside.
fn on_connect(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() else {
        return;
    };
    drop(stream.set_nodelay(true));
    if let Ok(descriptor) = stream.as_fd().try_clone_to_owned() {
        extensions.insert(Cutter(Arc::new(TcpStream::from(descriptor))));
    }
}

/// The server, not yet polled.
pub(super) fn server(
    hub: Arc<Hub>,
    listener: TcpListener,
    workers: usize,
) -> std::io::Result<Server> {
    let hub = web::Data::from(hub);
    let factory = move || {
        App::new()
            .app_data(hub.clone())
            .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
            .route("/api/{method}", web::to(api::call))
            .route("/hooks/{tail:.*}", web::post().to(api::hook))
            .route("/link/", web::get().to(socket::link))
            .route("/websocket/{ticket}", web::get().to(socket::rtm))
            .route("/_sim/live", web::get().to(viewer::live))
            .configure(page::routes)
    };
    let server = HttpServer::new(factory)
        .workers(workers.max(1))
        .keep_alive(KeepAlive::Timeout(Duration::from_secs(KEEP_ALIVE_S)))
        .client_request_timeout(Duration::from_secs(10))
        .on_connect(on_connect)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}
