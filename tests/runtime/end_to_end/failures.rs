//! Handlers that fail, panic or are slow: their key pays, the others don't.

use callboard::base::limits::KEY_MAILBOX_MAX;
use callboard::sim::What;

use crate::bots::let_through;
use crate::judge::{Bot, Rules};
use crate::sentinel::has_logged;
use crate::stand::{Dead, stand};

#[test]
fn a_handler_that_fails_succeeds_later_with_its_state_unharmed() {
    let mut stand = stand();
    let running = stand.start();
    stand.says(0, 0, "hello");
    stand.says(0, 0, "hello fails=3");
    stand.says(0, 0, "hello");
    stand.says(2, 1, "hello fails=2");
    stand.says(2, 1, "hello");
    stand.answered(5);
    stand.all_acked();
    assert!(has_logged("asked to fail"));
    // The judge sees that no try counted but the last, and that the key waited for it.
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!(verdict.answered, 5);
}

#[test]
fn a_handler_that_always_panics_ends_as_a_dead_letter_and_every_key_goes_on() {
    let mut stand = stand();
    stand
        .log
        .expect("a delivery is given up and kept as a dead letter");
    let running = stand.start();
    stand.says(0, 0, "hello");
    stand.says(0, 0, "hello, this one panics=9");
    stand.says(0, 0, "hello");
    for n in 0..20 {
        stand.says(n % 2, 1 + n % 4, "hello");
    }
    // 20 of others, 2 of the key itself.
    stand.answered(22);
    stand.all_acked();
    let rules = Rules {
        given_up: &[(Bot::Greeter, "panics")],
        ..Rules::default()
    };
    let verdict = stand.settle(running, &rules);
    assert_eq!(verdict.answered, 22);

    let dead = stand.dead();
    let [
        Dead {
            key, error, body, ..
        },
    ] = dead.as_slice()
    else {
        panic!("one dead letter, not {dead:?}");
    };
    let user = stand.places[0].users[0].as_str();
    assert!(
        key.starts_with("greeter/acme/") && key.ends_with(user),
        "{key}"
    );
    assert!(error.contains("panicked: asked to panic"), "{error}");
    assert!(body.contains("this one panics=9"), "{body}");
}

#[test]
fn more_events_than_a_mailbox_holds_are_all_handled_in_order_while_other_keys_go_on() {
    let mut stand = stand();
    let running = stand.start();
    let flood = KEY_MAILBOX_MAX * 3;
    stand.says(0, 0, "hello, this one waits");
    for _ in 1..flood {
        stand.says(0, 0, "hello");
    }
    stand.says(0, 1, "hello");
    // Its acks don't wait for it, and neither does its neighbour.
    stand.all_acked();
    stand.answered(1);
    let first = stand.facts().answers.remove(0);
    assert_eq!(first.key.id, stand.places[0].users[1].as_str());
    assert_eq!(stand.facts().answers.len(), 1);
    let_through(1);
    stand.answered(flood + 1);
    stand.all_acked();
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!(verdict.answered, flood + 1);
    let is_again = |what: &What| matches!(what, What::EnvelopeSent { attempt, .. } if *attempt > 0);
    assert!(!stand.record().iter().any(|it| is_again(&it.what)), "shed");
}
