//! RTM.

use awc::ws::Frame;
use serde_json::json;

use super::stand::{dial, next_frame, next_json, send, stand};

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
