//! Calls against a machine, without sockets.

use super::*;
use crate::sim::book::Terms;
use crate::sim::machine::Setup;
use crate::sim::world::World;
use crate::slack::id::{ChannelId, UserId};

struct Stand {
    machine: Machine,
    team: TeamId,
    channel: ChannelId,
    user: UserId,
    bot: String,
    app_token: String,
}

fn stand() -> Stand {
    let mut world = World::empty();
    let team = world.team("Lantern");
    let user = world.user(&team, "ann", "Ann Ash").unwrap();
    let channel = world.channel(&team, "general", "").unwrap();
    let app = world.app("callboard", Transport::Socket);
    let bot = world.install(&app, &team).unwrap();
    let app_token = world.find_app(&app).unwrap().level_token.clone().unwrap();
    let machine = Machine::new(Setup {
        world,
        root: "http://127.0.0.1:1".into(),
        epoch_us: 1_700_000_000_000_000,
        terms: Terms {
            deadline_us: 3_000_000,
            ladder_us: [0, 60_000_000, 300_000_000],
        },
        seed: 1,
        life_s: 18_060,
    });
    Stand {
        machine,
        team,
        channel,
        user,
        bot,
        app_token,
    }
}

impl Stand {
    fn raw(&mut self, method: &str, token: Option<&str>, args: &Value) -> Answer {
        self.machine.call(&Call {
            method: method.to_owned(),
            is_get: false,
            token: token.map(str::to_owned),
            args: Args::new(args.as_object().cloned().unwrap()).0,
            broken: None,
        })
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads better at the call")]
    fn call(&mut self, method: &str, args: Value) -> Value {
        let bot = self.bot.clone();
        match self.raw(method, Some(&bot), &args).body {
            Body::Json(body) => body,
            other => panic!("{other:?}"),
        }
    }

    fn post(&mut self, text: &str, thread: Option<&Ts>) -> Ts {
        let (team, channel, user) = (self.team.clone(), self.channel.clone(), self.user.clone());
        self.machine
            .post(&team, &channel, &user, text, thread)
            .unwrap()
    }
}

#[test]
fn the_kind_of_token_decides() {
    let mut stand = stand();
    let (bot, app) = (stand.bot.clone(), stand.app_token.clone());
    for (method, token, error) in [
        ("auth.test", None, "not_authed"),
        ("auth.test", Some("xoxb-nobody"), "invalid_auth"),
        (
            "chat.postMessage",
            Some(app.as_str()),
            "not_allowed_token_type",
        ),
        (
            "apps.connections.open",
            Some(bot.as_str()),
            "not_allowed_token_type",
        ),
        ("rtm.connect", Some(bot.as_str()), "not_allowed_token_type"),
        ("chat.sing", Some(bot.as_str()), "unknown_method"),
    ] {
        let answer = stand.raw(method, token, &json!({}));
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.body,
            Body::Json(json!({"ok": false, "error": error})),
            "{method}"
        );
    }
    assert_eq!(stand.call("auth.test", json!({}))["team"], "Lantern");
}

#[test]
fn a_post_keeps_its_metadata_and_shows_it_only_when_asked() {
    let mut stand = stand();
    let metadata = json!({"event_type": "count", "event_payload": {"n": 1}});
    let args = json!({"channel": "#general", "text": "hi", "metadata": metadata.to_string()});
    let posted = stand.call("chat.postMessage", args);
    assert_eq!(posted["channel"], json!(stand.channel));
    let channel = json!(stand.channel);
    let plain = stand.call("conversations.history", json!({"channel": channel}));
    assert_eq!(plain["messages"][0]["text"], "hi");
    assert!(plain["messages"][0].get("metadata").is_none());
    let args = json!({"channel": channel, "include_all_metadata": "true"});
    let full = stand.call("conversations.history", args);
    assert_eq!(full["messages"][0]["metadata"], metadata);
}

#[test]
fn posts_that_say_nothing_or_go_nowhere_are_refused() {
    let mut stand = stand();
    let channel = json!(stand.channel);
    for (args, error) in [
        (json!({"channel": channel}), "no_text"),
        (json!({"channel": "C404", "text": "x"}), "channel_not_found"),
        (
            json!({"channel": channel, "text": "x", "thread_ts": "1.0"}),
            "thread_not_found",
        ),
        (
            json!({"channel": channel, "text": "x", "metadata": "{}"}),
            "invalid_metadata_format",
        ),
        (
            json!({"channel": channel, "blocks": "{}"}),
            "invalid_blocks_format",
        ),
        (json!({"text": "x"}), "invalid_arguments"),
    ] {
        assert_eq!(stand.call("chat.postMessage", args)["error"], error);
    }
}

#[test]
fn replies_page_through_a_thread_and_name_their_parent() {
    let mut stand = stand();
    let parent = stand.post("question", None);
    for n in 0..3 {
        stand.post(&format!("answer {n}"), Some(&parent));
    }
    let channel = json!(stand.channel);
    let mut texts = Vec::new();
    let mut next = String::new();
    loop {
        let args = json!({"channel": channel, "ts": parent, "limit": 2, "cursor": next});
        let page = stand.call("conversations.replies", args);
        assert_eq!(page["messages"][0]["reply_count"], 3);
        for message in &page["messages"].as_array().unwrap()[1..] {
            assert_eq!(message["thread_ts"], json!(parent));
            texts.push(message["text"].as_str().unwrap().to_owned());
        }
        next = page["response_metadata"]["next_cursor"]
            .as_str()
            .unwrap()
            .to_owned();
        if next.is_empty() {
            break;
        }
    }
    assert_eq!(texts, ["answer 0", "answer 1", "answer 2"]);
}

#[test]
fn faults_refuse_or_hide_a_call_and_the_record_tells() {
    let mut stand = stand();
    let bot = stand.bot.clone();
    stand.machine.faults.plan(
        "chat.postMessage",
        Fault::RateLimited { retry_after_s: 7 },
        1,
    );
    stand
        .machine
        .faults
        .plan("chat.postMessage", Fault::CutAfter, 1);
    let args = json!({"channel": "general", "text": "hi", "token": "secret"});
    let limited = stand.raw("chat.postMessage", Some(&bot), &args);
    assert_eq!((limited.status, limited.retry_after_s), (429, Some(7)));
    let cut = stand.raw("chat.postMessage", Some(&bot), &args);
    assert_eq!(cut.body, Body::Cut);
    let record = stand.machine.record_since(0);
    let calls: Vec<_> = record
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Call { ok, status, ts, .. } => Some((*ok, *status, ts.is_some())),
            _ => None,
        })
        .collect();
    assert_eq!(calls, [(false, 429, false), (true, 0, true)]);
    let shown = serde_json::to_string(&record).unwrap();
    assert!(
        !shown.contains("xoxb") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn an_update_changes_only_own_messages() {
    let mut stand = stand();
    let theirs = stand.post("mine", None);
    let args = json!({"channel": stand.channel, "ts": theirs, "text": "yours"});
    assert_eq!(
        stand.call("chat.update", args)["error"],
        "cant_update_message"
    );
    let args = json!({"channel": stand.channel, "text": "working"});
    let own = stand.call("chat.postMessage", args)["ts"].clone();
    let args = json!({"channel": stand.channel, "ts": own, "text": "done"});
    assert_eq!(stand.call("chat.update", args)["message"]["text"], "done");
    let args = json!({"channel": stand.channel, "timestamp": own, "name": "tada"});
    assert_eq!(
        stand.call("reactions.add", args.clone()),
        json!({"ok": true})
    );
    assert_eq!(
        stand.call("reactions.add", args)["error"],
        "already_reacted"
    );
}
