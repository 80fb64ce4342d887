//! RTM: flat event frames out, `message`, `ping` and `typing` in.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Draft, Machine, Opens, Out, event};
use crate::sim::record::{SocketId, Via, What};
use crate::slack::id::{AppId, ChannelId, TeamId, Ts};

/// Frames kept for a client that has a ticket and has not connected yet; older ones give way.
const BACKLOG_FRAMES_MAX: usize = 1000;

impl Machine {
    /// Issues the address of an RTM socket.
    pub(crate) fn rtm_url(&mut self, app: &AppId, team: &TeamId) -> String {
        let ticket = self.next_hex();
        let url = format!("{}/websocket/{ticket}", self.ws_root());
        let opens = Opens::Rtm {
            app: app.clone(),
            team: team.clone(),
            backlog: Vec::new(),
        };
        self.tickets.issue(self.now_us, ticket, opens);
        url
    }

    pub(super) fn open_rtm(
        &mut self,
        app: &AppId,
        team: &TeamId,
        backlog: Vec<(Value, Arc<str>)>,
    ) -> SocketId {
        self.last_socket += 1;
        let socket = self.last_socket;
        self.push(socket, &json!({"type": "hello"}));
        self.register(socket, app.clone(), Some(team.clone()));
        for (frame, text) in backlog {
            self.rtm_send(socket, app, team, frame, text);
        }
        socket
    }

    /// Sends an event to every RTM socket of an app in a workspace, and keeps it for those that hold a ticket.
    pub(super) fn rtm_event(&mut self, app: &AppId, team: &TeamId, frame: &Value) {
        let text = event::shared(frame);
        for opens in self.tickets.waiting(self.now_us) {
            if let Opens::Rtm {
                app: a,
                team: t,
                backlog,
            } = opens
                && a == app
                && t == team
            {
                if backlog.len() >= BACKLOG_FRAMES_MAX {
                    backlog.remove(0);
                }
                backlog.push((frame.clone(), Arc::clone(&text)));
            }
        }
        let stage = self.stages.get(&(app.clone(), Some(team.clone())));
        let sockets = stage.map_or(&[][..], |stage| stage.sockets()).to_vec();
        for socket in sockets {
            self.rtm_send(socket, app, team, frame.clone(), Arc::clone(&text));
        }
    }

    fn rtm_send(
        &mut self,
        socket: SocketId,
        app: &AppId,
        team: &TeamId,
        frame: Value,
        text: Arc<str>,
    ) {
        self.note(What::RtmSent {
            socket,
            app: app.clone(),
            team: team.clone(),
            frame,
        });
        self.outs.push(Out::Frame(socket, text));
    }

    pub(super) fn rtm_received(
        &mut self,
        socket: SocketId,
        app: &AppId,
        team: &TeamId,
        mut frame: Value,
    ) {
        if let Some(fields) = frame.as_object_mut() {
            fields.remove("token");
        }
        self.note(What::RtmReceived {
            socket,
            frame: frame.clone(),
        });
        let id = frame.get("id").cloned().unwrap_or_default();
        let reply = match frame.get("type").and_then(Value::as_str) {
            Some("ping") => Some(pong(frame)),
            Some("message") => Some(self.rtm_post(app, team, &frame, &id)),
            Some("typing" | "presence_sub" | "presence_query") => None,
            _ => Some(failed(&id, 5, "unknown message type")),
        };
        if let Some(reply) = reply {
            let text = event::shared(&reply);
            self.rtm_send(socket, app, team, reply, text);
        }
    }

    fn rtm_post(&mut self, app: &AppId, team: &TeamId, frame: &Value, id: &Value) -> Value {
        let field = |name| frame.get(name).and_then(Value::as_str).unwrap_or_default();
        let text = field("text");
        if text.is_empty() {
            return failed(id, 2, "message text is missing");
        }
        let channel = ChannelId::from(field("channel"));
        let Some(install) = self.world.find_install(app, team).cloned() else {
            return failed(id, 3, "this app is not installed here");
        };
        if let Err(wrong) = self.check_place(team, &channel, &install.user) {
            return failed(id, 3, &wrong.detail);
        }
        let thread_ts = frame.get("thread_ts").and_then(Value::as_str).map(Ts::from);
        let draft = Draft {
            user: install.user,
            bot: Some((install.bot, app.clone())),
            text: text.to_owned(),
            thread_ts: thread_ts.and_then(|ts| self.parent_of(&channel, &ts)),
            ..Draft::default()
        };
        let ts = self.store(team, &channel, draft, Via::Rtm);
        json!({"ok": true, "reply_to": id, "ts": ts, "text": text})
    }
}

/// The answer to a ping: everything that came with it, and `reply_to` in place of `id`.
fn pong(mut frame: Value) -> Value {
    if let Some(fields) = frame.as_object_mut() {
        fields.insert("type".to_owned(), json!("pong"));
        if let Some(id) = fields.remove("id") {
            fields.insert("reply_to".to_owned(), id);
        }
    }
    frame
}

fn failed(id: &Value, code: i64, msg: &str) -> Value {
    json!({"ok": false, "reply_to": id, "error": {"code": code, "msg": msg}})
}
