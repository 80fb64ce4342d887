//! The connections of a running process, from outside: what there is, and apps and tokens added, stopped, revived and
//! removed without touching the others.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use super::shell::{Change, Open, Pass, SupervisorShell, Told, Wish};
use crate::actor::port::WayBack;
use crate::base::limits::{SLOTS_DEFAULT, SLOTS_MAX, SocketTimes};
use crate::base::secret::Secret;
use crate::flow::identity::Installs;
use crate::flow::key::AppName;
use crate::ingress::connection::Order;
use crate::ingress::{Line, LineReport, Standings, Transport};

/// How long the Supervisor may take to answer; it does nothing that takes time.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// An app that is to be connected.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// Its name: `a-z`, `0-9` and `-`.
    pub name: String,
    /// The app-level token; without one its bot tokens connect over RTM.
    pub app_token: Option<Secret>,
    /// A bot token for each workspace.
    pub bot_tokens: Vec<Secret>,
    /// How many sockets a Socket Mode token keeps, 1 to [`SLOTS_MAX`].
    pub slots: usize,
    /// Whether what came over RTM during a gap is asked for afterwards.
    pub backfill: bool,
    /// How long its sockets may take for what, where it is not as for the others.
    pub times: Option<SocketTimes>,
    /// Whether sockets that are lost are replaced.
    pub auto_reconnect: bool,
}

impl Default for NewApp {
    fn default() -> Self {
        Self {
            name: String::new(),
            app_token: None,
            bot_tokens: Vec::new(),
            slots: SLOTS_DEFAULT,
            backfill: false,
            times: None,
            auto_reconnect: true,
        }
    }
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// There is no connection and no app of that name.
    Unknown(String),
    /// There is one already.
    Known(String),
    /// An app without what it needs.
    Incomplete(&'static str),
    /// The process is stopping, or its thread is blocked.
    Unheard,
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(
                f,
                "there is no connection and no app {name:?}; `callboard inspect connections` lists them"
            ),
            Self::Known(name) => {
                write!(f, "there is a connection {name:?} already; remove it first")
            }
            Self::Incomplete(why) => f.write_str(why),
            Self::Unheard => f.write_str("the process does not answer: it is stopping, or blocked"),
        }
    }
}

impl std::error::Error for NotDone {}

/// The connections of a running process. Cheap to clone; every method may block for a moment, and none may be called
/// on an actor's thread.
#[derive(Debug, Clone)]
pub struct Connections {
    supervisor: WayBack<SupervisorShell>,
    standings: Standings,
    installs: Installs,
    times: SocketTimes,
    lines: Arc<Mutex<Vec<Line>>>,
}

impl Connections {
    /// The connections of this supervisor, none yet; their sockets may take so long, unless an app says otherwise.
    pub fn new(
        supervisor: WayBack<SupervisorShell>,
        standings: Standings,
        installs: Installs,
        times: SocketTimes,
    ) -> Self {
        Self {
            supervisor,
            standings,
            installs,
            times,
            lines: Arc::default(),
        }
    }

    /// The tokens that are connected, or to be connected, in order of their adding.
    pub fn lines(&self) -> Vec<Line> {
        self.locked().clone()
    }

    /// How each stands, in full.
    pub fn report(&self) -> Vec<LineReport> {
        self.standings.report()
    }

    /// Connects one more app; for an RTM app that is there already, one more token of it. Says how its connections
    /// are called.
    ///
    /// # Errors
    /// When it is there already, or lacks a token.
    pub fn add(&self, app: NewApp) -> Result<Vec<String>, NotDone> {
        let added = self.prepare(app)?;
        let names = added.iter().map(|line| line.name.clone()).collect();
        for line in added {
            Self::ask(|told| self.supervisor.send(Open(line, Some(told))))?;
        }
        Ok(names)
    }

    /// The connections of an app, remembered and not opened yet: what an earlier run left waits for them from now on.
    ///
    /// # Errors
    /// When it is there already, or lacks a token.
    pub fn prepare(&self, app: NewApp) -> Result<Vec<Line>, NotDone> {
        let mut lines = self.locked();
        let new = lines_of(app, &lines, self.times)?;
        for line in &new {
            self.installs.expect(&line.app);
        }
        lines.extend(new.iter().cloned());
        Ok(new)
    }

    /// Opens connections that were prepared. Waits for nothing.
    pub fn open(&self, lines: Vec<Line>) {
        for line in lines {
            self.supervisor.send(Open(line, None));
        }
    }

    /// Closes the sockets of a connection, or of all of an app's, until it is revived.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn stop(&self, name: &str) -> Result<Vec<String>, NotDone> {
        self.change(name, Wish::Stop)
    }

    /// Connects again now, whatever stopped it or makes it wait.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn revive(&self, name: &str) -> Result<Vec<String>, NotDone> {
        self.change(name, Wish::Revive)
    }

    /// Closes the sockets of a connection, or of all of an app's, and forgets it. What it brought is handled all the
    /// same.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn remove(&self, name: &str) -> Result<Vec<String>, NotDone> {
        let removed = self.change(name, Wish::Remove)?;
        self.locked().retain(|line| !removed.contains(&line.name));
        Ok(removed)
    }

    /// Passes an order on to a connection, or to all of an app's.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn order(&self, name: &str, order: impl Fn() -> Order) -> Result<Vec<String>, NotDone> {
        self.each(name, |name, told| {
            self.supervisor.send(Pass(name, order(), told));
        })
    }

    fn change(&self, name: &str, wish: Wish) -> Result<Vec<String>, NotDone> {
        self.each(name, |name, told| {
            self.supervisor.send(Change(name, wish, told));
        })
    }

    fn each(&self, name: &str, send: impl Fn(String, Told)) -> Result<Vec<String>, NotDone> {
        let names: Vec<String> = {
            let lines = self.locked();
            let meant = lines.iter();
            meant
                .filter(|line| line.name == name || line.app.as_str() == name)
                .map(|line| line.name.clone())
                .collect()
        };
        if names.is_empty() {
            return Err(NotDone::Unknown(name.to_owned()));
        }
        for name in &names {
            Self::ask(|told| send(name.clone(), told))?;
        }
        Ok(names)
    }

    fn ask(send: impl FnOnce(Told)) -> Result<bool, NotDone> {
        let (tell, told) = mpsc::sync_channel(1);
        send(tell);
        // A supervisor that is gone drops the message, and with it the other end.
        told.recv_timeout(ANSWER_WITHIN)
            .map_err(|_gone| NotDone::Unheard)
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection for an app-level token, or one for each bot token over RTM, named apart from what is there.
fn lines_of(app: NewApp, known: &[Line], times: SocketTimes) -> Result<Vec<Line>, NotDone> {
    let name = AppName::new(&app.name);
    if app.name.is_empty() || app.bot_tokens.is_empty() {
        return Err(NotDone::Incomplete("an app needs a name and a bot token"));
    }
    let is_rtm = |line: &Line| matches!(line.transport, Transport::Rtm { .. });
    let same: Vec<&Line> = known.iter().filter(|line| line.app == name).collect();
    if same
        .iter()
        .any(|line| !is_rtm(line) || app.app_token.is_some())
    {
        return Err(NotDone::Known(app.name));
    }
    let line = |name: &AppName, called: String, transport: Transport| Line {
        app: name.clone(),
        name: called,
        transport,
        times: app.times.unwrap_or(times),
        auto_reconnect: app.auto_reconnect,
    };
    if let Some(app_token) = app.app_token {
        let transport = Transport::SocketMode {
            app_token,
            bot_tokens: app.bot_tokens,
            slots: app.slots.clamp(1, SLOTS_MAX),
        };
        return Ok(vec![line(&name, app.name, transport)]);
    }
    let mut number = 0;
    let lines = app.bot_tokens.into_iter().map(|bot_token| {
        let called = loop {
            number += 1;
            let called = format!("{}-{number}", app.name);
            if !known.iter().any(|line| line.name == called) {
                break called;
            }
        };
        let backfill = app.backfill;
        line(
            &name,
            called,
            Transport::Rtm {
                bot_token,
                backfill,
            },
        )
    });
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str, is_socket: bool, tokens: usize) -> NewApp {
        NewApp {
            name: name.to_owned(),
            app_token: is_socket.then(|| Secret::new("xapp-1")),
            bot_tokens: (0..tokens)
                .map(|n| Secret::new(format!("xoxb-{n}")))
                .collect(),
            slots: 40,
            ..NewApp::default()
        }
    }

    fn lines_of(app: NewApp, known: &[Line]) -> Result<Vec<Line>, NotDone> {
        super::lines_of(app, known, SocketTimes::default())
    }

    fn names(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.name.as_str()).collect()
    }

    #[test]
    fn a_line_per_stream_named_apart_from_those_that_are_there() {
        let acme = lines_of(app("acme", true, 3), &[]).unwrap();
        assert_eq!(names(&acme), ["acme"]);
        assert!(matches!(
            acme[0].transport,
            Transport::SocketMode { slots: 9, .. }
        ));
        let mut known = acme;
        known.extend(lines_of(app("old", false, 2), &known).unwrap());
        known.retain(|line| line.name != "old-1");
        known.extend(lines_of(app("old", false, 2), &known).unwrap());
        assert_eq!(names(&known), ["acme", "old-2", "old-1", "old-3"]);
        for (again, why) in [
            (app("acme", true, 1), NotDone::Known("acme".into())),
            (app("acme", false, 1), NotDone::Known("acme".into())),
            (app("old", true, 1), NotDone::Known("old".into())),
        ] {
            assert_eq!(lines_of(again, &known).unwrap_err(), why);
        }
        assert!(matches!(
            lines_of(app("x", true, 0), &[]),
            Err(NotDone::Incomplete(_))
        ));
    }
}
