//! Looks with the program, at a store in use and at the same store stopped.

use callboard::app::Ended;
use callboard::sim::Fault;
use callboard::store::inspect::What;

use super::{looked, printed, program, refused};
use crate::bots::let_through;
use crate::folder::Folder;
use crate::judge::Rules;
use crate::stand::{stand, until};

#[test]
fn a_store_in_use_shows_what_is_in_it_and_the_same_once_it_is_stopped() {
    let mut stand = stand();
    let running = stand.start();
    for n in 0..5 {
        stand.says(0, n, "hello");
        stand.says(0, n, "hello");
    }
    stand.answered(10);
    stand.all_acked();
    // Answered means committed, and what is committed shows.
    let live = printed(&stand, &["inspect", "keys", "--json"]);
    assert_eq!(live.lines().count(), 5, "{live}");
    assert!(
        live.lines()
            .all(|line| line.contains(r#""state":{"greeted":2}"#)),
        "{live}"
    );
    let user = stand.places[0].users[3].as_str();
    let table = printed(&stand, &["inspect", "keys"]);
    let row = table.lines().find(|line| line.contains(user)).unwrap();
    let key = row.split_whitespace().next().unwrap();
    assert!(row.ends_with(r#"{"greeted":2}"#), "{row}");
    let state = printed(&stand, &["inspect", "state", key]);
    assert!(state.contains(&format!("key      {key}")), "{state}");
    assert!(state.contains(r#"  "greeted": 2"#), "{state}");
    let two = program(
        &stand.config.store.path,
        &["inspect", "keys", "--limit", "2"],
    );
    assert_eq!(String::from_utf8_lossy(&two.stdout).lines().count(), 3);
    assert!(String::from_utf8_lossy(&two.stderr).contains("more than 2 lines"));
    until("its calls are noted", || {
        looked(&stand, What::Outbox).is_empty()
    });
    let summary = printed(&stand, &["inspect"]);
    assert!(
        summary.contains("greeter     5        0        0     0"),
        "{summary}"
    );

    stand.settle(running, &Rules::default());
    assert_eq!(printed(&stand, &["inspect", "keys", "--json"]), live);
    assert_eq!(printed(&stand, &["inspect"]), summary);
    assert_eq!(
        printed(&stand, &["inspect", "keys", "--team", "T0"]),
        "no key has a state\n"
    );
    let told = refused(
        &stand.config.store.path,
        &["inspect", "state", "greeter/acme/T0/user/U0"],
    );
    assert!(
        told.contains("no state is stored for the key greeter/acme/T0/user/U0"),
        "{told}"
    );
}

#[test]
fn deliveries_that_are_not_finished_and_calls_that_wait_are_shown_while_they_are() {
    let mut stand = stand();
    let running = stand.start();
    let fault = Fault::RateLimited { retry_after_s: 2 };
    stand.simulator.fault("chat.postMessage", fault, 1);
    stand.says(1, 0, "hello");
    let mut shown = String::new();
    until("a call that waits", || {
        shown = printed(&stand, &["inspect", "outbox"]);
        shown.contains("chat.postMessage")
    });
    assert!(
        shown.contains(stand.places[1].general.as_str()),
        "its lane: {shown}"
    );

    for _ in 0..3 {
        stand.says(0, 1, "hello waits");
    }
    let backlog = || looked(&stand, What::Backlog);
    until("three deliveries wait", || {
        backlog().iter().any(|line| line["waiting"] == 3)
    });
    let key = backlog()[0]["key"].as_str().unwrap().to_owned();
    let of_key = printed(&stand, &["inspect", "backlog", &key]);
    assert_eq!(of_key.lines().count(), 4, "a header and three: {of_key}");
    let_through(3);
    stand.answered(4);
    until("nothing waits", || {
        looked(&stand, What::Backlog).is_empty() && looked(&stand, What::Outbox).is_empty()
    });
    stand.all_acked();
    stand.settle(running, &Rules::default());
}

#[test]
fn where_there_is_no_store_it_is_said_and_none_is_made() {
    let folder = Folder::new();
    let nowhere = folder.path().join("nowhere");
    for arguments in [&["inspect"][..], &["retry", "1"], &["drop", "--all"]] {
        let told = refused(&nowhere, arguments);
        assert!(
            told.contains("there is no store in") && told.contains("--store"),
            "{told}"
        );
    }
    let told = refused(folder.path(), &["inspect", "keys"]);
    assert!(
        told.contains("there is no store in"),
        "an empty folder: {told}"
    );
    assert!(!nowhere.exists());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_store_whose_path_is_too_long_for_a_socket_runs_without_and_says_so() {
    let mut stand = stand();
    stand.log.expect("longer than a socket's may be");
    stand.config.store.path.push("x".repeat(100));
    let running = stand.start();
    stand.says(0, 0, "hello");
    stand.answered(1);
    stand.all_acked();
    let told = refused(&stand.config.store.path, &["inspect"]);
    assert!(told.contains("is in use by another process"), "{told}");
    assert!(told.contains("longer than a socket's may be"), "{told}");
    assert_eq!(running.stop(), Ended::Settled);
    let summary = printed(&stand, &["inspect"]);
    assert!(
        summary.contains("greeter"),
        "stopped, it needs no socket: {summary}"
    );
}
