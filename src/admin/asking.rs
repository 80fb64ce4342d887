//! The asking side: through the control socket of the process that has the store open, or else by opening it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::editing::{Hands, Verb, edit};
use super::{Request, Told, look, socket_in};
use crate::base::clock::Clock;
use crate::store::{self, Store};

/// How long a store may be in use without a control socket: its process starts or stops.
const BETWEEN_WITHIN: Duration = Duration::from_secs(3);

/// How often both ways are tried meanwhile.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// How long the running process may take for the next line of its answer.
const LINE_WITHIN: Duration = Duration::from_mins(2);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no store.
    #[error("there is no store in {path}; name its folder with --store")]
    NoStore {
        /// The folder.
        path: String,
    },
    /// Another process has it, and does not answer.
    #[error("{path} is in use by another process, which can't be asked: {why}")]
    Deaf {
        /// The store's folder.
        path: String,
        /// Why.
        why: String,
    },
    /// It can't be opened.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The process that was asked ended, or the line broke.
    #[error("the running process did not answer to the end: {0}")]
    CutOff(String),
    /// It was answered, and not done.
    #[error("{0}")]
    Told(String),
    /// Connections belong to a process.
    #[error("no process runs on the store in {path}, so there are no connections")]
    NotRunning {
        /// The store's folder.
        path: String,
    },
    /// A runtime for the edit can't be had.
    #[error("cannot start a runtime: {0}")]
    Runtime(std::io::Error),
}

/// Asks the store in `folder`, and hands over the lines of the answer, the last one's meaning as the result: more
/// than fits, and how many durable entries it does not show.
///
/// # Errors
/// When there is no store, or it can't be asked, or the answer is an error.
pub fn ask(
    folder: &Path,
    request: &Request,
    mut take: impl FnMut(String),
) -> Result<(bool, u64), Error> {
    if !Store::is_in(folder) {
        return Err(Error::NoStore {
            path: folder.display().to_string(),
        });
    }
    let clock = Clock::system();
    let until = clock.now() + BETWEEN_WITHIN;
    loop {
        // First the process that may have it: to open it means to lock it.
        let deaf = match UnixStream::connect(socket_in(folder)) {
            Ok(stream) => return ask_running(stream, request, &mut take),
            Err(error) => why_deaf(folder, &error),
        };
        match ask_stopped(folder, request, clock) {
            Err(Error::Store(store::Error::InUse { path })) if clock.now() >= until => {
                return Err(Error::Deaf { path, why: deaf });
            }
            Err(Error::Store(store::Error::InUse { .. })) => {
                std::thread::park_timeout(TRY_EVERY);
            }
            Err(error) => return Err(error),
            Ok(lines) => {
                let mut last = Err(Error::CutOff("no answer".into()));
                for line in lines {
                    last = hand_over(line, &mut take);
                }
                return last.and_then(|ended| ended.ok_or_else(|| Error::CutOff("no end".into())));
            }
        }
    }
}

fn why_deaf(folder: &Path, error: &std::io::Error) -> String {
    let path = socket_in(folder);
    if SocketAddr::from_pathname(&path).is_err() {
        let path = path.display();
        return format!(
            "the path {path} is longer than a socket's may be; a store with a shorter path can be asked"
        );
    }
    format!("{}: {error}", path.display())
}

fn ask_running(
    mut stream: UnixStream,
    request: &Request,
    take: &mut impl FnMut(String),
) -> Result<(bool, u64), Error> {
    let cut_off = |error: std::io::Error| Error::CutOff(error.to_string());
    let mut line =
        serde_json::to_string(request).map_err(|error| Error::CutOff(error.to_string()))?;
    line.push('\n');
    stream
        .set_read_timeout(Some(LINE_WITHIN))
        .map_err(cut_off)?;
    // It may say why it takes no request before it has taken one, so what it says is read in any case.
    let sent = stream.write_all(line.as_bytes());
    for line in BufReader::new(stream).lines() {
        if let Some(end) = hand_over(line.map_err(cut_off)?, take)? {
            return Ok(end);
        }
    }
    sent.map_err(cut_off)?;
    Err(Error::CutOff("it closed the connection".into()))
}

/// Hands a line over, unless it is the last one.
fn hand_over(line: String, take: &mut impl FnMut(String)) -> Result<Option<(bool, u64)>, Error> {
    match serde_json::from_str(&line) {
        Ok(Told::End { more, behind }) => return Ok(Some((more, behind))),
        Ok(Told::Error { error }) => return Err(Error::Told(error)),
        // What was found is of no concern here.
        Ok(_) | Err(_) => take(line),
    }
    Ok(None)
}

/// Opens the store, which folds its journal, answers, and closes it.
fn ask_stopped(folder: &Path, request: &Request, clock: Clock) -> Result<Vec<String>, Error> {
    let not_running = || Error::NotRunning {
        path: folder.display().to_string(),
    };
    let (tell, told) = mpsc::channel(16);
    let tell_failure = tell.clone();
    let config = store::Config {
        free_bytes: store::free_bytes(),
        probe: None,
        path: folder.to_owned(),
        marks_back_ms: 0,
        on_failure: Arc::new(move |error| {
            // One failure ends everything, so there is room for it or for no more.
            tell_failure.try_send(Err(error.clone())).ok();
        }),
    };
    let (store, _) = Store::open(&config, clock)?;
    let from = store.queue.register(move |durable| {
        // Each edit waits for its end, so there is room.
        tell.try_send(Ok(durable)).ok();
    });
    let Some(inspector) = store.inspector() else {
        let path = folder.display().to_string();
        return Err(Error::NoStore { path });
    };
    let (verb, which) = match request {
        Request::Inspect(query) => {
            let lines = look(&inspector, query);
            store.close();
            return Ok(lines);
        }
        Request::Retry(which) => (Verb::Retry, which.clone()),
        Request::Drop(which) => (Verb::Drop, which.clone()),
        Request::Connections(_)
        | Request::Revive(_)
        | Request::Disconnect(_)
        | Request::Remove(_)
        | Request::Add(_) => {
            store.close();
            return Err(not_running());
        }
    };
    let mut hands = Hands::Own {
        queue: Arc::clone(&store.queue),
        from,
        told,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(Error::Runtime)?;
    let lines = runtime.block_on(edit(&inspector, &mut hands, verb, which));
    store.close();
    Ok(lines)
}
