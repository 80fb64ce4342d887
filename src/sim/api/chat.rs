//! `chat.*` and `reactions.*`.

use serde_json::{Value, json};

use super::{Args, Caller, Machine, Outcome, Refusal};
use crate::sim::machine::Draft;
use crate::sim::message::Message;
use crate::sim::record::{Subject, Via};
use crate::slack::id::{ChannelId, Ts};

/// Characters of a message's text; the rest is cut off with a warning.
const TEXT_CHARS_MAX: usize = 40_000;
/// Blocks of one message.
const BLOCKS_MAX: usize = 50;

/// What a message says, whichever way it is said.
#[derive(Debug)]
struct Content {
    text: String,
    blocks: Option<Value>,
    attachments: Option<Value>,
    metadata: Option<Value>,
    is_truncated: bool,
}

fn content(args: &Args) -> Result<Content, Refusal> {
    let markdown = args.text("markdown_text");
    if markdown.is_some() && (args.has("text") || args.has("blocks")) {
        return Err("markdown_text_conflict".into());
    }
    let mut text = args.text("text").or(markdown).unwrap_or_default();
    let is_truncated = text.chars().count() > TEXT_CHARS_MAX;
    if is_truncated {
        text = text.chars().take(TEXT_CHARS_MAX).collect();
    }
    let blocks = list(args, "blocks", "invalid_blocks_format")?;
    if blocks
        .as_ref()
        .and_then(Value::as_array)
        .is_some_and(|it| it.len() > BLOCKS_MAX)
    {
        return Err("invalid_blocks".into());
    }
    let attachments = list(args, "attachments", "invalid_attachments")?;
    let metadata = args.json("metadata");
    let is_good = |metadata: &Value| {
        metadata.get("event_type").is_some_and(Value::is_string)
            && metadata.get("event_payload").is_some_and(Value::is_object)
    };
    if args.has("metadata") && !metadata.as_ref().is_some_and(is_good) {
        return Err("invalid_metadata_format".into());
    }
    if text.is_empty() && blocks.is_none() && attachments.is_none() {
        return Err("no_text".into());
    }
    Ok(Content {
        text,
        blocks,
        attachments,
        metadata,
        is_truncated,
    })
}

/// An array argument; empty ones count as absent.
fn list(args: &Args, name: &str, error: &str) -> Result<Option<Value>, Refusal> {
    if !args.has(name) {
        return Ok(None);
    }
    let value = args.json(name).filter(Value::is_array).ok_or(error)?;
    Ok(Some(value).filter(|value| value.as_array().is_some_and(|it| !it.is_empty())))
}

impl Machine {
    pub(super) fn chat_post(&mut self, caller: &Caller, args: &Args) -> Outcome {
        let name = args
            .text("channel")
            .ok_or_else(|| Refusal::missing("channel"))?;
        let channel = self.channel_of(caller, &name)?;
        let install = self.world.find_install(&caller.app, &caller.team).cloned();
        let install = install.ok_or("account_inactive")?;
        let found = self.world.find_channel(&caller.team, &channel);
        if !found.is_some_and(|found| found.has(&install.user)) {
            return Err("not_in_channel".into());
        }
        let content = content(args)?;
        let thread_ts = match args.text("thread_ts") {
            None => None,
            Some(ts) => Some(
                self.parent_of(&channel, &Ts::new(ts))
                    .ok_or("thread_not_found")?,
            ),
        };
        let draft = Draft {
            user: install.user,
            bot: Some((install.bot, caller.app.clone())),
            text: content.text,
            is_broadcast: thread_ts.is_some() && args.is_set("reply_broadcast"),
            thread_ts,
            blocks: content.blocks,
            attachments: content.attachments,
            metadata: content.metadata,
            username: args.text("username"),
        };
        let ts = self.store(&caller.team, &channel, draft, Via::Call);
        let message = self.shape(caller, &channel, &ts);
        let mut body = json!({"ok": true, "channel": channel, "ts": ts, "message": message});
        if let Some(fields) = body.as_object_mut().filter(|_| content.is_truncated) {
            fields.insert("warning".to_owned(), json!("message_truncated"));
            let warnings = json!({"warnings": ["message_truncated"]});
            fields.insert("response_metadata".to_owned(), warnings);
        }
        Ok(body)
    }

    pub(super) fn chat_update(&mut self, caller: &Caller, args: &Args) -> Outcome {
        let name = args
            .text("channel")
            .ok_or_else(|| Refusal::missing("channel"))?;
        let ts = args.text("ts").ok_or_else(|| Refusal::missing("ts"))?;
        let (channel, ts) = (self.channel_of(caller, &name)?, Ts::new(ts));
        let old = self.log(&channel).and_then(|log| log.get(&ts)).cloned();
        let old = old.ok_or("message_not_found")?;
        if old.bot.as_ref().is_none_or(|(_, app)| *app != caller.app) {
            return Err("cant_update_message".into());
        }
        let before = self.shape(caller, &channel, &ts);
        let content = content(args)?;
        let edited = (old.user.clone(), self.fresh_ts());
        let text = content.text.clone();
        self.change(&caller.team, &channel, &ts, |message| {
            message.text = content.text;
            message.blocks = content.blocks;
            message.attachments = content.attachments;
            message.metadata = content.metadata.or_else(|| message.metadata.take());
            message.edited = Some(edited.clone());
        });
        let after = self.shape(caller, &channel, &ts);
        let event = json!({
            "type": "message", "subtype": "message_changed", "hidden": true, "channel": channel,
            "ts": edited.1, "event_ts": edited.1, "message": after, "previous_message": before,
        });
        let subject = subject(caller, &channel, &old, edited.1);
        self.announce(&subject, &event);
        Ok(json!({"ok": true, "channel": channel, "ts": ts, "text": text, "message": after}))
    }

    pub(super) fn reactions_add(&mut self, caller: &Caller, args: &Args) -> Outcome {
        let reaction = args.text("name").ok_or_else(|| Refusal::missing("name"))?;
        let (Some(name), Some(ts)) = (args.text("channel"), args.text("timestamp")) else {
            return Err("no_item_specified".into());
        };
        let (channel, ts) = (self.channel_of(caller, &name)?, Ts::new(ts));
        let install = self.world.find_install(&caller.app, &caller.team).cloned();
        let user = install.ok_or("account_inactive")?.user;
        let old = self.log(&channel).and_then(|log| log.get(&ts)).cloned();
        let old = old.ok_or("message_not_found")?;
        let known = old.reactions.iter().find(|(name, _)| *name == reaction);
        if known.is_some_and(|(_, users)| users.contains(&user)) {
            return Err("already_reacted".into());
        }
        self.change(&caller.team, &channel, &ts, |message| {
            let reactions = &mut message.reactions;
            match reactions.iter_mut().find(|(name, _)| *name == reaction) {
                Some((_, users)) => users.push(user.clone()),
                None => reactions.push((reaction.clone(), vec![user.clone()])),
            }
        });
        let event_ts = self.fresh_ts();
        let event = json!({
            "type": "reaction_added", "user": user, "reaction": reaction, "item_user": old.user,
            "item": {"type": "message", "channel": channel, "ts": ts}, "event_ts": event_ts,
        });
        let subject = subject(caller, &channel, &old, ts);
        self.announce(&subject, &event);
        Ok(json!({"ok": true}))
    }

    /// The channel that an argument names, by id or by name with or without `#`.
    pub(super) fn channel_of(&self, caller: &Caller, name: &str) -> Result<ChannelId, Refusal> {
        let id = ChannelId::from(name);
        if self.world.find_channel(&caller.team, &id).is_some() {
            return Ok(id);
        }
        let bare = name.trim_start_matches('#');
        let team = self
            .world
            .find_team(&caller.team)
            .ok_or("account_inactive")?;
        let found = team.channels.iter().find(|channel| channel.name == bare);
        found
            .map(|channel| channel.id.clone())
            .ok_or_else(|| "channel_not_found".into())
    }

    fn shape(&self, caller: &Caller, channel: &ChannelId, ts: &Ts) -> Value {
        let message = self.log(channel).and_then(|log| log.get(ts));
        message.map_or(Value::Null, |message| {
            self.message_json(&caller.team, channel, message, true)
        })
    }
}

fn subject(caller: &Caller, channel: &ChannelId, message: &Message, ts: Ts) -> Subject {
    Subject {
        team: caller.team.clone(),
        channel: channel.clone(),
        user: message.user.clone(),
        ts: Some(ts),
        text: message.text.clone(),
        ..Subject::default()
    }
}
