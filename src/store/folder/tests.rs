//! The folder while it can't fold: what waits for it stays within bounds, and nobody waits for it for ever.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::store::tests::Folder;
use crate::store::{Queue, Record, Submission, Submitter, free_bytes};

/// What each batch is said to weigh.
const BATCH_BYTES: usize = 1024 * 1024;

/// More than may wait and be summed up together.
const BATCHES: u64 = ((FOLD_BYTES + FOLD_WAITING_BYTES_MAX) / BATCH_BYTES + 20) as u64;

struct Stand {
    folder: Folder,
    handle: Handle,
    thread: JoinHandle<()>,
    failed: Arc<AtomicU64>,
    put: Arc<AtomicU64>,
}

impl Stand {
    fn new(free_bytes: FreeBytes) -> Self {
        let folder = Folder::new();
        std::fs::create_dir_all(folder.path()).unwrap();
        let state = State::open(folder.path()).unwrap();
        let failed = Arc::new(AtomicU64::new(0));
        let failing = Arc::clone(&failed);
        let lock = folder.path().join(LOCK);
        std::fs::write(&lock, "").unwrap();
        let watch = Watch {
            space: Space::default(),
            free_bytes,
            lock: FileId::at(&lock).unwrap(),
            on_failure: Arc::new(move |_| {
                failing.fetch_add(1, Ordering::SeqCst);
            }),
        };
        let clock = Clock::system();
        let (handle, thread) = start(folder.path(), state, Arc::default(), watch, clock).unwrap();
        Self {
            folder,
            handle,
            thread,
            failed,
            put: Arc::default(),
        }
    }

    /// Puts more than may wait, as the writer does.
    fn write(&self, from: Submitter, queue: Arc<Queue>) -> JoinHandle<()> {
        let (handle, put) = (self.handle.clone(), Arc::clone(&self.put));
        std::thread::spawn(move || {
            for _ in 0..BATCHES {
                let record = Record::Release { row: 1 };
                let submission = Submission {
                    record,
                    mark: None,
                    from,
                };
                queue.submit(vec![submission]);
                handle.put(queue.try_take().unwrap(), 1, BATCH_BYTES);
                put.fetch_add(1, Ordering::SeqCst);
            }
        })
    }

    fn put(&self) -> u64 {
        self.put.load(Ordering::SeqCst)
    }

    fn rename(&self, from: &str, to: &str) {
        let db = rusqlite::Connection::open(self.folder.path().join("state.db")).unwrap();
        db.busy_timeout(Duration::from_secs(30)).unwrap();
        let statement = format!("ALTER TABLE {from} RENAME TO {to}");
        db.execute_batch(&statement).unwrap();
    }

    fn is_full(&self) -> bool {
        self.handle.lock().bytes >= FOLD_WAITING_BYTES_MAX
    }
}

fn writing() -> (Arc<Queue>, Submitter) {
    let queue = Arc::new(Queue::new(1, Arc::default()));
    let from = queue.register(|_| {});
    (queue, from)
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let clock = Clock::system();
    let deadline = clock.now() + Duration::from_mins(1);
    while !is_so() {
        assert!(clock.now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_can_t_be_folded_stops_the_writer_until_it_can() {
    let stand = Stand::new(free_bytes());
    stand.rename("inbox", "away");
    let (queue, from) = writing();
    let writer = stand.write(from, queue);
    until("the writer waits, or is done", || {
        stand.is_full() || stand.put() == BATCHES
    });
    // Room is made by folding only, so that it stays so.
    assert!(stand.handle.catch_up(Duration::from_millis(100)) > 0);
    assert!(stand.put() < BATCHES, "nothing holds the writer up");
    stand.rename("away", "inbox");
    writer.join().unwrap();
    assert_eq!(stand.handle.catch_up(Duration::from_mins(1)), 0);
    stand.handle.close();
    stand.thread.join().unwrap();
    let state = State::open(stand.folder.path()).unwrap();
    assert_eq!(state.watermark().unwrap(), BATCHES);
    assert_eq!(stand.failed.load(Ordering::SeqCst), 0);
}

#[test]
fn a_close_waits_for_nothing_that_can_t_be_folded() {
    let stand = Stand::new(free_bytes());
    stand.rename("inbox", "away");
    let (queue, from) = writing();
    let writer = stand.write(from, queue);
    until("the writer waits", || stand.is_full());
    stand.handle.leave();
    writer.join().unwrap();
    stand.handle.close();
    stand.thread.join().unwrap();
    let state = State::open(stand.folder.path()).unwrap();
    assert_eq!(state.watermark().unwrap(), 0, "the journal has it all");
}

#[test]
fn a_folder_that_panics_is_told_of_and_holds_nobody_up() {
    let stand = Stand::new(Arc::new(|_| panic!("as asked")));
    let (queue, from) = writing();
    stand.write(from, queue).join().unwrap();
    stand.thread.join().unwrap();
    assert_eq!(stand.failed.load(Ordering::SeqCst), 1);
}
