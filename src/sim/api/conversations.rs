//! `conversations.*`.

use serde_json::{Value, json};

use super::args::cursor;
use super::{Args, Caller, Machine, Outcome, Refusal};
use crate::sim::message::{Message, Range};
use crate::sim::world::Channel;
use crate::slack::id::{ChannelId, Ts};

impl Machine {
    pub(super) fn conversations_list(&self, caller: &Caller, args: &Args) -> Outcome {
        let team = self
            .world
            .find_team(&caller.team)
            .ok_or("account_inactive")?;
        let types = args
            .text("types")
            .unwrap_or_else(|| "public_channel".to_owned());
        for kind in types.split(',') {
            if !["public_channel", "private_channel", "mpim", "im"].contains(&kind.trim()) {
                return Err("invalid_types".into());
            }
        }
        let is_public = types.split(',').any(|kind| kind.trim() == "public_channel");
        let channels = if is_public {
            team.channels.as_slice()
        } else {
            &[]
        };
        let (page, next) = args.page(channels, 100, 1000)?;
        let channels: Vec<Value> = page
            .iter()
            .map(|it| self.channel_json(caller, it))
            .collect();
        Ok(json!({"ok": true, "channels": channels, "response_metadata": {"next_cursor": next}}))
    }

    pub(super) fn conversations_info(&self, caller: &Caller, args: &Args) -> Outcome {
        let channel = self.given_channel(caller, args)?;
        let found = self.world.find_channel(&caller.team, &channel);
        let found = found.ok_or("channel_not_found")?;
        let mut shape = self.channel_json(caller, found);
        if !args.is_set("include_num_members")
            && let Some(fields) = shape.as_object_mut()
        {
            fields.remove("num_members");
        }
        Ok(json!({"ok": true, "channel": shape}))
    }

    pub(super) fn conversations_members(&self, caller: &Caller, args: &Args) -> Outcome {
        let channel = self.given_channel(caller, args)?;
        let found = self.world.find_channel(&caller.team, &channel);
        let members = &found.ok_or("channel_not_found")?.members;
        let (page, next) = args.page(members, 100, 1000)?;
        Ok(json!({"ok": true, "members": page, "response_metadata": {"next_cursor": next}}))
    }

    pub(super) fn conversations_history(&self, caller: &Caller, args: &Args) -> Outcome {
        let channel = self.readable_channel(caller, args)?;
        let range = range(args, 100, 999)?;
        let start = args.cursor()?.map(Ts::new);
        let (page, next) = match self.log(&channel) {
            Some(log) => log.history(&range, start.as_ref()),
            None => (Vec::new(), None),
        };
        let mut body = self.page_json(caller, &channel, args, &page, next);
        if let Some(fields) = body.as_object_mut() {
            fields.insert("pin_count".to_owned(), json!(0));
        }
        Ok(body)
    }

    pub(super) fn conversations_replies(&self, caller: &Caller, args: &Args) -> Outcome {
        let channel = self.readable_channel(caller, args)?;
        let ts = args.text("ts").ok_or_else(|| Refusal::missing("ts"))?;
        let parent = self
            .parent_of(&channel, &Ts::new(ts))
            .ok_or("thread_not_found")?;
        let range = range(args, 1000, 1000)?;
        let start = args.cursor()?.map(Ts::new);
        let log = self.log(&channel).ok_or("thread_not_found")?;
        let found = log.replies(&parent, &range, start.as_ref());
        let (page, next) = found.ok_or("thread_not_found")?;
        Ok(self.page_json(caller, &channel, args, &page, next))
    }

    fn page_json(
        &self,
        caller: &Caller,
        channel: &ChannelId,
        args: &Args,
        page: &[&Message],
        next: Option<Ts>,
    ) -> Value {
        let with_metadata = args.is_set("include_all_metadata");
        let shapes = page
            .iter()
            .map(|message| self.message_json(&caller.team, channel, message, with_metadata));
        let messages: Vec<Value> = shapes.collect();
        let has_more = next.is_some();
        let next = next.map(|ts| cursor(ts.as_str())).unwrap_or_default();
        json!({"ok": true, "messages": messages, "has_more": has_more,
            "response_metadata": {"next_cursor": next}})
    }

    /// The channel of the argument `channel`, which must be an id here.
    fn given_channel(&self, caller: &Caller, args: &Args) -> Result<ChannelId, Refusal> {
        let id = args
            .text("channel")
            .ok_or_else(|| Refusal::missing("channel"))?;
        let channel = ChannelId::new(id);
        match self.world.find_channel(&caller.team, &channel) {
            Some(_) => Ok(channel),
            None => Err("channel_not_found".into()),
        }
    }

    /// The same, and the bot is a member.
    fn readable_channel(&self, caller: &Caller, args: &Args) -> Result<ChannelId, Refusal> {
        let channel = self.given_channel(caller, args)?;
        let install = self.world.find_install(&caller.app, &caller.team);
        let user = &install.ok_or("account_inactive")?.user;
        let found = self.world.find_channel(&caller.team, &channel);
        if found.is_some_and(|found| found.has(user)) {
            Ok(channel)
        } else {
            Err("not_in_channel".into())
        }
    }

    fn channel_json(&self, caller: &Caller, channel: &Channel) -> Value {
        let install = self.world.find_install(&caller.app, &caller.team);
        let is_member = install.is_some_and(|install| channel.has(&install.user));
        json!({
            "id": channel.id, "name": channel.name, "name_normalized": channel.name, "previous_names": [],
            "is_channel": true, "is_group": false, "is_im": false, "is_mpim": false, "is_private": false,
            "is_archived": false, "is_general": channel.name == "general", "is_member": is_member,
            "is_shared": false, "is_org_shared": false, "is_ext_shared": false, "is_pending_ext_shared": false,
            "is_frozen": false, "created": self.started_s(), "updated": self.started_s() * 1000, "unlinked": 0,
            "creator": channel.members.first(), "context_team_id": caller.team, "shared_team_ids": [caller.team],
            "pending_shared": [], "pending_connected_team_ids": [], "parent_conversation": null,
            "num_members": channel.members.len(), "topic": {"value": channel.topic, "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        })
    }
}

fn range(args: &Args, usual: usize, most: usize) -> Result<Range, Refusal> {
    let bound = |name, error: &'static str| match args.text(name) {
        None => Ok(None),
        Some(text) => whole(&text).map(Some).ok_or(Refusal::from(error)),
    };
    Ok(Range {
        oldest: bound("oldest", "invalid_ts_oldest")?,
        latest: bound("latest", "invalid_ts_latest")?,
        is_inclusive: args.is_set("inclusive"),
        limit: args.limit(usual, most)?,
    })
}

/// A timestamp in full length, so that it compares as text; callers may leave digits out (`0`, `1700000000`).
fn whole(text: &str) -> Option<Ts> {
    let (seconds, micros) = text.split_once('.').unwrap_or((text, ""));
    let seconds: u64 = seconds.parse().ok()?;
    if micros.len() > 6 || !micros.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Ts::new(format!("{seconds:010}.{micros:0<6}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_may_leave_digits_out() {
        assert_eq!(whole("0"), Some(Ts::from("0000000000.000000")));
        assert_eq!(whole("1700000000.5"), Some(Ts::from("1700000000.500000")));
        assert_eq!(whole("soon"), None);
        assert_eq!(whole("1.1234567"), None);
    }
}
