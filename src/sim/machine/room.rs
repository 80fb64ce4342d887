//! Messages: who may write where, how they look, who is told.

use serde_json::{Value, json};

use super::{Machine, Wrong};
use crate::sim::message::{Log, Message};
use crate::sim::record::{Via, What};
use crate::slack::id::{AppId, BotId, ChannelId, TeamId, Ts, UserId};

/// A message that is about to be stored.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) user: UserId,
    pub(crate) bot: Option<(BotId, AppId)>,
    pub(crate) text: String,
    pub(crate) thread_ts: Option<Ts>,
    pub(crate) blocks: Option<Value>,
    pub(crate) attachments: Option<Value>,
    pub(crate) metadata: Option<Value>,
    pub(crate) username: Option<String>,
    pub(crate) is_broadcast: bool,
}

impl Machine {
    /// A person writes.
    pub(crate) fn post(
        &mut self,
        team: &TeamId,
        channel: &ChannelId,
        user: &UserId,
        text: &str,
        thread_ts: Option<&Ts>,
    ) -> Result<Ts, Wrong> {
        self.check_place(team, channel, user)?;
        if text.trim().is_empty() {
            return Err(Wrong::new("no_text", "a message needs a text"));
        }
        let thread_ts = match thread_ts {
            Some(ts) => Some(self.parent_of(channel, ts).ok_or_else(|| {
                Wrong::new("thread_not_found", format!("there is no message {ts} here"))
            })?),
            None => None,
        };
        let draft = Draft {
            user: user.clone(),
            text: text.to_owned(),
            thread_ts,
            ..Draft::default()
        };
        Ok(self.store(team, channel, draft, Via::Person))
    }

    /// Whether `user` may act in `channel`.
    pub(super) fn check_place(
        &self,
        team: &TeamId,
        channel: &ChannelId,
        user: &UserId,
    ) -> Result<(), Wrong> {
        if self.world.find_team(team).is_none() {
            return Err(Wrong::new(
                "team_not_found",
                format!("no workspace `{team}`"),
            ));
        }
        let Some(found) = self.world.find_channel(team, channel) else {
            let detail = format!("no channel `{channel}` in workspace `{team}`");
            return Err(Wrong::new("channel_not_found", detail));
        };
        if self.world.find_user(team, user).is_none() {
            let detail = format!("no user `{user}` in workspace `{team}`");
            return Err(Wrong::new("user_not_found", detail));
        }
        if !found.has(user) {
            let detail = format!("user `{user}` is no member of channel `{channel}`");
            return Err(Wrong::new("not_in_channel", detail));
        }
        Ok(())
    }

    /// The first message of the thread that `ts` belongs to.
    pub(crate) fn parent_of(&self, channel: &ChannelId, ts: &Ts) -> Option<Ts> {
        self.logs.get(channel)?.parent_of(ts)
    }

    pub(crate) fn log(&self, channel: &ChannelId) -> Option<&Log> {
        self.logs.get(channel)
    }

    /// Stores a message and tells everybody: apps, page, record.
    pub(crate) fn store(
        &mut self,
        team: &TeamId,
        channel: &ChannelId,
        draft: Draft,
        via: Via,
    ) -> Ts {
        let ts = self.next_ts();
        let client_msg_id = draft.bot.is_none().then(|| self.next_uuid());
        let message = Message {
            ts: ts.clone(),
            user: draft.user,
            bot: draft.bot,
            text: draft.text,
            thread_ts: draft.thread_ts,
            blocks: draft.blocks,
            attachments: draft.attachments,
            metadata: draft.metadata,
            username: draft.username,
            client_msg_id,
            is_broadcast: draft.is_broadcast,
            edited: None,
            reactions: Vec::new(),
        };
        self.note(What::Posted {
            team: team.clone(),
            channel: channel.clone(),
            user: message.user.clone(),
            ts: ts.clone(),
            thread_ts: message.thread_ts.clone(),
            text: message.text.clone(),
            via,
        });
        let log = self.logs.entry(channel.clone()).or_default();
        log.insert(message.clone());
        self.show("message", team, channel, &ts);
        if let Some(parent) = &message.thread_ts {
            self.show("message_changed", team, channel, parent);
        }
        self.announce_message(team, channel, &message);
        ts
    }

    /// Changes a stored message in place; false when there is none.
    pub(crate) fn change(
        &mut self,
        team: &TeamId,
        channel: &ChannelId,
        ts: &Ts,
        change: impl FnOnce(&mut Message),
    ) -> bool {
        let log = self.logs.get_mut(channel);
        let Some(message) = log.and_then(|log| log.get_mut(ts)) else {
            return false;
        };
        change(message);
        self.show("message_changed", team, channel, ts);
        true
    }

    /// Puts a message on the live feed.
    fn show(&mut self, kind: &str, team: &TeamId, channel: &ChannelId, ts: &Ts) {
        self.live(|machine| {
            let message = machine.logs.get(channel).and_then(|log| log.get(ts));
            let shape = message.map(|message| machine.message_json(team, channel, message, false));
            json!({"type": kind, "team": team, "channel": channel, "message": shape})
        });
    }

    /// A message in Slack's shape, as history and page have it.
    pub(crate) fn message_json(
        &self,
        team: &TeamId,
        channel: &ChannelId,
        message: &Message,
        with_metadata: bool,
    ) -> Value {
        let mut shape = json!({
            "type": "message", "user": message.user, "text": message.text, "ts": message.ts, "team": team,
        });
        let Some(fields) = shape.as_object_mut() else {
            return shape;
        };
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        if let Some((bot, app)) = &message.bot {
            let name = self.world.find_app(app).map_or("", |app| app.name.as_str());
            set("bot_id", Some(json!(bot)));
            set("app_id", Some(json!(app)));
            let profile = json!({"id": bot, "app_id": app, "user_id": message.user, "name": name,
                "team_id": team, "deleted": false});
            set("bot_profile", Some(profile));
        }
        set(
            "client_msg_id",
            message.client_msg_id.as_ref().map(|id| json!(id)),
        );
        set(
            "username",
            message.username.as_ref().map(|name| json!(name)),
        );
        set("blocks", message.blocks.clone());
        set("attachments", message.attachments.clone());
        set(
            "metadata",
            message.metadata.clone().filter(|_| with_metadata),
        );
        if let Some((user, ts)) = &message.edited {
            set("edited", Some(json!({"user": user, "ts": ts})));
        }
        if !message.reactions.is_empty() {
            let reactions = message
                .reactions
                .iter()
                .map(|(name, users)| json!({"name": name, "users": users, "count": users.len()}));
            set("reactions", Some(reactions.collect()));
        }
        let Some(log) = self.logs.get(channel) else {
            return shape;
        };
        if let Some(parent) = &message.thread_ts {
            set("thread_ts", Some(json!(parent)));
            set(
                "parent_user_id",
                log.get(parent).map(|parent| json!(parent.user)),
            );
            if message.is_broadcast {
                set("subtype", Some(json!("thread_broadcast")));
            }
        } else if let Some(latest) = log.answers(&message.ts).last() {
            let mut users: Vec<&UserId> = Vec::new();
            for answer in log.answers(&message.ts) {
                if !users.contains(&&answer.user) && users.len() < 5 {
                    users.push(&answer.user);
                }
            }
            set("thread_ts", Some(json!(message.ts)));
            set("reply_count", Some(json!(log.answers(&message.ts).count())));
            set("reply_users", Some(json!(users)));
            set("reply_users_count", Some(json!(users.len())));
            set("latest_reply", Some(json!(latest.ts)));
        }
        shape
    }

    /// Everything in a channel, oldest first, answers included.
    pub(crate) fn messages_json(&self, team: &TeamId, channel: &ChannelId) -> Result<Value, Wrong> {
        if self.world.find_channel(team, channel).is_none() {
            let detail = format!("no channel `{channel}` in workspace `{team}`");
            return Err(Wrong::new("channel_not_found", detail));
        }
        let shown = self.logs.get(channel).into_iter().flat_map(Log::all);
        Ok(shown
            .map(|message| self.message_json(team, channel, message, false))
            .collect())
    }

    /// Shows a text to one user only.
    pub(super) fn show_ephemeral(&mut self, run: &super::Run, via: Via, body: &Value) {
        let text = body.get("text").and_then(Value::as_str).unwrap_or_default();
        self.note(What::EphemeralShown {
            team: run.team.clone(),
            channel: run.channel.clone(),
            user: run.user.clone(),
            text: text.to_owned(),
            via,
            envelope_id: run.envelope_id.clone(),
        });
        self.live(|_| {
            let mut frame = json!({
                "type": "ephemeral", "team": run.team, "channel": run.channel, "user": run.user,
                "text": text, "command": run.command,
            });
            if let (Some(blocks), Some(fields)) = (body.get("blocks"), frame.as_object_mut()) {
                fields.insert("blocks".to_owned(), blocks.clone());
            }
            frame
        });
    }
}
