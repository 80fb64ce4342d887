//! The generator's end of one socket: frames out as fast as acks allow, acks in, and how long each took.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use callboard::base::clock::{Clock, Instant};

use crate::template::{ENVELOPE_DIGITS, ENVELOPE_KEY, Template};

/// Envelopes that may be un-acked at once, whatever is asked for.
const RING: u64 = 1 << 16;

/// Frames in one write, at most.
const FRAMES_PER_WRITE: u64 = 64;

/// How long nothing may be acked before a flow is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which person writes an event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who {
    /// Each in turn.
    Each,
    /// Anybody, evenly.
    Random,
}

/// How events are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) count: u64,
    /// Un-acked at once.
    pub(crate) window: u64,
    pub(crate) people: u64,
    pub(crate) who: Who,
    /// Events per second; 0: as many as the window lets through.
    pub(crate) rate: u64,
}

/// What came of a flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flowed {
    /// From the first frame to the last ack.
    pub(crate) took: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

/// What writer and reader of a socket share.
#[derive(Debug)]
struct Shared {
    clock: Clock,
    began: Instant,
    /// When each un-acked envelope was sent, in nanoseconds since `began`; 0 where none is.
    sent_at: Vec<AtomicU64>,
    acked: AtomicU64,
    /// Acks of what was not open.
    strays: AtomicUsize,
    latencies: Mutex<Vec<u64>>,
    waiting: Mutex<Option<Thread>>,
}

/// A socket that is open.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Arc<Mutex<TcpStream>>,
    shared: Arc<Shared>,
    sent: u64,
    chance: u64,
}

impl Shared {
    fn now(&self) -> u64 {
        let since = self.clock.now().saturating_duration_since(self.began);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    fn place(&self, number: u64) -> Option<&AtomicU64> {
        self.sent_at.get(usize::try_from(number % RING).ok()?)
    }
}

impl Link {
    /// Says hello, and reads what comes back on a thread of its own.
    pub(crate) fn open(mut stream: TcpStream, rest: Vec<u8>) -> Result<Self> {
        let hello =
            r#"{"type":"hello","num_connections":1,"connection_info":{"app_id":"A06BENCH000"}}"#;
        let mut frame = vec![0x81, u8::try_from(hello.len())?];
        frame.extend(hello.as_bytes());
        stream.write_all(&frame)?;
        let reading = stream.try_clone()?;
        let stream = Arc::new(Mutex::new(stream));
        let clock = Clock::system();
        let shared = Arc::new(Shared {
            clock,
            began: clock.now(),
            sent_at: (0..RING).map(|_| AtomicU64::new(0)).collect(),
            acked: AtomicU64::new(0),
            strays: AtomicUsize::new(0),
            latencies: Mutex::default(),
            waiting: Mutex::default(),
        });
        let (writing, reader) = (Arc::clone(&stream), Arc::clone(&shared));
        std::thread::Builder::new()
            .name("acks".into())
            .spawn(move || {
                // However it ends, a flow that still waits for acks says so.
                if let Err(error) = read(reading, rest, &reader, &writing) {
                    tracing::debug!(%error, "the socket ended");
                }
            })?;
        Ok(Self {
            stream,
            shared,
            sent: 0,
            chance: 0x9E37_79B9_7F4A_7C15,
        })
    }

    /// Sends `flow` and waits for its last ack.
    pub(crate) fn run(&mut self, template: &Template, flow: Flow) -> Result<Flowed> {
        let shared = Arc::clone(&self.shared);
        lock(&shared.latencies).clear();
        *lock(&shared.waiting) = Some(std::thread::current());
        let (first, began) = (self.sent, shared.now());
        let last = first + flow.count;
        let mut frames = Vec::new();
        while self.sent < last {
            let due = if flow.rate == 0 {
                last
            } else {
                let passed = u128::from(shared.now() - began);
                let due = passed * u128::from(flow.rate) / 1_000_000_000;
                last.min(first + u64::try_from(due)?)
            };
            let open = self.sent - shared.acked.load(Ordering::Acquire);
            let room = flow.window.min(RING).saturating_sub(open);
            let count = room.min(due - self.sent).min(FRAMES_PER_WRITE);
            let is_worth_it = count == FRAMES_PER_WRITE || self.sent + count == due;
            if count == 0 || !is_worth_it {
                self.wait(flow.rate, due)?;
                continue;
            }
            self.send(template, flow, count, &mut frames)?;
        }
        while shared.acked.load(Ordering::Acquire) < last {
            self.wait(0, last)?;
        }
        let took = Duration::from_nanos(shared.now() - began);
        *lock(&shared.waiting) = None;
        let strays = shared.strays.load(Ordering::Acquire);
        if strays > 0 {
            bail!("{strays} acks name an envelope that is not open");
        }
        let mut latencies = std::mem::take(&mut *lock(&shared.latencies));
        latencies.sort_unstable();
        let at = |part: usize| {
            let place = latencies.len().saturating_sub(1) * part / 1000;
            Duration::from_nanos(latencies.get(place).copied().unwrap_or(0))
        };
        Ok(Flowed {
            took,
            p50: at(500),
            p99: at(990),
            max: at(1000),
        })
    }

    fn send(
        &mut self,
        template: &Template,
        flow: Flow,
        count: u64,
        frames: &mut Vec<u8>,
    ) -> Result<()> {
        frames.clear();
        let now = self.shared.now();
        for _ in 0..count {
            let user = match flow.who {
                Who::Each => self.sent % flow.people,
                Who::Random => self.chance() % flow.people,
            };
            template.write(frames, self.sent, user);
            if let Some(place) = self.shared.place(self.sent) {
                place.store(now, Ordering::Release);
            }
            self.sent += 1;
        }
        lock(&self.stream)
            .write_all(frames)
            .context("writing events")
    }

    /// Waits for acks, or for the next event to be due.
    fn wait(&self, rate: u64, due: u64) -> Result<()> {
        let before = self.shared.acked.load(Ordering::Acquire);
        let is_early = rate > 0 && self.sent == due;
        let wait = if is_early {
            Duration::from_millis(1)
        } else {
            PATIENCE
        };
        std::thread::park_timeout(wait);
        let after = self.shared.acked.load(Ordering::Acquire);
        if is_early || after > before {
            return Ok(());
        }
        // A park may end early for no reason; then a second one decides.
        std::thread::park_timeout(PATIENCE);
        let after = self.shared.acked.load(Ordering::Acquire);
        if after == before {
            let open = self.sent - after;
            bail!("{open} envelopes are open, and none was acked for {PATIENCE:?}");
        }
        Ok(())
    }

    fn chance(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance >> 11
    }

    /// Asks the other end to close.
    pub(crate) fn close(&self) -> Result<()> {
        lock(&self.stream)
            .write_all(&[0x88, 2, 0x03, 0xE8])
            .context("closing")
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It may be closed already.
        lock(&self.stream).shutdown(Shutdown::Both).ok();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads acks until the socket ends.
fn read(
    mut stream: TcpStream,
    rest: Vec<u8>,
    shared: &Shared,
    writing: &Mutex<TcpStream>,
) -> Result<()> {
    let mut bytes = rest;
    let mut chunk = vec![0; 1 << 16];
    let mut latencies = Vec::new();
    loop {
        let mut used = 0;
        let now = shared.now();
        while let Some((code, payload, size)) = frame(bytes.get_mut(used..).unwrap_or_default()) {
            used += size;
            match code {
                1 => match envelope(payload).and_then(|number| shared.place(number)) {
                    Some(place) => match place.swap(0, Ordering::AcqRel) {
                        0 => {
                            shared.strays.fetch_add(1, Ordering::AcqRel);
                        }
                        sent_at => latencies.push(now.saturating_sub(sent_at)),
                    },
                    None => bail!("a frame that is no ack"),
                },
                8 => {
                    lock(writing).write_all(&[0x88, 2, 0x03, 0xE8])?;
                    return Ok(());
                }
                9 => {
                    let mut pong = vec![0x8A, u8::try_from(payload.len())?];
                    pong.extend_from_slice(payload);
                    lock(writing).write_all(&pong)?;
                }
                _ => {}
            }
        }
        bytes.drain(..used);
        if !latencies.is_empty() {
            let count = u64::try_from(latencies.len())?;
            lock(&shared.latencies).append(&mut latencies);
            shared.acked.fetch_add(count, Ordering::AcqRel);
            if let Some(thread) = &*lock(&shared.waiting) {
                thread.unpark();
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The first whole masked frame in `bytes`: its opcode, its payload unmasked in place, its size.
fn frame(bytes: &mut [u8]) -> Option<(u8, &[u8], usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (length, head) = match second & 0x7F {
        126 => {
            let length: [u8; 2] = bytes.get(2..4)?.try_into().ok()?;
            (usize::from(u16::from_be_bytes(length)), 4)
        }
        length => (usize::from(length), 2),
    };
    let mask: [u8; 4] = bytes.get(head..head + 4)?.try_into().ok()?;
    let size = head + 4 + length;
    let payload = bytes.get_mut(head + 4..size)?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Some((first & 0x0F, payload, size))
}

/// The number in an ack.
fn envelope(payload: &[u8]) -> Option<u64> {
    let ack = std::str::from_utf8(payload).ok()?;
    let (_, rest) = ack.split_once(ENVELOPE_KEY)?;
    rest.get(..ENVELOPE_DIGITS)?.parse().ok()
}
