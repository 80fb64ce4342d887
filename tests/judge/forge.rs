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
#[derive(Debug, Clone, Default)]
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

    /// The program looks for posts in a channel, or in a thread of it.
    pub(super) fn looks(&mut self, channel: &str, thread_ts: Option<&str>) -> &mut Self {
        match thread_ts {
            None => {
                let args = json!({"channel": channel});
                self.call("conversations.history", &args, &Value::Null)
            }
            Some(ts) => {
                let args = json!({"channel": channel, "ts": ts});
                self.call("conversations.replies", &args, &Value::Null)
            }
        }
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
        self.writes(user, channel, thread_ts, "Hello there")
    }

    /// A person writes `text`.
    pub(super) fn writes(
        &mut self,
        user: &'static str,
        channel: &'static str,
        thread_ts: Option<&'static str>,
        text: &str,
    ) -> Said {
        let number = self.entries.len() + 1;
        let ts = format!("1700000000.{number:06}");
        self.put(
            json!({"what": "posted", "team": "T1", "channel": channel, "user": user, "ts": ts,
            "thread_ts": thread_ts, "text": text, "via": "person"}),
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
        self.call("chat.postMessage", &args, &named(effect))
    }

    /// The bot that `effect` ends with posts `text` where `said` was said, outside of any thread.
    pub(super) fn posts(&mut self, said: &Said, text: &str, effect: &str) -> &mut Self {
        let args = json!({"channel": said.channel, "text": text});
        self.call("chat.postMessage", &args, &named(effect))
    }

    /// The clerk notes `said`.
    pub(super) fn notes(&mut self, said: &Said, number: u64) -> &mut Self {
        let text = format!(
            "Noted <@{}> in <#{}>, number {number}",
            said.user, said.channel
        );
        self.posts(said, &text, &format!("acme/{}/clerk#0", said.event))
    }

    /// The tally counts the clerk's note.
    pub(super) fn tallies(&mut self, said: &Said, number: u64, count: u64) -> &mut Self {
        let text = format!(
            "Tally {count}: <@{}> was number {number} in <#{}>",
            said.user, said.channel
        );
        let effect = format!("acme/{}/clerk#1/tally#0", said.event);
        self.posts(said, &text, &effect)
    }

    /// Somebody runs a command, and it is delivered over socket 1.
    pub(super) fn runs(&mut self, user: &'static str, command: &str, text: &str) -> Said {
        let number = self.entries.len() + 1;
        let envelope = format!("e-{number}");
        self.put(
            json!({"what": "command_run", "team": "T1", "channel": "C1", "user": user,
            "command": command, "text": text, "envelope_id": envelope}),
        );
        self.put(
            json!({"what": "envelope_sent", "socket": 1, "envelope_id": envelope, "attempt": 0, "app": "A1",
            "team": "T1", "kind": "slash_commands", "channel": "C1", "user": user, "text": command}),
        );
        Said {
            user,
            channel: "C1",
            ts: String::new(),
            thread_ts: None,
            event: envelope.clone(),
            envelope,
        }
    }

    /// The answer to a command, as `user` sees it.
    pub(super) fn shows(&mut self, run: &Said, user: &str, via: &str, text: &str) -> &mut Self {
        self.put(
            json!({"what": "ephemeral_shown", "team": "T1", "channel": "C1", "user": user, "text": text,
            "via": via, "envelope_id": run.envelope}),
        )
    }

    /// A report is ordered, as message `ts`.
    pub(super) fn orders(&mut self, run: &Said, topic: &str, number: u64, ts: &str) -> &mut Self {
        let text = format!(
            "<@{}> ordered {topic} as number {number}: working",
            run.user
        );
        let metadata = named(&format!("acme/{}/report#0", run.envelope));
        self.put(
            json!({"what": "call", "method": "chat.postMessage", "app": "A1", "team": "T1", "ok": true,
            "status": 200, "args": {"channel": "C1", "text": text}, "ts": ts, "metadata": metadata}),
        )
    }

    /// Its result, in the thread of message `ts`.
    pub(super) fn reports(&mut self, run: &Said, topic: &str, ts: &str) -> &mut Self {
        let args =
            json!({"channel": "C1", "text": format!("{topic} is done: 1 words"), "thread_ts": ts});
        let effect = format!("acme/{}/report#1/report#0", run.envelope);
        self.call("chat.postMessage", &args, &named(&effect))
    }

    /// A report from its command to its result.
    pub(super) fn report(&mut self, user: &'static str, topic: &str, number: u64) -> Said {
        let run = self.runs(user, "/report", topic);
        self.shows(&run, user, "ack", "on its way").acks(&run, 1);
        let ts = format!("17{}.000001", run.envelope);
        self.orders(&run, topic, number, &ts)
            .reports(&run, topic, &ts);
        run
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

/// The metadata that names `effect`.
fn named(effect: &str) -> Value {
    json!({"event_type": "callboard_effect", "event_payload": {"effect": effect}})
}
