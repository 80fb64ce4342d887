//! Slash commands: the answer in the ack, the late answer, the deferred work.

use std::collections::BTreeMap;
use std::time::Duration;

use callboard::app::{Callboard, Ended};
use callboard::sim::{Via, What};
use serde_json::Value;

use crate::bots::{Greeter, let_through};
use crate::judge::Rules;
use crate::sentinel::has_logged;
use crate::stand::{stand, until};

#[test]
fn rule_4_a_commands_answer_rides_in_its_ack_and_only_its_user_sees_it() {
    let mut stand = stand();
    let running = stand.start();
    stand.says(0, 1, "hello");
    stand.answered(1);
    for (user, expected) in [(1, "1 so far"), (0, "0 so far")] {
        let envelope = stand.runs(user, "/greeted", "");
        let who = stand.places[0].users[user].clone();
        stand.recorded("the answer, shown", 1, |what| {
            matches!(what, What::EphemeralShown { user, text, via: Via::Ack, envelope_id, .. }
                if *user == who && text == expected && *envelope_id == envelope)
        });
        stand.recorded("the ack with the answer", 1, |what| {
            matches!(what, What::Ack { envelope_id, has_payload: true, is_late: false, .. }
                if *envelope_id == envelope)
        });
    }
    stand.all_acked();
    stand.settle(running, &Rules::default());
}

#[test]
fn rule_4_a_slow_commands_ack_goes_before_the_deadline_and_its_answer_by_the_response_url() {
    let mut stand = stand();
    let running = stand.start();
    let slow = stand.runs(0, "/greeted", "naps=3300");
    // Another user does not wait for it.
    let fast = stand.runs(1, "/greeted", "");
    stand.recorded("the fast answer", 1, |what| {
        matches!(what, What::EphemeralShown { envelope_id, via: Via::Ack, .. } if *envelope_id == fast)
    });
    stand.recorded("the slow answer", 1, |what| {
        matches!(what, What::EphemeralShown { envelope_id, text, via: Via::ResponseUrl, .. }
            if *envelope_id == slow && text == "0 so far")
    });
    let ack = stand.record().iter().find_map(|entry| match &entry.what {
        What::Ack {
            envelope_id,
            has_payload,
            since_first_us,
            ..
        } if *envelope_id == slow => Some((*has_payload, since_first_us.unwrap())),
        _ => None,
    });
    let (has_payload, after_us) = ack.expect("the slow command is acked");
    assert!(!has_payload);
    let (soonest, latest) = (Duration::from_secs(2), Duration::from_secs(3));
    assert!((soonest..latest).contains(&Duration::from_micros(after_us)));
    let failed = |what: &What| matches!(what, What::CommandFailed { .. });
    assert!(!stand.record().iter().any(|entry| failed(&entry.what)));
    stand.settle(running, &Rules::default());
}

#[test]
fn rule_4_a_command_given_up_after_its_ack_left_is_told_so_by_the_response_url() {
    let mut stand = stand();
    stand
        .log
        .expect("a delivery is given up and kept as a dead letter");
    let running = stand.start();
    // Every try takes a while and fails: the last one ends long after the ack had to go.
    let hopeless = stand.runs(0, "/greeted", "naps=700 fails=99");
    stand.recorded("the ack without an answer", 1, |what| {
        matches!(what, What::Ack { envelope_id, has_payload: false, is_late: false, .. }
            if *envelope_id == hopeless)
    });
    stand.recorded("the apology", 1, |what| {
        matches!(what, What::EphemeralShown { envelope_id, text, via: Via::ResponseUrl, .. }
            if *envelope_id == hopeless && text == "Sorry, that did not work.")
    });
    assert_eq!(running.stop(), Ended::Settled);
    let shown = |what: &What| matches!(what, What::EphemeralShown { .. });
    let record = stand.record();
    assert_eq!(
        record.iter().filter(|it| shown(&it.what)).count(),
        1,
        "once"
    );
    let dead = stand.dead();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].error.contains("asked to fail"), "{dead:?}");
}

#[test]
fn rule_12_a_jobs_result_that_nobody_takes_any_more_is_a_dead_letter_and_logged() {
    let mut stand = stand();
    let running = stand.start();
    stand.runs(0, "/report", "topic-0 waits");
    stand.recorded("the order", 1, |what| {
        matches!(what, What::Posted { text, via: Via::Call, .. } if text.ends_with(": working"))
    });
    stand.all_acked();
    // The job waits for nobody; it is left for the next start.
    assert_ne!(running.stop(), Ended::Settled);
    stand.log.expect("see `callboard inspect dead`");
    let running = stand.start_with(Callboard::handler::<Greeter>);
    until("the result is buried", || {
        has_logged("see `callboard inspect dead`")
    });
    assert_eq!(running.stop(), Ended::Settled);
    let dead = stand.dead();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].error.contains("no handler has a route"), "{dead:?}");
    assert!(dead[0].body.contains("report.compile"), "{dead:?}");
}

#[test]
fn reports_of_three_users_end_in_their_own_threads_and_greetings_do_not_wait_for_them() {
    let mut stand = stand();
    let running = stand.start();
    for user in 0..3 {
        stand.runs(user, "/report", &format!("topic-{user} waits"));
    }
    for user in 0..5 {
        stand.says(0, user, "hello");
    }
    stand.answered(5);
    let posts = posts(stand.record());
    assert!(
        !posts.iter().any(|post| post.text.contains("is done")),
        "a greeting waited for the reports: {posts:?}"
    );
    let_through(3);
    stand.recorded("a result", 3, |what| {
        matches!(what, What::Posted { text, via: Via::Call, .. } if text.contains("is done"))
    });
    stand.all_acked();
    stand.settle(running, &Rules::default());

    let posts = self::posts(stand.record());
    let mut heads: BTreeMap<String, String> = BTreeMap::new();
    for post in posts.iter().filter(|post| post.text.contains(": working")) {
        assert_eq!(post.thread_ts, None);
        heads.insert(topic(&post.text), post.ts.clone());
    }
    assert_eq!(heads.len(), 3);
    let results: Vec<&Post> = posts
        .iter()
        .filter(|post| post.text.contains("is done"))
        .collect();
    assert_eq!(results.len(), 3);
    for result in results {
        assert!(result.text.ends_with("is done: 2 words"), "{result:?}");
        assert_eq!(result.thread_ts.as_ref(), heads.get(&topic(&result.text)));
    }
}

#[derive(Debug)]
struct Post {
    text: String,
    ts: String,
    thread_ts: Option<String>,
}

/// Every successful post, in order.
fn posts(record: &[callboard::sim::Entry]) -> Vec<Post> {
    let post = |what: &What| match what {
        What::Call {
            method,
            args,
            ok: true,
            ts: Some(ts),
            ..
        } if method == "chat.postMessage" => Some(Post {
            text: args.get("text")?.as_str()?.to_owned(),
            ts: ts.as_str().to_owned(),
            thread_ts: args
                .get("thread_ts")
                .and_then(Value::as_str)
                .map(str::to_owned),
        }),
        _ => None,
    };
    record.iter().filter_map(|it| post(&it.what)).collect()
}

/// The word that tells the reports apart.
fn topic(text: &str) -> String {
    let word = text
        .split_whitespace()
        .find(|word| word.starts_with("topic-"));
    word.unwrap().to_owned()
}
