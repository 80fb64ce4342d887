//! Commands, the Web API, the page, starting and stopping.

use std::time::Duration;

use callboard::base::clock::Clock;
use callboard::sim::{Entry, Fault, Options, Via, What, start};
use serde_json::{Value, json};

use super::stand::{client, dial, hasty, next_frame, next_json, send, stand};

#[actix_rt::test]
async fn a_command_is_answered_in_its_ack_and_five_times_by_its_response_url() {
    let stand = stand();
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
    let stand = hasty();
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
    let plan = |fault| stand.simulator.fault("chat.postMessage", fault, 1);
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
