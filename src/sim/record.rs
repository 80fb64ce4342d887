//! The record: everything that passed between the simulator and the programs under test, in order.
//!
//! Outside judges decide from the record alone, so each entry is written in the same moment, under the same
//! lock, in which the thing happens. It only grows, bounded by memory alone.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::slack::id::{AppId, ChannelId, EventId, TeamId, Ts, UserId};

/// A socket of this simulator, numbered from 1 in the order of opening; Socket Mode and RTM alike.
pub type SocketId = u64;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Its number, from 1, without gaps.
    pub n: u64,
    /// Microseconds since the simulator started, on its monotonic clock; never smaller than in the entry before.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// Who ended a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The program under test sent a close frame.
    Client,
    /// The simulator sent a close frame or cut the connection.
    Simulator,
    /// The TCP connection ended without a close frame from either side.
    Lost,
}

/// How a message came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A person wrote it: the page, or the simulator's own interface.
    Person,
    /// `chat.postMessage`.
    Call,
    /// The answer in the ack of a slash command.
    Ack,
    /// A `response_url`.
    ResponseUrl,
    /// A `message` frame over RTM.
    Rtm,
}

/// What an envelope is about; the same for all its attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// The app that it is for.
    pub app: AppId,
    /// The workspace.
    pub team: TeamId,
    /// The inner event's type (`message`, `app_mention`, …), or `slash_commands`.
    pub kind: String,
    /// The same in every redelivery; absent for commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// Where it happened.
    pub channel: ChannelId,
    /// Who did it.
    pub user: UserId,
    /// The message it is about; absent for commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts: Option<Ts>,
    /// The message's text, or the command with its text.
    pub text: String,
}

/// What happened, and its particulars.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A Socket Mode or RTM socket was accepted; its hello was queued.
    SocketOpened {
        /// The socket.
        socket: SocketId,
        /// Its app.
        app: AppId,
        /// Its workspace; only RTM sockets have one.
        #[serde(skip_serializing_if = "Option::is_none")]
        team: Option<TeamId>,
        /// How many sockets the app (RTM: the app in this workspace) has now.
        open: usize,
    },
    /// A socket was turned away: `unknown_ticket`, `expired_ticket` or `too_many_websockets`.
    SocketRefused {
        /// The app, where the ticket was good.
        #[serde(skip_serializing_if = "Option::is_none")]
        app: Option<AppId>,
        /// Why.
        why: String,
    },
    /// A socket ended. Whatever was un-acked on it stays due on the ladder.
    SocketClosed {
        /// The socket.
        socket: SocketId,
        /// Its app.
        app: AppId,
        /// Who ended it.
        by: By,
        /// The close code, where there was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
        /// Why, for humans: `asked`, `frame_too_large`, `queue_full`, `no_pong`, `cut`, or the close frame's text.
        why: String,
        /// How many envelopes were outstanding on it.
        unacked: usize,
    },
    /// A `disconnect` (Socket Mode) or `goodbye` (RTM) frame was queued on a socket.
    DisconnectSent {
        /// The socket.
        socket: SocketId,
        /// Its app.
        app: AppId,
        /// The reason in the frame; `goodbye` over RTM.
        reason: String,
    },
    /// An envelope was queued on a socket. If the socket ends right after, it may not have reached the wire.
    EnvelopeSent {
        /// The socket.
        socket: SocketId,
        /// The same in every attempt.
        envelope_id: String,
        /// 0 for the first.
        attempt: u32,
        /// What it is about.
        #[serde(flatten)]
        subject: Subject,
    },
    /// An attempt was due and the app had no open socket.
    EnvelopeUnsent {
        /// The envelope.
        envelope_id: String,
        /// Which attempt.
        attempt: u32,
        /// What it is about.
        #[serde(flatten)]
        subject: Subject,
    },
    /// An envelope's ack arrived, whatever it was worth.
    Ack {
        /// The socket it came over.
        socket: SocketId,
        /// The envelope.
        envelope_id: String,
        /// What it is about; absent once nothing more is owed (`is_repeated`, or given up before).
        #[serde(skip_serializing_if = "Option::is_none")]
        event_id: Option<EventId>,
        /// Whether it carried a payload other than `{}`.
        has_payload: bool,
        /// It came while no attempt was outstanding, so it did not count: the deadline was missed, or all
        /// attempts were used up.
        is_late: bool,
        /// The envelope had been acked in time before.
        is_repeated: bool,
        /// Newest attempt when it came.
        #[serde(skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        /// Microseconds since the envelope came to be.
        #[serde(skip_serializing_if = "Option::is_none")]
        since_first_us: Option<u64>,
        /// Microseconds since the newest attempt was sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        since_sent_us: Option<u64>,
    },
    /// A client frame that meant nothing here: an ack without or with an unknown `envelope_id`, not JSON, a
    /// fragment, or anything after the simulator had closed the socket.
    FrameIgnored {
        /// The socket.
        socket: SocketId,
        /// Why.
        why: String,
    },
    /// No ack came before the deadline of an attempt.
    DeadlineMissed {
        /// The envelope.
        envelope_id: String,
        /// Which attempt.
        attempt: u32,
        /// Where that attempt had been sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        socket: Option<SocketId>,
        /// What it is about.
        #[serde(flatten)]
        subject: Subject,
    },
    /// Nobody acked an event in all its attempts: it will not be sent again.
    EnvelopeGivenUp {
        /// The envelope.
        envelope_id: String,
        /// How many attempts there were.
        attempts: u32,
        /// What it is about.
        #[serde(flatten)]
        subject: Subject,
    },
    /// A frame was queued on an RTM socket: an event or an answer to the client, the hello excepted.
    RtmSent {
        /// The socket.
        socket: SocketId,
        /// Its app.
        app: AppId,
        /// Its workspace.
        team: TeamId,
        /// The whole frame.
        frame: Value,
    },
    /// An RTM client sent a frame.
    RtmReceived {
        /// The socket.
        socket: SocketId,
        /// The whole frame, any token removed.
        frame: Value,
    },
    /// A Web API call was received and, in the same moment, decided.
    Call {
        /// The method as called, known or not.
        method: String,
        /// Whose token it was; absent when there was no good one.
        #[serde(skip_serializing_if = "Option::is_none")]
        app: Option<AppId>,
        /// The bot token's workspace.
        #[serde(skip_serializing_if = "Option::is_none")]
        team: Option<TeamId>,
        /// The arguments without any token; JSON that came as form text is parsed.
        args: Map<String, Value>,
        /// Whether it took effect. With a fault of kind `cut_after` or `delay` it did, though the caller may
        /// not have learnt of it.
        ok: bool,
        /// Slack's error word, if it did not.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// The HTTP status of the answer; 0 when the connection was cut instead.
        status: u16,
        /// The message that resulted or was changed.
        #[serde(skip_serializing_if = "Option::is_none")]
        ts: Option<Ts>,
        /// `chat.postMessage`'s metadata.
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<Value>,
        /// The planned fault that struck this call.
        #[serde(skip_serializing_if = "Option::is_none")]
        fault: Option<super::Fault>,
    },
    /// A `response_url` was used.
    ResponseUrlUsed {
        /// The path, which is unique per command.
        path: String,
        /// The command's workspace, if the path is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        team: Option<TeamId>,
        /// The envelope of its command, if the path is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        envelope_id: Option<String>,
        /// What was sent.
        body: Value,
        /// Whether it took effect.
        ok: bool,
        /// `used_url`, `expired_url`, `unknown_url` or `invalid_payload`.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A text was shown to one user only.
    EphemeralShown {
        /// Where.
        team: TeamId,
        /// Where.
        channel: ChannelId,
        /// To whom.
        user: UserId,
        /// What.
        text: String,
        /// [`Via::Ack`] or [`Via::ResponseUrl`].
        via: Via,
        /// The envelope of the command that it answers.
        envelope_id: String,
    },
    /// A person ran a slash command.
    CommandRun {
        /// Where.
        team: TeamId,
        /// Where.
        channel: ChannelId,
        /// Who.
        user: UserId,
        /// The command with its slash.
        command: String,
        /// What stood behind it.
        text: String,
        /// The envelope that carries it.
        envelope_id: String,
    },
    /// The user saw a slash command fail.
    CommandFailed {
        /// Where.
        team: TeamId,
        /// Where.
        channel: ChannelId,
        /// Who.
        user: UserId,
        /// The command with its slash.
        command: String,
        /// The envelope that carried it.
        envelope_id: String,
        /// `operation_timeout`: no ack in time; `dispatch_failed`: no open socket.
        error: String,
    },
    /// A message appeared in a channel, whoever wrote it. A judge who counts only people's posts takes
    /// [`Via::Person`].
    Posted {
        /// Where.
        team: TeamId,
        /// Where.
        channel: ChannelId,
        /// Who; for bots the bot's user.
        user: UserId,
        /// The message.
        ts: Ts,
        /// Its thread's first message, for an answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        thread_ts: Option<Ts>,
        /// What was written.
        text: String,
        /// How.
        via: Via,
    },
}
