//! A folder of its own for each test, removed at the end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Free bytes that a file system needs to hold the tests' stores, well above what the store calls short.
const ROOM: u64 = 2 * 1024 * 1024 * 1024;

/// Where the stores of these tests are: in memory where the system offers that, else in its folder for temporary files.
///
/// A disk that others keep busy was seen to take 20 s for one sync, and every ack waits for one; what these tests are
/// about is order and loss, which a process's death shows on either. The store's own tests are on the disk.
fn root() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let free = callboard::store::free_bytes();
    match free(memory) {
        Some(bytes) if bytes >= ROOM => memory.to_owned(),
        Some(_) | None => std::env::temp_dir(),
    }
}

/// A fresh folder.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("callboard-test-{}-{number}", std::process::id());
        let path = root().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed is left to the system.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
