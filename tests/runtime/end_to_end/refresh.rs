//! Every socket is told to refresh each second, under load: nothing is missed, left un-acked or handled twice.
//!
//! `CALLBOARD_REFRESH_SECONDS=60` takes the full minute; without it a shorter while is enough.

use std::time::Duration;

use callboard::base::clock::Clock;
use callboard::config::{Environment, SystemEnvironment};
use callboard::sim::What;

use crate::judge::Rules;
use crate::stand::stand;

/// Seconds of an ordinary run.
const SECONDS: u64 = 6;

/// Greetings a second.
const RATE: u64 = 150;

#[test]
fn every_socket_refreshed_each_second_under_load_loses_doubles_and_delays_nothing() {
    let seconds = SystemEnvironment
        .get("CALLBOARD_REFRESH_SECONDS")
        .map_or(SECONDS, |seconds| seconds.parse().unwrap());
    // With Slack's own ladder: what is not acked at once would be seen as a second attempt.
    let mut stand = stand();
    let running = stand.start();
    let clock = Clock::system();
    let begun = clock.now();
    let (mut said, mut refreshed) = (0, 0);
    loop {
        let passed = clock.now() - begun;
        if passed >= Duration::from_secs(seconds) {
            break;
        }
        if passed.as_secs() > refreshed {
            refreshed += 1;
            let told = stand
                .simulator
                .disconnect(&stand.acme, "refresh_requested", false);
            assert!(told >= 2, "{told} sockets after {refreshed} s");
        }
        let due = u64::try_from(passed.as_millis()).unwrap() * RATE / 1000;
        while said < due {
            let n = usize::try_from(said).unwrap();
            stand.says(n % 2, n / 2 % 5, "hello");
            said += 1;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    let count = usize::try_from(said).unwrap();
    // A busy machine posts answers more slowly than people write; each part has the usual patience.
    for part in 1..=8 {
        stand.answered(count * part / 8);
    }
    stand.all_acked();
    for entry in stand.record() {
        match &entry.what {
            What::EnvelopeUnsent { .. } => panic!("there was a moment without a socket: {entry:?}"),
            What::DeadlineMissed { .. } => panic!("no ack in time: {entry:?}"),
            What::EnvelopeSent { attempt, .. } => assert_eq!(*attempt, 0, "{entry:?}"),
            What::SocketRefused { .. } => panic!("one socket too many: {entry:?}"),
            _ => {}
        }
    }
    let report = running.connections();
    let acme = report.iter().find(|line| line.name == "acme").unwrap();
    assert!(acme.reasons["refresh_requested"] >= refreshed, "{acme:?}");
    assert_eq!((acme.gaps, acme.broken_first, acme.shed), (0, 0, 0));
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!(verdict.answered, count);
}
