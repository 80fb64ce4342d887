//! Slack refuses tickets in each way it knows: some are waited out, some stop that token only, until it is revived.

use callboard::ingress::Standing;
use callboard::sim::{Fault, What};

use super::sockets::{brisk, line};
use crate::judge::Rules;
use crate::stand::{Stand, until};

const OPEN: &str = "apps.connections.open";

/// When each call of a method came, in microseconds.
fn calls(stand: &mut Stand, of: &str) -> Vec<u64> {
    let called = |what: &What| matches!(what, What::Call { method, .. } if method == of);
    let record = stand.record().iter();
    record
        .filter(|entry| called(&entry.what))
        .map(|entry| entry.at_us)
        .collect()
}

#[test]
fn refusals_that_pass_are_waited_out_with_a_fresh_ticket_each_time() {
    let mut stand = brisk();
    let error = |code: &str| Fault::Error {
        code: code.to_owned(),
    };
    for fault in [
        Fault::RateLimited { retry_after_s: 2 },
        Fault::RateLimitedBare {
            retry_after_s: Some(1),
        },
        Fault::RateLimitedBare {
            retry_after_s: None,
        },
        Fault::Outage { status: 503 },
        Fault::Page,
        error("internal_error"),
    ] {
        stand.simulator.fault(OPEN, fault, 1);
    }
    let running = stand.start();
    let opened = calls(&mut stand, OPEN);
    assert!(opened.len() >= 7, "{opened:?}");
    assert!(opened[1] - opened[0] >= 2_000_000, "Slack said two seconds");
    assert!(opened[2] - opened[1] >= 1_000_000, "Slack said one");
    let acme = line(&running, "acme");
    assert_eq!(acme.tickets, opened.len() as u64, "{acme:?}");
    stand.says(0, 0, "hello");
    stand.answered(1);
    stand.all_acked();
    stand.settle(running, &Rules::default());
}

#[test]
fn a_final_refusal_stops_that_token_only_until_it_is_revived() {
    let mut stand = brisk();
    stand.log.expect("stopped, and not tried again");
    let running = stand.start();
    for code in [
        "invalid_auth",
        "account_inactive",
        "token_revoked",
        "not_allowed_token_type",
        "missing_scope",
    ] {
        let code = code.to_owned();
        let fault = Fault::Error { code: code.clone() };
        stand.simulator.fault(OPEN, fault, 1);
        stand.simulator.drop_sockets(&stand.acme);
        until(
            "it stops",
            || matches!(line(&running, "acme").standing, Standing::Stopped(why) if why.contains(&code)),
        );
        let before = calls(&mut stand, OPEN).len();
        // The other app is not concerned.
        stand.says(2, 0, "hello");
        let classic = line(&running, "classic-1");
        assert_eq!((classic.standing, classic.reconnects), (Standing::Up, 0));
        assert_eq!(calls(&mut stand, OPEN).len(), before, "nobody asks again");
        assert_eq!(running.revive("acme"), Ok(vec!["acme".to_owned()]));
        until("it is back", || {
            line(&running, "acme").standing == Standing::Up
        });
    }
    stand.says(0, 0, "hello");
    stand.answered(6);
    stand.all_acked();
    stand.settle(running, &Rules::default());
}

#[test]
fn link_disabled_stops_it_and_is_not_asked_about_again() {
    let mut stand = brisk();
    stand.log.expect("stopped, and not tried again");
    let running = stand.start();
    stand
        .simulator
        .disconnect(&stand.acme, "link_disabled", true);
    until("it stops", || {
        matches!(line(&running, "acme").standing, Standing::Stopped(_))
    });
    until("its sockets are gone", || {
        line(&running, "acme").sockets.is_empty()
    });
    let before = calls(&mut stand, OPEN).len();
    stand.says(2, 0, "hello");
    stand.answered(1);
    assert_eq!(calls(&mut stand, OPEN).len(), before);
    running.revive("acme").unwrap();
    until("it is back", || {
        line(&running, "acme").standing == Standing::Up
    });
    stand.says(0, 0, "hello");
    stand.answered(2);
    stand.all_acked();
    stand.settle(running, &Rules::default());
}
