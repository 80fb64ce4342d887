//! Every bound of the program, with its unit and who feels it when it is reached.

use std::time::Duration;

/// Bytes of one frame from Slack, reassembled. Beyond: the connection is closed and replaced; Slack redelivers.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one frame to Slack over Socket Mode. Slack closes the socket (1009) beyond 20,480; a longer answer
/// leaves through its `response_url` instead.
pub const ACK_FRAME_BYTES_MAX: usize = 20_000;

/// Bytes of the configuration file. Beyond: it is not read; the operator is told at start-up.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes of a file that holds one token. Beyond: it is not a token's file; the operator is told at start-up.
pub const TOKEN_FILE_BYTES_MAX: u64 = 16 * 1024;

/// Dispatch threads. Beyond: refused at start-up; as a default, more cores than this are left unused.
pub const SHARDS_MAX: usize = 256;

/// Characters of an app's name, which is part of every key in the store. Beyond: refused at start-up.
pub const APP_NAME_CHARS_MAX: usize = 64;
