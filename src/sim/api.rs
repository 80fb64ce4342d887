//! The Web API: one call in, one answer out, decided by the machine in the same moment.

mod args;
mod chat;
mod conversations;
mod people;

use serde_json::{Map, Value, json};

pub(crate) use args::Args;

use super::Fault;
use super::machine::Machine;
use super::record::What;
use super::world::{Holder, Transport};
use crate::slack::id::{AppId, TeamId, Ts};

/// A call as it came.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) is_get: bool,
    pub(crate) token: Option<String>,
    pub(crate) args: Args,
    /// Set when the body could not be read: Slack's word for it.
    pub(crate) broken: Option<&'static str>,
}

/// What the caller gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) delay_ms: u64,
    pub(crate) body: Body,
}

/// The body of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// JSON.
    Json(Value),
    /// The page of an outage.
    Html,
    /// Nothing.
    Empty,
    /// None: the connection is cut.
    Cut,
}

/// Slack's refusal: an error word, and what is wrong with the arguments, if they are wrong.
#[derive(Debug)]
struct Refusal {
    error: String,
    messages: Vec<String>,
}

impl Refusal {
    fn missing(field: &str) -> Self {
        Self {
            error: "invalid_arguments".to_owned(),
            messages: vec![format!("[ERROR] missing required field: {field}")],
        }
    }

    fn json(&self) -> Value {
        let mut body = json!({"ok": false, "error": self.error});
        if let Some(fields) = body.as_object_mut().filter(|_| !self.messages.is_empty()) {
            let metadata = json!({"messages": self.messages});
            fields.insert("response_metadata".to_owned(), metadata);
        }
        body
    }
}

impl From<&str> for Refusal {
    fn from(error: &str) -> Self {
        Self {
            error: error.to_owned(),
            messages: Vec::new(),
        }
    }
}

type Outcome = Result<Value, Refusal>;

/// The bot that calls.
#[derive(Debug, Clone)]
struct Caller {
    app: AppId,
    team: TeamId,
}

const METHODS: [&str; 14] = [
    "apps.connections.open",
    "auth.test",
    "chat.postMessage",
    "chat.update",
    "conversations.history",
    "conversations.info",
    "conversations.list",
    "conversations.members",
    "conversations.replies",
    "reactions.add",
    "rtm.connect",
    "rtm.start",
    "users.info",
    "users.list",
];

impl Machine {
    /// Decides a call and writes it down.
    pub(crate) fn call(&mut self, call: &Call) -> Answer {
        let fault = self.faults.strike(&call.method);
        let (refused, delay_ms, is_cut) = match &fault {
            None => (None, 0, false),
            Some(Fault::Delay { ms }) => (None, *ms, false),
            Some(Fault::CutAfter) => (None, 0, true),
            Some(fault) => (Some(struck(fault)), 0, *fault == Fault::CutBefore),
        };
        let mut answer = refused.unwrap_or_else(|| {
            let outcome = self.decide(call);
            let body = outcome.unwrap_or_else(|refusal| refusal.json());
            Answer {
                status: 200,
                retry_after_s: None,
                delay_ms,
                body: Body::Json(body),
            }
        });
        self.write_down(call, &answer, fault, is_cut);
        if is_cut {
            answer.body = Body::Cut;
        }
        answer
    }

    fn write_down(&mut self, call: &Call, answer: &Answer, fault: Option<Fault>, is_cut: bool) {
        let empty = Map::new();
        let body = match &answer.body {
            Body::Json(body) => body.as_object().unwrap_or(&empty),
            Body::Html | Body::Empty | Body::Cut => &empty,
        };
        let text = |name| body.get(name).and_then(Value::as_str);
        let ok = body.get("ok").is_some_and(|ok| ok == true);
        let ts = text("ts").map(Ts::from);
        let error = text("error").map(str::to_owned);
        let (app, team) = match call
            .token
            .as_deref()
            .and_then(|token| self.world.holder(token))
        {
            Some(Holder::App(app)) => (Some(app.clone()), None),
            Some(Holder::Bot(app, team)) => (Some(app.clone()), Some(team.clone())),
            None => (None, None),
        };
        let is_post = call.method == "chat.postMessage";
        let what = What::Call {
            method: call.method.clone(),
            app,
            team,
            args: call.args.shown(),
            ok,
            error,
            status: if is_cut { 0 } else { answer.status },
            ts,
            metadata: call.args.json("metadata").filter(|_| is_post),
            fault,
        };
        self.note_call(what);
    }

    fn decide(&mut self, call: &Call) -> Outcome {
        if !METHODS.contains(&call.method.as_str()) {
            let mut refusal = Refusal::from("unknown_method");
            refusal.messages = Vec::new();
            return Err(refusal);
        }
        if let Some(broken) = call.broken {
            return Err(broken.into());
        }
        let token = call.token.as_deref().ok_or("not_authed")?;
        let holder = self.world.holder(token).cloned().ok_or("invalid_auth")?;
        let is_open = call.method == "apps.connections.open";
        match holder {
            Holder::App(app) if is_open => {
                if call.is_get {
                    return Err("insecure_request".into());
                }
                Ok(json!({"ok": true, "url": self.link_url(&app)}))
            }
            Holder::Bot(app, team) if !is_open => self.bot_call(&Caller { app, team }, call),
            Holder::App(_) | Holder::Bot(..) => Err("not_allowed_token_type".into()),
        }
    }

    fn bot_call(&mut self, caller: &Caller, call: &Call) -> Outcome {
        let args = &call.args;
        match call.method.as_str() {
            "auth.test" => self.auth_test(caller),
            "rtm.connect" | "rtm.start" => self.rtm_connect(caller),
            "chat.postMessage" => self.chat_post(caller, args),
            "chat.update" => self.chat_update(caller, args),
            "reactions.add" => self.reactions_add(caller, args),
            "conversations.list" => self.conversations_list(caller, args),
            "conversations.info" => self.conversations_info(caller, args),
            "conversations.history" => self.conversations_history(caller, args),
            "conversations.replies" => self.conversations_replies(caller, args),
            "conversations.members" => self.conversations_members(caller, args),
            "users.list" => self.users_list(caller, args),
            "users.info" => self.users_info(caller, args),
            _ => Err("unknown_method".into()),
        }
    }

    fn auth_test(&self, caller: &Caller) -> Outcome {
        let install = self.world.find_install(&caller.app, &caller.team);
        let install = install.ok_or("account_inactive")?;
        let team = self
            .world
            .find_team(&caller.team)
            .ok_or("account_inactive")?;
        let app = self.world.find_app(&caller.app).ok_or("account_inactive")?;
        Ok(json!({
            "ok": true, "url": format!("https://{}.slack.com/", team.domain), "team": team.name,
            "user": app.name, "team_id": team.id, "user_id": install.user, "bot_id": install.bot,
            "app_id": app.id, "app_name": app.name, "is_enterprise_install": false,
        }))
    }

    fn rtm_connect(&mut self, caller: &Caller) -> Outcome {
        let app = self.world.find_app(&caller.app).ok_or("account_inactive")?;
        if app.transport != Transport::Rtm {
            return Err("not_allowed_token_type".into());
        }
        let install = self.world.find_install(&caller.app, &caller.team);
        let install = install.ok_or("account_inactive")?;
        let team = self
            .world
            .find_team(&caller.team)
            .ok_or("account_inactive")?;
        let mut body = json!({
            "ok": true, "self": {"id": install.user, "name": app.name},
            "team": {"id": team.id, "name": team.name, "domain": team.domain},
        });
        let url = self.rtm_url(&caller.app, &caller.team);
        if let Some(fields) = body.as_object_mut() {
            fields.insert("url".to_owned(), json!(url));
        }
        Ok(body)
    }
}

/// The answer to a call that a fault refuses.
fn struck(fault: &Fault) -> Answer {
    let json = |error: &str| Body::Json(json!({"ok": false, "error": error}));
    let (status, retry_after_s, body) = match fault {
        Fault::Error { code } => (200, None, json(code)),
        Fault::RateLimited { retry_after_s } => (429, Some(*retry_after_s), json("ratelimited")),
        Fault::RateLimitedBare { retry_after_s } => (429, *retry_after_s, Body::Empty),
        Fault::Page => (200, None, Body::Html),
        Fault::Outage { status } => (*status, None, Body::Html),
        Fault::Delay { .. } | Fault::CutBefore | Fault::CutAfter => (0, None, Body::Cut),
    };
    Answer {
        status,
        retry_after_s,
        delay_ms: 0,
        body,
    }
}

#[cfg(test)]
mod tests;
