//! The store of the simulation: the same writer's logic, entries, folding and reads, without threads and files.
//!
//! A [`Disk`] outlives the process: what was appended is there after a death, what was not is lost. Who calls
//! [`Disk::append`], [`Disk::fold`] and [`Disk::answer`], and when, is the simulation's choice.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;

use super::journal::MarkBatch;
use super::reader::{Ask, envelope_of};
use super::record::{DeadHead, Entry};
use super::state::{State, StateReader};
use super::writer::Written;
use super::{DeadLetter, Error, Queue, Reader, Recovered, Unfolded};
use crate::base::limits::{MARKS_IN_MEMORY, READS_WAITING_MAX};
use crate::flow::envelope::Mark;
use crate::flow::key::Key;

/// What survives the process.
pub(crate) struct Disk {
    state: State,
    /// The last entry that is folded.
    folded: u64,
    look: StateReader,
    journal: Vec<Entry>,
    marks: Vec<MarkBatch>,
    owned: HashSet<(String, String)>,
    committed: HashSet<String>,
    released: HashSet<u64>,
    marked: HashSet<Mark>,
}

/// An open store.
pub(crate) struct Opened {
    pub(crate) queue: Arc<Queue>,
    pub(crate) reader: Reader,
    pub(crate) asks: mpsc::Receiver<Asked>,
    pub(crate) unfolded: Arc<Unfolded>,
    pub(crate) recovered: Recovered,
}

/// A question to the store.
pub(crate) type Asked = Ask;

/// A batch that is being written.
pub(crate) struct Pending(Written);

/// A journal entry, for whoever checks.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) seq: u64,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) refers: Option<u64>,
    pub(crate) body: Option<Bytes>,
    pub(crate) extra: String,
}

impl Line {
    fn of(entry: &Entry) -> Self {
        Self {
            seq: entry.seq,
            kind: entry.kind.clone(),
            name: entry.name.clone().unwrap_or_default(),
            key: entry.key.clone().unwrap_or_default(),
            refers: entry.refers,
            body: entry.body.clone(),
            extra: entry.extra.clone().unwrap_or_default(),
        }
    }
}

impl Pending {
    /// Loses the marks: what a broken writer would do.
    pub(crate) fn lose_marks(&mut self) {
        self.0.marks.clear();
    }

    /// Its entries, for whoever checks.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.0.entries.iter().map(Line::of).collect()
    }

    /// Its marks.
    pub(crate) fn marks(&self) -> &[Mark] {
        &self.0.marks
    }

    /// Its entries, for whoever watches.
    pub(crate) fn told(&self) -> Vec<String> {
        let told = |entry: &Entry| {
            let name = entry.name.as_deref().unwrap_or_default();
            let refers = entry
                .refers
                .map(|row| format!(" of {row}"))
                .unwrap_or_default();
            format!("{} {} {name}{refers}", entry.seq, entry.kind)
        };
        self.0.entries.iter().map(told).collect()
    }
}

/// The next batch, once something waits.
pub(crate) async fn next_batch(queue: &Queue) -> Pending {
    loop {
        if let Some(batch) = queue.try_take() {
            return Pending(batch.into_written().unwrap());
        }
        queue.submitted.notified().await;
    }
}

/// Answers a question for a state as if there were none: what a broken reader would do. Others come back.
pub(crate) fn forget_state(ask: Asked) -> Option<Asked> {
    match ask {
        Ask::State(_, answer) => {
            drop(answer.send(Ok(None)));
            None
        }
        other => Some(other),
    }
}

/// Tells the submitters of a batch that it is durable.
pub(crate) fn tell(queue: &Queue, pending: &Pending) {
    queue.tell(&pending.0.submitters, pending.0.durable);
}

impl Disk {
    /// An empty one.
    pub(crate) fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = &format!("simulated-{}", MADE.fetch_add(1, Ordering::Relaxed));
        Self {
            state: State::in_memory(name).unwrap(),
            folded: 0,
            look: StateReader::in_memory(name).unwrap(),
            journal: Vec::new(),
            marks: Vec::new(),
            owned: HashSet::new(),
            committed: HashSet::new(),
            released: HashSet::new(),
            marked: HashSet::new(),
        }
    }

    /// What a process does with it when it starts.
    pub(crate) fn open(&mut self, now_ms: u64) -> Opened {
        while self.fold(usize::MAX, now_ms).is_some() {}
        let back_ms = u64::try_from(MARKS_IN_MEMORY.as_millis()).unwrap();
        let recovered = Recovered {
            rows: self.state.rows().unwrap(),
            effects: self.state.effects().unwrap(),
            marks: self
                .state
                .marks_since(now_ms.saturating_sub(back_ms))
                .unwrap(),
        };
        let (asks, asked) = mpsc::channel(READS_WAITING_MAX);
        Opened {
            queue: Arc::new(Queue::new(self.state.watermark().unwrap() + 1)),
            reader: Reader::asking(asks),
            asks: asked,
            unfolded: Arc::new(Unfolded::default()),
            recovered,
        }
    }

    /// The batch is durable.
    pub(crate) fn append(&mut self, pending: &Pending, now_ms: u64) {
        let Written { entries, marks, .. } = &pending.0;
        for entry in entries {
            let name = entry.name.as_deref().unwrap_or_default();
            let handler = |key: &Option<String>| {
                let key = Key::from_stored(key.as_deref().unwrap_or_default());
                key.handler().to_owned()
            };
            match entry.kind.as_str() {
                "row" | "dead" => {
                    self.owned.insert((name.to_owned(), handler(&entry.key)));
                }
                "turn" => {
                    self.committed.insert(name.to_owned());
                    if let Some((name, handler)) = name.rsplit_once('/') {
                        self.owned.insert((name.to_owned(), handler.to_owned()));
                    }
                }
                "release" => self.released.extend(entry.refers),
                _ => {}
            }
        }
        self.journal.extend(entries.iter().cloned());
        if let (Some(last), false) = (entries.last(), marks.is_empty()) {
            self.marked.extend(marks);
            self.marks.push(MarkBatch {
                seq: last.seq,
                at_ms: now_ms,
                hashes: marks.iter().flat_map(|mark| mark.0.to_be_bytes()).collect(),
            });
        }
    }

    /// Whether this delivery is the process's own by now: a row, a commit, a dead letter of it is durable.
    pub(crate) fn owns(&self, envelope: &str, handler: &str) -> bool {
        self.owned
            .contains(&(envelope.to_owned(), handler.to_owned()))
    }

    /// Whether a turn is durable, by its delivery's name.
    pub(crate) fn has_turn(&self, delivery: &str) -> bool {
        self.committed.contains(delivery)
    }

    /// Whether the ack of a held answer may go: it is committed, given up, or its release is durable.
    pub(crate) fn lets_go(&self, envelope: &str) -> bool {
        let own = format!("{envelope}/");
        self.journal.iter().any(|entry| match entry.kind.as_str() {
            "turn" => entry.name.as_deref().is_some_and(|it| it.starts_with(&own)),
            "dead" => entry.name.as_deref() == Some(envelope),
            "row" => {
                // One that waits on disk is not held at all.
                let is_held = entry
                    .extra
                    .as_deref()
                    .is_some_and(|it| it.contains(r#""held":true"#));
                entry.name.as_deref() == Some(envelope)
                    && (!is_held || self.released.contains(&entry.seq))
            }
            _ => false,
        })
    }

    /// Whether a duplicate would be known after a death.
    pub(crate) fn knows(&self, mark: Mark) -> bool {
        self.marked.contains(&mark)
    }

    /// Folds up to `most` entries, which may cut a batch in two; gives the new watermark.
    pub(crate) fn fold(&mut self, most: usize, now_ms: u64) -> Option<u64> {
        let after = self.folded;
        let from = self.journal.partition_point(|entry| entry.seq <= after);
        let entries: Vec<Entry> = self.journal[from..].iter().take(most).cloned().collect();
        let last = entries.last()?.seq;
        let marks: Vec<MarkBatch> = self
            .marks
            .iter()
            .filter(|batch| batch.seq > after && batch.seq <= last)
            .map(|batch| MarkBatch {
                hashes: batch.hashes.clone(),
                ..*batch
            })
            .collect();
        self.state.fold(entries, &marks, now_ms).unwrap();
        self.folded = last;
        Some(last)
    }

    /// Answers a question; `is_broken` as a disk that can't be read.
    pub(crate) fn answer(&self, ask: Asked, unfolded: &Unfolded, is_broken: bool) {
        let broken = || Error::Damaged("simulated: it can't be read now".to_owned());
        match ask {
            Ask::State(key, answer) => drop(answer.send(match unfolded.get(&key) {
                _ if is_broken => Err(broken()),
                Some(newest) => Ok(Some(newest)),
                None => self.look.state(&key),
            })),
            Ask::Rows(seqs, answer) => drop(answer.send(if is_broken {
                Err(broken())
            } else {
                let found = seqs.iter().filter_map(|&seq| {
                    let (head, payload) = self.row(seq)?;
                    Some((seq, envelope_of(seq, &head, payload).unwrap()))
                });
                Ok(found.collect())
            })),
            Ask::Posted(name, answer) => drop(answer.send(if is_broken {
                Err(broken())
            } else {
                self.look.posted(&name)
            })),
            Ask::HasMark(mark, answer) => drop(answer.send(if is_broken {
                Err(broken())
            } else {
                self.look.has_mark(mark)
            })),
            Ask::Close => {}
        }
    }

    fn row(&self, seq: u64) -> Option<(String, Bytes)> {
        if let Some(found) = self.look.row(seq).unwrap() {
            return Some(found);
        }
        let at = self.journal.partition_point(|entry| entry.seq < seq);
        let entry = self.journal.get(at).filter(|entry| entry.seq == seq)?;
        Some((entry.extra.clone()?, entry.body.clone()?))
    }

    /// The deliveries that were given up and have not come back, oldest first.
    pub(crate) fn letters(&self) -> Vec<DeadLetter> {
        let of_kind = |kind: &'static str| self.journal.iter().filter(move |it| it.kind == kind);
        let gone: HashSet<u64> = of_kind("exhume").filter_map(|it| it.refers).collect();
        let letter = |entry: &Entry| {
            let extra: Value = serde_json::from_str(entry.extra.as_deref()?).unwrap();
            let head: DeadHead = serde_json::from_value(extra["head"].clone()).unwrap();
            matches!(head, DeadHead::Delivery(_)).then(|| DeadLetter {
                id: entry.seq,
                name: entry.name.clone().unwrap_or_default(),
                key: entry.key.clone().unwrap_or_default(),
                head,
                body: entry.body.clone().unwrap_or_default(),
            })
        };
        let dead = of_kind("dead").filter(|entry| !gone.contains(&entry.seq));
        dead.filter_map(letter).collect()
    }

    /// How many entries are durable; the number of the last.
    pub(crate) fn len(&self) -> u64 {
        self.journal.last().map_or(0, |entry| entry.seq)
    }

    /// Everything that was ever durable.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.journal.iter().map(Line::of).collect()
    }

    /// What is unfinished: rows and effects.
    pub(crate) fn unfinished(&mut self, now_ms: u64) -> (usize, usize) {
        while self.fold(usize::MAX, now_ms).is_some() {}
        let (rows, effects) = (self.state.rows().unwrap(), self.state.effects().unwrap());
        (rows.len(), effects.len())
    }

    /// The folded state of a key.
    pub(crate) fn state(&self, key: &Key) -> Option<Bytes> {
        self.look.state(key).unwrap().map(|(_, state)| state)
    }
}
