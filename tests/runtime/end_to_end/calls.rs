//! Slack refuses, stumbles, or cuts the line: posts stay in order, and each is made once.

use std::time::Duration;

use callboard::sim::{Fault, What};

use crate::judge::Rules;
use crate::stand::{Stand, stand};

/// Greetings of one test.
const GREETINGS: usize = 24;

/// The greetings of four users in one channel under `faults`.
#[track_caller]
fn posted_once_and_in_order(faults: &[(Fault, u32)]) -> Stand {
    let mut stand = stand();
    let running = stand.start();
    for (fault, times) in faults {
        stand
            .simulator
            .fault("chat.postMessage", fault.clone(), *times);
    }
    for n in 0..GREETINGS {
        stand.says(n % 2, n % 4, "hello");
    }
    stand.answered(GREETINGS);
    stand.all_acked();
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!(verdict.answered, GREETINGS);
    let planned: u32 = faults.iter().map(|(_, times)| times).sum();
    let is_struck = |what: &What| matches!(what, What::Call { fault: Some(_), .. });
    let struck = stand.record().iter().filter(|it| is_struck(&it.what));
    assert_eq!(struck.count(), planned as usize, "every fault struck");
    stand
}

#[test]
fn a_rate_limited_channel_waits_as_long_as_slack_asks() {
    let fault = Fault::RateLimited { retry_after_s: 1 };
    let mut stand = posted_once_and_in_order(&[(fault, 2)]);
    let calls: Vec<(String, bool, u64)> = stand
        .record()
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Call {
                method, args, ok, ..
            } if method == "chat.postMessage" => {
                let channel = args.get("channel")?.as_str()?.to_owned();
                Some((channel, *ok, entry.at_us))
            }
            _ => None,
        })
        .collect();
    for (at, (channel, ok, refused_us)) in calls.iter().enumerate() {
        let next = calls[at + 1..].iter().find(|(other, ..)| other == channel);
        if let (false, Some((.., next_us))) = (ok, next) {
            let waited = Duration::from_micros(next_us - refused_us);
            assert!(waited >= Duration::from_secs(1), "only {waited:?}");
        }
    }
}

#[test]
fn an_outage_is_waited_out() {
    posted_once_and_in_order(&[
        (Fault::Outage { status: 503 }, 2),
        (Fault::Outage { status: 500 }, 2),
    ]);
}

#[test]
fn a_line_cut_before_slack_took_the_post_is_tried_again() {
    posted_once_and_in_order(&[(Fault::CutBefore, 3)]);
}

#[test]
fn a_line_cut_after_slack_took_the_post_does_not_double_it() {
    let mut stand = posted_once_and_in_order(&[(Fault::CutAfter, 3)]);
    let is_look = |what: &What| matches!(what, What::Call { method, .. } if method.starts_with("conversations."));
    assert!(
        stand.record().iter().any(|entry| is_look(&entry.what)),
        "it did not look before it repeated"
    );
}

#[test]
fn slow_answers_of_slack_delay_and_double_nothing() {
    posted_once_and_in_order(&[(Fault::Delay { ms: 400 }, 3)]);
}
