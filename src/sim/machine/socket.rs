//! Sockets: tickets become sockets, sockets belong to an app, envelopes go round among them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Machine, Manner, Out, event};
use crate::sim::fault::SocketFault;
use crate::sim::record::{By, SocketId, What};
use crate::sim::ticket::Refused;
use crate::sim::world::Transport;
use crate::slack::id::{AppId, TeamId};

/// Open Socket Mode sockets of one app.
const SOCKETS_PER_APP_MAX: usize = 10;
/// Bytes of one frame from a Socket Mode client.
const LINK_FRAME_BYTES_MAX: usize = 20_480;
/// Bytes of one frame from an RTM client.
const RTM_FRAME_BYTES_MAX: usize = 16 * 1024;

/// What a ticket opens.
#[derive(Debug)]
pub(crate) enum Opens {
    /// A Socket Mode socket of an app.
    Link(AppId),
    /// An RTM socket of an app in a workspace, with the frames that came since the ticket was issued.
    Rtm {
        app: AppId,
        team: TeamId,
        backlog: Vec<(Value, Arc<str>)>,
    },
}

/// An open socket.
#[derive(Debug, Clone)]
pub(crate) struct Socket {
    pub(crate) app: AppId,
    /// Set for RTM.
    pub(crate) team: Option<TeamId>,
    /// Told to leave: gets envelopes only when no other socket is there.
    is_leaving: bool,
    /// Gets no envelopes.
    pub(super) is_deaf: bool,
    /// Nobody has it.
    pub(super) is_ghost: bool,
    pub(super) manner: Arc<Manner>,
}

/// The open sockets of an app (Socket Mode) or of an app in a workspace (RTM).
#[derive(Debug, Default)]
pub(crate) struct Stage {
    sockets: Vec<SocketId>,
    turn: usize,
}

impl Stage {
    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    pub(super) fn sockets(&self) -> &[SocketId] {
        &self.sockets
    }
}

impl Machine {
    /// Issues the address of a Socket Mode socket.
    pub(crate) fn link_url(&mut self, app: &AppId) -> String {
        let ticket = self.next_uuid();
        let url = format!("{}/link/?ticket={ticket}&app_id={app}", self.ws_root());
        self.tickets
            .issue(self.now_us, ticket, Opens::Link(app.clone()));
        url
    }

    pub(super) fn ws_root(&self) -> String {
        self.root.replacen("http", "ws", 1)
    }

    /// Opens a socket with a ticket. Its frames wait in the outs. The 11th Socket Mode socket of an app is
    /// opened too, but only to be told so.
    pub(crate) fn open(&mut self, ticket: &str, transport: Transport) -> Result<SocketId, Refused> {
        let opens = self.tickets.take(self.now_us, ticket);
        let opens = opens.and_then(|opens| match (transport, &opens) {
            (Transport::Socket, Opens::Link(_)) | (Transport::Rtm, Opens::Rtm { .. }) => Ok(opens),
            _ => Err(Refused::Unknown),
        });
        match opens {
            Ok(Opens::Link(app)) => Ok(self.open_link(app)),
            Ok(Opens::Rtm { app, team, backlog }) => Ok(self.open_rtm(&app, &team, backlog)),
            Err(refused) => {
                let why = match refused {
                    Refused::Unknown => "unknown_ticket",
                    Refused::Expired => "expired_ticket",
                };
                self.note(What::SocketRefused {
                    app: None,
                    why: why.to_owned(),
                });
                Err(refused)
            }
        }
    }

    fn open_link(&mut self, app: AppId) -> SocketId {
        self.last_socket += 1;
        let socket = self.last_socket;
        let stage = self.stages.get(&(app.clone(), None));
        let open = stage.map_or(0, Stage::len);
        if open >= SOCKETS_PER_APP_MAX {
            self.turn_away(socket, app, "too_many_websockets");
            return socket;
        }
        let fault = self.troubles.strike(&app);
        if let Some(SocketFault::FirstFrame { reason }) = &fault {
            self.turn_away(socket, app, reason);
            return socket;
        }
        self.register(socket, app, None);
        match fault {
            Some(SocketFault::NoHello) => {
                if let Some(found) = self.sockets.get_mut(&socket) {
                    found.is_deaf = true;
                }
            }
            Some(SocketFault::LateHello { ms }) => self.greet(socket, ms),
            Some(fault) => {
                self.greet(socket, 0);
                self.suffer(socket, &fault);
            }
            None => self.greet(socket, 0),
        }
        socket
    }

    /// Opens a socket only to be told to leave.
    fn turn_away(&mut self, socket: SocketId, app: AppId, why: &str) {
        self.push(socket, &disconnect_frame(why));
        self.outs.push(Out::Close(socket, 1000, why.to_owned()));
        self.note(What::SocketRefused {
            app: Some(app),
            why: why.to_owned(),
        });
    }

    pub(super) fn register(&mut self, socket: SocketId, app: AppId, team: Option<TeamId>) {
        let key = (app.clone(), team.clone());
        let stage = self.stages.entry(key).or_default();
        stage.sockets.push(socket);
        let open = stage.len();
        self.sockets.insert(
            socket,
            Socket {
                app: app.clone(),
                team: team.clone(),
                is_leaving: false,
                is_deaf: false,
                is_ghost: false,
                manner: Arc::default(),
            },
        );
        self.note(What::SocketOpened {
            socket,
            app,
            team,
            open,
        });
        self.show_apps();
    }

    fn show_apps(&mut self) {
        self.live(|machine| json!({"type": "apps", "apps": machine.apps_json()}));
    }

    pub(super) fn push(&mut self, socket: SocketId, frame: &Value) {
        self.outs.push(Out::Frame(socket, event::shared(frame)));
    }

    /// The socket whose turn it is.
    pub(super) fn next_socket(&mut self, app: &AppId) -> Option<SocketId> {
        let stage = self.stages.get_mut(&(app.clone(), None))?;
        stage.turn = stage.turn.wrapping_add(1);
        let sockets = &self.sockets;
        let hears = |id: &&SocketId| sockets.get(id).is_some_and(|socket| !socket.is_deaf);
        let stays = |id: &&SocketId| {
            sockets
                .get(id)
                .is_some_and(|socket| !socket.is_leaving && !socket.is_deaf)
        };
        let staying = stage.sockets.iter().filter(stays).count();
        if staying > 0 {
            let nth = stage.turn % staying;
            return stage.sockets.iter().filter(stays).nth(nth).copied();
        }
        let hearing = stage.sockets.iter().filter(hears).count();
        let nth = stage.turn % hearing.max(1);
        stage.sockets.iter().filter(hears).nth(nth).copied()
    }

    /// A text frame came from a client.
    pub(crate) fn received(&mut self, socket: SocketId, text: &str) {
        let Some(found) = self.sockets.get(&socket).cloned() else {
            return self.ignore(socket, "after_close");
        };
        // An ack that comes after its deadline is late, even if the timer has not come round to it yet.
        self.tick();
        let is_rtm = found.team.is_some();
        let bytes_max = if is_rtm {
            RTM_FRAME_BYTES_MAX
        } else {
            LINK_FRAME_BYTES_MAX
        };
        if text.len() > bytes_max {
            return self.too_large(socket, bytes_max);
        }
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            return self.ignore(socket, "not_json");
        };
        if let Some(team) = &found.team {
            return self.rtm_received(socket, &found.app, team, frame);
        }
        match frame.get("envelope_id").and_then(Value::as_str) {
            Some(id) => self.acked(socket, id, frame.get("payload")),
            None => self.ignore(socket, "no_envelope_id"),
        }
    }

    /// A frame was larger than `bytes_max`: the socket is closed with 1009.
    pub(crate) fn too_large(&mut self, socket: SocketId, bytes_max: usize) {
        let text = format!("Max frame length of {bytes_max} has been exceeded.");
        self.outs.push(Out::Close(socket, 1009, text));
        self.ended(socket, By::Simulator, Some(1009), "frame_too_large");
    }

    /// A frame came that means nothing.
    pub(crate) fn ignore(&mut self, socket: SocketId, why: &str) {
        self.note(What::FrameIgnored {
            socket,
            why: why.to_owned(),
        });
    }

    /// A socket is no more; later reports about it are ignored.
    pub(crate) fn ended(&mut self, socket: SocketId, by: By, code: Option<u16>, why: &str) {
        let Some(found) = self.sockets.remove(&socket) else {
            return;
        };
        let key = (found.app.clone(), found.team.clone());
        if let Some(stage) = self.stages.get_mut(&key) {
            stage.sockets.retain(|id| *id != socket);
        }
        let unacked = self.book.outstanding_on(socket);
        self.note(What::SocketClosed {
            socket,
            app: found.app,
            by,
            code,
            why: why.to_owned(),
            unacked,
        });
        self.show_apps();
    }

    /// Ends a socket without a close frame.
    pub(crate) fn cut(&mut self, socket: SocketId, why: &str) {
        self.outs.push(Out::Cut(socket));
        self.ended(socket, By::Simulator, None, why);
    }

    /// The open sockets that fit, in the order of their opening.
    pub(super) fn sockets_where(&self, fits: impl Fn(&Socket) -> bool) -> Vec<(SocketId, AppId)> {
        let found = self.sockets.iter().filter(|(_, socket)| fits(socket));
        let mut found: Vec<_> = found
            .map(|(id, socket)| (*id, socket.app.clone()))
            .collect();
        found.sort_unstable();
        found
    }

    /// Sends `disconnect` on every Socket Mode socket of an app; `then_close` also closes them. Returns how
    /// many were told. After any reason but `warning` a socket gets new envelopes only while no other is there.
    pub(crate) fn disconnect(&mut self, app: &AppId, reason: &str, then_close: bool) -> usize {
        let sockets = self.sockets_where(|it| it.app == *app && it.team.is_none());
        for (socket, app) in &sockets {
            self.push(*socket, &disconnect_frame(reason));
            self.say_farewell(*socket, app, reason, reason != "warning", then_close);
        }
        sockets.len()
    }

    /// Sends `goodbye` on every RTM socket of a workspace and closes it. Returns how many were told.
    pub(crate) fn goodbye(&mut self, team: &TeamId) -> usize {
        self.leave(team, "goodbye")
    }

    /// Sends a frame of this type on every RTM socket of a workspace and closes it.
    pub(super) fn leave(&mut self, team: &TeamId, kind: &str) -> usize {
        let sockets = self.sockets_where(|it| it.team.as_ref() == Some(team));
        for (socket, app) in &sockets {
            self.push(*socket, &json!({"type": kind}));
            self.say_farewell(*socket, app, kind, true, true);
        }
        sockets.len()
    }

    fn say_farewell(
        &mut self,
        socket: SocketId,
        app: &AppId,
        reason: &str,
        is_leaving: bool,
        then_close: bool,
    ) {
        self.note(What::DisconnectSent {
            socket,
            app: app.clone(),
            reason: reason.to_owned(),
        });
        if let Some(found) = self.sockets.get_mut(&socket) {
            found.is_leaving |= is_leaving;
        }
        if then_close {
            self.outs.push(Out::Close(socket, 1000, String::new()));
            self.ended(socket, By::Simulator, Some(1000), "asked");
        }
    }

    /// Cuts every socket of an app without a close frame. Returns how many there were.
    pub(crate) fn drop_sockets(&mut self, app: &AppId) -> usize {
        let sockets = self.sockets_where(|it| it.app == *app);
        for (socket, _) in &sockets {
            self.cut(*socket, "asked");
        }
        sockets.len()
    }
}

fn disconnect_frame(reason: &str) -> Value {
    json!({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}})
}
