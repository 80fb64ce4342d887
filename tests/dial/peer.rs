//! A Slack of raw bytes: it answers a few methods, opens sockets, and leaves what goes through them to a script.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_codec::Decoder;
use actix_http::ws::{Codec, Frame, hash_key};
use bytes::BytesMut;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What goes through a socket, by its number, counted from 1.
pub(crate) type Script = Arc<dyn Fn(usize, &mut Peer) + Send + Sync>;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// How it is to be.
pub(crate) struct Plan {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Where its sockets are, as `ws://host:port`; itself, where there is none.
    pub(crate) sockets: Option<String>,
    pub(crate) script: Script,
}

/// A running one; dropping it closes its door.
pub(crate) struct Slack {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
}

struct House {
    plan: Plan,
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    sockets: AtomicUsize,
}

trait Wire: Read + Write + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }
}

/// The server's end of a socket.
pub(crate) struct Peer {
    wire: Box<dyn Wire>,
    codec: Codec,
    buffer: BytesMut,
}

impl Peer {
    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // The client may have left already; what it did is what counts.
        self.wire
            .write_all(bytes)
            .and_then(|()| self.wire.flush())
            .ok();
    }

    pub(crate) fn hello(&mut self) {
        self.send(&frame(0x81, br#"{"type":"hello","num_connections":1}"#));
    }

    /// The client's next frame; nothing when it has left.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.buffer).unwrap() {
                return Some(frame);
            }
            let mut chunk = [0; 4096];
            match self.wire.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Every frame until the client says goodbye, or leaves without a word.
    pub(crate) fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next() {
            frames.push(frame);
            if matches!(frames.last(), Some(Frame::Close(_))) {
                break;
            }
        }
        frames
    }

    /// Every frame until the client leaves, whatever it says before.
    pub(crate) fn until_gone(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Says no more, and listens on.
    pub(crate) fn half_close(&self) {
        self.wire.tcp().shutdown(Shutdown::Write).unwrap();
    }
}

/// A frame of a server; `first` is FIN, the reserved bits and the opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(u8::try_from(short).unwrap()),
        middle @ 126..=65_535 => {
            bytes.push(126);
            bytes.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// Opens a socket that says hello, and stays until the client leaves.
pub(crate) fn quiet() -> Script {
    Arc::new(|_, peer| {
        peer.hello();
        peer.rest();
    })
}

impl Slack {
    pub(crate) fn start(plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let house = Arc::new(House {
            plan,
            address,
            requests: Arc::clone(&requests),
            sockets: AtomicUsize::new(0),
        });
        each(listener, &is_over, move |stream| house.receive(stream).ok());
        Self {
            address,
            requests,
            is_over,
        }
    }

    /// Without TLS.
    pub(crate) fn plain(script: Script) -> Self {
        Self::start(Plan {
            tls: None,
            sockets: None,
            script,
        })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/api/", self.address)
    }

    pub(crate) fn socket_url(&self) -> String {
        format!("ws://{}/link/?ticket=s3cret", self.address)
    }

    /// The requests so far whose path begins with `path`.
    pub(crate) fn requests(&self, path: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        let fits = |it: &&Request| {
            it.line
                .split(' ')
                .nth(1)
                .is_some_and(|it| it.starts_with(path))
        };
        requests.iter().filter(fits).cloned().collect()
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        end(&self.is_over, self.address);
    }
}

/// Gives every connection to `receive`, on a thread of its own, until it is over.
pub(crate) fn each<T>(
    listener: TcpListener,
    is_over: &Arc<AtomicBool>,
    receive: impl Fn(TcpStream) -> T + Send + Sync + 'static,
) {
    let (is_over, receive) = (Arc::clone(is_over), Arc::new(receive));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            let (stream, receive) = (stream.unwrap(), Arc::clone(&receive));
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || drop(receive(stream)));
        }
    });
}

/// Ends what [`each`] began.
pub(crate) fn end(is_over: &AtomicBool, address: SocketAddr) {
    is_over.store(true, Ordering::SeqCst);
    drop(TcpStream::connect(address));
}

/// Answers every request with the same bytes, and hangs up.
pub(crate) struct Parrot {
    pub(crate) address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

impl Parrot {
    pub(crate) fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        each(listener, &is_over, move |mut stream| {
            head(&mut stream)?;
            stream.write_all(answer.as_bytes())
        });
        Self { address, is_over }
    }
}

impl Drop for Parrot {
    fn drop(&mut self) {
        end(&self.is_over, self.address);
    }
}

/// Bytes up to the first empty line.
pub(crate) fn head(wire: &mut (impl Read + ?Sized)) -> io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        wire.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    Ok(String::from_utf8(bytes).unwrap())
}

pub(crate) fn request(head: &str) -> Request {
    let mut lines = head.lines();
    Request {
        line: lines.next().unwrap_or_default().to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
    }
}

impl House {
    fn receive(&self, stream: TcpStream) -> io::Result<()> {
        let mut wire: Box<dyn Wire> = match &self.plan.tls {
            None => Box::new(stream),
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                Box::new(StreamOwned::new(connection, stream))
            }
        };
        loop {
            let request = request(&head(&mut *wire)?);
            self.requests.lock().unwrap().push(request.clone());
            if request.header("upgrade").is_some() {
                return self.upgrade(wire, &request);
            }
            let length = request.header("content-length").unwrap_or("0").parse();
            io::copy(&mut (&mut *wire).take(length.unwrap()), &mut io::sink())?;
            let body = self.answer(&request);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            wire.write_all(answer.as_bytes())?;
            wire.flush()?;
        }
    }

    fn answer(&self, request: &Request) -> String {
        let itself = format!("ws://{}", self.address);
        let sockets = self.plan.sockets.as_ref().unwrap_or(&itself);
        if request.line.contains("/apps.connections.open ") {
            return format!(r#"{{"ok":true,"url":"{sockets}/link/?ticket=s3cret"}}"#);
        }
        r#"{"ok":true,"team_id":"T1","user_id":"U1","bot_id":"B1","team":"Test"}"#.to_owned()
    }

    fn upgrade(&self, mut wire: Box<dyn Wire>, request: &Request) -> io::Result<()> {
        let key = hash_key(request.header("sec-websocket-key").unwrap().as_bytes());
        let key = String::from_utf8(key.to_vec()).unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\n"
        );
        wire.write_all(answer.as_bytes())?;
        wire.flush()?;
        let number = self.sockets.fetch_add(1, Ordering::SeqCst) + 1;
        let mut peer = Peer {
            wire,
            codec: Codec::new().max_size(1 << 20),
            buffer: BytesMut::new(),
        };
        (self.plan.script)(number, &mut peer);
        Ok(())
    }
}
