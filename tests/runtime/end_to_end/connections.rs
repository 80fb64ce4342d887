//! Slack ends sockets in every way it knows, while people go on writing: nothing is missed, nothing doubled.

use std::time::Duration;

use callboard::sim::What;

use crate::judge::Rules;
use crate::stand::{Stand, impatient, until};

/// Greetings of one test.
const GREETINGS: usize = 300;

/// Writes greetings at a steady pace in the places `from`, and does something to the sockets after every 50th.
fn under_load(stand: &Stand, from: &[usize], mut disturb: impl FnMut(usize)) {
    for n in 0..GREETINGS {
        stand.says(from[n % from.len()], n % 5, "hello");
        if n % 50 == 49 {
            disturb(n / 50);
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// How many sockets `acme` has at Slack.
fn sockets(stand: &mut Stand) -> usize {
    let acme = stand.acme.clone();
    let count = |open: usize, what: &What| match what {
        What::SocketOpened { app, .. } if *app == acme => open + 1,
        What::SocketClosed { app, .. } if *app == acme => open - 1,
        _ => open,
    };
    let record = stand.record();
    record
        .iter()
        .fold(0, |open, entry| count(open, &entry.what))
}

#[track_caller]
fn nothing_missed(stand: &mut Stand, running: callboard::app::Running) {
    stand.answered(GREETINGS);
    stand.all_acked();
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!(verdict.answered, GREETINGS);
}

#[test]
fn a_warning_is_followed_by_a_new_socket_before_the_old_one_goes() {
    let mut stand = impatient();
    let running = stand.start();
    under_load(&stand, &[0, 1], |_| {
        stand.simulator.disconnect(&stand.acme, "warning", false);
    });
    // Each warning brings new sockets; only the newest stay.
    until("two sockets are left", || sockets(&mut stand) == 2);
    let opened =
        |what: &What| matches!(what, What::SocketOpened { app, .. } if app.as_str() == "A00000001");
    let unsent = |what: &What| matches!(what, What::EnvelopeUnsent { .. });
    assert!(stand.record().iter().filter(|it| opened(&it.what)).count() > 1);
    assert!(
        !stand.record().iter().any(|it| unsent(&it.what)),
        "there was a moment without a socket"
    );
    nothing_missed(&mut stand, running);
}

#[test]
fn a_refresh_that_closes_the_socket_at_once_loses_nothing() {
    let mut stand = impatient();
    let running = stand.start();
    under_load(&stand, &[0, 1], |_| {
        stand
            .simulator
            .disconnect(&stand.acme, "refresh_requested", true);
    });
    nothing_missed(&mut stand, running);
}

#[test]
fn connections_that_are_cut_lose_nothing() {
    let mut stand = impatient();
    let running = stand.start();
    under_load(&stand, &[0, 1], |_| {
        stand.simulator.drop_sockets(&stand.acme);
    });
    nothing_missed(&mut stand, running);
}

#[test]
fn events_whose_acks_were_lost_with_their_socket_are_handled_once() {
    let mut stand = impatient();
    let running = stand.start();
    for round in 1..=3 {
        for user in 0..5 {
            stand.says(round % 2, user, "hello");
        }
        // Some are on their way, some are handled, none is acked yet: an ack takes a sync to disk.
        stand.simulator.drop_sockets(&stand.acme);
        // Not disturbed again before Slack has delivered everything again.
        stand.answered(round * 5);
        stand.all_acked();
    }
    let again = |what: &What| matches!(what, What::EnvelopeSent { attempt, .. } if *attempt > 0);
    assert!(stand.record().iter().any(|entry| again(&entry.what)));
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!(verdict.answered, 15);
}

#[test]
fn goodbye_is_survived_and_what_was_delivered_before_it_is_answered() {
    let mut stand = impatient();
    let running = stand.start();
    let team = stand.places[2].team.clone();
    under_load(&stand, &[2], |_| {
        stand.simulator.goodbye(&team);
    });
    until("RTM is back", || {
        let standings = running.standings().all();
        let is_up = |standing| standing == &callboard::ingress::Standing::Up;
        standings.iter().all(|(_, standing)| is_up(standing))
    });
    // Over RTM nobody delivers again: what was written while no socket was open is lost with every client. What
    // was delivered is owed.
    stand.says(2, 0, "hello again");
    until("every delivered greeting is answered", || {
        let facts = stand.facts();
        let owed = facts.greetings.iter().filter(|it| it.is_owned()).count();
        owed > 0 && facts.answers.len() >= owed
    });
    let verdict = stand.settle(running, &Rules::default());
    assert!(verdict.answered > GREETINGS / 10, "{}", verdict.answered);
}
