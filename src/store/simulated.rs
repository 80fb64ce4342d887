//! The store of the simulation: the same writer's logic, entries, folding and reads, without threads and files.
//!
//! A [`Disk`] outlives the process: what was appended is there after a death, what was not is lost. Who calls
//! [`Disk::append`], [`Disk::fold`] and [`Disk::answer`], and when, is the simulation's choice.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::journal::MarkBatch;
use super::line;
use super::reader::{Ask, envelope_of};
use super::state::{State, StateReader};
use super::sum::Sum;
use super::writer::Batch;
use super::{DeadLetter, Durable, Error, Queue, Reader, Recovered, Unfolded};
use crate::base::limits::{MARKS_IN_MEMORY, READS_WAITING_MAX};
use crate::flow::envelope::Mark;
use crate::flow::key::Key;

/// What survives the process.
pub(crate) struct Disk {
    state: State,
    /// The last entry that is folded.
    folded: u64,
    look: StateReader,
    journal: Vec<Line>,
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
    pub(crate) memory: Memory,
    pub(crate) recovered: Recovered,
}

/// What is not folded yet.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Unfolded>);

impl Memory {
    /// Everything up to `watermark` is folded.
    pub(crate) fn forget(&self, watermark: u64) {
        self.0.forget(watermark);
    }
}

/// A question to the store.
pub(crate) type Asked = Ask;

/// A batch that is being written.
pub(crate) struct Pending {
    batch: Batch,
    has_no_marks: bool,
}

/// A journal entry.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) seq: u64,
    /// When it became durable; 0 before that.
    pub(crate) at_ms: u64,
    pub(crate) kind: &'static str,
    /// The envelope's id, of turns the delivery's, of effects theirs.
    pub(crate) name: String,
    pub(crate) key: String,
    /// What it ends, lets go or brings back.
    pub(crate) refers: Option<u64>,
    /// The new state.
    pub(crate) state: Option<Bytes>,
    /// Why it was given up.
    pub(crate) error: String,
    /// As it is written.
    pub(crate) json: String,
}

impl Line {
    fn of(seq: u64, line: &line::Line<'_>) -> Self {
        use line::Line as Of;
        let written = Self {
            seq,
            at_ms: 0,
            kind: "",
            name: String::new(),
            key: String::new(),
            refers: None,
            state: None,
            error: String::new(),
            json: serde_json::to_string(line).unwrap(),
        };
        let referring = |kind, refers: &u64| Self {
            kind,
            refers: Some(*refers),
            ..written.clone()
        };
        match line {
            Of::Row { key, came, .. } => Self {
                kind: "row",
                name: came.event.to_string(),
                key: key.to_string(),
                ..written
            },
            Of::Turn {
                key,
                event,
                row,
                state,
                ..
            } => Self {
                kind: "turn",
                name: format!("{event}/{}", Key::from_stored(key).handler()),
                key: key.to_string(),
                refers: *row,
                state: state.map(|json| Bytes::copy_from_slice(json.0.as_bytes())),
                ..written
            },
            Of::Dead {
                key,
                row,
                error,
                came,
                ..
            } => Self {
                kind: "dead",
                name: came.event.to_string(),
                key: key.to_string(),
                refers: *row,
                error: error.to_string(),
                ..written
            },
            Of::DeadEffect { name, error, .. } => Self {
                kind: "dead effect",
                name: name.to_string(),
                error: error.to_string(),
                ..written
            },
            Of::Sent { name, turn: of, .. } | Of::Requeue { name, dead: of, .. } => Self {
                name: name.to_string(),
                ..referring(plain_kind(line), of)
            },
            Of::Release { row: of }
            | Of::Attempt { row: of }
            | Of::Survived { row: of }
            | Of::Drop { row: of }
            | Of::Exhume { dead: of } => referring(plain_kind(line), of),
        }
    }

    fn add_to(&self, sum: &mut Sum) {
        let line = serde_json::from_str(&self.json).unwrap();
        sum.add(self.seq, line, self.at_ms).unwrap();
    }
}

/// The kind of a line that only refers to another.
fn plain_kind(line: &line::Line<'_>) -> &'static str {
    use line::Line as Of;
    match line {
        Of::Sent { .. } => "sent",
        Of::Requeue { .. } => "requeue",
        Of::Release { .. } => "release",
        Of::Attempt { .. } => "attempt",
        Of::Survived { .. } => "survived",
        Of::Drop { .. } => "drop",
        _ => "exhume",
    }
}

impl Pending {
    /// Loses the marks: what a broken writer would do.
    pub(crate) fn lose_marks(&mut self) {
        self.has_no_marks = true;
    }

    /// Its entries, for whoever checks.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let entries = (self.batch.first..).zip(self.batch.submissions());
        entries
            .map(|(seq, submission)| Line::of(seq, &line::Line::of(&submission.record)))
            .collect()
    }

    /// Its marks.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        let marks = self.batch.submissions().filter_map(|one| one.mark);
        marks.filter(|_| !self.has_no_marks).collect()
    }

    /// Its entries, for whoever watches.
    pub(crate) fn told(&self) -> Vec<String> {
        let told = |line: Line| {
            let refers = line.refers.map(|row| format!(" of {row}"));
            let refers = refers.unwrap_or_default();
            format!("{} {} {}{refers}", line.seq, line.kind, line.name)
        };
        self.lines().into_iter().map(told).collect()
    }
}

/// The next batch, once something waits.
pub(crate) async fn next_batch(queue: &Queue) -> Pending {
    loop {
        if let Some(batch) = queue.try_take() {
            return Pending {
                batch,
                has_no_marks: false,
            };
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
    let upto = pending.batch.upto();
    queue.tell(&pending.batch.submitters(), Durable { upto });
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
        let unfolded = Arc::new(Unfolded::default());
        let next = self.state.watermark().unwrap() + 1;
        Opened {
            queue: Arc::new(Queue::new(next, Arc::clone(&unfolded))),
            reader: Reader::asking(asks),
            asks: asked,
            memory: Memory(unfolded),
            recovered,
        }
    }

    /// The batch is durable.
    pub(crate) fn append(&mut self, pending: &Pending, now_ms: u64) {
        for line in pending.lines() {
            match line.kind {
                "row" | "dead" => {
                    let handler = Key::from_stored(&line.key).handler().to_owned();
                    self.owned.insert((line.name.clone(), handler));
                }
                "turn" => {
                    self.committed.insert(line.name.clone());
                    if let Some((name, handler)) = line.name.rsplit_once('/') {
                        self.owned.insert((name.to_owned(), handler.to_owned()));
                    }
                }
                "release" => self.released.extend(line.refers),
                _ => {}
            }
            self.journal.push(Line {
                at_ms: now_ms,
                ..line
            });
        }
        let marks = pending.marks();
        if !marks.is_empty() {
            self.marks.push(MarkBatch {
                seq: pending.batch.upto(),
                at_ms: now_ms,
                hashes: marks.iter().flat_map(|mark| mark.0.to_be_bytes()).collect(),
            });
            self.marked.extend(marks);
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
        self.journal.iter().any(|line| match line.kind {
            "turn" => line.name.starts_with(&own),
            "dead" => line.name == envelope,
            // One that waits on disk is not held at all.
            "row" => {
                let is_held = line.json.contains(r#""held":true"#);
                line.name == envelope && (!is_held || self.released.contains(&line.seq))
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
        let from = self.journal.partition_point(|line| line.seq <= after);
        let mut sum = Sum::default();
        for line in self.journal[from..].iter().take(most) {
            line.add_to(&mut sum);
        }
        let last = sum.upto;
        if last == 0 {
            return None;
        }
        let marks = self.marks.iter();
        for batch in marks.filter(|batch| batch.seq > after && batch.seq <= last) {
            sum.add_marks(MarkBatch {
                hashes: batch.hashes.clone(),
                ..*batch
            });
        }
        self.state.fold(&sum, now_ms).unwrap();
        self.folded = last;
        Some(last)
    }

    /// Answers a question; `is_broken` as a disk that can't be read.
    pub(crate) fn answer(&self, ask: Asked, Memory(unfolded): &Memory, is_broken: bool) {
        let broken = || Error::Damaged("simulated: it can't be read now".to_owned());
        match ask {
            Ask::State(key, answer) => drop(answer.send(match unfolded.state(&key) {
                _ if is_broken => Err(broken()),
                Some(newest) => Ok(Some(newest)),
                None => self.look.state(&key),
            })),
            Ask::Rows(seqs, answer) => drop(answer.send(if is_broken {
                Err(broken())
            } else {
                let found = seqs.iter().filter_map(|&seq| {
                    if let Some(envelope) = unfolded.row(seq) {
                        return Some((seq, envelope));
                    }
                    let (head, payload) = self.look.row(seq).unwrap()?;
                    Some((seq, Arc::new(envelope_of(seq, &head, payload).unwrap())))
                });
                Ok(found.collect())
            })),
            Ask::Posted(name, answer) => drop(answer.send(match unfolded.posted(&name) {
                _ if is_broken => Err(broken()),
                Some(ts) => Ok(Some(ts)),
                None => self.look.posted(&name),
            })),
            Ask::HasMark(mark, answer) => drop(answer.send(if is_broken {
                Err(broken())
            } else {
                self.look.has_mark(mark)
            })),
            Ask::Close => {}
        }
    }

    /// The deliveries that were given up and have not come back, oldest first.
    pub(crate) fn letters(&self) -> Vec<DeadLetter> {
        let of_kind = |kind: &'static str| self.journal.iter().filter(move |it| it.kind == kind);
        let gone: HashSet<u64> = of_kind("exhume").filter_map(|it| it.refers).collect();
        let mut sum = Sum::default();
        for line in of_kind("dead").filter(|line| !gone.contains(&line.seq)) {
            line.add_to(&mut sum);
        }
        let dead = sum.dead.into_iter();
        dead.map(|dead| DeadLetter {
            id: dead.seq,
            name: dead.name,
            key: dead.key,
            head: dead.head,
            body: dead.body.into(),
        })
        .collect()
    }

    /// How many entries are durable; the number of the last.
    pub(crate) fn len(&self) -> u64 {
        self.journal.last().map_or(0, |line| line.seq)
    }

    /// Everything that was ever durable.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.journal
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
