//! Stopping, and starting again on the same store.

use std::time::Duration;

use callboard::app::{Ended, StartError};
use callboard::sim::{Fault, Options, What};
use callboard::store;

use crate::crash::program::Program;
use crate::judge::{Record, Rules, judge};
use crate::stand::{impatient, stand, stand_with, until};

#[test]
fn counters_go_on_after_a_restart_and_what_was_written_meanwhile_is_answered() {
    let mut stand = impatient();
    let running = stand.start();
    for n in 0..12 {
        stand.says(n % 3, n % 5, "hello");
    }
    stand.answered(12);
    stand.all_acked();
    stand.settle(running, &Rules::default());
    // Nobody is there; Slack keeps these and delivers them again.
    for user in 0..5 {
        stand.says(0, user, "hello while you are out");
    }
    let running = stand.start();
    stand.answered(17);
    for n in 0..12 {
        stand.says(n % 3, n % 5, "hello");
    }
    stand.answered(29);
    stand.all_acked();
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!(verdict.answered, 29);
}

#[test]
fn rule_16_calls_of_an_earlier_run_go_out_at_the_start_without_a_further_event() {
    let mut stand = stand();
    let program = Program::start(&stand);
    let is_open = |what: &What| matches!(what, What::SocketOpened { .. });
    stand.recorded("a socket of each app", 2, is_open);
    // Slack takes no post while this run lasts.
    let outage = Fault::Outage { status: 503 };
    stand.simulator.fault("chat.postMessage", outage, u32::MAX);
    for place in 0..3 {
        stand.says(place, 0, "hello");
    }
    for place in 0..3 {
        let general = stand.places[place].general.clone();
        let is_refused = move |what: &What| {
            matches!(what, What::Call { method, args, ok: false, .. }
            if method == "chat.postMessage" && args["channel"] == general.as_str())
        };
        stand.recorded("a post that fails", 1, is_refused);
    }
    stand.all_acked();
    assert_eq!(program.stop(), Some(3), "the rest is left in the store");
    stand.simulator.clear_faults();
    let before = stand.record().len();
    let running = stand.start();
    stand.answered(3);
    let is_new = |what: &What| match what {
        What::EnvelopeSent { subject, .. } => subject.text == "hello",
        What::RtmSent { frame, .. } => frame["text"] == "hello",
        _ => false,
    };
    let record = stand.record();
    assert!(!record[before..].iter().any(|it| is_new(&it.what)));
    stand.all_acked();
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!(verdict.answered, 3);
}

#[test]
fn rule_16_marks_are_known_before_the_first_socket_opens() {
    // The deadline is shorter than any sync to disk: nearly every ack is too late, and the event comes again after 3 s.
    let mut stand = stand_with(Options {
        ack_deadline: Duration::from_micros(200),
        time_scale: 20.0,
        ..Options::default()
    });
    let running = stand.start();
    for n in 0..10 {
        stand.says(n % 2, n % 5, "hello");
    }
    stand.answered(10);
    assert_eq!(running.stop(), Ended::Settled);
    let before = stand.record().len();
    let running = stand.start();
    until("a greeting of before comes again", || {
        let is_again = |what: &What| matches!(what, What::EnvelopeSent { attempt: 2.., subject, .. } if subject.text == "hello");
        stand.record()[before..].iter().any(|it| is_again(&it.what))
    });
    // A new one behind it, so that the old one has been dealt with.
    stand.says(0, 0, "hello");
    stand.answered(11);
    let rules = Rules {
        are_late_acks_declared: true,
        ..Rules::default()
    };
    let verdict = stand.settle(running, &rules);
    assert_eq!(verdict.answered, 11);
}

#[test]
fn rule_16_a_stop_in_the_middle_of_a_turn_loses_nothing() {
    let mut stand = impatient();
    let running = stand.start();
    for user in 0..5 {
        stand.says(0, user, "hello naps=300");
        stand.says(0, user, "hello");
    }
    stand.all_acked();
    // Whether the turns end in time or are left in the store: the next start goes on from there.
    running.stop();
    let running = stand.start();
    stand.answered(10);
    stand.all_acked();
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!(verdict.answered, 10);
}

#[test]
fn rule_16_a_second_start_on_a_store_in_use_is_refused_and_the_first_goes_on() {
    let mut stand = stand();
    let running = stand.start();
    let error = stand.try_start().unwrap_err();
    assert!(
        matches!(&error, StartError::Store(store::Error::InUse { .. })),
        "{error:?}"
    );
    let path = stand.config.store.path.display().to_string();
    assert!(error.to_string().contains(&path), "{error}");
    stand.says(0, 0, "hello");
    stand.answered(1);
    stand.all_acked();
    assert_eq!(running.stop(), Ended::Settled);
    judge(&Record::of(stand.record()), &Rules::default()).assert_kept();
}
