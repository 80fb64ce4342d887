//! The reader: a thread with connections of its own, so that no arbiter ever waits for a disk.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::record::RowHead;
use super::state::StateReader;
use super::{Error, IN_MEMORY, Unfolded};
use crate::base::limits::READS_WAITING_MAX;
use crate::flow::effect::EffectName;
use crate::flow::envelope::{Envelope, Mark};
use crate::flow::key::Key;
use crate::slack::id::Ts;

/// A stored state: the version of its shape, and its JSON.
pub type StoredState = Option<(u32, Bytes)>;

pub(crate) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// A question, and where its answer goes.
pub(crate) enum Ask {
    State(Key, Answer<StoredState>),
    Rows(Vec<u64>, Answer<Vec<(u64, Arc<Envelope>)>>),
    Posted(EffectName, Answer<Option<Ts>>),
    HasMark(Mark, Answer<bool>),
    Close,
}

/// Asks the reader's thread. Cheap to clone; at most [`READS_WAITING_MAX`] questions wait, further askers wait
/// for room.
#[derive(Debug, Clone)]
pub struct Reader {
    asks: mpsc::Sender<Ask>,
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ask")
    }
}

impl Reader {
    /// A reader whose questions somebody else answers.
    #[cfg(test)]
    pub(super) fn asking(asks: mpsc::Sender<Ask>) -> Self {
        Self { asks }
    }

    /// The newest state of a key: submitted, else folded.
    ///
    /// # Errors
    /// When the store can't be read, or is closed.
    pub async fn state(&self, key: Key) -> Result<StoredState, Error> {
        self.ask(|answer| Ask::State(key, answer)).await
    }

    /// The envelopes of unfinished rows, those of them that still exist.
    ///
    /// # Errors
    /// When the store can't be read, or is closed.
    pub async fn rows(&self, seqs: Vec<u64>) -> Result<Vec<(u64, Arc<Envelope>)>, Error> {
        self.ask(|answer| Ask::Rows(seqs, answer)).await
    }

    /// The message that a finished effect became, where it is known.
    ///
    /// # Errors
    /// When the store can't be read, or is closed.
    pub async fn posted(&self, name: EffectName) -> Result<Option<Ts>, Error> {
        self.ask(|answer| Ask::Posted(name, answer)).await
    }

    /// Whether an envelope with this mark was stored within the last 25 hours.
    ///
    /// # Errors
    /// When the store can't be read, or is closed.
    pub async fn has_mark(&self, mark: Mark) -> Result<bool, Error> {
        self.ask(|answer| Ask::HasMark(mark, answer)).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(Answer<T>) -> Ask) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        if self.asks.send(ask(answer)).await.is_err() {
            return Err(Error::Closed);
        }
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// Ends the thread; when its queue is full it ends with the last Reader instead.
    pub(super) fn close(self) {
        drop(self.asks.try_send(Ask::Close));
    }
}

/// Starts the reader's thread.
pub(super) fn start(
    folder: Option<&Path>,
    unfolded: Arc<Unfolded>,
) -> Result<(Reader, JoinHandle<()>), Error> {
    let state = folder.map(StateReader::open).transpose()?;
    let (asks, mut asked) = mpsc::channel(READS_WAITING_MAX);
    let files = Files { state, unfolded };
    let thread = std::thread::Builder::new()
        .name("reader".into())
        .spawn(move || {
            while let Some(ask) = asked.blocking_recv() {
                if !files.answer(ask) {
                    return;
                }
            }
        })
        .map_err(|error| Error::Unusable {
            path: folder.map_or_else(|| IN_MEMORY.to_owned(), |at| at.display().to_string()),
            why: error.to_string(),
        })?;
    Ok((Reader { asks }, thread))
}

struct Files {
    /// None where nothing is on disk.
    state: Option<StateReader>,
    unfolded: Arc<Unfolded>,
}

impl Files {
    /// Answers one question; false when there will be no more. An asker that is gone wants no answer.
    fn answer(&self, ask: Ask) -> bool {
        match ask {
            Ask::State(key, answer) => {
                drop(answer.send(self.state_of(&key)));
            }
            Ask::Rows(seqs, answer) => {
                drop(answer.send(self.rows(&seqs)));
            }
            Ask::Posted(name, answer) => {
                drop(answer.send(match self.unfolded.posted(&name) {
                    Some(ts) => Ok(Some(ts)),
                    None => self.on_disk(|state| state.posted(&name)),
                }));
            }
            Ask::HasMark(mark, answer) => {
                drop(answer.send(match &self.state {
                    Some(state) => state.has_mark(mark),
                    None => Ok(false),
                }));
            }
            Ask::Close => return false,
        }
        true
    }

    fn on_disk<T>(
        &self,
        look: impl FnOnce(&StateReader) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        self.state.as_ref().map_or(Ok(None), look)
    }

    fn state_of(&self, key: &Key) -> Result<StoredState, Error> {
        match self.unfolded.state(key) {
            Some(newest) => Ok(Some(newest)),
            None => self.on_disk(|state| state.state(key)),
        }
    }

    fn rows(&self, seqs: &[u64]) -> Result<Vec<(u64, Arc<Envelope>)>, Error> {
        let mut found = Vec::with_capacity(seqs.len());
        for &seq in seqs {
            // What is not in the one is in the other: it is forgotten there only once it is here.
            if let Some(envelope) = self.unfolded.row(seq) {
                found.push((seq, envelope));
            } else if let Some((head, payload)) = self.on_disk(|state| state.row(seq))? {
                found.push((seq, Arc::new(envelope_of(seq, &head, payload)?)));
            }
        }
        Ok(found)
    }
}

/// A row as the envelope it was.
pub(super) fn envelope_of(seq: u64, head: &str, payload: Bytes) -> Result<Envelope, Error> {
    let head: RowHead = serde_json::from_str(head)
        .map_err(|error| Error::Damaged(format!("row {seq}: {error}")))?;
    head.envelope(payload)
        .map_err(|error| Error::Damaged(format!("row {seq}: {error}")))
}
