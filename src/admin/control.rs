//! The control socket: a running process answers for its store.
//!
//! It is served beside the event path, never on it: on the process's first thread, with reads on threads of
//! their own.

use std::convert::Infallible;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener as Listener};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::connections;
use super::editing::{Hands, Verb, edit};
use super::{Request, SOCKET, Told, look, socket_in};
use crate::actor::port::WayBack;
use crate::base::limits::{
    CONTROL_CONNECTIONS_MAX, CONTROL_LINE_WITHIN, CONTROL_REQUEST_BYTES_MAX, CONTROL_REQUEST_WITHIN,
};
use crate::dispatch::inbox::InboxShell;
use crate::ingress::supervisor::Connections;
use crate::store::Inspector;

/// How long to wait before connections are taken again, when the system has no room for one.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Where the socket is made before everybody may find it; only its owner may enter.
const WORKSHOP: &str = ".control";

/// Why there is no control socket. The process runs without.
#[derive(Debug, thiserror::Error)]
pub enum NoControl {
    /// Unix sockets have short paths.
    #[error(
        "the path {path} is longer than a socket's may be; give the store a shorter path to look into it while it is in use"
    )]
    TooLong {
        /// The socket's path.
        path: String,
    },
    /// The socket can't be made.
    #[error("the control socket {path} can't be made: {why}")]
    Unusable {
        /// The socket's path.
        path: String,
        /// The system's words.
        why: String,
    },
}

/// The control socket, from its making to its removal, which is its drop.
#[derive(Debug)]
pub struct Control {
    listener: Listener,
    path: PathBuf,
}

impl Control {
    /// Makes the socket in a store's folder. The store must be open, so that no other process has one there:
    /// what is there is left over from one that was killed.
    ///
    /// # Errors
    /// When its path is too long, or the folder can't be written.
    pub fn bind(folder: &Path) -> Result<Self, NoControl> {
        let path = socket_in(folder);
        if SocketAddr::from_pathname(&path).is_err() {
            return Err(NoControl::TooLong {
                path: path.display().to_string(),
            });
        }
        let unusable = |error: std::io::Error| NoControl::Unusable {
            path: path.display().to_string(),
            why: error.to_string(),
        };
        let listener = make(folder, &path).map_err(unusable)?;
        Ok(Self { listener, path })
    }

    /// Answers, as long as it is polled.
    pub async fn serve(
        &self,
        inspector: Inspector,
        shards: Vec<WayBack<InboxShell>>,
        connections: Connections,
    ) -> Infallible {
        let office = Rc::new(Office {
            inspector,
            connections,
            hands: Mutex::new(Hands::Shards(shards)),
        });
        let listener = self
            .listener
            .try_clone()
            .and_then(|listener| UnixListener::from_std(listener));
        match listener {
            Ok(listener) => accept(&listener, &office).await,
            Err(error) => {
                tracing::warn!(%error, "the control socket can't be served");
                std::future::pending().await
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "the control socket can't be removed");
        }
    }
}

/// The socket is made where nobody else may enter and then moved, so that at no time anybody may open it.
fn make(folder: &Path, path: &Path) -> std::io::Result<Listener> {
    let workshop = folder.join(WORKSHOP);
    let made = workshop.join("s");
    remove_leftovers(&workshop)?;
    std::fs::DirBuilder::new().mode(0o700).create(&workshop)?;
    let listener = Listener::bind(&made)?;
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&made, path)?;
    remove_leftovers(&workshop)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn remove_leftovers(workshop: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(workshop) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What every connection needs.
struct Office {
    inspector: Inspector,
    connections: Connections,
    /// One edit at a time.
    hands: Mutex<Hands>,
}

async fn accept(listener: &UnixListener, office: &Rc<Office>) -> Infallible {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if open.len() < CONTROL_CONNECTIONS_MAX => {
                    open.spawn_local(serve_one(stream, Rc::clone(office)));
                }
                Ok((stream, _)) => refuse(&stream),
                Err(error) => {
                    tracing::warn!(%error, "{SOCKET} takes no connection");
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                }
            },
            Some(_ended) = open.join_next() => {}
        }
    }
}

fn refuse(stream: &UnixStream) {
    let told = Told::error(&format!(
        "{CONTROL_CONNECTIONS_MAX} connections are open already; try again"
    ));
    // A line fits a fresh socket; whoever is gone already needs none.
    stream
        .try_write(format!("{}\n", told.line()).as_bytes())
        .ok();
}

async fn serve_one(stream: UnixStream, office: Rc<Office>) {
    let (reading, mut writing) = stream.into_split();
    let mut request = Vec::new();
    let mut reading = BufReader::new(reading.take(CONTROL_REQUEST_BYTES_MAX + 1));
    let read = timeout(
        CONTROL_REQUEST_WITHIN,
        reading.read_until(b'\n', &mut request),
    );
    let lines = match read.await {
        Ok(Ok(_)) => match parsed(&request) {
            Ok(request) => office.answer(request).await,
            Err(told) => vec![told.line()],
        },
        Ok(Err(error)) => {
            tracing::debug!(%error, "a request on the control socket broke off");
            return;
        }
        Err(_elapsed) => {
            let within = CONTROL_REQUEST_WITHIN.as_secs();
            vec![Told::error(&format!("no request came within {within} s")).line()]
        }
    };
    for mut line in lines {
        line.push('\n');
        let written = timeout(CONTROL_LINE_WITHIN, writing.write_all(line.as_bytes()));
        // Who does not read, or is gone, wants no more.
        if !matches!(written.await, Ok(Ok(()))) {
            return;
        }
    }
}

fn parsed(line: &[u8]) -> Result<Request, Told> {
    if u64::try_from(line.len()).unwrap_or(u64::MAX) > CONTROL_REQUEST_BYTES_MAX {
        return Err(Told::error(&format!(
            "the request is longer than {CONTROL_REQUEST_BYTES_MAX} bytes"
        )));
    }
    serde_json::from_slice(line)
        .map_err(|error| Told::error(&format!("the request can't be read: {error}")))
}

impl Office {
    async fn answer(&self, request: Request) -> Vec<String> {
        match request {
            Request::Inspect(query) => {
                let inspector = self.inspector.clone();
                let looked = spawn_blocking(move || look(&inspector, &query)).await;
                looked.unwrap_or_else(|error| vec![Told::error(&error).line()])
            }
            Request::Retry(which) => {
                let mut hands = self.hands.lock().await;
                edit(&self.inspector, &mut hands, Verb::Retry, which).await
            }
            Request::Drop(which) => {
                let mut hands = self.hands.lock().await;
                edit(&self.inspector, &mut hands, Verb::Drop, which).await
            }
            Request::Connections(_)
            | Request::Revive(_)
            | Request::Disconnect(_)
            | Request::Remove(_)
            | Request::Add(_) => {
                let connections = self.connections.clone();
                let done = spawn_blocking(move || connections::answer(&connections, request)).await;
                match done {
                    Ok(lines) => lines.unwrap_or_default(),
                    Err(error) => vec![Told::error(&error).line()],
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_garbage_or_too_long_is_told_so() {
        let told = |line: &[u8]| match parsed(line) {
            Err(Told::Error { error }) => error,
            other => panic!("{other:?}"),
        };
        for garbage in [
            "",
            "hello",
            "{}",
            r#"{"inspect":{"what":"secrets"}}"#,
            r#"{"retry":{"id":1}}"#,
        ] {
            let error = told(garbage.as_bytes());
            assert!(error.starts_with("the request can't be read: "), "{error}");
        }
        let long = vec![b' '; usize::try_from(CONTROL_REQUEST_BYTES_MAX).unwrap() + 1];
        assert!(told(&long).contains("longer than"));
        assert!(parsed(br#"{"inspect":{}}"#).is_ok());
    }

    #[test]
    fn a_path_that_is_too_long_for_a_socket_is_named() {
        let folder = std::env::temp_dir().join("s".repeat(120));
        let error = Control::bind(&folder).unwrap_err().to_string();
        assert!(error.contains("longer than a socket's may be"), "{error}");
        assert!(!folder.exists());
    }
}
