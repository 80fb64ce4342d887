//! The simulator over real sockets, in this process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use awc::ws::{Frame, Message};
use callboard::base::clock::Clock;
use callboard::sim::{Entry, Fault, Options, Simulator, Transport, Via, What, World, start};
use callboard::slack::id::{AppId, ChannelId, TeamId, UserId};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use serde_json::{Value, json};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A simulator with one workspace, one Socket Mode app and one RTM app, and the tokens to talk to it.
struct Stand {
    simulator: Simulator,
    team: TeamId,
    channel: ChannelId,
    ann: UserId,
    app: AppId,
    app_token: String,
    bot_token: String,
    rtm_token: String,
}

fn stand() -> Stand {
    stand_with(Options {
        ack_deadline: Duration::from_millis(80),
        time_scale: 3000.0,
        ..Options::default()
    })
}

fn stand_with(options: Options) -> Stand {
    let mut world = World::empty();
    let team = world.team("Lantern");
    let ann = world.user(&team, "ann", "Ann Ash").unwrap();
    let channel = world.channel(&team, "general", "").unwrap();
    let app = world.app("socket", Transport::Socket);
    world.command(&app, "/count", "", "Counts").unwrap();
    let bot_token = world.install(&app, &team).unwrap();
    let rtm = world.app("rtm", Transport::Rtm);
    let rtm_token = world.install(&rtm, &team).unwrap();
    let simulator = start(Options { world, ..options }).unwrap();
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
fn client() -> awc::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    awc::Client::builder().timeout(PATIENCE).finish()
}

impl Stand {
    fn post(&self, text: &str) {
        let posted = self
            .simulator
            .post(&self.team, &self.channel, &self.ann, text, None);
        posted.unwrap();
    }

    fn command(&self, text: &str) -> String {
        let (team, channel) = (&self.team, &self.channel);
        self.simulator
            .command(team, channel, &self.ann, "/count", text)
            .unwrap()
    }

    async fn call(&self, method: &str, token: &str, body: Value) -> Value {
        let url = format!("{}{method}", self.simulator.api_url());
        let request = client().post(url).bearer_auth(token);
        let mut response = request.send_json(&body).await.unwrap();
        response.json().await.unwrap()
    }

    async fn link_url(&self) -> String {
        let opened = self
            .call("apps.connections.open", &self.app_token, json!({}))
            .await;
        opened["url"].as_str().unwrap().to_owned()
    }

    async fn link(&self) -> Wire {
        dial(&self.link_url().await).await
    }

    async fn rtm(&self) -> Wire {
        let connected = self.call("rtm.connect", &self.rtm_token, json!({})).await;
        dial(connected["url"].as_str().unwrap()).await
    }

    /// Waits until the record has an entry that fits.
    async fn recorded(&self, fits: impl Fn(&What) -> bool) -> Entry {
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
type Wire = Box<dyn Socket>;

trait Socket:
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

async fn dial(url: &str) -> Wire {
    let request = client().ws(url).max_frame_size(4 * 1024 * 1024);
    Box::new(request.connect().await.unwrap().1)
}

/// The next frame that is no ping.
async fn next_frame(socket: &mut Wire) -> Option<Frame> {
    loop {
        let next = actix_rt::time::timeout(PATIENCE, socket.next());
        match next.await.expect("a frame in time") {
            Some(Ok(Frame::Ping(_))) => {}
            Some(Ok(frame)) => return Some(frame),
            Some(Err(_)) | None => return None,
        }
    }
}

async fn next_json(socket: &mut Wire) -> Value {
    match next_frame(socket).await {
        Some(Frame::Text(text)) => serde_json::from_slice(&text).unwrap(),
        other => panic!("no text frame but {other:?}"),
    }
}

async fn send(socket: &mut Wire, frame: Value) {
    socket
        .send(Message::Text(frame.to_string().into()))
        .await
        .unwrap();
}

#[actix_rt::test]
async fn a_message_travels_to_the_bot_and_its_answer_to_the_channel() {
    let stand = stand();
    let mut socket = stand.link().await;
    let hello = next_json(&mut socket).await;
    assert_eq!(
        (&hello["type"], &hello["num_connections"]),
        (&json!("hello"), &json!(1))
    );
    stand.post("hello");
    let envelope = next_json(&mut socket).await;
    assert_eq!(envelope["type"], "events_api");
    assert_eq!(envelope["payload"]["event"]["text"], "hello");
    assert_eq!(envelope["payload"]["event"]["channel_type"], "channel");
    send(&mut socket, json!({"envelope_id": envelope["envelope_id"]})).await;
    stand
        .recorded(|what| matches!(what, What::Ack { is_late: false, .. }))
        .await;
    let args = json!({"channel": stand.channel, "text": "hello Ann"});
    let posted = stand.call("chat.postMessage", &stand.bot_token, args).await;
    assert_eq!(posted["ok"], true);
    let own = next_json(&mut socket).await;
    let (event, ts) = (&own["payload"]["event"], &posted["ts"]);
    assert!(event["bot_id"].is_string() && event["ts"] == *ts, "{event}");
}

#[actix_rt::test]
async fn a_mention_is_a_second_event_with_its_own_id() {
    let stand = stand();
    let mut socket = stand.link().await;
    next_json(&mut socket).await;
    let who = stand.call("auth.test", &stand.bot_token, json!({})).await;
    let bot = who["user_id"].as_str().unwrap();
    stand.post(&format!("<@{bot}> hello"));
    let (first, second) = (next_json(&mut socket).await, next_json(&mut socket).await);
    assert_eq!(first["payload"]["event"]["type"], "message");
    assert_eq!(second["payload"]["event"]["type"], "app_mention");
    assert_ne!(first["payload"]["event_id"], second["payload"]["event_id"]);
}

#[actix_rt::test]
async fn an_event_without_ack_comes_again_with_the_same_ids() {
    let stand = stand();
    let mut socket = stand.link().await;
    next_json(&mut socket).await;
    stand.post("hello");
    let first = next_json(&mut socket).await;
    for attempt in 1..=3 {
        let again = next_json(&mut socket).await;
        assert_eq!(again["retry_attempt"], attempt);
        assert_eq!(again["retry_reason"], "timeout");
        assert_eq!(again["envelope_id"], first["envelope_id"]);
        assert_eq!(again["payload"], first["payload"]);
    }
    stand
        .recorded(|what| matches!(what, What::EnvelopeGivenUp { attempts: 4, .. }))
        .await;
}

#[actix_rt::test]
async fn an_event_of_a_gap_comes_to_the_next_socket() {
    let stand = stand();
    stand.post("anybody there?");
    stand
        .recorded(|what| matches!(what, What::EnvelopeUnsent { attempt: 0, .. }))
        .await;
    let mut socket = stand.link().await;
    next_json(&mut socket).await;
    let envelope = next_json(&mut socket).await;
    assert!(
        envelope["retry_attempt"].as_u64().unwrap() >= 1,
        "{envelope}"
    );
    assert_eq!(envelope["payload"]["event"]["text"], "anybody there?");
}

#[actix_rt::test]
async fn envelopes_go_round_among_the_sockets() {
    let stand = stand();
    let (mut one, mut two) = (stand.link().await, stand.link().await);
    next_json(&mut one).await;
    assert_eq!(next_json(&mut two).await["num_connections"], 2);
    stand.post("a");
    stand.post("b");
    let texts = (next_json(&mut one).await, next_json(&mut two).await);
    let (a, b) = (
        &texts.0["payload"]["event"]["text"],
        &texts.1["payload"]["event"]["text"],
    );
    assert!(a != b, "{a} went to both");
}

#[actix_rt::test]
async fn a_ticket_opens_one_socket_and_the_eleventh_socket_is_turned_away() {
    let stand = stand();
    let url = stand.link_url().await;
    let mut sockets = vec![dial(&url).await];
    assert!(
        client().ws(&url).connect().await.is_err(),
        "the ticket worked twice"
    );
    for _ in 1..10 {
        sockets.push(dial(&stand.link_url().await).await);
    }
    let mut eleventh = stand.link().await;
    let first = next_json(&mut eleventh).await;
    assert_eq!(first["type"], "disconnect");
    assert_eq!(first["reason"], "too_many_websockets");
    assert!(matches!(
        next_frame(&mut eleventh).await,
        Some(Frame::Close(_))
    ));
    assert_eq!(
        next_json(sockets.last_mut().unwrap()).await["num_connections"],
        10
    );
}

#[actix_rt::test]
async fn a_frame_of_more_than_20480_bytes_closes_with_1009() {
    let stand = stand();
    let mut socket = stand.link().await;
    next_json(&mut socket).await;
    send(&mut socket, json!({"envelope_id": "x".repeat(20_480)})).await;
    match next_frame(&mut socket).await {
        Some(Frame::Close(Some(reason))) => assert_eq!(u16::from(reason.code), 1009),
        other => panic!("no close frame but {other:?}"),
    }
    let closed = |what: &What| {
        matches!(
            what,
            What::SocketClosed {
                code: Some(1009),
                ..
            }
        )
    };
    stand.recorded(closed).await;
}

#[actix_rt::test]
async fn pings_are_answered_with_their_payload() {
    let stand = stand();
    let mut socket = stand.link().await;
    next_json(&mut socket).await;
    socket
        .send(Message::Ping("sdk-ping-pong:1.5".into()))
        .await
        .unwrap();
    match next_frame(&mut socket).await {
        Some(Frame::Pong(payload)) => assert_eq!(&payload[..], b"sdk-ping-pong:1.5"),
        other => panic!("no pong but {other:?}"),
    }
}

#[actix_rt::test]
async fn a_command_is_answered_in_its_ack_and_five_times_by_its_response_url() {
    let stand = stand_with(Options::default());
    let mut socket = stand.link().await;
    next_json(&mut socket).await;
    let id = stand.command("now");
    let envelope = next_json(&mut socket).await;
    assert_eq!(
        (&envelope["envelope_id"], &envelope["type"]),
        (&json!(id), &json!("slash_commands"))
    );
    send(
        &mut socket,
        json!({"envelope_id": id, "payload": {"text": "3 so far"}}),
    )
    .await;
    let shown = |what: &What| matches!(what, What::EphemeralShown { text, via: Via::Ack, .. } if text == "3 so far");
    stand.recorded(shown).await;
    let url = envelope["payload"]["response_url"].as_str().unwrap();
    for _ in 0..5 {
        let body = json!({"text": "done", "response_type": "in_channel"});
        let response = client().post(url).send_json(&body).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let response = client()
        .post(url)
        .send_json(&json!({"text": "more"}))
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
    let posted = |entry: &&Entry| {
        matches!(
            entry.what,
            What::Posted {
                via: Via::ResponseUrl,
                ..
            }
        )
    };
    assert_eq!(stand.simulator.record().iter().filter(posted).count(), 5);
}

#[actix_rt::test]
async fn a_command_fails_visibly_without_socket_and_without_ack() {
    let stand = stand();
    let lost = stand.command("");
    let mut socket = stand.link().await;
    next_json(&mut socket).await;
    let late = stand.command("");
    for (id, word) in [(lost, "dispatch_failed"), (late, "operation_timeout")] {
        stand
            .recorded(|what| {
                matches!(what, What::CommandFailed { envelope_id, error, .. }
                    if *envelope_id == id && error == word)
            })
            .await;
    }
}

#[actix_rt::test]
async fn rtm_says_hello_answers_pings_and_posts_messages() {
    let stand = stand();
    let mut socket = stand.rtm().await;
    assert_eq!(next_json(&mut socket).await, json!({"type": "hello"}));
    send(&mut socket, json!({"id": 7, "type": "ping", "time": 12})).await;
    let pong = json!({"type": "pong", "reply_to": 7, "time": 12});
    assert_eq!(next_json(&mut socket).await, pong);
    stand.post("hello");
    let event = next_json(&mut socket).await;
    assert_eq!(
        (&event["type"], &event["text"]),
        (&json!("message"), &json!("hello"))
    );
    assert_eq!(event["channel"], json!(stand.channel));
    send(
        &mut socket,
        json!({"id": 8, "type": "message", "channel": stand.channel}),
    )
    .await;
    assert_eq!(next_json(&mut socket).await["error"]["code"], 2);
    let message = json!({"id": 9, "type": "message", "channel": stand.channel, "text": "hi"});
    send(&mut socket, message).await;
    let own = next_json(&mut socket).await;
    let reply = next_json(&mut socket).await;
    assert!(
        own["bot_id"].is_string() && reply["ts"] == own["ts"],
        "{own} {reply}"
    );
    assert_eq!(
        (&reply["ok"], &reply["reply_to"]),
        (&json!(true), &json!(9))
    );
    assert_eq!(stand.simulator.goodbye(&stand.team), 1);
    assert_eq!(next_json(&mut socket).await, json!({"type": "goodbye"}));
    assert!(matches!(
        next_frame(&mut socket).await,
        Some(Frame::Close(_))
    ));
}

#[actix_rt::test]
async fn rtm_events_between_ticket_and_socket_are_not_lost() {
    let stand = stand();
    let connected = stand.call("rtm.connect", &stand.rtm_token, json!({})).await;
    stand.post("in between");
    let mut socket = dial(connected["url"].as_str().unwrap()).await;
    assert_eq!(next_json(&mut socket).await["type"], "hello");
    assert_eq!(next_json(&mut socket).await["text"], "in between");
}

#[actix_rt::test]
async fn planned_faults_strike_over_http() {
    let stand = stand();
    let url = format!("{}chat.postMessage", stand.simulator.api_url());
    let ask = || {
        let body = json!({"channel": stand.channel, "text": "hi"});
        client()
            .post(&url)
            .bearer_auth(&stand.bot_token)
            .send_json(&body)
    };
    let (plan, method) = (
        |fault| stand.simulator.fault("chat.postMessage", fault, 1),
        0,
    );
    plan(Fault::RateLimited { retry_after_s: 3 });
    let limited = ask().await.unwrap();
    assert_eq!(limited.status(), 429);
    assert_eq!(limited.headers().get("retry-after").unwrap(), "3");
    plan(Fault::Outage { status: 503 });
    assert_eq!(ask().await.unwrap().status(), 503);
    plan(Fault::CutBefore);
    assert!(ask().await.is_err());
    plan(Fault::CutAfter);
    assert!(ask().await.is_err());
    let posted = |entry: &&Entry| matches!(entry.what, What::Posted { .. });
    assert_eq!(stand.simulator.record().iter().filter(posted).count(), 1);
}

#[actix_rt::test]
async fn a_client_that_does_not_read_is_cut_and_hurts_nobody() {
    let stand = stand_with(Options {
        queue_frames_max: 16,
        ..Options::default()
    });
    let url = stand.link_url().await;
    let (address, path) = url.strip_prefix("ws://").unwrap().split_once('/').unwrap();
    let mut silent = TcpStream::connect(address).unwrap();
    write!(
        silent,
        "GET /{path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut head = [0; 12];
    silent.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    let text = "x".repeat(200_000);
    let is_cut = |entry: &Entry| matches!(&entry.what, What::SocketClosed { why, .. } if why == "queue_full");
    let mut posts = 0;
    while !stand.simulator.record_since(posts).iter().any(is_cut) {
        posts += 1;
        assert!(posts < 500, "the queue never filled");
        stand.post(&text);
    }
    let mut socket = stand.link().await;
    assert_eq!(next_json(&mut socket).await["num_connections"], 1);
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    // Whatever the kernel had buffered, and then the end.
    drop(std::io::copy(&mut silent, &mut std::io::sink()).unwrap());
}

#[actix_rt::test]
async fn the_page_is_served_and_its_feed_is_live() {
    let stand = stand();
    let root = stand.simulator.page_url();
    let index = client().get(&root).send().await.unwrap();
    assert_eq!(index.status(), 200);
    let mut live = dial(&format!("{}_sim/live", root.replacen("http", "ws", 1))).await;
    let body =
        json!({"team": stand.team, "channel": stand.channel, "user": stand.ann, "text": "hi"});
    let url = format!("{root}_sim/post");
    let mut response = client().post(&url).send_json(&body).await.unwrap();
    let ts = response.json::<Value>().await.unwrap()["ts"].clone();
    let frame = next_json(&mut live).await;
    assert_eq!(
        (&frame["type"], &frame["message"]["ts"]),
        (&json!("message"), &ts)
    );
    let mut refused = client()
        .post(&url)
        .send_json(&json!({"team": "T9", "channel": "C9",
        "user": "U9", "text": "hi"}))
        .await
        .unwrap();
    assert_eq!(refused.status(), 400);
    assert_eq!(
        refused.json::<Value>().await.unwrap()["error"],
        "team_not_found"
    );
    let url = format!("{root}_sim/record?after=0");
    let lines = client()
        .get(url)
        .send()
        .await
        .unwrap()
        .body()
        .await
        .unwrap();
    let lines = String::from_utf8(lines.to_vec()).unwrap();
    assert_eq!(lines.lines().count(), stand.simulator.record().len());
}

#[actix_rt::test]
async fn a_disconnect_leaves_the_acks_of_the_old_socket_good() {
    let stand = stand_with(Options::default());
    let mut old = stand.link().await;
    next_json(&mut old).await;
    stand.post("one");
    let envelope = next_json(&mut old).await;
    let mut new = stand.link().await;
    next_json(&mut new).await;
    assert_eq!(stand.simulator.disconnect(&stand.app, "warning", false), 2);
    assert_eq!(next_json(&mut new).await["reason"], "warning");
    assert_eq!(next_json(&mut old).await["reason"], "warning");
    send(&mut old, json!({"envelope_id": envelope["envelope_id"]})).await;
    stand
        .recorded(|what| matches!(what, What::Ack { is_late: false, .. }))
        .await;
}

#[actix_rt::test]
async fn stopping_ends_open_sockets_soon() {
    let stand = stand();
    let mut socket = stand.link().await;
    next_json(&mut socket).await;
    let clock = Clock::system();
    let begun = clock.now();
    drop(stand.simulator);
    assert!(clock.now() - begun < Duration::from_secs(5));
    assert!(next_frame(&mut socket).await.is_none());
}

#[test]
fn a_taken_port_is_one_clear_error() {
    let stand = stand();
    let url = stand.simulator.page_url();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let taken = Options {
        listen: address.parse().unwrap(),
        ..Options::default()
    };
    let error = start(taken).unwrap_err().to_string();
    assert!(error.contains(address), "{error}");
}
