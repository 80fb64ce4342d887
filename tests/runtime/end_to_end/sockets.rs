//! Sockets that misbehave in each way the simulator knows: every one is noticed, replaced, and survived.

use std::time::Duration;

use callboard::app::Running;
use callboard::ingress::{LineReport, Standing};
use callboard::sim::{Options, SocketFault, Unsteady, What};

use crate::judge::Rules;
use crate::stand::{Stand, stand_with, until};

/// With times so short that a test need not wait, and a ladder to match.
pub(super) fn brisk() -> Stand {
    let mut stand = stand_with(Options {
        time_scale: 60.0,
        seed: Some(7),
        ..Options::default()
    });
    for app in &mut stand.config.apps {
        let times = app.connection.times.get_or_insert_default();
        times.hello_within = Duration::from_millis(1500);
        times.close_within = Duration::from_millis(300);
        times.retire_within = Duration::from_secs(2);
        times.ping_every = Duration::from_millis(300);
        times.pong_within = Duration::from_millis(1500);
        times.silence_max = Duration::from_secs(3);
        times.deaf_after = Duration::from_millis(300);
    }
    stand
}

#[track_caller]
pub(super) fn line(running: &Running, name: &str) -> LineReport {
    let report = running.connections();
    let found = report.into_iter().find(|line| line.name == name);
    found.unwrap_or_else(|| panic!("no connection {name}"))
}

fn serving(line: &LineReport) -> usize {
    let sockets = line.sockets.iter();
    sockets.filter(|it| it.state == "serving").count()
}

/// Waits until `acme` has its two sockets, and no other.
#[track_caller]
fn whole(running: &Running) -> LineReport {
    until("acme has two serving sockets, and only them", || {
        let acme = line(running, "acme");
        acme.standing == Standing::Up && serving(&acme) == 2 && acme.sockets.len() == 2
    });
    line(running, "acme")
}

#[track_caller]
fn replaced_for(running: &Running, why: &str) {
    until(&format!("a socket is replaced for {why:?}"), || {
        let acme = line(running, "acme");
        acme.reasons.keys().any(|reason| reason.contains(why))
    });
}

fn greet(stand: &Stand, count: usize) {
    for n in 0..count {
        stand.says(n % 2, n / 2 % 5, "hello");
    }
}

#[track_caller]
fn nothing_missed(mut stand: Stand, running: Running, count: usize) {
    stand.answered(count);
    stand.all_acked();
    let verdict = stand.settle(running, &Rules::default());
    assert_eq!(verdict.answered, count);
}

#[test]
fn a_disconnect_in_place_of_hello_is_tried_again_whatever_its_reason() {
    let stand = brisk();
    for reason in [
        "warning",
        "refresh_requested",
        "too_many_websockets",
        "of_next_year",
    ] {
        let reason = reason.to_owned();
        let fault = SocketFault::FirstFrame { reason };
        stand.simulator.socket_fault(&stand.acme, fault, 1);
    }
    let running = stand.start();
    let acme = whole(&running);
    assert!(acme.tickets >= 6, "{acme:?}");
    greet(&stand, 20);
    nothing_missed(stand, running, 20);
}

#[test]
fn each_disconnect_reason_with_and_without_a_close_loses_nothing() {
    let stand = brisk();
    let running = stand.start();
    let mut said = 0;
    for reason in [
        "warning",
        "refresh_requested",
        "too_many_websockets",
        "of_next_year",
        "",
    ] {
        for then_close in [false, true] {
            greet(&stand, 10);
            stand.simulator.disconnect(&stand.acme, reason, then_close);
            greet(&stand, 10);
            said += 20;
            whole(&running);
        }
    }
    nothing_missed(stand, running, said);
}

#[test]
fn a_socket_without_hello_is_given_up_and_a_late_hello_is_waited_for() {
    let mut stand = brisk();
    stand
        .simulator
        .socket_fault(&stand.acme, SocketFault::NoHello, 1);
    let late = SocketFault::LateHello { ms: 700 };
    stand.simulator.socket_fault(&stand.acme, late, 1);
    let running = stand.start();
    let acme = whole(&running);
    assert_eq!(acme.last_error.as_deref(), Some("no hello in time"));
    greet(&stand, 20);
    stand.answered(20);
    nothing_missed(stand, running, 20);
}

#[test]
fn a_half_open_socket_is_noticed_and_what_went_into_it_is_handled_all_the_same() {
    let stand = brisk();
    let running = stand.start();
    whole(&running);
    assert_eq!(
        stand
            .simulator
            .afflict(&stand.acme, &SocketFault::HalfOpen, 1),
        1
    );
    greet(&stand, 20);
    until("it is noticed", || line(&running, "acme").reconnects == 1);
    let acme = whole(&running);
    let is_liveness = |why: &String| why.contains("not answered") || why.contains("silent");
    assert!(acme.reasons.keys().any(is_liveness), "{acme:?}");
    assert_eq!(acme.gaps, 0, "the other served meanwhile");
    nothing_missed(stand, running, 20);
}

#[test]
fn a_socket_that_answers_no_pings_is_replaced_though_envelopes_come() {
    let stand = brisk();
    let running = stand.start();
    whole(&running);
    stand
        .simulator
        .afflict(&stand.acme, &SocketFault::NoPongs, 1);
    let mut said = 0;
    until("it is replaced", || {
        greet(&stand, 2);
        said += 2;
        std::thread::park_timeout(Duration::from_millis(40));
        line(&running, "acme").reconnects >= 1
    });
    replaced_for(&running, "not answered");
    nothing_missed(stand, running, said);
}

#[test]
fn a_slack_that_sends_no_pings_is_no_reason_to_reconnect() {
    let stand = brisk();
    let running = stand.start();
    let before = whole(&running);
    stand
        .simulator
        .afflict(&stand.acme, &SocketFault::NoPings, 2);
    until("pongs alone keep it for longer than any deadline", || {
        let acme = line(&running, "acme");
        acme.sockets.iter().all(|it| it.frames > 12)
    });
    let after = whole(&running);
    assert_eq!((before.reconnects, after.reconnects), (0, 0));
    greet(&stand, 10);
    nothing_missed(stand, running, 10);
}

#[test]
fn a_socket_that_gets_no_envelopes_while_the_other_does_is_replaced() {
    let stand = brisk();
    let running = stand.start();
    whole(&running);
    stand.simulator.afflict(&stand.acme, &SocketFault::Deaf, 1);
    let mut said = 0;
    until("it is replaced", || {
        greet(&stand, 4);
        said += 4;
        std::thread::park_timeout(Duration::from_millis(10));
        line(&running, "acme").reasons.contains_key("deaf")
    });
    whole(&running);
    nothing_missed(stand, running, said);
}

#[test]
fn a_slow_or_missing_close_handshake_holds_nothing_up() {
    let stand = brisk();
    for fault in [SocketFault::NoClose, SocketFault::SlowClose { ms: 2000 }] {
        stand.simulator.socket_fault(&stand.acme, fault, 1);
    }
    let running = stand.start();
    whole(&running);
    greet(&stand, 10);
    stand
        .simulator
        .disconnect(&stand.acme, "refresh_requested", false);
    until("both are replaced", || {
        line(&running, "acme").reconnects == 2
    });
    let acme = whole(&running);
    assert_eq!(acme.gaps, 0);
    greet(&stand, 10);
    nothing_missed(stand, running, 20);
}

#[test]
fn envelopes_that_come_twice_and_out_of_order_are_handled_once() {
    let mut stand = brisk();
    let running = stand.start();
    whole(&running);
    stand.simulator.unsteady(Unsteady {
        twice_per_mille: 300,
        late_per_mille: 300,
        late_ms_max: 60,
    });
    for n in 0..300 {
        stand.says(n % 2, n / 2 % 5, "hello");
        std::thread::park_timeout(Duration::from_millis(2));
        if n == 150 {
            stand
                .simulator
                .disconnect(&stand.acme, "refresh_requested", false);
        }
    }
    stand.answered(300);
    let repeated = |what: &What| {
        matches!(
            what,
            What::Ack {
                is_repeated: true,
                ..
            }
        )
    };
    stand.recorded("ack of a copy", 20, repeated);
    nothing_missed(stand, running, 300);
}

#[test]
fn ghosts_raise_an_alarm_and_what_they_swallow_is_handled_all_the_same() {
    let mut stand = brisk();
    stand
        .log
        .expect("more sockets of this app are open at Slack than are ours");
    let running = stand.start();
    whole(&running);
    assert_eq!(line(&running, "acme").ghosts, 0);
    stand.simulator.haunt(&stand.acme, 2);
    greet(&stand, 8);
    stand
        .simulator
        .disconnect(&stand.acme, "refresh_requested", false);
    until("the alarm", || line(&running, "acme").ghosts == 2);
    assert_eq!(stand.simulator.exorcise(&stand.acme), 2);
    whole(&running);
    stand.answered(8);
    stand
        .simulator
        .disconnect(&stand.acme, "refresh_requested", false);
    until("the all-clear", || line(&running, "acme").ghosts == 0);
    nothing_missed(stand, running, 8);
}

#[test]
fn where_slack_takes_no_more_sockets_the_old_one_makes_room() {
    let mut stand = brisk();
    stand
        .log
        .expect("more sockets of this app are open at Slack than are ours");
    let running = stand.start();
    whole(&running);
    stand.simulator.haunt(&stand.acme, 8);
    stand
        .simulator
        .disconnect(&stand.acme, "refresh_requested", false);
    until("one broke first", || {
        line(&running, "acme").broken_first > 0
    });
    until("all are refreshed", || {
        let acme = line(&running, "acme");
        let refused = |why: &&str| acme.reasons.contains_key(*why);
        serving(&acme) == 2
            && ["too_many_websockets", "refresh_requested"]
                .iter()
                .any(refused)
    });
    stand.simulator.exorcise(&stand.acme);
    whole(&running);
    greet(&stand, 20);
    nothing_missed(stand, running, 20);
}

#[test]
fn frames_that_slack_never_sends_are_left_alone_and_counted() {
    let mut stand = brisk();
    stand
        .log
        .expect("a frame that can't be read; it is left alone");
    stand.log.expect("a kind of frame that is not known here");
    let running = stand.start();
    whole(&running);
    for text in [
        "",
        "7",
        "[]",
        "{",
        "null",
        r#"{"type":7}"#,
        r#"{"type":"of_next_year","payload":{}}"#,
        r#"{"type":"events_api","payload":{}}"#,
        r#"{"type":"hello","num_connections":2}"#,
        r#"{"type":"hello","num_connections":"many"}"#,
    ] {
        assert_eq!(stand.simulator.inject(&stand.acme, text), 2);
    }
    until("they are counted", || {
        let acme = line(&running, "acme");
        acme.sockets.iter().all(|it| it.odd_frames >= 8)
    });
    let acme = whole(&running);
    assert_eq!(acme.reconnects, 0);
    greet(&stand, 10);
    nothing_missed(stand, running, 10);
}
