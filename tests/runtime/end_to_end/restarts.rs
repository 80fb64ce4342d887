//! Stopping, and starting again on the same store.

use callboard::app::StartError;
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
    assert_eq!(running.stop(), callboard::app::Ended::Settled);
    judge(&Record::of(stand.record()), &Rules::default()).assert_kept();
}
