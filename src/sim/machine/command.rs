//! Slash commands: running them, their answers, their `response_url`.

use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::{Draft, Machine, Parcel, Wrong};
use crate::sim::record::{Subject, Via, What};
use crate::sim::world::{App, Transport};
use crate::slack::id::{AppId, ChannelId, TeamId, Ts, UserId};

/// How often a `response_url` may be used.
const HOOK_USES_MAX: u32 = 5;
/// Microseconds for which a `response_url` may be used.
const HOOK_LIFE_US: u64 = 30 * 60 * 1_000_000;

/// A command that somebody ran.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) team: TeamId,
    pub(crate) channel: ChannelId,
    pub(crate) user: UserId,
    pub(crate) app: AppId,
    pub(crate) command: String,
    pub(crate) envelope_id: String,
    pub(crate) trigger_id: String,
}

/// A `response_url`.
#[derive(Debug)]
pub(crate) struct Hook {
    run: Run,
    uses: u32,
    until_us: u64,
}

impl Machine {
    /// A person runs a slash command; the outcome comes later.
    pub(crate) fn command(
        &mut self,
        team: &TeamId,
        channel: &ChannelId,
        user: &UserId,
        command: &str,
        text: &str,
    ) -> Result<Run, Wrong> {
        self.check_place(team, channel, user)?;
        let answers = |app: &&App| {
            app.transport == Transport::Socket
                && app.commands.iter().any(|known| known.name == command)
                && app.install_in(team).is_some()
        };
        let Some(app) = self.world.apps().iter().rev().find(answers) else {
            let detail = format!("no app in workspace `{team}` has the command `{command}`");
            return Err(Wrong::new("unknown_command", detail));
        };
        let app = app.id.clone();
        let trigger_id = format!(
            "{}.{}.{}",
            self.unix_s(),
            self.next_number(),
            self.next_hex()
        );
        let run = Run {
            team: team.clone(),
            channel: channel.clone(),
            user: user.clone(),
            app,
            command: command.to_owned(),
            envelope_id: self.next_uuid(),
            trigger_id,
        };
        self.note(What::CommandRun {
            team: team.clone(),
            channel: channel.clone(),
            user: user.clone(),
            command: command.to_owned(),
            text: text.to_owned(),
            envelope_id: run.envelope_id.clone(),
        });
        self.owe_command(&run, text);
        Ok(run)
    }

    fn owe_command(&mut self, run: &Run, text: &str) {
        let path = format!(
            "/hooks/commands/{}/{}/{}",
            run.team,
            self.next_number(),
            self.next_hex()
        );
        let response_url = format!("{}{path}", self.root);
        let hook = Hook {
            run: run.clone(),
            uses: 0,
            until_us: self.now_us.saturating_add(HOOK_LIFE_US),
        };
        self.hooks.insert(path, hook);
        let domain = self.world.find_team(&run.team).map(|team| &team.domain);
        let channel = self.world.find_channel(&run.team, &run.channel);
        let user = self.world.find_user(&run.team, &run.user);
        let payload = to_raw_value(&json!({
            "token": "simulated", "team_id": run.team, "team_domain": domain,
            "channel_id": run.channel, "channel_name": channel.map(|channel| &channel.name),
            "user_id": run.user, "user_name": user.map(|user| &user.name),
            "command": run.command, "text": text, "api_app_id": run.app, "is_enterprise_install": "false",
            "response_url": response_url, "trigger_id": run.trigger_id,
        }));
        let Ok(payload) = payload else {
            return;
        };
        let subject = Subject {
            app: run.app.clone(),
            team: run.team.clone(),
            kind: "slash_commands".to_owned(),
            event_id: None,
            channel: run.channel.clone(),
            user: run.user.clone(),
            ts: None,
            text: format!("{} {text}", run.command).trim_end().to_owned(),
        };
        let parcel = Parcel {
            subject,
            payload,
            run: Some(run.clone()),
        };
        self.book.owe(self.now_us, &run.envelope_id, false, parcel);
        self.send(&run.envelope_id, 0);
    }

    /// The user sees that the command failed.
    pub(super) fn command_failed(&mut self, run: &Run, error: &str) {
        self.note(What::CommandFailed {
            team: run.team.clone(),
            channel: run.channel.clone(),
            user: run.user.clone(),
            command: run.command.clone(),
            envelope_id: run.envelope_id.clone(),
            error: error.to_owned(),
        });
        self.live(|_| {
            json!({"type": "command_failed", "team": run.team, "channel": run.channel, "user": run.user,
                "command": run.command, "error": error})
        });
    }

    /// Shows an answer to a command: to the user alone, unless it says `in_channel`.
    pub(super) fn answered(&mut self, run: &Run, via: Via, answer: &Value) {
        let wrapped;
        let answer = if let Value::String(text) = answer {
            wrapped = json!({"text": text});
            &wrapped
        } else {
            answer
        };
        let text = answer
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let blocks = answer.get("blocks").cloned();
        let attachments = answer.get("attachments").cloned();
        if text.is_empty() && blocks.is_none() && attachments.is_none() {
            return;
        }
        let is_public = answer
            .get("response_type")
            .is_some_and(|kind| kind == "in_channel");
        let install = self.world.find_install(&run.app, &run.team).cloned();
        let Some(install) = install.filter(|_| is_public) else {
            return self.show_ephemeral(run, via, answer);
        };
        let thread_ts = answer
            .get("thread_ts")
            .and_then(Value::as_str)
            .map(Ts::from);
        let draft = Draft {
            user: install.user,
            bot: Some((install.bot, run.app.clone())),
            text: text.to_owned(),
            thread_ts: thread_ts.and_then(|ts| self.parent_of(&run.channel, &ts)),
            blocks,
            attachments,
            ..Draft::default()
        };
        self.store(&run.team, &run.channel, draft, via);
    }

    /// A `response_url` is used: [`HOOK_USES_MAX`] times within [`HOOK_LIFE_US`]. `replace_original` and
    /// `delete_original` change nothing, since a command has no original message.
    pub(crate) fn hook(&mut self, path: &str, body: Option<&Value>) -> Result<(), &'static str> {
        let now_us = self.now_us;
        let known = self.hooks.get_mut(path);
        let run = known.as_ref().map(|hook| hook.run.clone());
        let outcome = match (known, body) {
            (None, _) => Err("unknown_url"),
            (Some(hook), _) if now_us > hook.until_us => Err("expired_url"),
            (Some(hook), _) if hook.uses >= HOOK_USES_MAX => Err("used_url"),
            (Some(_), None) => Err("invalid_payload"),
            (Some(hook), Some(body)) => {
                hook.uses += 1;
                Ok(body)
            }
        };
        self.note(What::ResponseUrlUsed {
            path: path.to_owned(),
            team: run.as_ref().map(|run| run.team.clone()),
            envelope_id: run.as_ref().map(|run| run.envelope_id.clone()),
            body: body.cloned().unwrap_or_default(),
            ok: outcome.is_ok(),
            error: outcome.err().map(str::to_owned),
        });
        let body = outcome?;
        let is_delete = body
            .get("delete_original")
            .is_some_and(|it| it == true || it == "true");
        if let Some(run) = run.filter(|_| !is_delete) {
            self.answered(&run, Via::ResponseUrl, body);
        }
        Ok(())
    }
}
