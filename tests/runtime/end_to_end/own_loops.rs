//! Rule 14: loops of the author's own get what was stored, and it is settled when they say so.

use std::time::Duration;

use callboard::app::{Ended, Running};
use callboard::base::clock::Clock;
use callboard::prelude::*;
use callboard::sim::What;
use serde_json::json;

use crate::stand::{Stand, stand, until};

/// The runtime with one subscription, and its reading end.
#[track_caller]
fn start(stand: &Stand, interest: Interest) -> (Running, Subscription) {
    let mut items = None;
    let running = stand.start_with(|callboard| {
        let (callboard, reading) = callboard.subscribe(interest);
        items = Some(reading);
        callboard
    });
    (running, items.unwrap())
}

fn messages() -> Interest {
    Interest::new("loop").event("message")
}

fn text(item: &Item) -> String {
    item.read::<Message>().unwrap().text
}

#[test]
fn rule_14_what_is_read_is_stored_and_acked_and_done_settles_it_with_its_calls() {
    let mut stand = stand();
    let (running, mut items) = start(&stand, messages());
    for place in 0..3 {
        for n in 0..5 {
            stand.says(place, 0, &format!("{place}.{n}"));
        }
    }
    until("everything is there at once", || items.len() == 15);
    // Nobody read any of it yet.
    stand.all_acked();
    let mut all = items.read_all();
    assert_eq!(all.len(), 15);
    assert!(items.read_all().is_empty());
    for place in 0..3 {
        let of_place = |text: &String| text.starts_with(&format!("{place}."));
        let mut texts: Vec<String> = all.iter().map(text).filter(of_place).collect();
        if place != 2 {
            // Two sockets brought them; over RTM it is one, and its order is kept.
            texts.sort();
        }
        let expected: Vec<String> = (0..5).map(|n| format!("{place}.{n}")).collect();
        assert_eq!(texts, expected);
    }
    for mut item in all.drain(..) {
        let text = text(&item);
        item.reply(format!("read {text}"));
        item.done();
    }
    until("every reply is posted", || {
        let posts = stand.posts();
        posts.iter().filter(|it| it.starts_with("read ")).count() == 15
    });
    assert_eq!(running.stop(), Ended::Settled);
    assert!(items.is_closed() && items.read().is_none());
}

#[test]
fn rule_14_an_item_dropped_unfinished_comes_again_and_dies_in_the_end() {
    let mut stand = stand();
    stand.log.expect("is given up and kept as a dead letter");
    let (running, mut items) = start(&stand, messages());
    stand.says(0, 0, "bad");
    stand.says(0, 1, "good");
    let mut attempts = Vec::new();
    let mut is_good_done = false;
    while attempts.len() < 5 || !is_good_done {
        let item = items.read_within(Duration::from_secs(30)).unwrap();
        if text(&item) == "good" {
            // One that fails holds nobody up.
            is_good_done = true;
            item.done();
        } else {
            attempts.push(item.attempt());
            item.fail("it is bad");
        }
    }
    assert_eq!(attempts, [1, 2, 3, 4, 5]);
    assert_eq!(running.stop(), Ended::Settled);
    let dead = stand.dead();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].error.contains("it is bad"), "{dead:?}");
}

#[test]
fn rule_14_what_was_not_read_does_not_hold_a_stop_up_and_is_there_after_it() {
    let mut stand = stand();
    let (running, mut items) = start(&stand, messages());
    // More than may be in memory: the rest is on disk.
    for n in 0..100 {
        stand.says(0, 0, &format!("{n}"));
    }
    stand.all_acked();
    until("memory is full", || items.len() == 64);
    let kept = items.read_within(Duration::ZERO).unwrap();
    let mut texts = vec![text(&kept)];
    kept.done();
    let clock = Clock::system();
    let begun = clock.now();
    assert_eq!(running.stop(), Ended::Left(99));
    assert!(clock.now() - begun < Duration::from_secs(9), "nobody waits");
    let (running, mut items) = start(&stand, messages());
    while texts.len() < 100 {
        let item = items.read_within(Duration::from_secs(30)).unwrap();
        texts.push(text(&item));
        item.done();
    }
    // Two sockets brought them, so Slack's order is not theirs.
    texts.sort_by_key(|text| text.parse::<u32>().unwrap());
    let expected: Vec<String> = (0..100).map(|n| format!("{n}")).collect();
    assert_eq!(texts, expected);
    assert_eq!(running.stop(), Ended::Settled);
}

#[test]
fn a_command_is_answered_by_hand_and_the_answer_rides_in_its_ack() {
    let mut stand = stand();
    let (running, mut items) = start(&stand, Interest::new("loop").command("/greeted"));
    let envelope = stand.runs(0, "/greeted", "please");
    let item = items.read_within(Duration::from_secs(30)).unwrap();
    assert_eq!(item.id(), envelope, "it is named by its envelope's id");
    assert!(item.is_answered());
    item.respond(&json!({"text": "by hand"})).unwrap();
    stand.recorded("ack with the answer", 1, |what| {
        matches!(what, What::Ack { envelope_id, has_payload: true, .. } if *envelope_id == envelope)
    });
    assert_eq!(running.stop(), Ended::Settled);
}
