//! The judge against forged records: a clean one passes, and each way to break a promise is caught.
mod commands;
mod crowd;

use serde_json::json;

use super::forge::Forger;
use super::{Bot, Promise, Rules, Verdict, judge};

fn verdict(forger: &Forger) -> Verdict {
    judge(&forger.record(), &Rules::default())
}

/// Exactly these promises are found broken, with these words in the text.
#[track_caller]
fn caught(forger: &Forger, promise: Promise, words: &str) {
    caught_under(&Rules::default(), forger, promise, words);
}

#[track_caller]
fn caught_under(rules: &Rules, forger: &Forger, promise: Promise, words: &str) {
    let violations = judge(&forger.record(), rules).violations;
    assert!(
        violations
            .iter()
            .any(|violation| violation.promise == promise && violation.text.contains(words)),
        "not caught ({promise:?}, {words:?}), but: {violations:?}"
    );
}

const KILLED: Rules = Rules {
    are_kills_declared: true,
    ..Rules::GREETER
};

#[test]
fn a_clean_record_breaks_nothing() {
    let mut forger = Forger::new();
    forger.round("U1", "C1", 1);
    forger.round("U2", "C1", 1);
    forger.round("U1", "C2", 2);
    let threaded = forger.says_in("U2", "C1", Some("1600000000.000001"));
    forger.sends(&threaded, 1);
    // Delivered twice, acked twice, answered once.
    forger
        .sends(&threaded, 1)
        .acks(&threaded, 1)
        .acks(&threaded, 1);
    forger.answers(&threaded, 2);
    let over_rtm = forger.says("U3", "C1");
    let effect = format!("classic/T1/message./C1/{}/greeter#0", over_rtm.ts);
    forger
        .frames(&over_rtm, 2)
        .answers_as(&over_rtm, 1, &effect);
    // Sent and never acked: nothing is owed.
    let shed = forger.says("U1", "C1");
    forger.sends(&shed, 1);
    let verdict = verdict(&forger);
    verdict.assert_kept();
    assert_eq!((verdict.owned, verdict.answered), (5, 5));
}

#[test]
fn p1_an_acked_event_that_is_never_answered_is_caught() {
    let mut forger = Forger::new();
    let said = forger.says("U1", "C1");
    forger.sends(&said, 1).acks(&said, 1);
    caught(&forger, Promise::AckedImpliesHandled, "never answered");
}

#[test]
fn p1_a_frame_over_rtm_that_is_never_answered_is_caught_unless_its_socket_broke() {
    let mut forger = Forger::new();
    let said = forger.says("U1", "C1");
    forger.frames(&said, 7);
    caught(&forger, Promise::AckedImpliesHandled, "delivered");
    forger.kill(7);
    verdict(&forger).assert_kept();
}

#[test]
fn p2_answers_out_of_order_in_a_channel_are_caught() {
    let mut forger = Forger::new();
    let (first, second) = (forger.says("U1", "C1"), forger.says("U1", "C1"));
    forger
        .sends(&first, 1)
        .acks(&first, 1)
        .sends(&second, 1)
        .acks(&second, 1);
    forger.answers(&second, 2).answers(&first, 1);
    caught(&forger, Promise::InOrderPerKey, "was posted after");
}

#[test]
fn p2_greetings_handled_in_another_order_than_one_socket_brought_them_are_caught() {
    let mut forger = Forger::new();
    let (first, second) = (forger.says("U1", "C1"), forger.says("U1", "C1"));
    forger.sends(&first, 1).sends(&second, 1);
    forger.acks(&first, 1).acks(&second, 1);
    forger.answers(&second, 1).answers(&first, 2);
    caught(&forger, Promise::InOrderPerKey, "was delivered before");
}

#[test]
fn p2_a_greeting_that_overtakes_one_acked_before_it_was_sent_is_caught() {
    let mut forger = Forger::new();
    let first = forger.says("U1", "C1");
    forger.sends(&first, 1).acks(&first, 1);
    let second = forger.says("U1", "C2");
    forger.sends(&second, 2).acks(&second, 2);
    forger.answers(&second, 1).answers(&first, 2);
    caught(&forger, Promise::InOrderPerKey, "was acked before");
}

#[test]
fn what_an_operator_retried_has_lost_its_place_and_is_owed_all_the_same() {
    let rules = Rules {
        retried: Some("ails"),
        ..Rules::GREETER
    };
    let mut forger = Forger::new();
    let first = forger.writes("U1", "C1", None, "hello, it ails");
    let second = forger.says("U1", "C1");
    forger.sends(&first, 1).sends(&second, 1);
    forger.acks(&first, 1).acks(&second, 1).answers(&second, 1);
    caught_under(&rules, &forger, Promise::AckedImpliesHandled, "it ails");
    forger.answers(&first, 2);
    judge(&forger.record(), &rules).assert_kept();
    caught(&forger, Promise::InOrderPerKey, "was delivered before");
}

#[test]
fn p3_a_gap_and_a_repeat_in_a_keys_counters_are_caught() {
    let mut forger = Forger::new();
    forger.round("U1", "C1", 1);
    forger.round("U1", "C1", 3);
    caught(&forger, Promise::AllOrNothing, "after 1 comes 3");
    let mut forger = Forger::new();
    forger.round("U1", "C1", 1);
    forger.round("U1", "C1", 1);
    caught(&forger, Promise::AllOrNothing, "repeats the count");
    let mut forger = Forger::new();
    forger.round("U1", "C1", 2);
    caught(&forger, Promise::AllOrNothing, "after 0 comes 2");
}

#[test]
fn p3_counters_that_two_users_share_are_caught() {
    let mut forger = Forger::new();
    forger.round("U1", "C1", 1);
    forger.round("U2", "C1", 2);
    caught(&forger, Promise::AllOrNothing, "U2: after 0 comes 2");
}

#[test]
fn p3_an_answer_to_what_was_to_be_given_up_is_caught() {
    let rules = Rules {
        given_up: &[(Bot::Greeter, "there")],
        ..Rules::default()
    };
    let mut forger = Forger::new();
    let said = forger.says("U1", "C1");
    forger.sends(&said, 1).acks(&said, 1);
    judge(&forger.record(), &rules).assert_kept();
    forger.answers(&said, 1);
    caught_under(&rules, &forger, Promise::AllOrNothing, "given up");
}

#[test]
fn p4_an_event_that_is_answered_twice_is_caught() {
    let mut forger = Forger::new();
    let said = forger.round("U1", "C1", 1);
    let effect = format!("acme/{}/greeter#1", said.event);
    forger.sends(&said, 1).acks(&said, 1);
    forger.answers_as(&said, 2, &effect);
    caught(&forger, Promise::HandledOnce, "is answered twice");
}

#[test]
fn p4_a_post_made_twice_is_caught() {
    let mut forger = Forger::new();
    let said = forger.round("U1", "C1", 1);
    forger.answers(&said, 1);
    caught(&forger, Promise::HandledOnce, "no kill lies between");
}

#[test]
fn p4_a_post_made_twice_around_a_kill_is_caught_and_whether_it_was_looked_for_is_told() {
    let twice = |looks_in: &[&str]| {
        let mut forger = Forger::new();
        let said = forger.round("U1", "C1", 1);
        // By the process that dies, of no matter.
        forger.looks("C1", None);
        forger.kill(1).life(2);
        for channel in looks_in {
            forger.looks(channel, None);
        }
        forger.answers(&said, 1);
        forger
    };
    let words = "was looked for and not found";
    caught_under(&KILLED, &twice(&["C1"]), Promise::HandledOnce, words);
    let words = "was not looked for";
    for elsewhere in [&[][..], &["C2"]] {
        caught_under(&KILLED, &twice(elsewhere), Promise::HandledOnce, words);
    }
}

#[test]
fn p4_a_post_made_twice_although_its_lane_went_on_is_caught() {
    let mut forger = Forger::new();
    let said = forger.round("U1", "C1", 1);
    forger.round("U2", "C1", 1);
    forger.kill(1).life(2);
    forger.answers(&said, 1);
    caught_under(&KILLED, &forger, Promise::HandledOnce, "had gone on");
}

#[test]
fn p4_an_answer_in_another_channel_or_thread_or_to_another_key_is_caught() {
    let mut forger = Forger::new();
    let mut said = forger.says("U1", "C1");
    forger.sends(&said, 1).acks(&said, 1);
    said.channel = "C2";
    forger.answers(&said, 1);
    caught(&forger, Promise::HandledOnce, "in another channel");

    let mut forger = Forger::new();
    let mut said = forger.says_in("U1", "C1", Some("1600000000.000001"));
    forger.sends(&said, 1).acks(&said, 1);
    said.thread_ts = None;
    forger.answers(&said, 1);
    caught(&forger, Promise::HandledOnce, "in thread None");

    let mut forger = Forger::new();
    let mut said = forger.says("U1", "C1");
    forger.sends(&said, 1).acks(&said, 1);
    said.user = "U2";
    forger.answers(&said, 1);
    caught(&forger, Promise::HandledOnce, "of another key");
}

#[test]
fn p4_an_answer_to_nothing_and_one_without_an_effect_are_caught() {
    let mut forger = Forger::new();
    let said = forger.says("U1", "C1");
    forger.sends(&said, 1).acks(&said, 1);
    forger.answers_as(&said, 1, "acme/Ev999/greeter#0");
    caught(&forger, Promise::HandledOnce, "nothing that a person wrote");
    forger.answers_as(&said, 2, "");
    caught(&forger, Promise::HandledOnce, "no effect");
}

#[test]
fn p8_acks_of_the_unknown_repeated_ones_and_late_ones_are_caught() {
    let mut forger = Forger::new();
    let said = forger.round("U1", "C1", 1);
    forger.acks(&said, 1);
    caught(&forger, Promise::AcksInTime, "acked twice");

    let mut forger = Forger::new();
    let said = forger.round("U1", "C1", 1);
    forger.acks(&said, 9);
    caught(&forger, Promise::AcksInTime, "which never brought it");

    let mut forger = Forger::new();
    let said = forger.says("U1", "C1");
    forger
        .sends(&said, 1)
        .acks_as(&said, 1, true)
        .answers(&said, 1);
    caught(&forger, Promise::AcksInTime, "is late");
    let rules = Rules {
        are_late_acks_declared: true,
        ..Rules::default()
    };
    let verdict = judge(&forger.record(), &rules);
    verdict.assert_kept();
    assert_eq!(verdict.late_acks, 1);

    let mut forger = Forger::new();
    forger.entry(json!({"what": "frame_ignored", "socket": 1, "why": "unknown_envelope_id"}));
    caught(&forger, Promise::AcksInTime, "means nothing");
}
