//! Room on the disk, looked at in time: a write that fails ends the process, so it must not come to that.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::limits::DISK_FREE_MIN;

/// How many bytes are free where a path lies; nothing when it can't be told.
pub type FreeBytes = Arc<dyn Fn(&Path) -> Option<u64> + Send + Sync>;

/// Asks the operating system.
pub fn free_bytes() -> FreeBytes {
    Arc::new(|path| {
        let stat = rustix::fs::statvfs(path).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    })
}

/// Whether there is room, as it was when it was last looked at. Cheap to ask, from any thread.
#[derive(Debug, Clone, Default)]
pub struct Space {
    is_short: Arc<AtomicBool>,
}

impl Space {
    /// Whether the disk is nearly full: then nothing is admitted that Slack delivers again.
    pub fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// Says so, where no disk is looked at.
    #[cfg(test)]
    pub(crate) fn set_short(&self, is_short: bool) {
        self.is_short.store(is_short, Ordering::Relaxed);
    }

    /// Looks again, and tells when it changed.
    pub(super) fn look(&self, path: &Path, free_bytes: &FreeBytes) {
        let Some(free) = free_bytes(path) else {
            return;
        };
        let is_short = free < DISK_FREE_MIN;
        if self.is_short.swap(is_short, Ordering::Relaxed) == is_short {
            return;
        }
        let path = PathBuf::from(path);
        if is_short {
            tracing::error!(path = %path.display(), free, needed = DISK_FREE_MIN,
                "the disk is nearly full: new events are left un-acked for Slack to deliver again; make room");
        } else {
            tracing::info!(path = %path.display(), free, "there is room on the disk again");
        }
    }
}
