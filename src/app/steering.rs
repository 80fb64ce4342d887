//! One connection of a running process, by its name: what Slack's clients let their users do with theirs.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use serde_json::Value;

use super::running::Running;
use crate::base::clock::Clock;
use crate::base::limits::SEND_WITHIN;
use crate::base::secret::Secret;
use crate::ingress::connection::Order;
use crate::ingress::supervisor::NotDone;
use crate::ingress::{LineReport, NotSent, Standing, ToSlack};

/// How often it is looked whether connections are up.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// `name` is a connection's, or an app's and means all of its connections, unless it says otherwise.
impl Running {
    /// Waits until every connection has said hello, and tells whether all have within that time. Those that are stopped
    /// don't count.
    pub fn wait_connected(&self, within: Duration) -> bool {
        let clock = Clock::system();
        let until = clock.now() + within;
        loop {
            let standings = self.standings().all();
            let is_down = |(_, standing): &(_, Standing)| matches!(standing, Standing::Down(_));
            if standings.len() >= self.lines().len() && !standings.iter().any(is_down) {
                return true;
            }
            if clock.now() >= until {
                return false;
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    fn reports(&self, name: &str) -> Vec<LineReport> {
        let mut reports = self.connections();
        reports.retain(|line| line.name == name || line.app == name);
        reports
    }

    /// Whether there is such a connection, and a socket of each serves.
    pub fn is_connected(&self, name: &str) -> bool {
        let reports = self.reports(name);
        !reports.is_empty() && reports.iter().all(|line| line.standing == Standing::Up)
    }

    /// The sockets that serve, each named by its connection and generation: `acme#3`. A new socket has a new name.
    pub fn session_ids(&self, name: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for line in self.reports(name) {
            let serving = line.sockets.iter().filter(|it| it.state == "serving");
            ids.extend(serving.map(|it| format!("{}#{}", line.name, it.generation)));
        }
        ids
    }

    /// Whether sockets that are lost are replaced; those that Slack asks to leave are in any case. Off, a connection
    /// stops when it has lost its last socket, until it is revived. Blocks for a moment.
    ///
    /// # Errors
    /// When there is none of that name, or the process is stopping.
    pub fn set_auto_reconnect(&self, name: &str, is_on: bool) -> Result<Vec<String>, NotDone> {
        self.connections.order(name, || Order::Reconnecting(is_on))
    }

    /// Opens new sockets; those that serve are left when the new ones have said hello. Unless it is forced, nothing
    /// happens where a socket serves. Blocks for a moment.
    ///
    /// # Errors
    /// When there is none of that name, or the process is stopping.
    pub fn connect_to_new_endpoint(
        &self,
        name: &str,
        is_forced: bool,
    ) -> Result<Vec<String>, NotDone> {
        self.connections.order(name, || Order::Renew { is_forced })
    }

    /// Asks Slack for a URL that opens a socket, once, within 30 s. It counts against the limit of such calls, and our
    /// own sockets need none of it. `name` means one connection. Blocks until Slack has answered.
    ///
    /// # Errors
    /// Why there is none.
    pub fn issue_new_wss_url(&self, name: &str) -> Result<Secret, String> {
        let one = self.one(name).map_err(|error| error.to_string())?;
        let (told, asked) = sync_channel(1);
        let ordered = self.connections.order(&one, || Order::Issue(told.clone()));
        ordered.map_err(|error| error.to_string())?;
        drop(told);
        asked
            .recv_timeout(SEND_WITHIN)
            .unwrap_or_else(|_| Err(NotSent::Unanswered.to_string()))
    }

    /// Sends a frame through a socket that serves, and gives Slack's answer where the frame has one
    /// ([`ToSlack::Message`] and [`ToSlack::Ping`]). `name` means one connection. Blocks until it is sent or answered,
    /// 10 s at most.
    ///
    /// # Errors
    /// Why it was not sent; nothing is sent twice.
    pub fn send(&self, name: &str, frame: &ToSlack) -> Result<Option<Value>, NotSent> {
        let one = self.one(name)?;
        let (told, sent) = sync_channel(1);
        self.connections
            .order(&one, || Order::Send(frame.clone(), told.clone()))?;
        drop(told);
        sent.recv_timeout(SEND_WITHIN)
            .unwrap_or(Err(NotSent::Unanswered))
    }

    fn one(&self, name: &str) -> Result<String, NotSent> {
        let mut names = Vec::new();
        for line in self.lines() {
            if line.name == name || line.app.as_str() == name {
                names.push(line.name);
            }
        }
        match names.len() {
            0 => Err(NotDone::Unknown(name.to_owned()).into()),
            1 => Ok(names.remove(0)),
            several => Err(NotSent::Several(several)),
        }
    }
}
