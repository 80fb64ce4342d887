//! RTM's own ways to end a socket, and what can be done about a gap that nobody delivers again.

use callboard::ingress::Standing;
use callboard::sim::{Fault, What};
use callboard::slack::id::AppId;

use super::sockets::{brisk, line};
use crate::judge::Rules;
use crate::stand::{Stand, until};

fn asked(stand: &mut Stand) -> usize {
    let is_open =
        |what: &What| matches!(what, What::Call { method, .. } if method == "rtm.connect");
    stand.record().iter().filter(|it| is_open(&it.what)).count()
}

fn migrating() -> Fault {
    Fault::Error {
        code: "migration_in_progress".to_owned(),
    }
}

fn classic(stand: &Stand) -> AppId {
    let described = stand.simulator.describe();
    AppId::from(described["apps"][1]["id"].as_str().unwrap())
}

#[test]
fn a_migration_is_waited_out() {
    let mut stand = brisk();
    let running = stand.start();
    let team = stand.places[2].team.clone();
    stand.simulator.fault("rtm.connect", migrating(), 3);
    assert_eq!(stand.simulator.migrate(&team), 1);
    until("it is back", || {
        let classic = line(&running, "classic-1");
        classic.standing == Standing::Up && classic.reconnects == 1
    });
    let classic = line(&running, "classic-1");
    assert_eq!(classic.gaps, 1);
    assert_eq!(
        classic.last_error.as_deref(),
        Some("rtm.connect: migration_in_progress")
    );
    stand.says(2, 0, "hello");
    stand.answered(1);
    stand.settle(running, &Rules::default());
}

#[test]
fn a_reconnect_url_opens_the_next_socket_without_asking() {
    let mut stand = brisk();
    let running = stand.start();
    let team = stand.places[2].team.clone();
    assert_eq!(asked(&mut stand), 1);
    let frames = line(&running, "classic-1").sockets[0].frames;
    assert_eq!(stand.simulator.offer_reconnect(&team), 1);
    until("it came", || {
        line(&running, "classic-1").sockets[0].frames > frames
    });
    stand.says(2, 0, "hello");
    stand.answered(1);
    stand.simulator.goodbye(&team);
    until("it is back", || line(&running, "classic-1").reconnects == 1);
    assert_eq!(asked(&mut stand), 1, "without asking");
    stand.simulator.goodbye(&team);
    until("it is back again", || {
        line(&running, "classic-1").reconnects == 2
    });
    assert_eq!(asked(&mut stand), 2, "a URL is used once");
    stand.says(2, 0, "hello");
    stand.answered(2);
    stand.settle(running, &Rules::default());
}

#[test]
fn rule_9_what_was_written_during_a_gap_is_asked_for_and_handled_once() {
    let mut stand = brisk();
    stand.config.apps[1].connection.backfill = true;
    let running = stand.start();
    stand.says(2, 0, "hello");
    stand.answered(1);
    stand.simulator.fault("rtm.connect", migrating(), 3);
    stand.simulator.drop_sockets(&classic(&stand));
    until("the gap is noticed", || {
        matches!(line(&running, "classic-1").standing, Standing::Down(_))
    });
    for user in 0..5 {
        stand.says(2, user, "hello");
    }
    until("it is back", || {
        line(&running, "classic-1").standing == Standing::Up
    });
    stand.answered(6);
    // Live again, and nothing that came both ways is answered twice.
    stand.says(2, 0, "hello");
    stand.answered(7);
    let classic = line(&running, "classic-1");
    assert!(classic.backfilled >= 5, "{classic:?}");
    let mut posts = stand.posts();
    assert_eq!(running.stop(), callboard::app::Ended::Settled);
    posts.sort();
    let before = posts.len();
    posts.dedup();
    assert_eq!((before, posts.len()), (7, 7), "each counter once");
}
