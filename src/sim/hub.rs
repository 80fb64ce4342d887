//! The one lock around the machine, its clock, and the way out to sockets and viewers.
//!
//! Nothing here waits: a socket whose queue is full is cut, a viewer that is too slow is told that it lagged.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};

use super::machine::{Machine, Manner, Out, Setup};
use super::record::{By, SocketId};
use super::serve::Cutter;
use crate::base::clock::{Clock, Instant};

/// Frames that may wait for one viewer of the page; it is then told `lagged`.
const LIVE_QUEUE_FRAMES_MAX: usize = 1024;

/// What goes to a socket's actor.
#[derive(Debug)]
pub(super) enum ToSocket {
    Text(Arc<str>),
    Close(u16, String),
}

/// The way to one socket.
struct Line {
    queue: mpsc::Sender<ToSocket>,
    cutter: Option<Cutter>,
}

struct Core {
    machine: Machine,
    lines: HashMap<SocketId, Line>,
    is_stopping: bool,
}

/// The machine, shared.
pub(super) struct Hub {
    core: Mutex<Core>,
    wake: Condvar,
    clock: Clock,
    started: Instant,
    live: broadcast::Sender<Arc<str>>,
    /// Frames that may wait for one socket; one more cuts it (`queue_full` in the record).
    queue_frames_max: usize,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    pub(super) fn new(
        clock: Clock,
        started: Instant,
        queue_frames_max: usize,
        setup: Setup,
    ) -> Self {
        Self {
            core: Mutex::new(Core {
                machine: Machine::new(setup),
                lines: HashMap::new(),
                is_stopping: false,
            }),
            wake: Condvar::new(),
            clock,
            started,
            queue_frames_max: queue_frames_max.max(2),
            live: broadcast::channel(LIVE_QUEUE_FRAMES_MAX).0,
        }
    }

    /// Gives an input to the machine at the present time, and lets out what comes of it.
    pub(super) fn with<R>(&self, input: impl FnOnce(&mut Machine) -> R) -> R {
        let mut core = self.lock();
        let due_before = core.machine.next_due_us();
        let result = input(core.machine.at(self.now_us()));
        self.let_out(&mut core, due_before);
        result
    }

    /// The same for an input that opens a socket: its queue is in place before its first frame.
    pub(super) fn open<E>(
        &self,
        cutter: Option<Cutter>,
        input: impl FnOnce(&mut Machine) -> Result<SocketId, E>,
    ) -> Result<(SocketId, Arc<Manner>, mpsc::Receiver<ToSocket>), E> {
        let mut core = self.lock();
        let due_before = core.machine.next_due_us();
        let opened = input(core.machine.at(self.now_us()));
        let (queue, frames) = mpsc::channel(self.queue_frames_max);
        if let Ok(socket) = opened {
            core.lines.insert(socket, Line { queue, cutter });
        }
        self.let_out(&mut core, due_before);
        opened.map(|socket| (socket, core.machine.manner(socket), frames))
    }

    /// The socket's actor is gone.
    pub(super) fn ended(&self, socket: SocketId, by: By, status: Option<u16>, why: &str) {
        let mut core = self.lock();
        core.lines.remove(&socket);
        let due_before = core.machine.next_due_us();
        core.machine
            .at(self.now_us())
            .ended(socket, by, status, why);
        self.let_out(&mut core, due_before);
    }

    /// A new viewer of the page.
    pub(super) fn watch(&self) -> broadcast::Receiver<Arc<str>> {
        let frames = self.live.subscribe();
        self.lock().machine.set_watched(true);
        frames
    }

    /// Does what is due, until [`Hub::stop`]. Runs on a thread of its own.
    pub(super) fn keep_time(&self) {
        let mut core = self.lock();
        while !core.is_stopping {
            let now_us = self.now_us();
            let due_us = core.machine.next_due_us();
            if due_us.is_some_and(|due_us| due_us <= now_us) {
                core.machine.at(now_us).tick();
                self.let_out(&mut core, due_us);
                continue;
            }
            let wait_us = due_us.map_or(3_600_000_000, |due_us| due_us - now_us);
            let waited = self.wake.wait_timeout(core, Duration::from_micros(wait_us));
            core = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends [`Hub::keep_time`], and every socket without a close frame.
    pub(super) fn stop(&self) {
        let mut core = self.lock();
        core.is_stopping = true;
        for line in core.lines.values() {
            if let Some(cutter) = &line.cutter {
                cutter.cut();
            }
        }
        core.lines.clear();
        self.wake.notify_all();
    }

    fn now_us(&self) -> u64 {
        let since = self.clock.now().saturating_duration_since(self.started);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn let_out(&self, core: &mut Core, due_before: Option<u64>) {
        loop {
            let outs = core.machine.take_outs();
            if outs.is_empty() {
                break;
            }
            for out in outs {
                self.let_one_out(core, out);
            }
        }
        let due = core.machine.next_due_us();
        if due.is_some() && (due_before.is_none() || due < due_before) {
            self.wake.notify_all();
        }
    }

    fn let_one_out(&self, core: &mut Core, out: Out) {
        match out {
            Out::Frame(socket, text) => core.queue(socket, ToSocket::Text(text)),
            Out::Close(socket, status, why) => core.queue(socket, ToSocket::Close(status, why)),
            Out::Cut(socket) => {
                if let Some(cutter) = core.lines.remove(&socket).and_then(|line| line.cutter) {
                    cutter.cut();
                }
            }
            Out::Live(text) => {
                if self.live.send(text).is_err() {
                    core.machine.set_watched(false);
                }
            }
        }
    }
}

impl Core {
    fn queue(&mut self, socket: SocketId, item: ToSocket) {
        let Some(line) = self.lines.get(&socket) else {
            return;
        };
        match line.queue.try_send(item) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.machine.cut(socket, "queue_full"),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.lines.remove(&socket);
                self.machine
                    .ended(socket, By::Lost, None, "connection ended");
            }
        }
    }
}
