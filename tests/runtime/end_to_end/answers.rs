//! Messages and their answers: both transports, the right place, the right counter.

use callboard::sim::What;

use crate::judge::Rules;
use crate::stand::{forgetful, stand, stand_with};

#[test]
fn a_message_over_socket_mode_is_answered_where_it_was_written() {
    let mut stand = stand();
    let running = stand.start();
    stand.says(0, 0, "Hello, everybody");
    stand.answered(1);
    stand.all_acked();
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!((verdict.owned, verdict.answered), (1, 1));
}

#[test]
fn a_message_over_rtm_is_answered_where_it_was_written() {
    let mut stand = stand();
    let running = stand.start();
    stand.says(2, 0, "hello");
    stand.answered(1);
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!((verdict.owned, verdict.answered), (1, 1));
    let answer = stand.facts().answers.remove(0);
    assert_eq!(answer.key.team, stand.places[2].team.as_str());
}

#[test]
fn a_message_in_a_thread_is_answered_in_that_thread_and_others_are_not() {
    let mut stand = stand();
    let running = stand.start();
    for place in [0, 2] {
        let channel = stand.places[place].random.clone();
        let head = stand.says_in(place, 1, "who is there?", &channel, None);
        stand.says_in(place, 0, "hello in the thread", &channel, Some(&head));
        stand.says_in(place, 0, "hello in the channel", &channel, None);
        let other = stand.says_in(place, 1, "and there?", &channel, None);
        stand.says_in(place, 0, "hello in the other", &channel, Some(&other));
        stand.answered(if place == 0 { 3 } else { 6 });
        let threads: Vec<Option<String>> = stand
            .facts()
            .answers
            .into_iter()
            .filter(|answer| answer.channel == channel.as_str())
            .map(|answer| answer.thread_ts)
            .collect();
        let (head, other) = (head.as_str().to_owned(), other.as_str().to_owned());
        assert_eq!(threads, [Some(head), None, Some(other)]);
    }
    stand.all_acked();
    stand.settle(running, &Rules::default());
}

#[test]
fn a_store_in_memory_serves_as_any_other_does_until_the_process_ends() {
    let mut stand = forgetful();
    let running = stand.start();
    for place in [0, 2] {
        stand.says(place, 0, "hello");
        stand.says(place, 0, "hello again");
    }
    stand.answered(4);
    stand.all_acked();
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!((verdict.owned, verdict.answered), (4, 4));
    let running = stand.start();
    stand.says(0, 0, "hello");
    stand.answered(5);
    let last = stand.facts().answers.pop().unwrap();
    assert_eq!(last.count, 1, "it counts from nothing");
    drop(running);
}

#[test]
fn counters_of_users_and_workspaces_never_mix() {
    let mut stand = stand();
    let running = stand.start();
    let mut said = 0;
    for round in 0..8 {
        for place in 0..3 {
            for user in 0..5 {
                // Everybody a different number of times, and in two channels.
                if round <= place + user {
                    let place_of = &stand.places[place];
                    let channel = match round % 2 {
                        0 => place_of.general.clone(),
                        _ => place_of.random.clone(),
                    };
                    stand.says_in(place, user, "hello", &channel, None);
                    said += 1;
                }
            }
        }
    }
    stand.answered(said);
    stand.all_acked();
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!((verdict.owned, verdict.answered), (said, said));
    let keys: std::collections::BTreeSet<_> =
        stand.facts().answers.into_iter().map(|it| it.key).collect();
    assert_eq!(keys.len(), 15, "{keys:?}");
}

#[test]
fn the_apps_own_posts_and_small_talk_are_acked_and_not_answered() {
    let mut stand = stand();
    let running = stand.start();
    stand.says(0, 0, "hello");
    stand.says(0, 0, "how do you do");
    stand.says(2, 0, "hello");
    stand.answered(2);
    let is_own = |what: &What| match what {
        What::EnvelopeSent { subject, .. } => subject.text.starts_with("Hello <@"),
        What::RtmSent { frame, .. } => frame["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("Hello <@")),
        _ => false,
    };
    stand.recorded("the bot's own post, told to the bot", 2, is_own);
    stand.all_acked();
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!(verdict.answered, 2);
}

#[test]
fn rule_8_an_event_that_slack_delivers_again_and_again_is_handled_once() {
    // The deadline is shorter than any sync to disk, so nearly every ack is too late and the event comes again.
    let mut stand = stand_with(callboard::sim::Options {
        ack_deadline: std::time::Duration::from_micros(200),
        time_scale: 600.0,
        ..callboard::sim::Options::default()
    });
    let running = stand.start();
    for n in 0..60 {
        stand.says(n % 2, n % 5, "hello");
    }
    stand.answered(60);
    let is_again = |what: &What| matches!(what, What::EnvelopeSent { attempt, .. } if *attempt > 0);
    let is_last = |what: &What| {
        matches!(what, What::EnvelopeGivenUp { .. })
            || matches!(what, What::Ack { is_late: false, .. })
    };
    // Each greeting and each answer's own event came to the end of its ladder, or was acked in time.
    stand.recorded("an envelope at its end", 120, is_last);
    let again = stand
        .record()
        .iter()
        .filter(|it| is_again(&it.what))
        .count();
    assert!(again > 30, "only {again} deliveries were repeated");
    let rules = Rules {
        are_late_acks_declared: true,
        ..Rules::default()
    };
    let verdict = stand.settle(running, &rules);
    assert_eq!(verdict.answered, 60);
}
