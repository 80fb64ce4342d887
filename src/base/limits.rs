//! Every bound of the program, with its unit and who feels it when it is reached.

use std::time::Duration;

/// Bytes of one frame from Slack, reassembled. Beyond: the connection is closed and replaced; Slack redelivers.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one frame to Slack over Socket Mode. Slack closes the socket (1009) beyond 20,480; a longer answer
/// leaves through its `response_url` instead.
pub const ACK_FRAME_BYTES_MAX: usize = 20_000;

/// Bytes of one frame to Slack over Socket Mode: it closes the socket (1009) at 20,480. Beyond: refused before it is
/// sent, as an error to whoever sends it.
pub const SOCKET_MODE_SENT_BYTES_MAX: usize = 20_479;

/// Bytes of one frame to Slack over RTM, which closes the socket beyond 16 KB. Beyond: refused before it is sent, as an
/// error to whoever sends it.
pub const RTM_SENT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a traced frame that are logged. Beyond: cut, and it says so.
pub const TRACED_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a proxy's answer to `CONNECT`, up to its empty line. Beyond: the proxy is taken for something else.
pub const PROXY_ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a file of certificates or of a key. Beyond: it is not read; the operator is told at start-up.
pub const PEM_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The longest time that may be configured for anything on the network. Beyond: refused at start-up.
pub const NETWORK_WITHIN_MOST: Duration = Duration::from_mins(10);

/// Bytes of a journal file, about, at which a new one is begun. Larger: fewer files, slower first fold.
pub const JOURNAL_FILE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of one row of the journal, beyond which the rest of its batch begins another. SQLite takes no text of a
/// gigabyte, and a slow disk lets batches grow.
pub const JOURNAL_ROW_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of the journal that one fold stands for. Bounds its memory, and that of what is not folded yet.
pub const FOLD_BYTES: usize = 16 * 1024 * 1024;

/// How long what is written may wait to be folded. Longer: fewer, larger folds, and more to read at a start.
pub const FOLD_EVERY: Duration = Duration::from_secs(10);

/// Bytes of the journal that wait for the folder. Beyond: the writer waits, and with it every ack.
pub const FOLD_WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of the journal after which the folder is woken to sum up. Less: more wake-ups.
pub const SUM_EVERY_BYTES: usize = 256 * 1024;

/// How often the room on the disk is looked at.
pub const SPACE_LOOK_EVERY: Duration = Duration::from_secs(2);

/// Questions to the store that may wait; further askers wait for room.
pub const READS_WAITING_MAX: usize = 1024;

/// How long marks are kept on disk: longer than Slack's longest ladder (24 hours of hourly retries).
pub const MARKS_ON_DISK: Duration = Duration::from_hours(25);

/// How long it is known which message an effect became. Later, an answer to it is a dead letter.
pub const POSTED_ON_DISK: Duration = Duration::from_hours(24 * 30);

/// Bytes of a Web API response's body. Beyond: the call's outcome is unknown, and it is tried again.
pub const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a Web API call may take, connecting included. Beyond: its outcome is unknown.
pub const CALL_WITHIN: Duration = Duration::from_secs(30);

/// How long a TCP connection may take, finding the address and passing the proxy included.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long a TLS handshake may take.
pub const TLS_HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// How long a socket may take to open, up to its upgrade.
pub const DIAL_WITHIN: Duration = Duration::from_secs(15);

/// How long a socket may take from its upgrade to hello. Beyond: it is replaced.
pub const HELLO_WITHIN: Duration = Duration::from_secs(15);

/// How long a close handshake may take: Slack leaves TCP open after it.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// How long we let an old socket finish what it delivered, once its replacement said hello.
pub const RETIRE_WITHIN: Duration = Duration::from_secs(10);

/// How often a quiet socket is pinged.
pub const PING_EVERY: Duration = Duration::from_secs(5);

/// How long the answer to a ping may take. Beyond: the socket is half-open, and replaced.
pub const PONG_WITHIN: Duration = Duration::from_secs(15);

/// How long nothing at all may come from a socket that is pinged. Beyond: it is dead, and replaced.
pub const SILENCE_MAX: Duration = Duration::from_secs(20);

/// How long a socket may get no envelope while the others of its app get many. Beyond: it is deaf, and replaced.
/// Doubles each time that does not help.
pub const DEAF_AFTER: Duration = Duration::from_mins(1);

/// Envelopes, times the number of slots, that the others must get meanwhile: then chance is no explanation.
pub const DEAF_ENVELOPES: u64 = 30;

/// Sockets of one Socket Mode token. Slack takes ten of an app, and one is needed to replace another. More is
/// refused at start-up.
pub const SLOTS_MAX: usize = 9;

/// Sockets of one Socket Mode token unless configured: one serves while the other is replaced, or lost.
pub const SLOTS_DEFAULT: usize = 2;

/// How long a slot that is on its way keeps the token's others from beginning.
pub const SLOT_APART: Duration = Duration::from_secs(3);

/// Requests for tickets under way at once, in the whole process. Beyond: connections wait for their turn.
pub const TICKETS_AT_ONCE: usize = 64;

/// Tickets that a Socket Mode token may ask for at once, after a minute without.
pub const TICKETS_BURST: u32 = 20;

/// How soon such a token gains another: Tier 3, 50 a minute.
pub const TICKET_EVERY: Duration = Duration::from_millis(1200);

/// Tickets that an RTM token may ask for at once.
pub const RTM_TICKETS_BURST: u32 = 10;

/// How soon such a token gains another: Tier 1, one a minute.
pub const RTM_TICKET_EVERY: Duration = Duration::from_mins(1);

/// Tickets that are kept back for sockets that are lost, when Slack asks for one refresh after another.
pub const TICKETS_SPARE: u32 = 5;

/// For how long a `reconnect_url` of RTM may be used: as long as any unused ticket.
pub const RECONNECT_URL_WITHIN: Duration = Duration::from_secs(30);

/// Bytes of frames that a socket keeps while its connection is busy, beside at most [`SOCKET_OPEN_MAX`] frames. Beyond:
/// shed, which is un-acked.
pub const SOCKET_KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Channels whose newest `ts` an RTM connection remembers for its back-fill. Beyond: the oldest are forgotten.
pub const BACKFILL_CHANNELS_MAX: usize = 500;

/// Messages of one channel that a back-fill asks for. Beyond: the oldest of the gap are lost, and counted.
pub const BACKFILL_MESSAGES_MAX: usize = 1000;

/// Reasons for reconnections that are told apart in a connection's report. Beyond: `other`.
pub const RECONNECT_REASONS_MAX: usize = 24;

/// The longest wait before a first reconnection.
pub const RECONNECT_FIRST: Duration = Duration::from_secs(1);

/// The longest wait before any reconnection.
pub const RECONNECT_MOST: Duration = Duration::from_secs(30);

/// How long a connection must hold before its failures are forgotten.
pub const RECONNECT_SETTLED: Duration = Duration::from_secs(10);

/// Envelopes of one socket that may be open. Beyond: shed, which is un-acked, so Slack delivers again.
pub const SOCKET_OPEN_MAX: usize = 4096;

/// Frames that a socket hands over at once.
pub const SOCKET_BATCH_MAX: usize = 256;

/// Envelopes that a shard may hold in memory. Beyond: shed, which is un-acked, so Slack delivers again.
pub const SHARD_OPEN_MAX: usize = 16_384;

/// Deliveries in the mailbox of one key, the running one included. Beyond: they wait on disk, in order.
pub const KEY_MAILBOX_MAX: usize = 64;

/// Deliveries that wait on disk, per shard. Beyond: shed.
pub const LAGGING_MAX: usize = 1_000_000;

/// Keys per shard whose stored deliveries are read back at once. Beyond: they wait for their turn.
pub const KEYS_READ_MAX: usize = 32;

/// How long a delivery may run before it is stored as unfinished, so that its ack need not wait.
pub const UNFINISHED_AFTER: Duration = Duration::from_millis(1);

/// When a held ack goes out without its answer: Slack's deadline is 3 s from its own sending.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(2500);

/// How long a turn may take. Beyond: it is dropped, its state restored, and tried again.
pub const TURN_WITHIN: Duration = Duration::from_secs(10);

/// The longest wait before a turn's first retry.
pub const TURN_RETRY_FIRST: Duration = Duration::from_millis(200);

/// The longest wait before any retry of a turn.
pub const TURN_RETRY_MOST: Duration = Duration::from_secs(10);

/// How often a turn is tried. Beyond: a dead letter, and the key goes on.
pub const TURN_ATTEMPTS_MAX: u32 = 5;

/// How long a turn is tried in all. Beyond: a dead letter, and the key goes on.
pub const TURN_RETRIED_WITHIN: Duration = Duration::from_secs(30);

/// Bytes of one key's state. Beyond: the turn fails.
pub const STATE_BYTES_MAX: usize = 1024 * 1024;

/// Effects of one turn. Beyond: the turn fails.
pub const EFFECTS_MAX: usize = 200;

/// Bytes of one turn's effects. Beyond: the turn fails.
pub const EFFECTS_BYTES_MAX: usize = 1024 * 1024;

/// How long deduplication marks stay in memory: Slack's ladder ends after 6 minutes.
pub const MARKS_IN_MEMORY: Duration = Duration::from_mins(10);

/// Marks in memory, per shard, 64 bytes each about. Beyond: the oldest are asked for on disk.
pub const MARKS_IN_MEMORY_MAX: usize = 500_000;

/// Effects in the outbox's memory. Beyond: shards stop admitting until it drains.
pub const OUTBOX_MAX: usize = 50_000;

/// Web API calls under way at once. Beyond: lanes wait for their turn.
pub const CALLS_MAX: usize = 64;

/// How often a call is tried, an hour or two in all. Beyond: a dead letter, and its lane goes on.
pub const CALL_ATTEMPTS_MAX: u32 = 240;

/// The longest wait before a call's first retry.
pub const CALL_RETRY_FIRST: Duration = Duration::from_millis(500);

/// The longest wait that Slack may ask for; a longer one is taken as this.
pub const RETRY_AFTER_MOST: Duration = Duration::from_hours(24);

/// The longest wait before any retry of a call, unless Slack asks for longer.
pub const CALL_RETRY_MOST: Duration = Duration::from_secs(30);

/// How often a call that waits for its token's identity is looked at again, after a start.
pub const CALL_TOO_EARLY_EVERY: Duration = Duration::from_millis(100);

/// Posted messages whose `ts` is kept in memory, for answers to them. Beyond: they are asked for on disk.
pub const POSTED_IN_MEMORY_MAX: usize = 10_000;

/// Messages in each page of a look for a post that may have been made; Slack advises no more.
pub const LOOK_PAGE: u32 = 200;

/// Pages of such a look. Beyond: the post is made again, with a warning.
pub const LOOK_PAGES_MAX: u32 = 50;

/// How much Slack's clock may differ from ours: such a look goes back further than the post's commit by this.
pub const LOOK_CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// Such looks that were interrupted and know where they were. Beyond: they begin anew.
pub const LOOKS_MAX: usize = 1_000;

/// Jobs under way at once, per shard. Beyond: they wait.
pub const JOBS_MAX: usize = 256;

/// How long a job may take. Beyond: it has failed.
pub const JOB_WITHIN: Duration = Duration::from_hours(1);

/// How long stopping may take before what is left stays in the store for the next start.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of the configuration file. Beyond: it is not read; the operator is told at start-up.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes of a file that holds one token. Beyond: it is not a token's file; the operator is told at start-up.
pub const TOKEN_FILE_BYTES_MAX: u64 = 16 * 1024;

/// Dispatch threads. Beyond: refused at start-up; as a default, more cores than this are left unused.
pub const SHARDS_MAX: usize = 256;

/// Characters of an app's name, which is part of every key in the store. Beyond: refused at start-up.
pub const APP_NAME_CHARS_MAX: usize = 64;

/// Memos, one causing the next, that may lead to a turn that sends one more. Beyond: that turn fails.
pub const HOPS_MAX: u32 = 32;

/// Ends of the process while one delivery ran, after which it is a dead letter.
pub const POISON_DEATHS_MAX: u32 = 3;

/// Free bytes on the store's disk. Below: what Slack delivers again is left un-acked, until there is room.
pub const DISK_FREE_MIN: u64 = 256 * 1024 * 1024;

/// Lines of an answer to an operator's look into the store. Beyond: it is cut, and says so.
pub const ANSWER_LINES_MAX: usize = 10_000;

/// Lines of such an answer unless asked for otherwise.
pub const ANSWER_LINES_DEFAULT: usize = 100;

/// Bytes of such an answer, but for its first line. Beyond: it is cut, and says so.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Dead letters that one command retries or drops. Beyond: the operator is told to repeat it.
pub const EDITS_MAX: usize = 10_000;

/// Dead letters that are read and handed over at once.
pub const EDITS_AT_ONCE: usize = 16;

/// Connections to the control socket. Beyond: refused with a line that says so.
pub const CONTROL_CONNECTIONS_MAX: usize = 8;

/// Bytes of a request on the control socket. Beyond: refused with a line that says so.
pub const CONTROL_REQUEST_BYTES_MAX: u64 = 256 * 1024;

/// How long a request on the control socket may take to arrive. Beyond: refused.
pub const CONTROL_REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// How long one line of an answer may wait for its reader. Beyond: the connection is closed.
pub const CONTROL_LINE_WITHIN: Duration = Duration::from_secs(10);

/// Frames of an author's that wait for one socket. Beyond: refused, as an error to whoever sends.
pub const SENDS_MAX: usize = 64;

/// Frames of an author's on one connection whose answer is waited for. Beyond: refused, as an error to whoever sends.
pub const REPLIES_MAX: usize = 1024;

/// How long an answer over RTM, or a URL that an author asks for, is waited for. Beyond: an error to whoever asked.
pub const SEND_WITHIN: Duration = Duration::from_secs(10);

/// The times of a connection's sockets. [`Default`] gives those of this file; tests take shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketTimes {
    /// See [`HELLO_WITHIN`].
    pub hello_within: Duration,
    /// See [`RETIRE_WITHIN`].
    pub retire_within: Duration,
    /// See [`CLOSE_WITHIN`].
    pub close_within: Duration,
    /// See [`PING_EVERY`].
    pub ping_every: Duration,
    /// See [`PONG_WITHIN`].
    pub pong_within: Duration,
    /// See [`SILENCE_MAX`].
    pub silence_max: Duration,
    /// See [`DEAF_AFTER`].
    pub deaf_after: Duration,
}

impl Default for SocketTimes {
    fn default() -> Self {
        Self {
            hello_within: HELLO_WITHIN,
            retire_within: RETIRE_WITHIN,
            close_within: CLOSE_WITHIN,
            ping_every: PING_EVERY,
            pong_within: PONG_WITHIN,
            silence_max: SILENCE_MAX,
            deaf_after: DEAF_AFTER,
        }
    }
}
