//! Events: from something that happened to envelopes on Socket Mode sockets and frames on RTM sockets.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::{Machine, Out, Run};
use crate::sim::book::{Acked, Step};
use crate::sim::message::Message;
use crate::sim::record::{SocketId, Subject, What};
use crate::sim::world::{Install, Transport};
use crate::slack::id::{AppId, ChannelId, EventId, TeamId};

/// What an envelope carries while it is owed.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) subject: Subject,
    pub(crate) payload: Box<RawValue>,
    /// Set when it carries a slash command.
    pub(crate) run: Option<Run>,
}

#[derive(Serialize)]
struct EventEnvelope<'a> {
    envelope_id: &'a str,
    payload: &'a RawValue,
    #[serde(rename = "type")]
    kind: &'static str,
    accepts_response_payload: bool,
    retry_attempt: u32,
    retry_reason: &'static str,
}

#[derive(Serialize)]
struct CommandEnvelope<'a> {
    envelope_id: &'a str,
    payload: &'a RawValue,
    #[serde(rename = "type")]
    kind: &'static str,
    accepts_response_payload: bool,
}

impl Machine {
    /// Tells the apps in the channel about a new message.
    pub(super) fn announce_message(
        &mut self,
        team: &TeamId,
        channel: &ChannelId,
        message: &Message,
    ) {
        let mut event = self.message_json(team, channel, message, true);
        if let Some(fields) = event.as_object_mut() {
            fields.insert("channel".to_owned(), json!(channel));
            fields.insert("event_ts".to_owned(), json!(message.ts));
            for counted in [
                "reply_count",
                "reply_users",
                "reply_users_count",
                "latest_reply",
            ] {
                fields.remove(counted);
            }
        }
        let subject = Subject {
            team: team.clone(),
            channel: channel.clone(),
            user: message.user.clone(),
            ts: Some(message.ts.clone()),
            text: message.text.clone(),
            ..Subject::default()
        };
        self.announce(&subject, &event);
        self.announce_mentions(&subject, &event);
    }

    /// Tells the apps in `subject`'s channel about `event`.
    pub(crate) fn announce(&mut self, subject: &Subject, event: &Value) {
        for (app, transport, install) in self.hearers(subject) {
            match transport {
                Transport::Rtm => self.rtm_event(&app, &subject.team, event),
                Transport::Socket => {
                    let mut event = event.clone();
                    let is_message = event.get("type").is_some_and(|kind| kind == "message");
                    if let Some(fields) = event.as_object_mut().filter(|_| is_message) {
                        fields.insert("channel_type".to_owned(), json!("channel"));
                    }
                    self.owe_event(&app, &install, subject.clone(), &event);
                }
            }
        }
    }

    /// A message that names a bot's user is also an `app_mention` for its app.
    fn announce_mentions(&mut self, subject: &Subject, event: &Value) {
        if !subject.text.contains("<@") {
            return;
        }
        for (app, transport, install) in self.hearers(subject) {
            let is_own = install.user == subject.user;
            let is_named = subject.text.contains(&format!("<@{}>", install.user));
            if transport == Transport::Socket && is_named && !is_own {
                let mut mention = event.clone();
                if let Some(fields) = mention.as_object_mut() {
                    fields.insert("type".to_owned(), json!("app_mention"));
                }
                self.owe_event(&app, &install, subject.clone(), &mention);
            }
        }
    }

    /// The apps whose bot is a member of the channel.
    fn hearers(&self, subject: &Subject) -> Vec<(AppId, Transport, Install)> {
        let Some(channel) = self.world.find_channel(&subject.team, &subject.channel) else {
            return Vec::new();
        };
        let apps = self.world.apps().iter().filter_map(|app| {
            let install = self.world.find_install(&app.id, &subject.team)?;
            channel
                .has(&install.user)
                .then(|| (app.id.clone(), app.transport, install.clone()))
        });
        apps.collect()
    }

    fn owe_event(&mut self, app: &AppId, install: &Install, subject: Subject, event: &Value) {
        // The time of day is part of the id: a program that remembers the events of an earlier simulator must
        // not take these for redeliveries.
        let number = self.next_number();
        let event_id = format!("Ev{:X}N{number}", self.epoch_us);
        let payload = to_raw_value(&json!({
            "token": "simulated", "team_id": install.team, "context_team_id": install.team, "api_app_id": app,
            "event": event, "type": "event_callback", "event_id": event_id, "event_time": self.unix_s(),
            "authorizations": [{"enterprise_id": null, "team_id": install.team, "user_id": install.user,
                "is_bot": true, "is_enterprise_install": false}],
            "is_ext_shared_channel": false, "event_context": format!("4-{event_id}"),
        }));
        let Ok(payload) = payload else {
            return;
        };
        let kind = event
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let subject = Subject {
            app: app.clone(),
            kind: kind.to_owned(),
            event_id: Some(EventId::new(event_id)),
            ..subject
        };
        let envelope_id = self.next_uuid();
        let parcel = Parcel {
            subject,
            payload,
            run: None,
        };
        self.book.owe(self.now_us, &envelope_id, true, parcel);
        if !self.puts_off(&envelope_id) {
            self.send(&envelope_id, 0);
        }
    }

    /// Sends an owed envelope over one of the app's sockets, or notes that there is none.
    pub(super) fn send(&mut self, envelope_id: &str, attempt: u32) {
        let Some(parcel) = self.book.get(envelope_id) else {
            return;
        };
        let subject = parcel.subject.clone();
        let frame = frame_of(envelope_id, parcel, attempt);
        let Some(socket) = self.next_socket(&subject.app) else {
            return self.send_failed(envelope_id, attempt, subject);
        };
        let frame: Arc<str> = frame.into();
        self.hand_to(socket, envelope_id, attempt, subject.clone(), &frame);
        self.book.sent(self.now_us, envelope_id, socket);
        if self.doubles()
            && let Some(socket) = self.next_socket(&subject.app)
        {
            self.hand_to(socket, envelope_id, attempt, subject, &frame);
        }
    }

    fn hand_to(
        &mut self,
        socket: SocketId,
        envelope_id: &str,
        attempt: u32,
        subject: Subject,
        frame: &Arc<str>,
    ) {
        self.note(What::EnvelopeSent {
            socket,
            envelope_id: envelope_id.to_owned(),
            attempt,
            subject,
        });
        self.outs.push(Out::Frame(socket, Arc::clone(frame)));
    }

    fn send_failed(&mut self, envelope_id: &str, attempt: u32, subject: Subject) {
        self.note(What::EnvelopeUnsent {
            envelope_id: envelope_id.to_owned(),
            attempt,
            subject: subject.clone(),
        });
        let Some(parcel) = self.book.unsent(self.now_us, envelope_id) else {
            return;
        };
        match parcel.run {
            Some(run) => self.command_failed(&run, "dispatch_failed"),
            None => self.given_up(envelope_id, attempt, subject),
        }
    }

    fn given_up(&mut self, envelope_id: &str, attempt: u32, subject: Subject) {
        self.note(What::EnvelopeGivenUp {
            envelope_id: envelope_id.to_owned(),
            attempts: attempt + 1,
            subject,
        });
    }

    /// Does everything that is due.
    pub(crate) fn tick(&mut self) {
        self.tick_late();
        while let Some(step) = self.book.pop(self.now_us) {
            match step {
                Step::Send { id, attempt } => self.send(&id, attempt),
                Step::Missed {
                    id,
                    attempt,
                    socket,
                } => {
                    if let Some(parcel) = self.book.get(&id) {
                        let subject = parcel.subject.clone();
                        self.missed(&id, attempt, socket, subject);
                    }
                }
                Step::GaveUp {
                    id,
                    attempt,
                    socket,
                    carries,
                } => {
                    self.missed(&id, attempt, socket, carries.subject.clone());
                    match carries.run {
                        Some(run) => self.command_failed(&run, "operation_timeout"),
                        None => self.given_up(&id, attempt, carries.subject),
                    }
                }
            }
        }
    }

    fn missed(&mut self, id: &str, attempt: u32, socket: Option<SocketId>, subject: Subject) {
        self.note(What::DeadlineMissed {
            envelope_id: id.to_owned(),
            attempt,
            socket,
            subject,
        });
    }

    /// An ack came over a Socket Mode socket.
    pub(super) fn acked(&mut self, socket: SocketId, envelope_id: &str, payload: Option<&Value>) {
        let is_empty = |value: &&Value| {
            value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
        };
        let payload = payload.filter(|value| !is_empty(value));
        let event_id = |parcel: &Parcel| parcel.subject.event_id.clone();
        let owed = self.book.get(envelope_id).and_then(event_id);
        let outcome = self.book.ack(self.now_us, envelope_id);
        let (attempt, since_first_us, since_sent_us) = match &outcome {
            Acked::Unknown => return self.ignore(socket, "unknown_envelope_id"),
            Acked::TooLate | Acked::Repeated => (None, None, None),
            Acked::Settled {
                attempt,
                since_first_us,
                since_sent_us,
                ..
            }
            | Acked::Late {
                attempt,
                since_first_us,
                since_sent_us,
            } => (Some(*attempt), Some(*since_first_us), Some(*since_sent_us)),
        };
        self.note(What::Ack {
            socket,
            envelope_id: envelope_id.to_owned(),
            event_id: owed,
            has_payload: payload.is_some(),
            is_late: matches!(outcome, Acked::Late { .. } | Acked::TooLate),
            is_repeated: outcome == Acked::Repeated,
            attempt,
            since_first_us,
            since_sent_us,
        });
        if let (Acked::Settled { carries, .. }, Some(answer)) = (outcome, payload)
            && let Some(run) = carries.run
        {
            self.answered(&run, crate::sim::record::Via::Ack, answer);
        }
    }
}

impl PartialEq for Parcel {
    fn eq(&self, other: &Self) -> bool {
        self.subject == other.subject && self.payload.get() == other.payload.get()
    }
}

fn frame_of(envelope_id: &str, parcel: &Parcel, attempt: u32) -> String {
    let payload = &parcel.payload;
    let frame = if parcel.run.is_some() {
        serde_json::to_string(&CommandEnvelope {
            envelope_id,
            payload,
            kind: "slash_commands",
            accepts_response_payload: true,
        })
    } else {
        serde_json::to_string(&EventEnvelope {
            envelope_id,
            payload,
            kind: "events_api",
            accepts_response_payload: false,
            retry_attempt: attempt,
            retry_reason: if attempt == 0 { "" } else { "timeout" },
        })
    };
    frame.unwrap_or_default()
}

/// A frame that several sockets share.
pub(super) fn shared(frame: &Value) -> Arc<str> {
    frame.to_string().into()
}
