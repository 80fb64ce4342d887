//! An HTTP proxy that opens tunnels to one place, whatever it is asked for, or does not.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use crate::peer::{Request, each, end, head, request};

/// What a proxy does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// Lets everybody through.
    Open,
    /// Lets through who gives `ann` and `p@ss`.
    Guarded,
    /// Answers with this, and closes.
    Says(&'static str),
    /// Takes the request and never answers.
    Mute,
}

/// A running one; dropping it closes its door.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
}

impl Proxy {
    /// Its tunnels lead to `to`.
    pub(crate) fn start(manner: Manner, to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&requests);
        each(listener, &is_over, move |stream| {
            receive(stream, manner, to, &noted).ok()
        });
        Self {
            address,
            requests,
            is_over,
        }
    }

    /// What it was asked for, as `host:port`, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        let target = |it: &Request| {
            let mut words = it.line.split(' ');
            assert_eq!(words.next(), Some("CONNECT"), "{it:?}");
            words.next().unwrap().to_owned()
        };
        self.requests.lock().unwrap().iter().map(target).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        end(&self.is_over, self.address);
    }
}

fn receive(
    mut stream: TcpStream,
    manner: Manner,
    to: SocketAddr,
    requests: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    let request = request(&head(&mut stream)?);
    requests.lock().unwrap().push(request.clone());
    // ann:p@ss
    let is_known = request.header("proxy-authorization") == Some("Basic YW5uOnBAc3M=");
    match manner {
        Manner::Says(answer) => return stream.write_all(answer.as_bytes()),
        Manner::Mute => return head(&mut stream).map(drop),
        Manner::Guarded if !is_known => {
            let answer =
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n";
            return stream.write_all(answer.as_bytes());
        }
        Manner::Open | Manner::Guarded => {}
    }
    let there = TcpStream::connect(to)?;
    there.set_nodelay(true)?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")?;
    stream.set_read_timeout(None)?;
    let (from, back) = (stream.try_clone()?, there.try_clone()?);
    std::thread::spawn(move || carry(from, back));
    carry(there, stream);
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    io::copy(&mut from, &mut to).ok();
    to.shutdown(Shutdown::Write).ok();
}
