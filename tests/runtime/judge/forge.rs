//! Forged records: what a simulator would have written down, made up.

use serde_json::{Value, json};

use super::record::Record;

/// A greeting that was posted and delivered.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) user: &'static str,
    pub(super) channel: &'static str,
    pub(super) ts: String,
    pub(super) thread_ts: Option<&'static str>,
    pub(super) event: String,
    pub(super) envelope: String,
}

/// Writes a record, entry by entry. Everything happens in workspace `T1`, to the app `A1`.
#[derive(Debug, Default)]
pub(super) struct Forger {
    entries: Vec<Value>,
}

impl Forger {
    pub(super) fn new() -> Self {
        let mut forger = Self::default();
        forger.life(1);
        forger
    }

    fn put(&mut self, mut entry: Value) -> &mut Self {
        let n = self.entries.len() + 1;
        entry["n"] = json!(n);
        entry["at_us"] = json!(n * 1000);
        self.entries.push(entry);
        self
    }

    /// The program begins, and opens a socket.
    pub(super) fn life(&mut self, socket: u64) -> &mut Self {
        self.call("auth.test", &json!({}), &Value::Null);
        self.put(json!({"what": "socket_opened", "socket": socket, "app": "A1", "open": 1}))
    }

    /// The program is killed.
    pub(super) fn kill(&mut self, socket: u64) -> &mut Self {
        self.put(
            json!({"what": "socket_closed", "socket": socket, "app": "A1", "by": "lost", "why": "",
            "unacked": 0}),
        )
    }

    fn call(&mut self, method: &str, args: &Value, metadata: &Value) -> &mut Self {
        self.put(
            json!({"what": "call", "method": method, "app": "A1", "team": "T1", "args": args,
            "ok": true, "status": 200, "metadata": metadata}),
        )
    }

    /// A person says hello, and nothing else happens yet.
    pub(super) fn says(&mut self, user: &'static str, channel: &'static str) -> Said {
        self.says_in(user, channel, None)
    }

    pub(super) fn says_in(
        &mut self,
        user: &'static str,
        channel: &'static str,
        thread_ts: Option<&'static str>,
    ) -> Said {
        let number = self.entries.len() + 1;
        let ts = format!("1700000000.{number:06}");
        self.put(
            json!({"what": "posted", "team": "T1", "channel": channel, "user": user, "ts": ts,
            "thread_ts": thread_ts, "text": "Hello there", "via": "person"}),
        );
        Said {
            user,
            channel,
            ts,
            thread_ts,
            event: format!("Ev{number}"),
            envelope: format!("e-{number}"),
        }
    }

    /// Socket Mode delivers it.
    pub(super) fn sends(&mut self, said: &Said, socket: u64) -> &mut Self {
        self.put(
            json!({"what": "envelope_sent", "socket": socket, "envelope_id": said.envelope,
            "attempt": 0, "app": "A1", "team": "T1", "kind": "message", "event_id": said.event,
            "channel": said.channel, "user": said.user, "ts": said.ts, "text": "Hello there"}),
        )
    }

    pub(super) fn acks(&mut self, said: &Said, socket: u64) -> &mut Self {
        self.acks_as(said, socket, false)
    }

    pub(super) fn acks_as(&mut self, said: &Said, socket: u64, is_late: bool) -> &mut Self {
        self.put(json!({"what": "ack", "socket": socket, "envelope_id": said.envelope, "has_payload": false,
            "is_late": is_late, "is_repeated": false}))
    }

    /// RTM delivers it.
    pub(super) fn frames(&mut self, said: &Said, socket: u64) -> &mut Self {
        let frame =
            json!({"type": "message", "channel": said.channel, "user": said.user, "ts": said.ts});
        self.put(
            json!({"what": "rtm_sent", "socket": socket, "app": "A1", "team": "T1", "frame": frame}),
        )
    }

    /// The program answers `said` with `count`, where it was said.
    pub(super) fn answers(&mut self, said: &Said, count: u64) -> &mut Self {
        let effect = format!("acme/{}/greeter#0", said.event);
        self.answers_as(said, count, &effect)
    }

    pub(super) fn answers_as(&mut self, said: &Said, count: u64, effect: &str) -> &mut Self {
        let text = format!("Hello <@{}>, that makes {count}", said.user);
        let mut args = json!({"channel": said.channel, "text": text});
        if let Some(thread_ts) = said.thread_ts {
            args["thread_ts"] = json!(thread_ts);
        }
        let metadata =
            json!({"event_type": "callboard_effect", "event_payload": {"effect": effect}});
        self.call("chat.postMessage", &args, &metadata)
    }

    /// Something of another kind.
    pub(super) fn entry(&mut self, entry: Value) -> &mut Self {
        self.put(entry)
    }

    /// Said, delivered over socket 1, acked, answered.
    pub(super) fn round(&mut self, user: &'static str, channel: &'static str, count: u64) -> Said {
        let said = self.says(user, channel);
        self.sends(&said, 1).acks(&said, 1).answers(&said, count);
        said
    }

    pub(super) fn record(&self) -> Record {
        let lines: Vec<String> = self.entries.iter().map(ToString::to_string).collect();
        Record::from_lines(&lines.join("\n"))
    }
}
