//! Stopping, and starting again on the same store.

use callboard::app::{Ended, StartError};
use callboard::sim::{Fault, What};
use callboard::store;

use crate::judge::{Record, Rules, judge};
use crate::stand::{impatient, stand};

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
    let running = stand.start();
    // Slack takes no post while this run lasts.
    let outage = Fault::Outage { status: 503 };
    stand.simulator.fault("chat.postMessage", outage, u32::MAX);
    for place in 0..3 {
        stand.says(place, 0, "hello");
    }
    let refused = |what: &What| matches!(what, What::Call { method, ok: false, .. } if method == "chat.postMessage");
    stand.recorded("a post that fails", 3, refused);
    stand.all_acked();
    assert_eq!(running.stop(), Ended::Left(3));
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
fn a_stop_in_the_middle_of_a_turn_loses_nothing() {
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
fn a_second_start_on_a_store_in_use_is_refused_and_the_first_goes_on() {
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
