//! Looks against a Slack of a few scripted answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::*;
use crate::flow::effect::Effect;
use crate::flow::key::AppName;
use crate::web::{Api, Incoming, Outgoing, Wire};

/// Answers in order, and remembers what it was asked.
struct Script {
    answers: Mutex<VecDeque<Value>>,
    asked: Mutex<Vec<(String, Map<String, Value>)>>,
}

impl Wire for Script {
    fn send(&self, call: Outgoing) -> LocalBoxFuture<'static, Result<Incoming, String>> {
        self.asked.lock().unwrap().push((call.method, call.fields));
        let answer = self.answers.lock().unwrap().pop_front().unwrap();
        let is_limited = answer["error"] == "ratelimited";
        let incoming = Incoming {
            status: if is_limited { 429 } else { 200 },
            retry_after: is_limited.then_some(Duration::from_secs(7)),
            body: Ok(answer.to_string().into()),
        };
        async { Ok(incoming) }.boxed_local()
    }
}

struct Slack {
    script: Arc<Script>,
    web: Client,
    looks: Looks,
}

fn slack(answers: impl IntoIterator<Item = Value>) -> Slack {
    let script = Arc::new(Script {
        answers: Mutex::new(answers.into_iter().collect()),
        asked: Mutex::default(),
    });
    let wire: Arc<dyn Wire> = Arc::clone(&script) as _;
    Slack {
        script,
        web: Client::new(&Api::Wire(wire)),
        looks: Looks::default(),
    }
}

impl Slack {
    fn find(&self, thread_ts: Option<&str>) -> Result<Option<(ChannelId, Ts)>, Tried> {
        let look = look("chat.postMessage", thread_ts, 1_700_000_090_250);
        let token = Secret::new("xoxb-1");
        let found = self.looks.find(look, &self.web, &token);
        found.now_or_never().unwrap()
    }

    /// One argument of each call.
    fn asked(&self, argument: &str) -> Vec<String> {
        let asked = self.script.asked.lock().unwrap();
        let value = |(_, fields): &(String, Map<String, Value>)| {
            let value = fields.get(argument).and_then(Value::as_str);
            value.unwrap_or("none").to_owned()
        };
        asked.iter().map(value).collect()
    }
}

fn look(method: &str, thread_ts: Option<&str>, at_ms: u64) -> Option<Look> {
    let mut args = Map::new();
    args.insert("channel".into(), json!("C1"));
    args.extend(thread_ts.map(|ts| ("thread_ts".to_owned(), json!(ts))));
    let call = Call {
        method: method.to_owned(),
        args: args.clone(),
        posted: std::collections::BTreeMap::default(),
    };
    let committed = Committed {
        seq: 1,
        n: 0,
        name: EffectName("a/Ev1/greeter#0".to_owned()),
        app: AppName::new("a"),
        team: "T1".into(),
        effect: Effect::Call(call.clone()),
        at_ms,
        is_recovered: true,
    };
    Look::of(&call, &args, &committed)
}

/// A page of other messages, and perhaps ours as the last.
fn page(others: usize, has_ours: bool, further: &str) -> Value {
    let other = |n| json!({"ts": format!("1.{n}"), "text": "hi"});
    let mut messages: Vec<Value> = (0..others).map(other).collect();
    if has_ours {
        let metadata = json!({"event_type": "callboard_effect", "event_payload": {"effect": "a/Ev1/greeter#0"}});
        messages.push(json!({"ts": "0.7", "metadata": metadata}));
    }
    json!({"ok": true, "messages": messages, "response_metadata": {"next_cursor": further}})
}

fn refused(error: &str) -> Value {
    json!({"ok": false, "error": error})
}

fn ours() -> (ChannelId, Ts) {
    ("C1".into(), "0.7".into())
}

#[test]
fn a_post_is_found_behind_any_number_of_newer_messages() {
    let slack = slack([
        page(200, false, "p2"),
        page(200, false, "p3"),
        page(3, true, ""),
    ]);
    assert_eq!(slack.find(None), Ok(Some(ours())));
    assert_eq!(slack.asked("cursor"), ["none", "p2", "p3"]);
    // A minute before its commit, since clocks differ.
    let oldest = "1700000030.250000";
    assert_eq!(slack.asked("oldest"), [oldest; 3]);
}

#[test]
fn an_answer_in_a_thread_is_looked_for_in_its_thread() {
    let slack = slack([page(200, false, "p2"), page(1, true, "")]);
    assert_eq!(slack.find(Some("1.5")), Ok(Some(ours())));
    let methods: Vec<String> = slack
        .script
        .asked
        .lock()
        .unwrap()
        .iter()
        .map(|(method, _)| method.clone())
        .collect();
    assert_eq!(methods, ["conversations.replies"; 2]);
    assert_eq!(slack.asked("ts"), ["1.5"; 2]);
}

#[test]
fn what_is_not_there_and_what_has_no_name_is_made() {
    for end in [
        json!({"next_cursor": ""}),
        json!({"next_cursor": null}),
        json!({}),
        json!(null),
    ] {
        let last = json!({"ok": true, "messages": [], "response_metadata": end});
        assert_eq!(slack([last]).find(None), Ok(None));
    }
    assert_eq!(look("reactions.add", None, 1), None);
    let from_when = |at_ms| look("chat.postMessage", None, at_ms).unwrap().args;
    assert!(!from_when(0).contains_key("oldest"), "not known since when");
}

#[test]
fn a_look_that_slack_interrupts_goes_on_where_it_was() {
    let slack = slack([
        page(200, false, "p2"),
        refused("ratelimited"),
        page(1, true, ""),
    ]);
    let after = Some(Duration::from_secs(7));
    let waits = slack.find(None).unwrap_err();
    assert!(
        matches!(&waits, Tried::Again { after: at, is_unknown: true, .. } if *at == after),
        "{waits:?}"
    );
    assert_eq!(slack.find(None), Ok(Some(ours())));
    assert_eq!(slack.asked("cursor"), ["none", "p2", "p2"]);
}

#[test]
fn a_cursor_that_has_expired_is_given_up_and_the_look_begins_anew() {
    let slack = slack([
        page(200, false, "p2"),
        refused("invalid_cursor"),
        page(1, true, ""),
    ]);
    let again = slack.find(None).unwrap_err();
    assert!(matches!(
        again,
        Tried::Again {
            is_unknown: true,
            ..
        }
    ));
    assert_eq!(slack.find(None), Ok(Some(ours())));
    assert_eq!(slack.asked("cursor"), ["none", "p2", "none"]);
}

#[test]
fn where_slack_does_not_let_us_look_or_there_is_too_much_it_is_made_again() {
    let closed = slack([refused("missing_scope")]);
    assert_eq!(closed.find(None), Ok(None));
    let endless = slack((0..=LOOK_PAGES_MAX).map(|_| page(200, false, "more")));
    assert_eq!(endless.find(None), Ok(None));
    assert_eq!(endless.asked("cursor").len(), LOOK_PAGES_MAX as usize);
}
