//! Socket Mode.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use awc::ws::{Frame, Message};
use callboard::sim::{Entry, Options, What};
use futures_util::SinkExt;
use serde_json::json;

use super::stand::{PATIENCE, client, dial, hasty, next_frame, next_json, send, stand, stand_with};

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
    let stand = hasty();
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
    let stand = stand_with(Options {
        ack_deadline: Duration::from_millis(200),
        time_scale: 60.0,
        ..Options::default()
    });
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
    std::io::copy(&mut silent, &mut std::io::sink()).unwrap();
}

#[actix_rt::test]
async fn a_disconnect_leaves_the_acks_of_the_old_socket_good() {
    let stand = stand();
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
