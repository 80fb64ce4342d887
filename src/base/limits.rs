//! Every bound of the program, with its unit and who feels it when it is reached.

use std::time::Duration;

/// Bytes of one frame from Slack, reassembled. Beyond: the connection is closed and replaced; Slack redelivers.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one frame to Slack over Socket Mode. Slack closes the socket (1009) beyond 20,480; a longer answer
/// leaves through its `response_url` instead.
pub const ACK_FRAME_BYTES_MAX: usize = 20_000;

/// Bytes of a journal file, about, at which a new one is begun. Larger: fewer files, slower first fold.
pub const JOURNAL_FILE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Entries that one fold takes at most, and after how many new ones the folder is woken. Bounds the memory of a
/// fold and of the states that are not folded yet.
pub const FOLD_ENTRIES: u64 = 20_000;

/// How long the folder sleeps when nothing wakes it.
pub const FOLD_EVERY: Duration = Duration::from_secs(2);

/// Questions to the store that may wait; further askers wait for room.
pub const READS_WAITING_MAX: usize = 1024;

/// How long marks are kept on disk: longer than Slack's longest ladder (24 hours of hourly retries).
pub const MARKS_ON_DISK: Duration = Duration::from_hours(25);

/// How long it is known which message an effect became. Later, an answer to it is a dead letter.
pub const POSTED_ON_DISK: Duration = Duration::from_hours(24 * 30);
