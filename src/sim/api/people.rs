//! `users.*`.

use serde_json::{Value, json};

use super::{Args, Caller, Machine, Outcome, Refusal};
use crate::sim::world::User;
use crate::slack::id::UserId;

impl Machine {
    pub(super) fn users_list(&self, caller: &Caller, args: &Args) -> Outcome {
        let team = self
            .world
            .find_team(&caller.team)
            .ok_or("account_inactive")?;
        let (page, next) = args.page(&team.users, 1000, 1000)?;
        let members: Vec<Value> = page
            .iter()
            .map(|user| self.user_json(caller, user))
            .collect();
        Ok(
            json!({"ok": true, "members": members, "cache_ts": self.started_s(),
            "response_metadata": {"next_cursor": next}}),
        )
    }

    pub(super) fn users_info(&self, caller: &Caller, args: &Args) -> Outcome {
        let id = args.text("user").ok_or_else(|| Refusal::missing("user"))?;
        let user = self.world.find_user(&caller.team, &UserId::new(id));
        let user = user.ok_or("user_not_found")?;
        Ok(json!({"ok": true, "user": self.user_json(caller, user)}))
    }

    fn user_json(&self, caller: &Caller, user: &User) -> Value {
        let is_bot = user.bot.is_some();
        let mut profile = json!({
            "title": "", "phone": "", "skype": "", "real_name": user.real_name,
            "real_name_normalized": user.real_name, "display_name": user.name,
            "display_name_normalized": user.name, "status_text": "", "status_emoji": "",
            "status_expiration": 0, "avatar_hash": "simulated", "team": caller.team,
        });
        if let (Some((bot, app)), Some(fields)) = (&user.bot, profile.as_object_mut()) {
            fields.insert("bot_id".to_owned(), json!(bot));
            fields.insert("api_app_id".to_owned(), json!(app));
        }
        json!({
            "id": user.id, "team_id": caller.team, "name": user.name, "deleted": false, "color": "9f69e7",
            "real_name": user.real_name, "tz": "Etc/UTC", "tz_label": "Coordinated Universal Time",
            "tz_offset": 0, "profile": profile, "is_admin": false, "is_owner": false, "is_primary_owner": false,
            "is_restricted": false, "is_ultra_restricted": false, "is_bot": is_bot, "is_app_user": false,
            "updated": self.started_s(), "is_email_confirmed": !is_bot,
        })
    }
}
