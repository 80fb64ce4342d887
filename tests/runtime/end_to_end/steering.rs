//! One connection, by its name: what the Python clients let their users do with theirs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use callboard::app::Running;
use callboard::ingress::supervisor::NotDone;
use callboard::ingress::{Heard, NotSent, Standing, ToSlack};
use callboard::sim::What;
use callboard::slack::id::{AppId, ChannelId};

use super::sockets::{brisk, line};
use crate::bots::Greeter;
use crate::judge::Rules;
use crate::sentinel::has_logged;
use crate::stand::{Stand, connected, stand, until};

const STOPPED: &str = "reconnecting is off";

fn message(channel: &ChannelId, text: &str) -> ToSlack {
    ToSlack::Message {
        channel: channel.clone(),
        text: text.to_owned(),
        thread_ts: None,
    }
}

/// Drops every socket of both apps.
fn cut(stand: &Stand) {
    let described = stand.simulator.describe();
    for app in described["apps"].as_array().unwrap() {
        let id = app["id"].as_str().unwrap();
        assert!(stand.simulator.drop_sockets(&AppId::new(id)) > 0, "{app}");
    }
}

/// What RTM sockets brought Slack: its frames' types.
fn received(stand: &mut Stand) -> Vec<String> {
    let kind = |what: &What| match what {
        What::RtmReceived { frame, .. } => frame["type"].as_str().map(str::to_owned),
        _ => None,
    };
    let record = stand.record();
    record.iter().filter_map(|it| kind(&it.what)).collect()
}

#[test]
fn frames_over_rtm_are_sent_and_answered_by_their_id() {
    let mut stand = stand();
    let running = stand.start();
    let channel = stand.places[2].general.clone();
    let answer = running.send("classic", &message(&channel, "by hand"));
    let answer = answer.unwrap().unwrap();
    assert_eq!(answer["text"], "by hand");
    assert!(answer["ts"].is_string(), "{answer}");
    let refused = running.send("classic", &message(&channel, ""));
    assert!(
        matches!(refused, Err(NotSent::Refused { code: 2, .. })),
        "{refused:?}"
    );
    let pong = running.send("classic", &ToSlack::Ping).unwrap().unwrap();
    assert_eq!(pong["type"], "pong");
    let user = stand.places[2].users[0].clone();
    for frame in [
        ToSlack::Typing { channel },
        ToSlack::PresenceSub(vec![user.clone()]),
        ToSlack::PresenceQuery(vec![user]),
        ToSlack::Raw(r#"{"id":900,"type":"ping"}"#.to_owned()),
    ] {
        assert_eq!(running.send("classic", &frame), Ok(None));
    }
    until("they are there", || received(&mut stand).len() == 7);
    let expected = [
        "message",
        "message",
        "ping",
        "typing",
        "presence_sub",
        "presence_query",
        "ping",
    ];
    assert_eq!(received(&mut stand), expected);
    stand.settle(running, &Rules::default());
}

#[test]
fn what_can_not_be_sent_says_why_and_the_socket_goes_on() {
    let mut stand = stand();
    let running = stand.start();
    let channel = stand.places[2].general.clone();
    let long = message(&channel, &"x".repeat(16 * 1024));
    let refused = running.send("classic", &long).unwrap_err();
    assert!(
        matches!(refused, NotSent::TooLong { bytes, bytes_max: 16_384 } if bytes > 16_384),
        "{refused}"
    );
    let over_socket_mode = running.send("acme", &message(&channel, "x"));
    assert_eq!(over_socket_mode, Err(NotSent::NotRtm));
    let raw = ToSlack::Raw("x".repeat(20_480));
    assert!(matches!(
        running.send("acme", &raw),
        Err(NotSent::TooLong { .. })
    ));
    let unknown = NotSent::NotDone(NotDone::Unknown("nobody".into()));
    assert_eq!(running.send("nobody", &raw), Err(unknown));
    running.disconnect("classic").unwrap();
    until("it is closed", || {
        running.send("classic", &ToSlack::Ping) == Err(NotSent::NotConnected)
    });
    stand.says(0, 0, "hello");
    stand.answered(1);
    stand.settle(running, &Rules::default());
}

fn count(heard: &Mutex<Vec<String>>, what: &str) -> usize {
    let heard = heard.lock().unwrap();
    heard.iter().filter(|it| it.starts_with(what)).count()
}

#[test]
fn listeners_hear_messages_requests_errors_and_closes() {
    let mut stand = brisk();
    stand.log.expect(STOPPED);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    let running = stand.start_with(|callboard| {
        callboard.handler::<Greeter>().listener(move |it| {
            let told = match it {
                Heard::Message { text, .. } => format!("message {text}"),
                Heard::Request { envelope, .. } => format!("request {}", envelope.subject.text),
                Heard::Error { connection, why } => format!("error {connection} {why}"),
                Heard::Close { connection, .. } => format!("close {connection}"),
                _ => return,
            };
            kept.lock().unwrap().push(told);
        })
    });
    assert!(running.wait_connected(Duration::from_secs(30)));
    // Every frame, hello too.
    assert!(count(&heard, "message {") >= 2);
    stand.says(0, 0, "hello");
    stand.says(2, 0, "hello");
    stand.answered(2);
    assert_eq!(count(&heard, "request hello"), 2);
    assert_eq!(count(&heard, "close"), 0);
    running.disconnect("classic").unwrap();
    until("the close is heard", || {
        count(&heard, "close classic-1") == 1
    });
    running.revive("classic").unwrap();
    running.set_auto_reconnect("classic", false).unwrap();
    let running = connected(running);
    cut(&stand);
    until("the loss is heard", || {
        count(&heard, "error classic-1") >= 1 && count(&heard, "close acme") >= 2
    });
    running.set_auto_reconnect("classic", true).unwrap();
    running.revive("classic").unwrap();
    let running = connected(running);
    stand.settle(running, &Rules::default());
}

#[test]
fn reconnecting_is_switched_off_and_on_again() {
    let mut stand = brisk();
    stand.log.expect(STOPPED);
    let running = stand.start();
    running.set_auto_reconnect("classic", false).unwrap();
    cut(&stand);
    until(
        "it stays away",
        || matches!(&line(&running, "classic-1").standing, Standing::Stopped(why) if why.contains("reconnecting is off")),
    );
    assert!(!running.is_connected("classic"));
    // What becomes of connections is logged without anybody asking.
    assert!(has_logged("not connected, and trying again"));
    running.set_auto_reconnect("classic", true).unwrap();
    running.revive("classic").unwrap();
    let running = connected(running);
    cut(&stand);
    until("now it comes back", || {
        running.session_ids("classic") == ["classic-1#3"]
    });
    let running = connected(running);
    stand.says(2, 0, "hello");
    stand.answered(1);
    stand.settle(running, &Rules::default());
}

fn sessions(running: &Running) -> Vec<String> {
    let mut ids = running.session_ids("acme");
    ids.sort();
    ids
}

#[test]
fn a_new_endpoint_is_connected_to_before_the_old_one_is_left() {
    let mut stand = brisk();
    let running = stand.start();
    until("both slots serve", || {
        sessions(&running) == ["acme#1", "acme#2"]
    });
    assert!(running.is_connected("acme") && !running.is_connected("nobody"));
    running.connect_to_new_endpoint("acme", false).unwrap();
    stand.says(0, 0, "hello");
    stand.answered(1);
    assert_eq!(sessions(&running), ["acme#1", "acme#2"], "not forced");
    running.connect_to_new_endpoint("acme", true).unwrap();
    until("both are new", || {
        sessions(&running) == ["acme#3", "acme#4"]
    });
    assert_eq!(line(&running, "acme").gaps, 0);
    running.disconnect("acme").unwrap();
    until("it is closed", || sessions(&running).is_empty());
    running.connect_to_new_endpoint("acme", false).unwrap();
    let running = connected(running);
    stand.says(0, 0, "hello");
    stand.answered(2);
    stand.settle(running, &Rules::default());
}

#[test]
fn a_url_is_issued_that_opens_a_socket() {
    let mut stand = stand();
    let running = stand.start();
    for name in ["acme", "classic"] {
        let url = running.issue_new_wss_url(name).unwrap();
        assert!(url.expose().starts_with("ws://127.0.0.1:"), "{name}");
    }
    assert!(running.issue_new_wss_url("nobody").is_err());
    stand.settle(running, &Rules::default());
}
