//! A small simulator with its tokens, and a client to talk to it.

use std::time::Duration;

use awc::ws::{Frame, Message};
use callboard::base::clock::Clock;
use callboard::sim::{Entry, Options, Simulator, Transport, What, World, start};
use callboard::slack::id::{AppId, ChannelId, TeamId, UserId};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use serde_json::{Value, json};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A simulator with one workspace, one Socket Mode app and one RTM app, and the tokens to talk to it.
pub(crate) struct Stand {
    pub(crate) simulator: Simulator,
    pub(crate) team: TeamId,
    pub(crate) channel: ChannelId,
    pub(crate) ann: UserId,
    pub(crate) app: AppId,
    pub(crate) app_token: String,
    pub(crate) bot_token: String,
    pub(crate) rtm_token: String,
}

/// With Slack's own times, so that a busy machine misses no deadline.
pub(crate) fn stand() -> Stand {
    stand_with(Options::default())
}

/// With a short deadline and a short ladder, for tests that wait for both.
pub(crate) fn hasty() -> Stand {
    stand_with(Options {
        ack_deadline: Duration::from_millis(80),
        time_scale: 3000.0,
        ..Options::default()
    })
}

pub(crate) fn stand_with(mut options: Options) -> Stand {
    let mut world = World::empty();
    let team = world.team("Lantern");
    let ann = world.user(&team, "ann", "Ann Ash").unwrap();
    let channel = world.channel(&team, "general", "").unwrap();
    let app = world.app("socket", Transport::Socket);
    world.command(&app, "/count", "", "Counts").unwrap();
    let bot_token = world.install(&app, &team).unwrap();
    let rtm = world.app("rtm", Transport::Rtm);
    let rtm_token = world.install(&rtm, &team).unwrap();
    options.world = world;
    let simulator = start(options).unwrap();
    let described = simulator.describe();
    let app_token = described["apps"][0]["app_token"]
        .as_str()
        .unwrap()
        .to_owned();
    Stand {
        simulator,
        team,
        channel,
        ann,
        app,
        app_token,
        bot_token,
        rtm_token,
    }
}

/// A client that speaks plain HTTP/1.1; the provider is what awc asks for even so.
pub(crate) fn client() -> awc::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    awc::Client::builder().timeout(PATIENCE).finish()
}

impl Stand {
    pub(crate) fn post(&self, text: &str) {
        let posted = self
            .simulator
            .post(&self.team, &self.channel, &self.ann, text, None);
        posted.unwrap();
    }

    pub(crate) fn command(&self, text: &str) -> String {
        let (team, channel) = (&self.team, &self.channel);
        self.simulator
            .command(team, channel, &self.ann, "/count", text)
            .unwrap()
    }

    pub(crate) async fn call(&self, method: &str, token: &str, body: Value) -> Value {
        let url = format!("{}{method}", self.simulator.api_url());
        let request = client().post(url).bearer_auth(token);
        let mut response = request.send_json(&body).await.unwrap();
        response.json().await.unwrap()
    }

    pub(crate) async fn link_url(&self) -> String {
        let opened = self
            .call("apps.connections.open", &self.app_token, json!({}))
            .await;
        opened["url"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn link(&self) -> Wire {
        dial(&self.link_url().await).await
    }

    pub(crate) async fn rtm(&self) -> Wire {
        let connected = self.call("rtm.connect", &self.rtm_token, json!({})).await;
        dial(connected["url"].as_str().unwrap()).await
    }

    /// Waits until the record has an entry that fits.
    pub(crate) async fn recorded(&self, fits: impl Fn(&What) -> bool) -> Entry {
        let clock = Clock::system();
        let begun = clock.now();
        loop {
            let record = self.simulator.record();
            if let Some(entry) = record.iter().find(|entry| fits(&entry.what)) {
                return entry.clone();
            }
            assert!(clock.now() - begun < PATIENCE, "not recorded: {record:#?}");
            actix_rt::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A WebSocket of awc, whose own type has no name here.
pub(crate) type Wire = Box<dyn Socket>;

pub(crate) trait Socket:
    Stream<Item = Result<Frame, awc::error::WsProtocolError>>
    + Sink<Message, Error = awc::error::WsProtocolError>
    + Unpin
{
}

impl<S> Socket for S where
    S: Stream<Item = Result<Frame, awc::error::WsProtocolError>>
        + Sink<Message, Error = awc::error::WsProtocolError>
        + Unpin
{
}

pub(crate) async fn dial(url: &str) -> Wire {
    let request = client().ws(url).max_frame_size(4 * 1024 * 1024);
    Box::new(request.connect().await.unwrap().1)
}

/// The next frame that is no ping.
pub(crate) async fn next_frame(socket: &mut Wire) -> Option<Frame> {
    loop {
        let next = actix_rt::time::timeout(PATIENCE, socket.next());
        match next.await.expect("a frame in time") {
            Some(Ok(Frame::Ping(_))) => {}
            Some(Ok(frame)) => return Some(frame),
            Some(Err(_)) | None => return None,
        }
    }
}

pub(crate) async fn next_json(socket: &mut Wire) -> Value {
    match next_frame(socket).await {
        Some(Frame::Text(text)) => serde_json::from_slice(&text).unwrap(),
        other => panic!("no text frame but {other:?}"),
    }
}

pub(crate) async fn send(socket: &mut Wire, frame: Value) {
    socket
        .send(Message::Text(frame.to_string().into()))
        .await
        .unwrap();
}
