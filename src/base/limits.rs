//! Every bound of the program, with its unit and who feels it when it is reached.

/// Bytes of one frame from Slack, reassembled. Beyond: the connection is closed and replaced; Slack redelivers.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one frame to Slack over Socket Mode. Slack closes the socket (1009) beyond 20,480; a longer answer
/// leaves through its `response_url` instead.
pub const ACK_FRAME_BYTES_MAX: usize = 20_000;
